//! What becomes of a container's files when its first process has ended: they are kept in sight, so that an end that
//! needs explaining can be explained afterwards, from the host's side.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::sched::{CloneFlags, setns};
use nix::unistd::{Pid, fchdir};

use super::op::Command;
use super::program::{environment, find, lacks_libraries};
use fault::Fault;
use kernel::lacks;
use kernel::root::{enter_root, open_root};

/// Where the program looked for its files.
pub struct Aftermath {
    root: OwnedFd,
    directory: File,
    /// Its mount namespace, unless that is ours.
    mounts: Option<File>,
}

impl Aftermath {
    /// Keeps them in sight, as far as this is possible: nothing depends on it but an explanation.
    pub fn of(pidfd: &OwnedFd, pid: Pid, namespaces: CloneFlags) -> Option<Aftermath> {
        let open = |name: &str| File::open(format!("/proc/{pid}/{name}")).ok();
        let own = namespaces.contains(CloneFlags::CLONE_NEWNS);
        let mounts = if own { Some(open("ns/mnt")?) } else { None };
        Some(Aftermath { root: open_root(pidfd).ok()?, directory: open("cwd")?, mounts })
    }

    /// What explains a status of 127: execve(2) works for a program whose libraries are missing, and it is the loader
    /// that gives up.
    pub fn explain(&self, command: &Command) -> Option<Fault> {
        let look = || -> Option<Fault> {
            if let Some(mounts) = &self.mounts {
                setns(mounts, CloneFlags::CLONE_NEWNS).ok()?;
            }
            enter_root(&self.root).ok()?;
            fchdir(&self.directory).ok()?;
            let path = find(command.argv.first()?, &environment(command.own_environment)).ok()?;
            lacks_libraries(Path::new(&path).as_os_str())
        };
        lacks::aside(look).ok().flatten()
    }
}
