//! What the kernel tells the follower of a process (waitpid(2), ptrace(2)).
//!
//! nix's waitpid is not used: it knows no real-time signals (signal(7)), with which C libraries tell the threads of
//! a process about each other, and answers `EINVAL` for a process that has one. The kernel has handed over the news
//! by then, and the process would stay stopped for ever.

use nix::errno::Errno;
use nix::unistd::Pid;

use engine::Exit;

/// News of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    None,
    Ended(Exit),
    /// It stopped at one of the `PTRACE_EVENT_…`, which a signal may be the reason of.
    Event {
        event: i32,
        signal: i32,
    },
    /// It stopped before it gets a signal.
    Signal(i32),
    /// It is not, or no longer, ours to wait for.
    Stranger,
}

/// Asks for news of a process without waiting for it, and takes them: the kernel tells them once.
pub fn of(pid: Pid) -> News {
    let mut status = 0;
    // SAFETY: the status is written to a live number.
    let told = unsafe { libc::waitpid(pid.as_raw(), &raw mut status, libc::WNOHANG | libc::__WALL) };
    match Errno::result(told) {
        Ok(0) | Err(Errno::EINTR) => News::None,
        Ok(_) => understand(status),
        Err(_) => News::Stranger,
    }
}

/// Reads a wait status: low byte and signal as wait(2) has them, the event in the third byte.
fn understand(status: i32) -> News {
    if libc::WIFEXITED(status) {
        News::Ended(Exit::Code(libc::WEXITSTATUS(status)))
    } else if libc::WIFSIGNALED(status) {
        News::Ended(Exit::Signal(libc::WTERMSIG(status)))
    } else if status >> 16 != 0 {
        News::Event { event: status >> 16, signal: libc::WSTOPSIG(status) }
    } else {
        News::Signal(libc::WSTOPSIG(status))
    }
}

/// Somebody of whom there are news, which are left where they are.
pub fn any() -> Option<Pid> {
    let flags = libc::WEXITED | libc::WSTOPPED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
    // SAFETY: a plain structure, for which all zeros is a value: nobody.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: the structure is live.
    let told = unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, flags) };
    Errno::result(told).ok()?;
    // SAFETY: waitid(2) has filled in a child's part of the structure, or left it zero.
    let pid = unsafe { info.si_pid() };
    (pid != 0).then(|| Pid::from_raw(pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_time_signals_are_signals() {
        assert_eq!(understand(40 << 8 | 0x7f), News::Signal(40));
        assert_eq!(understand(40), News::Ended(Exit::Signal(40)));
        assert_eq!(understand(42 << 8), News::Ended(Exit::Code(42)));
        let event = libc::PTRACE_EVENT_EXEC << 16 | libc::SIGTRAP << 8 | 0x7f;
        assert_eq!(understand(event), News::Event { event: libc::PTRACE_EVENT_EXEC, signal: libc::SIGTRAP });
    }
}
