//! A look at a container from where it stands, by the PID of its program.

use std::path::Path;

use nix::unistd::Pid;

use super::bounds::Limited;
use super::contents::Contents;
use super::evidence::Looked;
use super::foreign::Foreign;
use super::groups;
use super::outside::Outside;
use super::sight::{Identity, Subject, identity};
use super::started::Started;
use super::surroundings::Surroundings;
use super::users::Users;
use fault::Fault;
use kernel::mounts;
use kernel::process;

/// What is looked for in a container.
pub struct Sought<'s> {
    pub mark: Option<Mark<'s>>,
    /// Of the root filesystem that it was given, if it was.
    pub contents: &'s Contents,
    /// Where that is outside.
    pub given: Option<&'s Path>,
    /// Whether its network is to be tried.
    pub network: bool,
}

/// What tells a root filesystem from all others.
#[derive(Clone, Copy)]
pub enum Mark<'m> {
    /// The text of a file in it ([`NONCE`](super::contents::NONCE)).
    Text(&'m str),
    /// A file that only the outside has.
    NotInIt(&'m Path),
}

/// The kinds of namespaces(7) that are looked at.
const KINDS: [&str; 7] = ["pid", "mnt", "uts", "ipc", "cgroup", "net", "user"];

/// Looks at a container whose program has this PID. What is outside was looked at before it was made, and now.
pub fn look_at(
    pid: Pid,
    around: &impl Surroundings,
    sought: &Sought,
    (before, during): (Outside, Outside),
) -> Result<Looked, Fault> {
    let subject = Subject::of(pid)?;
    let outside = around.pid().to_string();
    let own_mounts = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    let view = subject.view(sought)?;
    let old_root = identity(Path::new(&format!("/proc/{outside}/root/")));
    let before_it = mounts::parse(&before.mounts.join("\n"));
    let of_outside = Foreign { outside: &before_it, given: sought.given };
    let times_below =
        |roots: Vec<Identity>| roots.into_iter().filter(|below| Some(*below) == old_root).count();
    let limits = Limited::of(pid, around);
    Ok(Looked {
        foreign: of_outside.standing(&Subject::parse(&view), around)?,
        old_roots: with_root(old_root, pid, around),
        // A host that was booted from its initramfs, and stayed in it, has its own root once below already
        // (ramfs-rootfs-initramfs.rst).
        covers_old_root: times_below(subject.roots_below().unwrap_or_default())
            > times_below(around.roots_below().unwrap_or_default()),
        rooted_above: groups::rooted_above(pid, around, &view.groups),
        view,
        arguments: subject.arguments(),
        started: Started::of(&subject),
        users: Users::of(pid, &outside),
        namespaces: KINDS
            .map(|kind| (kind, process::namespace(&outside, kind), subject.namespace(kind)))
            .into(),
        pids: subject.pids(),
        pid_1_above: subject.has_pid_1_above(),
        root: subject.root_identity(),
        top_of_cwd: subject.top_of_cwd(),
        kernel: super::sight::kernel(),
        own_mounts: mounts::parse(&own_mounts),
        before,
        during,
        network_outside: around.network(pid)?,
        limits_first: limits,
        ..Looked::default()
    })
}

/// Others in CMD's PID namespace whose root is ROOT: through /proc/PID/root CMD gets there too.
fn with_root(root: Option<Identity>, cmd: Pid, around: &impl Surroundings) -> Vec<String> {
    let namespace = process::namespace(&cmd.to_string(), "pid");
    let has_it = |pid: &i32| {
        process::namespace(&pid.to_string(), "pid") == namespace
            && identity(Path::new(&format!("/proc/{pid}/root/"))) == root
    };
    let number = |pid: i32| process::status(Path::new("/proc"), &pid.to_string(), "NSpid");
    let others = around.processes().into_iter().filter(|pid| *pid != cmd.as_raw()).filter(has_it);
    let names = others.filter_map(number);
    names.map(|pids| format!("/proc/{}/root", pids.split(' ').next_back().unwrap_or_default())).collect()
}
