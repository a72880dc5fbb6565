//! Processes known by a descriptor (pidfd_open(2)), for which nix has no calls. A PID may come to mean another
//! process; a descriptor never does, and poll(2) tells when its process has ended.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::unistd::Pid;

use super::clone3;

/// A descriptor for a process that has not been waited for, or for ourselves (pidfd_open(2)).
pub fn open(pid: Pid) -> nix::Result<OwnedFd> {
    // SAFETY: no pointers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    let fd = Errno::result(fd)?;
    // SAFETY: a descriptor that the kernel has just given us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// pidfd_send_signal(2). A process that has ended needs no signal any more.
pub fn send_signal(pidfd: &OwnedFd, signal: i32) -> nix::Result<()> {
    match send(pidfd, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(e) => Err(e),
    }
}

fn send(pidfd: &impl AsFd, signal: i32) -> nix::Result<()> {
    let (pidfd, none) = (pidfd.as_fd().as_raw_fd(), std::ptr::null::<u8>());
    // SAFETY: a descriptor that lives as long as the call, and no siginfo.
    let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, signal, none, 0) };
    Errno::result(sent).map(drop)
}

/// The PID of a process, in the PID namespace of our /proc (`Pid:` in `/proc/self/fdinfo`, pidfd_open(2)).
pub fn pid(pidfd: &impl AsFd) -> nix::Result<i32> {
    let path = format!("/proc/self/fdinfo/{}", pidfd.as_fd().as_raw_fd());
    let text =
        std::fs::read_to_string(path).map_err(|e| Errno::from_raw(e.raw_os_error().unwrap_or(libc::EIO)))?;
    let pid = text.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok());
    // -1 is one that has been waited for, 0 one that our PID namespace has no number for.
    pid.filter(|pid| *pid > 0).ok_or(Errno::ESRCH)
}

/// Fails with ESRCH if a process has been waited for: its PID may be another's then.
pub fn is_there(pidfd: &impl AsFd) -> nix::Result<()> {
    send(pidfd, 0)
}

/// fork(2) that gives the parent a descriptor for its child in the same call (`CLONE_PIDFD`, clone(2));
/// `None` in the child. The caller may have no other threads.
pub fn fork() -> nix::Result<Option<OwnedFd>> {
    let mut fd = -1;
    let mut args = clone3::arguments(libc::CLONE_PIDFD as u64, None);
    args.pidfd = &raw mut fd as u64;
    let child = clone3::clone3(&args)?;
    // SAFETY: the parent's call succeeded, so the kernel has put a descriptor there.
    Ok(child.map(|_| unsafe { OwnedFd::from_raw_fd(fd) }))
}
