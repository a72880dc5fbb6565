//! What PROGRAM did in place of what was waited for.

use std::ffi::OsString;
use std::time::Duration;

use super::finding::Seen;
use engine::Exit;

/// Processes and threads that a program may have at a time.
pub const CROWD: usize = 512;

/// How many have room in its host, those that nobody can follow too.
pub const ROOM: u64 = 1024;

/// How much there may be of both output streams, in bytes.
pub const FLOOD: u64 = 64 << 20;

/// Physical memory that PROGRAM and all that it starts may have together, in bytes.
pub const MEMORY: u64 = 1 << 30;

/// How long a whole run may take, and each thing that is waited for in it (see [`Wait`](kernel::wait::Wait)).
pub const LIFE: Duration = Duration::from_secs(120);
pub const PATIENCE: Duration = Duration::from_secs(15);

/// How many words are shown of those that CMD was given.
const SHOWN: usize = 3;

/// What PROGRAM is known to have done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was ended for that.
    Exceeded(Excess),
    Ended(Exit, Quote),
    /// It ended, and had been refused a process that its host has no room for.
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
    /// More processes than [`CROWD`].
    Processes,
    /// More output than [`FLOOD`].
    Output,
    /// More memory than [`MEMORY`], or than its host's group has.
    Memory,
    /// Longer than [`LIFE`].
    Time,
    /// Not its own end, but that of its host.
    Host,
}

impl Excess {
    fn seen(self) -> Seen {
        match self {
            Excess::Processes => Seen::found("exceeded-processes", [("most", &CROWD)]),
            Excess::Output => Seen::found("exceeded-output", [("most", &(FLOOD >> 20))]),
            Excess::Memory => Seen::found("exceeded-memory", [("most", &(MEMORY >> 30))]),
            Excess::Time => Seen::found("exceeded-time", [("most", &LIFE.as_secs())]),
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
                let most = Seen::fact(ROOM);
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
