//! Where paths begin: the root directory of a process, and the root of the mount namespace that it is in
//! (path_resolution(7)). As a rule they are the same directory. chroot(2) takes them apart, and then setns(2) puts
//! whoever enters the namespace at the second, which is another system's `/`.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid};

use super::child::{guarded, is_there, pid_behind, pidfd_open};
use fault::{Doing, Fault};

/// A file, by the mount that it is reached through and by what it is there: chroot(2) to a bind mount of `/` is
/// another spot than `/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    /// As in the first field of a line of mountinfo; 0 where the kernel does not say.
    pub mount: u64,
    pub device: (u32, u32),
    pub inode: u64,
    /// Whether a filesystem is mounted right here; `None` where the kernel does not say.
    pub tops_mount: Option<bool>,
}

impl Spot {
    /// What is open there.
    pub fn of(fd: impl AsFd) -> nix::Result<Spot> {
        statx(fd.as_fd().as_raw_fd(), c"", libc::AT_EMPTY_PATH)
    }

    /// The calling process's root directory.
    pub fn root() -> nix::Result<Spot> {
        statx(libc::AT_FDCWD, c"/", 0)
    }
}

/// statx(2), which tells of mounts since Linux 5.8.
fn statx(fd: i32, path: &CStr, flags: i32) -> nix::Result<Spot> {
    let mut found = MaybeUninit::<libc::statx>::zeroed();
    let wanted = libc::STATX_INO | libc::STATX_MNT_ID;
    // SAFETY: the path ends in NUL, and the kernel fills what lies behind the last pointer.
    let done = unsafe { libc::statx(fd, path.as_ptr(), flags, wanted, found.as_mut_ptr()) };
    Errno::result(done)?;
    // SAFETY: all its fields are integers, for which zeroes are values too.
    let found = unsafe { found.assume_init() };
    let mount_root = libc::STATX_ATTR_MOUNT_ROOT as u64;
    let told = found.stx_attributes_mask & mount_root != 0;
    Ok(Spot {
        mount: if found.stx_mask & libc::STATX_MNT_ID != 0 { found.stx_mnt_id } else { 0 },
        device: (found.stx_dev_major, found.stx_dev_minor),
        inode: found.stx_ino,
        tops_mount: told.then_some(found.stx_attributes & mount_root != 0),
    })
}

/// Fails in a chroot whose directory is no mount point, which one look tells.
pub fn refuse_chroot_directory() -> Result<(), Fault> {
    match Spot::root().doing("look at /")?.tops_mount {
        Some(false) => Err(Fault::unable("chroot-directory", &[])),
        _ => Ok(()),
    }
}

/// The same for one that is a mount point, in a mount namespace that is our own already: is our root that namespace's?
/// Nothing is changed, so whoever is refused may go on to say so.
pub fn refuse_chroot_mount() -> Result<(), Fault> {
    let look = || -> nix::Result<bool> {
        let before = Spot::root()?;
        let here = nix::fcntl::open(".", OFlag::O_PATH | OFlag::O_CLOEXEC, nix::sys::stat::Mode::empty())?;
        setns(pidfd_open(getpid())?, CloneFlags::CLONE_NEWNS)?;
        let after = Spot::root()?;
        // setns(2) has put us there.
        nix::unistd::fchdir(here)?;
        Ok(before != after)
    };
    let is_beside = match look() {
        // There is no way back to a working directory that we may not open: a child looks in our place.
        Err(Errno::EACCES) => is_beside_the_namespaces()?,
        // Whoever may not enter a namespace is told so where one has to be entered, in that call's own words.
        seen => seen.unwrap_or(false),
    };
    if is_beside { Err(Fault::unable("chroot-mount", &[])) } else { Ok(()) }
}

/// Fails in a chroot, before anything is done there. Mounts would be refused in it (EINVAL) if its directory is no mount
/// point; if it is one, the namespace still has the other system's root, which is one setns(2) away.
pub fn refuse_chroot() -> Result<(), Fault> {
    refuse_chroot_directory()?;
    if is_beside_the_namespaces()? { Err(Fault::unable("chroot-mount", &[])) } else { Ok(()) }
}

/// Whether `/` is not the mount namespace's root. A child of ours leaves for a copy of the namespace, in which it still
/// has our root, and enters that copy by setns(2). Whoever may not is not told (EPERM); but then the kernel makes no user
/// namespace in a chroot either (`current_chrooted()`, unshare(2)).
fn is_beside_the_namespaces() -> Result<bool, Fault> {
    const BESIDE: i32 = 7;
    let look = || -> nix::Result<bool> {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let before = Spot::root()?;
        setns(pidfd_open(getpid())?, CloneFlags::CLONE_NEWNS)?;
        Ok(before != Spot::root()?)
    };
    // SAFETY: the workshop has one thread.
    match unsafe { fork() }.doing("fork a child that looks for the root")? {
        ForkResult::Child => guarded(|| if look() == Ok(true) { BESIDE } else { 0 }),
        ForkResult::Parent { child } => Ok(ended_with(child)? == BESIDE),
    }
}

fn ended_with(child: Pid) -> Result<i32, Fault> {
    loop {
        match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, status)) => return Ok(status),
            Ok(_) => return Ok(0),
            Err(Errno::EINTR) => {}
            Err(e) => return Err(e).doing("wait for a child"),
        }
    }
}

/// Opens a process's root directory, by the /proc that we have. That it is the process behind `pidfd` is seen by its
/// still being there afterwards: as long as it is, nobody else gets its PID.
pub fn open_root(pidfd: &impl AsFd) -> nix::Result<std::os::fd::OwnedFd> {
    let pid = pid_behind(pidfd)?;
    let path = format!("/proc/{pid}/root");
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let root = nix::fcntl::openat(AT_FDCWD, path.as_str(), flags, nix::sys::stat::Mode::empty())?;
    is_there(pidfd)?;
    Ok(root)
}

/// Makes what is open there the calling process's root directory, and its working directory.
pub fn enter_root(root: &impl AsFd) -> nix::Result<()> {
    let there = Spot::of(root)?;
    nix::unistd::fchdir(root)?;
    // Where it is our root already, CAP_SYS_CHROOT isn't needed.
    if Spot::root()? != there {
        nix::unistd::chroot(".")?;
    }
    if Spot::root()? == there { Ok(()) } else { Err(Errno::EXDEV) }
}
