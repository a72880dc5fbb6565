//! Child processes: how one is made (clone3(2)), by what it is known (pidfd_open(2)), what it has open (close_range(2), Linux
//! 5.9), and how it ends (_exit(2)). Neither libc nor nix wraps these calls.
//!
//! A PID may come to mean another process; a descriptor never does, and poll(2) tells when its process has ended.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::unistd::Pid;

/// `CLONE_INTO_CGROUP` of `linux/sched.h`. The constant of the libc crate is an `int`, which bit
/// 33 does not fit into: it is 0 there, and the child would silently stay in its parent's group.
pub const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

// ANCHOR: clone3
/// Makes a process as fork(2) does, in new namespaces and, with [`CLONE_INTO_CGROUP`], in another
/// cgroup. Returns the child's PID as the caller sees it, and `None` in the child.
///
/// Memory is copied on write, not shared: `stack` must be 0, so that both go on where they are.
/// Neither side may have other threads, since the child gets none of them, nor the locks they hold.
pub fn clone3(args: &libc::clone_args) -> nix::Result<Option<Pid>> {
    debug_assert_eq!(args.stack, 0, "the child goes on the stack that it has");
    // SAFETY: the structure and its size belong together; without CLONE_VM the child has a copy of
    // all memory, this stack included.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, args, size_of::<libc::clone_args>()) };
    match Errno::result(pid)? {
        0 => Ok(None),
        pid => Ok(Some(Pid::from_raw(pid as i32))),
    }
}
// ANCHOR_END: clone3

/// The arguments of a plain fork into new namespaces: `flags` of clone(2), the exit signal that
/// wait(2) listens for, and on cgroup v2 the group to be born in.
pub fn arguments(flags: u64, cgroup: Option<i32>) -> libc::clone_args {
    // SAFETY: a structure of integers, for which zero means "not used" (clone(2)).
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = flags;
    args.exit_signal = libc::SIGCHLD as u64;
    if let Some(fd) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = fd as u64;
    }
    args
}

/// fork(2) that gives the parent a descriptor for its child in the same call (`CLONE_PIDFD`, clone(2));
/// `None` in the child. The caller may have no other threads.
pub fn fork() -> nix::Result<Option<OwnedFd>> {
    let mut fd = -1;
    let mut args = arguments(libc::CLONE_PIDFD as u64, None);
    args.pidfd = &raw mut fd as u64;
    let child = clone3(&args)?;
    // SAFETY: the parent's call succeeded, so the kernel has put a descriptor there.
    Ok(child.map(|_| unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// A descriptor for a process that has not been waited for, or for ourselves (pidfd_open(2)).
pub fn pidfd_open(pid: Pid) -> nix::Result<OwnedFd> {
    // SAFETY: no pointers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    let fd = Errno::result(fd)?;
    // SAFETY: a descriptor that the kernel has just given us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// pidfd_send_signal(2). A process that has ended needs no signal any more.
pub fn pidfd_send_signal(pidfd: &OwnedFd, signal: i32) -> nix::Result<()> {
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
pub fn pid_behind(pidfd: &impl AsFd) -> nix::Result<i32> {
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

/// Nothing of ours, nor of whoever started us, is open in the program: everything above standard error is
/// closed by execve(2) (`CLOSE_RANGE_CLOEXEC`, Linux 5.11).
pub fn close_on_exec_above_stderr() -> nix::Result<()> {
    close_range(3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC)
}

/// Closes every descriptor but these.
///
/// # Safety
/// Whatever owns the others must never be used or dropped again in this process, which is so in a child that ends by
/// _exit(2).
pub unsafe fn close_all_but(keep: &[RawFd]) {
    let mut keep: Vec<u32> = keep.iter().filter_map(|fd| u32::try_from(*fd).ok()).collect();
    keep.sort_unstable();
    let mut first = 0;
    for fd in keep {
        if first < fd {
            let _ = close_range(first, fd - 1, 0);
        }
        first = fd + 1;
    }
    let _ = close_range(first, u32::MAX, 0);
}

fn close_range(first: u32, last: u32, flags: u32) -> nix::Result<()> {
    // SAFETY: no pointers. Whoever closes for good has promised that nobody uses what is closed.
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) }).map(drop)
}

/// Runs a child's part to its end: nothing of the parent's (buffers, guards, undo) may run in it.
pub fn guarded(part: impl FnOnce() -> i32) -> ! {
    let status = std::panic::catch_unwind(std::panic::AssertUnwindSafe(part)).unwrap_or(101);
    // SAFETY: _exit(2) ends the process at once.
    unsafe { libc::_exit(status) }
}
