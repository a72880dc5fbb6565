//! What can go wrong, by what a user can do about it. Words for each are in `lessons/words`.

pub mod shell;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Values for the placeholders of a message.
pub type With = Vec<(String, String)>;

/// Why a command could not do what it was asked.
#[derive(Debug, Clone, Error, Serialize, Deserialize)]
pub enum Fault {
    /// The kernel refused a system call (exit status 4).
    #[error("{0}")]
    Refused(Box<Refused>),
    /// This host can't do it (exit status 3); `key` names the words that say why and how to get it, `step` is the
    /// slug of the step that takes it, where a container can be made without that step.
    #[error("{key}")]
    Unable { key: String, with: With, step: Option<String> },
    /// The command was used wrongly (exit status 2).
    #[error("{key}")]
    Usage { key: String, with: With },
    /// CMD could not be run: 127 not found, 126 found but not executable.
    #[error("{key}")]
    Program { status: i32, key: String, with: With },
    /// Something that isn't a narrated call failed (exit status 4).
    #[error("{doing}: {problem}")]
    Broken { doing: String, problem: String },
    /// A signal asked us to end (exit status 128 + n).
    #[error("signal {0}")]
    Interrupted(i32),
    /// Whoever read our output has gone; nothing to say, and nobody to say it to.
    #[error("closed pipe")]
    ClosedPipe,
}

/// A system call that failed: enough to name it exactly, and to look up what usually causes it.
#[derive(Debug, Clone, Error, Serialize, Deserialize)]
#[error("{step}: {name}({}) = {}", .brief.clone().unwrap_or_else(|| .args.join(", ")), errno_name(.errno))]
pub struct Refused {
    /// Slug of the step that made it.
    pub step: String,
    /// The system call's name.
    pub name: String,
    /// Key of the lesson's sentence on this call; tells calls of one name apart.
    pub why: String,
    /// Its arguments, as strace(1) shows them.
    pub args: Vec<String>,
    /// What stands for them where they are a message to the kernel, as ip(8) would say it.
    pub brief: Option<String>,
    /// The error number (errno(3)).
    pub errno: i32,
    /// What the kernel said beyond the number (netlink's extended acknowledgement).
    pub said: Option<String>,
}

/// The symbolic name of an error number, `EPERM`.
pub fn errno_name(errno: &i32) -> String {
    format!("{:?}", Errno::from_raw(*errno))
}

impl Fault {
    /// This host can't do it.
    pub fn unable(key: &str, with: &[(&str, &str)]) -> Fault {
        Fault::Unable { key: key.into(), with: pairs(with), step: None }
    }

    /// The same fault, with more for the placeholders of its words.
    pub fn and(self, more: &[(&str, &str)]) -> Fault {
        match self {
            Fault::Unable { key, mut with, step } => {
                with.extend(pairs(more));
                Fault::Unable { key, with, step }
            }
            fault => fault,
        }
    }

    /// The same fault, as one of this step's part of the container.
    pub fn of_step(self, slug: &str) -> Fault {
        match self {
            Fault::Unable { key, with, step: None } if !slug.is_empty() => {
                Fault::Unable { key, with, step: Some(slug.into()) }
            }
            fault => fault,
        }
    }

    /// The same, with the command that may work for somebody else, or elsewhere.
    pub fn again(mut self, command: &str) -> Fault {
        if let Fault::Unable { with, .. } = &mut self {
            with.push(("again".into(), command.into()));
        }
        self
    }

    /// The command was used wrongly.
    pub fn usage(key: &str, with: &[(&str, &str)]) -> Fault {
        Fault::Usage { key: key.into(), with: pairs(with) }
    }

    /// CMD could not be run.
    pub fn program(status: i32, key: &str, with: &[(&str, &str)]) -> Fault {
        Fault::Program { status, key: key.into(), with: pairs(with) }
    }

    /// Something broke while we were `doing` it.
    pub fn broken(doing: impl Into<String>, problem: impl std::fmt::Display) -> Fault {
        Fault::Broken { doing: doing.into(), problem: problem.to_string() }
    }

    /// An error of our own input or output: a closed pipe is nobody's fault.
    pub fn output(error: std::io::Error) -> Fault {
        if let Some(fault) = error.get_ref().and_then(|inner| inner.downcast_ref::<Fault>()) {
            return fault.clone();
        }
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Fault::ClosedPipe,
            std::io::ErrorKind::Interrupted => Fault::Interrupted(libc::SIGINT),
            _ => Fault::broken("write output", error),
        }
    }

    /// The exit status that this fault ends the workshop with.
    pub fn status(&self) -> i32 {
        match self {
            Fault::Refused(_) | Fault::Broken { .. } => 4,
            Fault::Unable { .. } => 3,
            Fault::Usage { .. } => 2,
            Fault::Program { status, .. } => *status,
            Fault::Interrupted(signal) => 128 + signal,
            Fault::ClosedPipe => 128 + libc::SIGPIPE,
        }
    }
}

fn pairs(with: &[(&str, &str)]) -> With {
    with.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
}

/// Says what was being done when an I/O error came.
pub trait Doing<T> {
    /// Turns the error into a [`Fault::Broken`] that says what we were doing.
    fn doing(self, what: impl Into<String>) -> Result<T, Fault>;
}

impl<T, E: std::fmt::Display> Doing<T> for Result<T, E> {
    fn doing(self, what: impl Into<String>) -> Result<T, Fault> {
        self.map_err(|e| Fault::broken(what, e))
    }
}
