//! The calls that options of `run` ask for: mounts by descriptor, limits of a process, a user's groups.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::unistd::{Gid, setgroups};

use super::{Caller, Shown, zero};
use crate::rlimits::Limit;
use crate::{attributes, in_root, strace};
use fault::Fault;

impl Caller<'_> {
    /// mount_setattr(2) of an open mount: more attributes.
    pub fn restrict(
        &mut self,
        why: &str,
        mount: &OwnedFd,
        attributes: u64,
        below: bool,
    ) -> Result<(), Fault> {
        let shown = || Shown {
            name: "mount_setattr",
            args: vec![
                mount.as_raw_fd().to_string(),
                strace::text(""),
                strace::at_flags(below).into(),
                format!("{{attr_set={}}}", strace::mount_attributes(attributes)),
                size_of::<libc::mount_attr>().to_string(),
            ],
            brief: Some(strace::mount_attributes(attributes)),
        };
        self.make(why, shown, || attributes::restrict(mount, attributes, below), zero)
    }

    /// fsmount(2): a new tmpfs, mounted nowhere yet.
    pub fn tmpfs(
        &mut self,
        why: &str,
        options: &[(String, String)],
        attributes: u64,
    ) -> Result<OwnedFd, Fault> {
        let shown = || Shown {
            name: "fsmount",
            args: strace::tmpfs(options, attributes),
            brief: Some(strace::tmpfs(options, attributes).join(" ")),
        };
        self.make(why, shown, || attributes::tmpfs(options, attributes), |fd| fd.as_raw_fd().to_string())
    }

    /// openat2(2): what is at a path below `/`, and nowhere else. See [`in_root`].
    pub fn open_in_root(&mut self, why: &str, path: &Path) -> Result<OwnedFd, Fault> {
        let shown =
            || Shown { name: "openat2", args: strace::open_in_root(path), brief: Some(strace::short(path)) };
        let open = || in_root::open(path, OFlag::O_PATH);
        self.make(why, shown, open, |fd| fd.as_raw_fd().to_string())
    }

    /// move_mount(2) of one that is mounted nowhere yet, onto what is open there.
    pub fn attach(&mut self, why: &str, tree: &OwnedFd, target: &OwnedFd, path: &Path) -> Result<(), Fault> {
        let shown = || Shown {
            name: "move_mount",
            args: vec![
                tree.as_raw_fd().to_string(),
                strace::text(""),
                target.as_raw_fd().to_string(),
                strace::text(""),
                strace::ATTACH.into(),
            ],
            brief: Some(strace::short(path)),
        };
        self.make(why, shown, || attributes::attach(tree, target), zero)
    }

    /// setrlimit(2).
    pub fn setrlimit(&mut self, why: &str, limit: &Limit) -> Result<(), Fault> {
        let shown = || Shown { name: "setrlimit", args: limit.args(), brief: None };
        self.make(why, shown, || limit.set(), zero)
    }

    /// setgroups(2): these supplementary groups and no others.
    pub fn setgroups(&mut self, why: &str, groups: &[Gid]) -> Result<(), Fault> {
        let shown = || {
            let names: Vec<_> = groups.iter().map(|gid| gid.to_string()).collect();
            let args = vec![groups.len().to_string(), format!("[{}]", names.join(", "))];
            Shown { name: "setgroups", args, brief: None }
        };
        self.make(why, shown, || setgroups(groups), zero)
    }
}
