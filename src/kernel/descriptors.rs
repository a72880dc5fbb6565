//! Many descriptors at once (close_range(2), Linux 5.9).

use std::os::fd::RawFd;

use nix::errno::Errno;

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
