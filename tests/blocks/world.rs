//! A host that is played: namespaces of the test's own, in which nearly all is read-only, and whose control groups are
//! below one of the test's own. What is looked at before and after is all that a block could change.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::common::guest::kernel;
use crate::common::watch::wait_until;
use crate::common::{place, run};
use crate::page::{Block, root};

pub struct World {
    holder: Child,
    groups: Vec<PathBuf>,
    /// The links of its namespaces: `pid:[4026532364]`.
    pub namespaces: Vec<String>,
}

/// What SURVEY told, by heading.
pub type Survey = BTreeMap<String, String>;

/// What is not as it was.
pub fn differences<'a>(before: &'a Survey, after: &'a Survey) -> impl Iterator<Item = String> + 'a {
    let missing = |from: &str, than: &str| {
        let lines: BTreeSet<&str> = than.lines().collect();
        from.lines()
            .filter(|line| !lines.contains(line))
            .map(|line| format!("\n    {line}"))
            .collect::<String>()
    };
    before.iter().filter(|(name, told)| after.get(*name) != Some(told)).map(move |(name, told)| {
        let now = after.get(name).map_or("", String::as_str);
        format!("{name} changed, from{}\n  to{}", missing(told, now), missing(now, told))
    })
}

/// Joins the world's groups, then runs a program in its namespaces.
const JOIN: &str = r#"
while [ "$1" != -- ]; do echo 0 > "$1/session/cgroup.procs"; shift; done
shift
exec "$@""#;

const NAMESPACES: [&str; 6] = ["--mount", "--net", "--uts", "--ipc", "--pid", "--cgroup"];

impl World {
    /// The host for a block.
    pub fn new(block: &Block) -> World {
        let (groups, trees) = own_groups();
        // The group must be joined before there is a namespace whose root it is.
        let join = "for group in $GROUPS_OF_OURS; do echo 0 > $group/cgroup.procs; done\nexec unshare \"$@\"";
        let mut command = crate::common::child::command("sh");
        command.args(["-c", join, "sh"]).args(NAMESPACES).args(["--fork", "--kill-child", "--mount-proc"]);
        command.args(["sh", "-c", include_str!("furnish.sh")]);
        let paths: Vec<_> = groups.iter().map(|group| group.to_string_lossy()).collect();
        command.env("GROUPS_OF_OURS", paths.join(" ")).env("TREES", trees);
        command.env("WORKSHOP", &place().program).env("REPOSITORY", root()).env("SOLUTION", block.solution());
        let kernel = if block.boots() { kernel() } else { PathBuf::new() };
        command.env("KERNEL", kernel.parent().unwrap_or(Path::new("")));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = command.spawn().expect("make a world");
        let mut lines = BufReader::new(holder.stdout.as_mut().expect("a pipe")).lines();
        let word = lines.next().and_then(Result::ok).unwrap_or_default();
        let world = World { holder, groups, namespaces: Vec::new() };
        assert_eq!(word, "furnished", "the world could not be furnished");
        world.with_namespaces_of_its_own()
    }

    /// The real machine's network is never that of a world: a block would run on the real machine then.
    fn with_namespaces_of_its_own(mut self) -> World {
        let here = ["mnt", "net", "uts", "ipc", "pid", "cgroup"]
            .map(|name| fs::read_link(format!("/proc/self/ns/{name}")).expect("a namespace"));
        let script =
            "for n in mnt net uts ipc pid cgroup; do readlink /proc/self/ns/$n; done; ls /sys/class/net";
        let ran = run(&mut self.enter(&["sh", "-c", script]));
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        for link in here {
            assert!(
                !ran.stdout.contains(&*link.to_string_lossy()),
                "a world without a namespace of its own: {link:?}"
            );
        }
        assert!(
            !ran.stdout.contains("eth0") && ran.stdout.contains("lan0"),
            "the real network: {}",
            ran.stdout
        );
        self.namespaces = ran.stdout.lines().map(str::to_owned).collect();
        self
    }

