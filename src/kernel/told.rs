//! A system call as it is told: who made it, with which arguments, and what came of it.

use std::io;

use serde::{Deserialize, Serialize};

/// The side of the container's wall that a call was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Actor {
    /// The workshop itself, in the lab that stands for the host.
    Host,
    /// The container's first process, between clone3(2) and execve(2).
    Container,
}

/// One system call that the kernel received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Slug of the step whose layer made it.
    pub step: String,
    /// The side it was made from.
    pub actor: Actor,
    /// The system call's own name.
    pub name: String,
    /// Its arguments, each as strace(1) shows it.
    pub args: Vec<String>,
    /// What it returned, as strace(1) shows it: `0`, `-1 EPERM (Operation not permitted)`.
    pub result: String,
    /// Whether it succeeded.
    pub ok: bool,
    /// Key of the sentence in the lesson that says why it is made.
    pub why: String,
    /// Where in the source it stands, `src/engine/parts/pivot_root.rs:41`: the operation, if it is one of a plan's.
    pub source: String,
    /// The arguments in short, for people, where shortening each alone would not do.
    pub brief: Option<String>,
}

/// Who listens to the calls as they are made.
///
/// Telling may fail at any time: whoever reads has gone, the disk is full. What the kernel has done is done all the
/// same, and whoever made the call must learn what came of it, to take it back. So [`told`](Listener::told) never
/// fails. What was not heard is remembered, and is an error when the next call is about to be made, or where
/// [`heard`](Listener::heard) asks: between two calls, when each of those before is owned by somebody.
pub trait Listener {
    /// Whether the calls of this step are to be told; what nobody wants costs nothing.
    fn wants(&self, step: &str) -> bool;
    /// A call is about to be made; returns when it may go on. It may not if the one before was not heard.
    fn about(&mut self, call: &Call) -> io::Result<()>;
    /// A call was made.
    fn told(&mut self, call: Call);
    /// Whether all that was told was heard.
    fn heard(&mut self) -> io::Result<()>;
}

/// What a listener remembers of its telling until it is asked.
#[derive(Default)]
pub struct Unheard(Option<io::Error>);

impl Unheard {
    /// What came of telling a call.
    pub fn note(&mut self, told: io::Result<()>) {
        self.0 = self.0.take().or(told.err());
    }

    /// What went wrong first, once.
    pub fn heard(&mut self) -> io::Result<()> {
        self.0.take().map_or(Ok(()), Err)
    }
}

/// Nobody listens.
pub struct Silence;

impl Listener for Silence {
    fn wants(&self, _: &str) -> bool {
        false
    }
    fn about(&mut self, _: &Call) -> io::Result<()> {
        Ok(())
    }
    fn told(&mut self, _: Call) {}
    fn heard(&mut self) -> io::Result<()> {
        Ok(())
    }
}
