//! What is particular to cgroup v2, on a host that has nothing else: a virtual machine.

mod common;

use common::Who;
use common::guest::Guest;

/// A group that ends whatever is in it when it has to go, however fast that forks.
const FORKING: &str = r#"
state=$HOME/.local/state/workshop/ledger; group=/sys/fs/cgroup/workshop-1-1-1; mkdir -p $state $group
sh -c 'echo 0 > '$group'/cgroup.procs; for i in 1 2 3 4; do (while :; do (sh -c : &); done) & done'
namespace=$(stat -Lc %i /proc/self/ns/pid)
echo '{"undo":"remove-group","path":"'$group'"}' > $state/999999-1-$namespace-1.jsonl
workshop clean | grep -c workshop-1-1-1; test -e $group || echo gone; ls $state | wc -l"#;

/// Runs programs into their limits. What the kernel counted is read inside, where a container sees its own group.
const LIMITS: [(&str, &str, &str); 3] = [
    (
        "memory",
        "workshop run --no-net --memory 32M -- sh -c '
           head -c 100000000 /dev/zero | tail > /tmp/all; echo $?
           grep -c \"^oom_kill [1-9]\" /sys/fs/cgroup/memory.events; cat /sys/fs/cgroup/memory.max'",
        "Killed\n137\n1\n33554432\n",
    ),
    (
        "pids",
        "workshop run --no-net --pids 4 -- sh -c '
           (for i in 1 2 3 4 5 6; do sleep 1 & done) 2>/dev/null; sleep 2
           grep -c \"^max [1-9]\" /sys/fs/cgroup/pids.events; cat /sys/fs/cgroup/pids.max'",
        "1\n4\n",
    ),
    (
        "cpu",
        "workshop run --no-net --cpus 0.2 -- sh -c '
           i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done
           grep -c \"^nr_throttled [1-9]\" /sys/fs/cgroup/cpu.stat; cat /sys/fs/cgroup/cpu.max'",
        "1\n20000 100000\n",
    ),
];

/// The tree of groups, and what each hands on.
const TREE: &str = "cd /sys/fs/cgroup; find . -type d | sort; cat cgroup.subtree_control user-*/cgroup.subtree_control 2>/dev/null; true";

fn pieces(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, code)| (name.to_string(), code.to_string())).collect()
}

/// Holds what each piece has said against what it must say.
fn judge(guest: &Guest, list: &[(&str, &str, &str)]) {
    let all: Vec<(&str, &str)> = list.iter().map(|(name, code, _)| (*name, *code)).collect();
    for ((name, said, _), (_, _, wanted)) in guest.script(&pieces(&all)).iter().zip(list) {
        assert_eq!(said, wanted, "{name}");
    }
}

#[test]
fn a_limit_really_kills_refuses_and_throttles() {
    if !Guest::possible() {
        return;
    }
    for options in [&[][..], &["--user"]] {
        judge(&Guest::new(Who::User).with(options), &LIMITS);
    }
}

#[test]
fn the_tree_of_groups_is_as_before() {
    if !Guest::possible() {
        return;
    }
    for options in [&[][..], &["--user"]] {
        let list = [
            ("before", TREE),
            ("step", "workshop step 4 > /dev/null"),
            ("after", TREE),
            (
                "two at once",
                "workshop step 4 > /dev/null & workshop step 4 > /dev/null; a=$?; wait $! && exit $a",
            ),
            ("after two", TREE),
            (
                "killed",
                "workshop run --memory 64M -- sleep 1000 & sleep 2; kill -9 $!; wait $!; workshop clean > /dev/null",
            ),
            ("after a kill", TREE),
        ];
        let said = Guest::new(Who::User).with(options).script(&pieces(&list));
        for place in [2, 4, 6] {
            assert_eq!(said[place].1, said[0].1, "{}, {options:?}", said[place].0);
        }
        for place in [1, 3] {
            assert_eq!((said[place].2, said[place].1.as_str()), (0, ""), "{}", said[place].0);
        }
    }
}

#[test]
fn a_group_with_processes_may_have_no_limited_children() {
    if !Guest::possible() {
        return;
    }
    // A group of one's own with nothing above it that may be written to: alone in it we step aside, with others
    // in it we can't.
    let prepare = "mkdir /sys/fs/cgroup/mine && cd /sys/fs/cgroup/mine &&
         echo '+memory +pids +cpu' > ../cgroup.subtree_control &&
         chown 65534 . cgroup.procs cgroup.subtree_control cgroup.threads && mkdir /tmp/home && chown 65534 /tmp/home";
    let nobody = "HOME=/tmp/home setpriv --reuid 65534 --regid 65534 --clear-groups";
    let alone = format!("echo 0 > /sys/fs/cgroup/mine/cgroup.procs; exec env {nobody} workshop step 4");
    let crowded = format!("echo 0 > /sys/fs/cgroup/mine/cgroup.procs; env {nobody} workshop step 4; exit $?");
    let [alone, crowded] = [alone, crowded].map(|code| format!("sh -c '{code}'"));
    let list =
        [("prepare", prepare), ("before", TREE), ("alone", &alone), ("crowded", &crowded), ("after", TREE)];
    let said = Guest::new(Who::User).script(&pieces(&list));
    assert_eq!((said[0].2, said[0].1.as_str()), (0, ""));
    assert_eq!(said[2].2, 0, "{}", said[2].1);
    assert!(said[2].1.contains("-self/cgroup.procs 0"), "it steps aside: {}", said[2].1);
    assert_eq!(said[3].2, 3, "{}", said[3].1);
    assert!(said[3].1.contains("/sys/fs/cgroup/mine holds other processes too"), "{}", said[3].1);
    assert_eq!(said[4].1, said[1].1);
}

#[test]
fn a_group_that_was_left_ends_with_all_that_forks_in_it() {
    if !Guest::possible() {
        return;
    }
    judge(&Guest::new(Who::User), &[("forking", FORKING, "1\ngone\n0\n")]);
}
