//! The terminal that a program in a container shares with us.
//!
//! A program stays in our process group, so that it is in the foreground when we are and in the
//! background when we are, and keys reach us both: PID 1 of a namespace ignores Ctrl-C and Ctrl-Z unless
//! it has handlers for them, and then it is for us to act on them. An interactive shell has handlers, and
//! hands the terminal to one job after the other (tcsetpgrp(3)); when its container has ended, the last
//! of its process groups is empty and nobody has given the terminal back.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::killpg;
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::{getpgrp, tcgetpgrp, tcsetpgrp, ttyname};

/// What a program has to do with our terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tty {
    /// Nothing.
    Unused,
    /// It is a part of our job.
    Shared,
    /// It is an interactive shell, which wants to start as the foreground job itself. Ours would have no
    /// number in its PID namespace, and not every shell copes with that.
    OwnJob,
}

impl Tty {
    /// For a program on our standard streams. A shell with nothing to run is interactive.
    pub fn of(argv: &[OsString]) -> Tty {
        const SHELLS: [&str; 7] = ["sh", "bash", "dash", "ash", "ksh", "zsh", "fish"];
        let [program, options @ ..] = argv else { return Tty::Shared };
        let name = Path::new(program).file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let interactive =
            options.iter().all(|option| ["-i", "-l", "--login"].iter().any(|known| option == known));
        if SHELLS.contains(&name) && interactive { Tty::OwnJob } else { Tty::Shared }
    }
}

/// Where the terminal on our standard input is, if there is one and it can be found by a name (ttyname(3)).
pub fn terminal_name() -> Option<PathBuf> {
    ttyname(std::io::stdin()).ok()
}

/// Our terminal as it was before a program could change it.
pub struct Terminal {
    modes: Termios,
    /// It is lent to an interactive shell: see [`Tty::OwnJob`].
    pub own_job: bool,
}

impl Terminal {
    /// The controlling terminal, if standard input is that, we are its foreground job, and the program
    /// has to do with it.
    pub fn lend(tty: Tty) -> Option<Terminal> {
        let stdin = std::io::stdin();
        if tty == Tty::Unused || tcgetpgrp(&stdin) != Ok(getpgrp()) {
            return None;
        }
        tcgetattr(&stdin).ok().map(|modes| Terminal { modes, own_job: tty == Tty::OwnJob })
    }

    /// Makes us the foreground job again, and the modes (echo, line editing) what they were. Leaves the
    /// terminal alone if somebody else has it by now: a learner may have put us in the background.
    pub fn take_back(&self) {
        let stdin = std::io::stdin();
        let Ok(foreground) = tcgetpgrp(&stdin) else { return };
        if foreground != getpgrp() {
            if killpg(foreground, None) != Err(Errno::ESRCH) {
                return;
            }
            let _ = tcsetpgrp(&stdin, getpgrp());
        }
        let _ = tcsetattr(&stdin, SetArg::TCSADRAIN, &self.modes);
    }
}

#[cfg(test)]
mod tests {
    use super::{OsString, Tty};

    #[test]
    fn a_shell_without_a_script_is_a_job_of_its_own() {
        let of = |line: &str| Tty::of(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        for shell in ["sh", "/bin/bash -i", "zsh -l", "bash --login -i"] {
            assert_eq!(of(shell), Tty::OwnJob, "{shell}");
        }
        for program in ["cat", "sh -c true", "sh script", "bash -x script", "sleep 9"] {
            assert_eq!(of(program), Tty::Shared, "{program}");
        }
    }
}
