//! clone3(2), which neither libc nor nix wraps.

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