    /// A program in this world.
    pub fn enter(&self, program: &[&str]) -> Command {
        let mut command = crate::common::child::command("sh");
        command.args(["-c", JOIN, "sh"]).args(&self.groups).args(["--", "nsenter"]);
        command
            .args(["--target", &self.first().to_string()])
            .args(NAMESPACES)
            .arg("--wdns=/home/you/workshop");
        command.args(program).env_clear().stdin(Stdio::null());
        command.env(
            "PATH",
            "/run/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/cargo/bin",
        );
        command.envs([
            ("HOME", "/root"),
            ("LC_ALL", "C.UTF-8"),
            ("TERM", "xterm-256color"),
            ("NO_COLOR", "1"),
        ]);
        command.envs([("RUSTUP_HOME", "/run/rustup"), ("CARGO_NET_OFFLINE", "true"), ("USER", "root")]);
        command
    }

    /// The PID of the world's PID 1: the only child of `unshare`.
    fn first(&self) -> i32 {
        let file = format!("/proc/{0}/task/{0}/children", self.holder.id());
        let children = fs::read_to_string(file).unwrap_or_default();
        children
            .split_whitespace()
            .next()
            .and_then(|pid| pid.parse().ok())
            .expect("the world's first process")
    }

    pub fn survey(&self) -> Survey {
        let ran = run(&mut self.enter(&["sh", "-c", include_str!("survey.sh")]));
        let parts = ran.stdout.split("==== ").skip(1).filter_map(|part| part.split_once('\n'));
        parts.map(|(name, told)| (name.to_owned(), told.to_owned())).collect()
    }

    /// Ends whatever is still running in it; tells what that is.
    pub fn end_all(&self) -> String {
        // PID 1 of the world is none of those that kill(2) with -1 ends, nor is the caller.
        let script = "i=0; while [ $i -lt 20 ]; do
                for p in /proc/[0-9]*; do p=${p#/proc/}
                    [ $p = 1 ] || [ $p = $$ ] || tr '\\0' ' ' < /proc/$p/cmdline; done > /run/left 2>/dev/null
                [ -s /run/left ] || break
                i=$((i + 1)); sleep 0.1
            done; cat /run/left; rm /run/left; kill -9 -1; true";
        run(&mut self.enter(&["sh", "-c", script])).stdout
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
        for group in &self.groups {
            wait_until("the group to be empty", || {
                fs::read_to_string(group.join("session/cgroup.procs")).unwrap_or_default().is_empty()
                    && fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default().is_empty()
            });
            remove_below(group);
        }
    }
}

fn remove_below(group: &Path) {
    for path in fs::read_dir(group).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            remove_below(&path);
        }
    }
    let _ = fs::remove_dir(group);
}

/// A group of our own in each hierarchy, below the one that we are in, and what the world has to mount.
fn own_groups() -> (Vec<PathBuf>, String) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("blocks-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let (mut groups, mut trees) = (Vec::new(), Vec::new());
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    for line in mounts.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let (fields, right): (Vec<_>, Vec<_>) = (left.split(' ').collect(), right.split(' ').collect());
        let Some(tree) = fields[4].strip_prefix("/sys/fs/cgroup").filter(|_| right[0].starts_with("cgroup"))
        else {
            continue;
        };
        let options: Vec<_> = right[2].split(',').filter(|option| *option != "rw").collect();
        let group = Path::new(fields[4]).join(&name);
        fs::create_dir(&group).expect("a group of our own");
        // A group of cpuset's takes no process before it is told its processors; those below it have them from it.
        for file in ["cpuset.cpus", "cpuset.mems"].iter().filter(|_| options.contains(&"cpuset")) {
            let value = fs::read(Path::new(fields[4]).join(file)).expect("the processors of the group above");
            fs::write(group.join(file), value)
                .and_then(|()| fs::write(group.join("cgroup.clone_children"), "1"))
                .expect(file);
        }
        groups.push(group);
        let options = if right[0] == "cgroup2" { String::new() } else { options.join(",") };
        trees.push(format!("{} {options}", if tree.is_empty() { "." } else { tree.trim_start_matches('/') }));
    }
    (groups, trees.join("\n"))
}
