//! A runtime as our child: signals to us reach it, and its status becomes ours.

use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;

use fault::{Doing, Fault};
use kernel::child::{close_on_exec_above_stderr, pidfd_open, pidfd_send_signal};
use kernel::signals::{self, STOPPING, Signals};

/// Runs a runtime to its end. Returns its exit status, 128 + n for a signal.
pub fn run(mut command: Command) -> Result<i32, Fault> {
    let signals = Signals::take().doing("open an inbox for signals")?;
    let name = command.get_program().to_string_lossy().into_owned();
    // SAFETY: what is called in the child is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            signals::pass_on();
            // What we were given is no business of the runtime's, and not all of them close what they get. A kernel that
            // can't do this leaves it open.
            let _ = close_on_exec_above_stderr();
            Ok(())
        })
    };
    let mut child = command.spawn().doing(format!("run {name}"))?;
    let pidfd = pidfd_open(Pid::from_raw(child.id() as i32)).doing("pidfd_open")?;
    loop {
        let mut ready =
            [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN), PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, PollTimeout::NONE) {
            Ok(_) if ready[0].any() == Some(true) => break,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Fault::broken(format!("wait for {name}"), errno)),
        }
        while let Some(sent) = signals.next() {
            if STOPPING.contains(&sent.signal) {
                signals::stop(sent.signal);
            } else if !sent.by_terminal {
                // A key reaches the whole job, the runtime too.
                pidfd_send_signal(&pidfd, sent.signal).doing(format!("signal {name}"))?;
            }
        }
    }
    let status = child.wait().doing(format!("wait for {name}"))?;
    Ok(status.code().or(status.signal().map(|n| 128 + n)).unwrap_or(1))
}
