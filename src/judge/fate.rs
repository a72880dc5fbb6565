//! What PROGRAM did in place of what was waited for.

use std::ffi::OsString;

use super::run::PATIENCE;
use crate::engine::Exit;
use crate::finding::Seen;

/// How many words are shown of those that CMD was given.
const SHOWN: usize = 3;

/// What PROGRAM is known to have done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was ended for that.
    Exceeded(Excess),
    Ended(Exit, Quote),
    /// It ended, and had been refused a process that the cell has no room for.
    Crowded(Exit, Quote),
    /// It did nothing for as long as [`PATIENCE`].
    Idle(Quote),
    /// It started CMD with `CLONE_UNTRACED`, so that nobody can see what CMD starts with.
    Untraced,
    /// It started CMD with words that aren't those that it was asked for.
    Astray(Vec<OsString>),
    /// Somebody killed CMD where it stood before its first instruction.
    Early,
}

/// What PROGRAM gave as the reason on standard error, if anything.
pub type Quote = Option<String>;

/// Why a program was ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// More processes than [`super::tracer::CROWD`].
    Processes,
    /// More output than [`super::run::FLOOD`].
    Output,
    /// More memory than [`super::run::MEMORY`], or than the cell's group has.
    Memory,
    /// Longer than [`super::run::LIFE`].
    Time,
    /// Not its own end, but that of its host.
    Host,
}

impl Excess {
    fn seen(self) -> Seen {
        match self {
            Excess::Processes => Seen::found("exceeded-processes", [("most", &super::tracer::CROWD)]),
            Excess::Output => Seen::found("exceeded-output", [("most", &(super::run::FLOOD >> 20))]),
            Excess::Memory => Seen::found("exceeded-memory", [("most", &(super::run::MEMORY >> 30))]),
            Excess::Time => Seen::found("exceeded-time", [("most", &super::run::LIFE.as_secs())]),
            Excess::Host => Seen::words("ended-its-host"),
        }
    }
}

impl Fate {
    pub fn seen(&self) -> Seen {
        match self {
            Fate::Exceeded(excess) => excess.seen(),
            Fate::Ended(exit, said) => quoted(ended(*exit), said),
            Fate::Crowded(exit, said) => {
                let ended = quoted(ended(*exit), said);
                let most = Seen::fact(super::cell::ROOM);
                Seen::Words("refused-processes", vec![("fate", ended), ("most", most)])
            }
            Fate::Idle(said) => {
                quoted(Seen::found("nothing-happened", [("seconds", &PATIENCE.as_secs())]), said)
            }
            Fate::Untraced => Seen::words("started-untraced"),
            Fate::Astray(words) => Seen::of("started-astray", "words", some_words(words, 0)),
            Fate::Early => Seen::words("killed-early"),
        }
    }

    /// Signs of what causes it.
    pub fn signs(&self) -> [&'static str; 1] {
        match self {
            Fate::Exceeded(Excess::Host) => ["host"],
            Fate::Exceeded(_) | Fate::Crowded(..) => ["exceeded"],
            Fate::Ended(..) => ["ended"],
            Fate::Idle(_) => ["idle"],
            Fate::Untraced => ["untraced"],
            Fate::Astray(_) => ["astray"],
            Fate::Early => ["killed"],
        }
    }

    /// Whether it is nothing that PROGRAM did by itself.
    pub fn is_excess(&self) -> bool {
        matches!(self, Fate::Exceeded(_))
    }
}

/// How PROGRAM ended.
fn ended(exit: Exit) -> Seen {
    match exit {
        Exit::Code(code) => ended_with(code),
        Exit::Signal(signal) => Seen::found("killed-by", [("signal", &signal)]),
    }
}

pub fn ended_with(status: i32) -> Seen {
    Seen::found("ended-with", [("status", &status)])
}

fn quoted(what: Seen, said: &Quote) -> Seen {
    match said {
        Some(said) => Seen::Words("and-said", vec![("what", what), ("said", Seen::fact(said))]),
        None => what,
    }
}

/// Some of CMD's words, as a list of a program's.
pub fn some_words(all: &[OsString], from: usize) -> Seen {
    Seen::fact(format!("{:?}", all.iter().skip(from).take(SHOWN).collect::<Vec<_>>()))
}
