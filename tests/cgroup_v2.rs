//! What is particular to cgroup v2, on a host that has nothing else: a virtual machine.

#![cfg(test)]

mod common;

use std::sync::OnceLock;

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
const LIMITS: [(&str, &str, &str); 5] = [
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
    // The weight is runc's for these shares, and swap what both limits leave for it.
    (
        "shares",
        "workshop run --no-net --memory 32M --memory-swap 48M --cpu-shares 512 --pids-limit 9 -- sh -c '
           cd /sys/fs/cgroup; cat cpu.weight memory.swap.max pids.max'",
        "59\n16777216\n9\n",
    ),
    // An old kernel, whose memory can't be shown by other ids.
    (
        "options",
        "mkdir /tmp/v; echo x > /tmp/v/f
         for option in --init --userns --network=host; do
           workshop run $option -v /tmp/v:/data:ro --tmpfs /t --read-only -u 0 -w /t sh -c '
             pwd; cat /data/f; touch /data/y 2>/dev/null || touch /x 2>/dev/null || touch y && ls'
         done",
        "/t\nx\ny\n/t\nx\ny\n/t\nx\ny\n",
    ),
];

/// The tree of groups, and what each hands on.
const TREE: &str = "cd /sys/fs/cgroup; find . -type d | sort; cat cgroup.subtree_control user-*/cgroup.subtree_control 2>/dev/null; true";

/// A group of one's own with nothing above it that may be written to: alone in it we step aside, with others in it we
/// can't.
const PREPARE: &str = "mkdir /sys/fs/cgroup/mine && cd /sys/fs/cgroup/mine &&
     echo '+memory +pids +cpu' > ../cgroup.subtree_control &&
     chown 65534 . cgroup.procs cgroup.subtree_control cgroup.threads && mkdir /tmp/home && chown 65534 /tmp/home";
const ALONE: &str = "sh -c 'echo 0 > /sys/fs/cgroup/mine/cgroup.procs; exec env HOME=/tmp/home \
     setpriv --reuid 65534 --regid 65534 --clear-groups workshop step 4'";
const CROWDED: &str = "sh -c 'echo 0 > /sys/fs/cgroup/mine/cgroup.procs; env HOME=/tmp/home \
     setpriv --reuid 65534 --regid 65534 --clear-groups workshop step 4; exit $?'";

/// What is done to the tree of groups, in order.
const TREES: [(&str, &str); 7] = [
    ("before", TREE),
    ("step", "workshop step 4 > /dev/null"),
    ("after", TREE),
    ("two at once", "workshop step 4 > /dev/null & workshop step 4 > /dev/null; a=$?; wait $! && exit $a"),
    ("after two", TREE),
    (
        "killed",
        "workshop run --memory 64M -- sleep 1000 & sleep 2; kill -9 $!; wait $!; workshop clean > /dev/null",
    ),
    ("after a kill", TREE),
];

/// What root does besides. The machine's groups are others afterwards.
const OF_ROOT: [(&str, &str); 6] = [
    ("forking", FORKING),
    ("prepare", PREPARE),
    ("before mine", TREE),
    ("alone", ALONE),
    ("crowded", CROWDED),
    ("after mine", TREE),
];

/// A machine in which all of it was done: booting takes longer than most of it.
struct Machine {
    user: bool,
    said: Vec<(String, String, i32)>,
}

impl Machine {
    fn boot(user: bool) -> Machine {
        let limits = LIMITS.map(|(name, code, _)| (name, code));
        let of_root = if user { &[][..] } else { &OF_ROOT };
        let pieces = TREES.iter().chain(&limits).chain(of_root);
        let pieces: Vec<_> = pieces.map(|(name, code)| (name.to_string(), code.to_string())).collect();
        let options = if user { &["--user"][..] } else { &[] };
        Machine { user, said: Guest::new(Who::User).with(options).script(&pieces) }
    }

    /// What a piece has said, and its status.
    fn said(&self, name: &str) -> (&str, i32) {
        let piece = self.said.iter().find(|(of, ..)| of == name);
        piece.map(|(_, said, status)| (said.as_str(), *status)).expect("a piece of that name")
    }
}

/// Root's machine and an ordinary user's, side by side; `None` and skipped aloud where there can be none.
fn machines() -> Option<&'static [Machine; 2]> {
    static MACHINES: OnceLock<[Machine; 2]> = OnceLock::new();
    Guest::possible().then(|| {
        MACHINES.get_or_init(|| {
            std::thread::scope(|scope| {
                let other = scope.spawn(|| Machine::boot(true));
                let roots = Machine::boot(false);
                [roots, other.join().expect("the user's machine")]
            })
        })
    })
}

#[test]
fn a_limit_really_kills_refuses_and_throttles() {
    for machine in machines().into_iter().flatten() {
        for (name, _, wanted) in LIMITS {
            assert_eq!(machine.said(name).0, wanted, "{name}, user: {}", machine.user);
        }
    }
}

#[test]
fn the_tree_of_groups_is_as_before() {
    for machine in machines().into_iter().flatten() {
        for after in ["after", "after two", "after a kill"] {
            let [before, after_it] = ["before", after].map(|name| machine.said(name).0);
            assert_eq!(after_it, before, "{after}, user: {}", machine.user);
        }
        for name in ["step", "two at once"] {
            assert_eq!(machine.said(name), ("", 0), "{name}, user: {}", machine.user);
        }
    }
}

#[test]
fn a_group_with_processes_may_have_no_limited_children() {
    let Some([roots, _]) = machines() else { return };
    assert_eq!(roots.said("prepare"), ("", 0));
    let (alone, status) = roots.said("alone");
    assert_eq!(status, 0, "{alone}");
    assert!(alone.contains("-self/cgroup.procs 0"), "it steps aside: {alone}");
    let (crowded, status) = roots.said("crowded");
    assert_eq!(status, 3, "{crowded}");
    assert!(crowded.contains("/sys/fs/cgroup/mine holds other processes too"), "{crowded}");
    assert_eq!(roots.said("after mine"), roots.said("before mine"));
}

#[test]
fn a_group_that_was_left_ends_with_all_that_forks_in_it() {
    let Some([roots, _]) = machines() else { return };
    assert_eq!(roots.said("forking").0, "1\ngone\n0\n");
}
