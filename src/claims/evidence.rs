//! What is known of a container, whoever made it: looked up in the kernel's tables, or brought to light by a run that was
//! made for it. The judge fills it for a traced PROGRAM, `checks` for a container of our own. What
//! nobody has looked for is `None`, and so is what can't be found out from where one stands.

use std::ffi::OsString;
use std::time::Duration;

use super::bounds::{Counters, Limited, Swap};
use super::fate::Fate;
use super::machine::Machine;
use super::outside::Outside;
use super::sight::{Identity, Network, Ping, View};
use super::started::Started;
use super::users::Users;
use engine::Exit;
use fault::Fault;
use kernel::mounts::Mount;
use lab::Host;

/// How long a container may take to end after SIGTERM.
pub const GRACE: Duration = Duration::from_secs(5);

/// How long things may take that the kernel does in its own time, such as taking down a network namespace.
pub const SETTLE: Duration = Duration::from_secs(3);

/// What was found out.
#[derive(Default)]
pub struct Evidence {
    /// Ours is known to its last process, mount and device, so that what nobody asked for is a fault. A PROGRAM may
    /// build more than that.
    pub exact: bool,
    /// The limits that were asked for.
    pub wanted: Limited,
    /// Why CMD did not run once that it was asked for, if there was such a time.
    pub fate: Option<Fate>,
    /// Why PROGRAM itself could not start, if that is known.
    pub refused: Option<Fault>,
    pub looked: Option<Looked>,
    /// Whoever made it was asked to end.
    pub terminated: Option<Terminated>,
    pub talked: Option<Talked>,
    /// CMD was given words that are known to be spoilt.
    pub worded: Option<Ended>,
    /// CMD was asked for by its name alone.
    pub named: Option<Ended>,
    /// CMD had left orphans, and was killed from outside.
    pub orphaned: Option<Died>,
    /// What became of such orphans: under a PROGRAM's PID 1, or under our own init.
    pub orphans: Option<Orphans>,
    /// And where PID 1 waits for nobody.
    pub unreaped: Option<Orphans>,
    /// CMD was killed by another signal.
    pub died: Option<Died>,
    pub strained: Option<Strained>,
    pub written: Option<Written>,
    /// Whether a second container in the same place had the image's own files, or why it did not start.
    pub again: Option<Result<bool, Fate>>,
    pub image_same: Option<bool>,
    /// The PIDs of a process in a PID namespace nested in the container's (`NSpid`).
    pub nested: Option<String>,
    /// Whether a process in it had ended soon after its PID 1.
    pub ended_with_pid_1: Option<bool>,
    pub mounted: Option<Mounted>,
    pub escape: Option<Escape>,
    pub queue: Option<Queue>,
    pub pair: Option<Pair>,
    /// Whom a packet seemed to come from that was sent to a third network, and whom it was to come from.
    pub masqueraded: Option<(String, String)>,
    pub machine: Option<Machine>,
    /// The real host before the lab and now.
    pub host: Option<(Host, Host)>,
}

impl Evidence {
    /// The state before, and what was left after SIGTERM or whatever ended it; of a PROGRAM's also after an end of
    /// CMD's own.
    pub fn left(&self) -> Option<Vec<(&Outside, &Outside)>> {
        let looked = self.looked.as_ref().and_then(|looked| both(&looked.before, &looked.left));
        if self.exact {
            return Some(vec![looked?]);
        }
        let talked = self.talked.as_ref()?;
        Some(both(&talked.before, &talked.left).into_iter().chain(looked).collect())
    }
}

fn both<'o>(before: &'o Outside, left: &'o Option<Outside>) -> Option<(&'o Outside, &'o Outside)> {
    Some((before, left.as_ref()?))
}

/// A container that was looked at: a PROGRAM's before CMD's first instruction.
#[derive(Default)]
pub struct Looked {
    pub asked: Vec<OsString>,
    pub arguments: Vec<OsString>,
    pub started: Started,
    pub users: Users,
    /// Namespaces by kind: outside, inside.
    pub namespaces: Vec<(&'static str, String, String)>,
    pub pids: Vec<String>,
    pub pid_1_above: bool,
    pub root: Option<Identity>,
    pub top_of_cwd: Option<Identity>,
    pub view: View,
    /// The host name that it was to have, if one was asked for.
    pub named: Option<String>,
    /// The kernel's release outside.
    pub kernel: String,
    /// Where mounts of the outside's stand inside.
    pub foreign: Vec<String>,
    /// Where those are found in /proc whose root is the old one.
    pub old_roots: Vec<String>,
    /// Whether the outside's root lies below the root of CMD's mount namespace.
    pub covers_old_root: bool,
    /// Where CMD's cgroup namespace begins, if not at CMD's groups.
    pub rooted_above: Vec<String>,
    /// What lets CMD have more memory than its limit, as swap.
    pub swap: Option<Swap>,
    /// CMD's own mount table: what it can reach from its root.
    pub own_mounts: Vec<Mount>,
    pub before: Outside,
    pub during: Outside,
    pub network_outside: Network,
    pub limits_first: Limited,
    pub limits_later: Limited,
    /// Those shortly before it was to end.
    pub limits_last: Limited,
    /// What else was to be set first, and was not: of our own groups each file is known.
    pub unset_first: Vec<String>,
    /// PROGRAM ended while CMD was there, and before it was asked to.
    pub outlived: bool,
    /// Who else was there when it had ended.
    pub running: Vec<i32>,
    /// What was left then.
    pub left: Option<Outside>,
}

impl Looked {
    /// Whether CMD is in another namespace of a kind than the outside.
    pub fn is_apart(&self, kind: &str) -> bool {
        self.namespaces.iter().any(|(name, outside, inside)| *name == kind && outside != inside)
    }

