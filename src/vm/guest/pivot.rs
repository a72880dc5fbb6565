//! The root pulled from under every process: pivot_root(2) without a mount namespace, where it does no harm.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, pause, pivot_root};
use serde::{Deserialize, Serialize};

use fault::{Doing, Fault};
use kernel::child::guarded;

/// The new root, and where the old one is to be seen from it.
const NEW: &str = "/run/new";
const OLD: &str = "old";

/// The roots of PID 1 and of a process that only sleeps, each as `device 24 inode 1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulled {
    /// The directory that a third process gave to pivot_root(2).
    pub new: String,
    pub before: [String; 2],
    pub after: [String; 2],
}

/// Lets a child call pivot_root(2), looks at the roots of two that did not, and lets another child turn it
/// back.
pub fn pull_root() -> Result<Pulled, Fault> {
    let none: Option<&str> = None;
    fs::create_dir_all(NEW).doing(format!("make {NEW}"))?;
    mount(Some("new"), NEW, Some("tmpfs"), MsFlags::empty(), none)
        .doing(format!("mount a tmpfs on {NEW}"))?;
    let put_old = Path::new(NEW).join(OLD);
    fs::create_dir(&put_old).doing("make a place for the old root")?;
    let sleeper = in_child(|| {
        loop {
            pause();
        }
    })?;
    let pulled = pull(&put_old, sleeper);
    let _ = kill(sleeper, Signal::SIGKILL);
    let _ = waitpid(sleeper, None);
    umount2(NEW, MntFlags::MNT_DETACH).doing(format!("unmount {NEW}"))?;
    pulled
}

fn pull(put_old: &Path, sleeper: Pid) -> Result<Pulled, Fault> {
    let roots =
        |proc: &Path| [1, sleeper.as_raw()].map(|pid| directory(&proc.join(pid.to_string()).join("root")));
    let (new, before) = (directory(Path::new(NEW)), roots(Path::new("/proc")));
    pivot(Path::new(NEW), put_old)?;
    // From here on every name leads to the new root, ours too: /proc is below the old one.
    let old = Path::new("/").join(OLD);
    let after = roots(&old.join("proc"));
    pivot(&old, &old.join(NEW.trim_start_matches('/')))?;
    Ok(Pulled { new, before, after })
}

/// Device and inode of the directory that PATH leads to.
fn directory(path: &Path) -> String {
    // `/.` follows the link of /proc/PID/root.
    fs::metadata(path.join("."))
        .map_or_else(|e| e.to_string(), |seen| format!("device {} inode {}", seen.dev(), seen.ino()))
}

/// pivot_root(2), made by a child: neither we nor the sleeper call it.
fn pivot(new: &Path, put_old: &Path) -> Result<(), Fault> {
    let child = in_child(|| pivot_root(new, put_old).err().map_or(0, |errno| errno as i32))?;
    match waitpid(child, None).doing("wait for a child")? {
        WaitStatus::Exited(_, 0) => Ok(()),
        WaitStatus::Exited(_, errno) => Err(Fault::broken("pivot_root", Errno::from_raw(errno))),
        other => Err(Fault::broken("pivot_root", format!("{other:?}"))),
    }
}

fn in_child(run: impl FnOnce() -> i32) -> Result<Pid, Fault> {
    // SAFETY: one thread.
    match unsafe { fork() }.doing("fork")? {
        ForkResult::Child => guarded(run),
        ForkResult::Parent { child } => Ok(child),
    }
}