    /// Its own namespace of a kind.
    pub fn own(&self, kind: &str) -> Option<&String> {
        self.namespaces.iter().find(|(name, ..)| *name == kind).map(|(.., inside)| inside)
    }
}

/// Whoever made the container was sent SIGTERM.
#[derive(Default)]
pub struct Terminated {
    /// That ended the container.
    pub ended: bool,
    /// It ended PROGRAM, and not the container.
    pub deserted: bool,
    /// What PROGRAM was ended for instead, if it was.
    pub exceeded: Option<Fate>,
    /// How a program ended that takes the signal, by the status for that, and by which status; PROGRAM may end CMD as
    /// it likes.
    pub taken: Option<(Exit, Exit)>,
}

/// CMD had something to say, and ended with a status of its own.
pub struct Talked {
    /// What it was given, and says again, and what it says on standard error.
    pub input: Vec<u8>,
    pub aside: &'static [u8],
    /// The status that it ends with.
    pub status: i32,
    /// Whether the first half came out before the second was there.
    pub at_once: bool,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub exit: Option<Exit>,
    pub fate: Fate,
    /// PROGRAM ended, and CMD still was.
    pub outlived: bool,
    /// Who was still there a while after PROGRAM.
    pub running: Vec<i32>,
    pub before: Outside,
    /// Once PROGRAM had ended; `None` also if what was left had to be ended.
    pub left: Option<Outside>,
}

/// What streams may have come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoilt {
    HeldBack,
    Mixed,
    /// Something was added to standard output, or to standard error.
    MoreOutput,
    MoreErrors,
    Incomplete,
}

impl Talked {
    /// What is wrong with the streams: they have to come through whole, at once and apart, and nothing else may.
    pub fn spoilt(&self) -> Option<Spoilt> {
        let (out, err) = (&self.stdout[..], &self.stderr[..]);
        let (input, aside) = (&self.input[..], self.aside);
        let holds = |heard: &[u8], text: &[u8]| heard.windows(text.len()).any(|window| window == text);
        if out == input && err == aside {
            (!self.at_once).then_some(Spoilt::HeldBack)
        } else if holds(out, aside) || (holds(err, input) && !out.starts_with(input)) {
            Some(Spoilt::Mixed)
        } else if out != input {
            Some(if holds(out, input) { Spoilt::MoreOutput } else { Spoilt::Incomplete })
        } else {
            Some(if holds(err, aside) { Spoilt::MoreErrors } else { Spoilt::Incomplete })
        }
    }
}

/// CMD was to end with a status.
pub struct Ended {
    pub asked: Vec<OsString>,
    /// What CMD was given, if it was ever there.
    pub given: Option<Vec<OsString>>,
    pub status: i32,
    pub exit: Option<Exit>,
    pub fate: Fate,
}

/// CMD was killed by a signal.
pub struct Died {
    /// By which; `None` if it was not.
    pub signal: Option<i32>,
    pub exit: Option<Exit>,
    pub fate: Fate,
}

/// Processes whose parent had ended, and that then ended themselves.
pub struct Orphans {
    pub ended: usize,
    /// How many of them nobody had waited for.
    pub zombies: usize,
    /// Whose children they had become, where that was asked.
    pub parent: Option<String>,
    /// What PROGRAM was ended for meanwhile, if it was.
    pub exceeded: Option<Fate>,
}

/// CMD had strained against its limits.
pub struct Strained {
    pub counted: Counters,
    /// The limits that CMD had at its last moment but one.
    pub limits: Limited,
    /// What PROGRAM was ended for meanwhile, if it was.
    pub exceeded: Option<Fate>,
    /// How the program ended that took too much memory, and what came of making too many processes: how many there were,
    /// and the error. Our own say so; of CMD only the kernel's counters are asked.
    pub hog: Option<Exit>,
    pub forks: Option<(u64, String)>,
}

/// CMD had written.
#[derive(Default)]
pub struct Written {
    /// Which of its three writes were seen in the container.
    pub seen: [bool; 3],
    /// What PROGRAM was ended for meanwhile, if it was.
    pub exceeded: Option<Fate>,
    /// What the directory held then that takes the writes, where that is known.
    pub upper: Option<Upper>,
}

/// What lies in an overlay's upper directory, or the error that looking for it gave.
pub struct Upper {
    /// Text of the file that was added.
    pub added: String,
    /// What stands for the file that was deleted.
    pub deleted: String,
    /// Whether the file that was changed begins with what it was in the image.
    pub copied: bool,
}

/// A filesystem was mounted inside: how many mounts of it there are inside, and how many mounts there were outside before
/// and after.
pub struct Mounted {
    pub inside: usize,
    pub outside: (usize, usize),
}

/// Where the classic way out of a chroot(2) has led.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Escape {
    SameRoot,
    Out,
    /// It could not be tried, for this reason.
    Untried(String),
}

/// A System V message queue was made inside.
pub struct Queue {
    pub made: bool,
    pub seen_outside: bool,
}

/// Two containers side by side on one network.
#[derive(Default)]
pub struct Pair {
    /// What came of pings: of the second one's gateway, of the second by the first, and back.
    pub pings: [Ping; 3],
    /// What was heard on one port at the address of each, and what was to be heard.
    pub heard: Vec<String>,
    pub said: Vec<String>,
}
