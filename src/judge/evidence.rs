//! What the runs of a judged program bring to light. Each run asks for one thing; what is claimed of it is said
//! elsewhere ([`super::claims`]). Runs in which CMD ends by itself are in [`super::ends`].

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::bounds::{self, Counters, Limited, Swap};
use super::cell::Cell;
use super::ends::{DYING, Died, Ended, Talked};
use super::fate::{Excess, Fate};
use super::foreign::Foreign;
use super::groups;
use super::outside::Outside;
use super::part::{ADDED, CHANGED, DELETED, Part};
use super::run::{PATIENCE, Run};
use super::sight::{Identity, Network, Subject, View, identity, network};
use super::trial::Trial;
use crate::engine::{Exit, lacks_libraries};
use crate::fault::Fault;
use crate::kernel::mounts::{self, Mount};
use crate::kernel::process;

/// How long a container may take to end after SIGTERM.
pub const GRACE: Duration = Duration::from_secs(5);

/// How long PROGRAM is watched while CMD goes on, besides the time that looking takes: one that does not wait for it
/// ends as soon as it has started it.
const HASTE: Duration = Duration::from_millis(100);

/// How long things may take that the kernel does in its own time, such as taking down a network namespace.
pub const SETTLE: Duration = Duration::from_secs(3);

/// How long CMD may strain against its limits. A fifth of an emulated CPU takes its time to fill a memory limit.
const STRAIN: Duration = Duration::from_secs(20);

/// What was found out.
#[derive(Default)]
pub struct Evidence {
    /// Why CMD did not run once that it was asked for, if there was such a time.
    pub fate: Option<Fate>,
    /// Why PROGRAM itself could not start, if that is known.
    pub refused: Option<Fault>,
    pub looked: Option<Looked>,
    pub talked: Option<Talked>,
    /// CMD was given words that are known to be spoilt.
    pub worded: Option<Ended>,
    /// CMD was asked for by its name alone.
    pub named: Option<Ended>,
    /// CMD had left orphans, and was killed from outside.
    pub orphaned: Option<Died>,
    /// How many of these nobody had waited for.
    pub zombies: usize,
    /// CMD was killed by another signal.
    pub died: Option<Died>,
    pub strained: Option<Strained>,
    pub written: Option<Written>,
    /// Whether a second container in the same place had the image's own files, or why it did not start.
    pub again: Option<Result<bool, Fate>>,
    pub image_same: Option<bool>,
}

/// CMD had strained against its limits.
pub struct Strained {
    pub counted: Counters,
    /// The limits that CMD had at its last moment but one.
    pub limits: Limited,
    /// What PROGRAM was ended for meanwhile, if it was.
    pub exceeded: Option<Fate>,
}

/// CMD had written.
pub struct Written {
    /// Which of its three writes were seen in the container.
    pub seen: [bool; 3],
    /// What PROGRAM was ended for meanwhile, if it was.
    pub exceeded: Option<Fate>,
}

/// A container that was stopped before CMD's first instruction, and looked at.
pub struct Looked {
    pub asked: Vec<OsString>,
    pub arguments: Vec<OsString>,
    pub descriptors: Vec<String>,
    /// Namespaces by kind: outside, inside.
    pub namespaces: Vec<(&'static str, String, String)>,
    pub pids: Vec<String>,
    pub pid_1_above: bool,
    pub root: Option<(u64, u64)>,
    pub top_of_cwd: Option<(u64, u64)>,
    pub view: View,
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
    /// PROGRAM ended while CMD was there, and before it was asked to.
    pub outlived: bool,
    /// Whether SIGTERM to PROGRAM ended it and its container.
    pub terminated: bool,
    /// It ended PROGRAM, and not the container.
    pub deserted: bool,
    /// What PROGRAM was ended for instead, if it was.
    pub exceeded: Option<Fate>,
    /// Who else was there then.
    pub running: Vec<i32>,
    /// What was left then.
    pub left: Option<Outside>,
}

const KINDS: [&str; 7] = ["pid", "mnt", "uts", "ipc", "cgroup", "net", "user"];

impl Looked {
    /// Whether CMD is in another namespace of a kind than the cell.
    pub fn is_apart(&self, kind: &str) -> bool {
        self.namespaces.iter().any(|(name, outside, inside)| *name == kind && outside != inside)
    }
}

impl Trial<'_> {
    /// Looks at a container that is about to run CMD, and ends it by SIGTERM.
    pub fn look(&self, evidence: &mut Evidence) -> Result<(), Fault> {
        let (mut cell, streams, asked) = self.cell(Part::Rest, &[], Vec::new())?;
        let before = Outside::of(&cell)?;
        let mut run = Run::start(self.lab, &mut cell, streams, &self.token)?;
        if !run.reach_cmd()? {
            evidence.fate = Some(run.fate());
            // Without its libraries it starts, and its loader ends it.
            let lacks =
                || (run.tracer.exit() == Some(Exit::Code(127))).then(|| lacks_libraries(&self.program[0]));
            evidence.refused = run.cell.refusal().or_else(|| lacks().flatten());
            return Ok(());
        }
        let Some(pid) = run.cmd() else { return Ok(()) };
        let Some(mut looked) = run.while_held(self.look_at(&run, pid, before, asked))? else {
            evidence.fate = Some(run.exceeded().unwrap_or(Fate::Early));
            return Ok(());
        };
        let is_inside = is_in_container(run.cell, looked.is_apart("pid"));
        run.release();
        run.until(Duration::from_secs(2), |run| {
            looked.limits_later = Limited::of_living(pid, run.cell).unwrap_or(looked.limits_later);
            looked.limits_later == self.wanted()
        })?;
        looked.swap = bounds::way_around(pid, run.cell);
        until_at_rest(&mut run, pid)?;
        run.until(HASTE, |run| run.tracer.exit().is_some())?;
        looked.limits_last = Limited::of_living(pid, run.cell).unwrap_or(looked.limits_later);
        looked.outlived = run.tracer.cmd_outlived();
        run.signal_program(Signal::SIGTERM);
        looked.terminated = run.until(GRACE, |run| {
            run.tracer.exit().is_some() && !run.cell.processes().iter().any(&is_inside)
        })?;
        looked.deserted = !looked.terminated && run.tracer.exit().is_some();
        looked.exceeded = run.exceeded();
        if looked.terminated {
            run.until(DYING, |run| run.cell.processes().is_empty())?;
            looked.running = run.cell.processes();
            looked.left = settled(&mut run, &looked.before)?;
        }
        evidence.looked = Some(looked);
        Ok(())
    }

    fn look_at(&self, run: &Run, pid: Pid, before: Outside, asked: Vec<OsString>) -> Result<Looked, Fault> {
        let subject = Subject::of(pid)?;
        let outside = run.cell.container.pid.to_string();
        let own_mounts = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
        let view = subject.view(self.asked.network, &self.contents)?;
        let old_root = identity(Path::new(&format!("/proc/{outside}/root/")));
        let before_it = mounts::parse(&before.mounts.join("\n"));
        let of_outside = Foreign { outside: &before_it, given: self.given() };
        let foreign = of_outside.standing(&Subject::parse(&view), run.cell)?;
        Ok(Looked {
            foreign,
            old_roots: with_root(old_root, pid, run.cell),
            covers_old_root: times_below(old_root, &subject)
                > times_below(old_root, &Subject::of(run.cell.container.pid)?),
            rooted_above: groups::rooted_above(pid, run.cell, &view.groups),
            swap: None,
            view,
            asked,
            arguments: subject.arguments(),
            descriptors: subject.descriptors(),
            namespaces: KINDS
                .map(|kind| (kind, process::namespace(&outside, kind), subject.namespace(kind)))
                .into(),
            pids: subject.pids(),
            pid_1_above: subject.has_pid_1_above(),
            root: subject.root_identity(),
            top_of_cwd: subject.top_of_cwd(),
            own_mounts: mounts::parse(&own_mounts),
            before,
            during: Outside::of(run.cell)?,
            network_outside: Subject::of(outside_of(pid, run.cell))?.look(|| network(false))?,
            limits_first: Limited::of(pid, run.cell),
            limits_later: Limited::default(),
            limits_last: Limited::default(),
            outlived: false,
            terminated: false,
            deserted: false,
            exceeded: None,
            running: Vec::new(),
            left: None,
        })
    }

    /// Lets CMD run against its limits.
    pub fn strain(&self, evidence: &mut Evidence) -> Result<(), Fault> {
        let wanted = self.wanted();
        let words =
            [wanted.memory.unwrap_or(0), wanted.pids.unwrap_or(0)].map(|n| OsString::from(n.to_string()));
        let (mut cell, streams, _) = self.cell(Part::Strain, &words, Vec::new())?;
        let mut run = Run::start(self.lab, &mut cell, streams, &self.token)?;
        if !run.reach_cmd()? {
            evidence.fate = Some(run.fate());
            return Ok(());
        }
        let Some(pid) = run.cmd() else { return Ok(()) };
        run.release();
        let (mut counted, mut limits) = (Counters::default(), self.wanted());
        let were_in_force = evidence.looked.as_ref().is_some_and(|looked| looked.limits_first == limits);
        run.until(STRAIN, |run| {
            // A group may be gone before the last look.
            counted = counted.max(Counters::of(pid, run.cell));
            limits = Limited::of_living(pid, run.cell).unwrap_or(limits);
            counted.all_counted() || (were_in_force && limits == Limited::default())
        })?;
        evidence.strained = Some(Strained { counted, limits, exceeded: run.exceeded() });
        Ok(())
    }

    /// Lets CMD write, and then another in the same place see whether it finds the image as it was.
    pub fn write(&self, evidence: &mut Evidence) -> Result<(), Fault> {
        let (mut cell, [first, second]) = self.cell_for_two()?;
        let mut run = Run::start(self.lab, &mut cell, first, &self.token)?;
        if !run.reach_cmd()? {
            evidence.fate = Some(run.fate());
            return Ok(());
        }
        let Some(pid) = run.cmd() else { return Ok(()) };
        let Some(subject) = run.while_held(Subject::of(pid))? else { return Ok(()) };
        run.release();
        let mut seen = [false; 3];
        run.until(SETTLE, |_| {
            seen = subject.look(seen_of_writes).unwrap_or_default();
            seen == [true; 3]
        })?;
        evidence.written = Some(Written { seen, exceeded: run.exceeded() });
        until_at_rest(&mut run, pid)?;
        run.signal_program(Signal::SIGTERM);
        run.finish(GRACE)?;
        drop(run);

        let mut run = Run::start(self.lab, &mut cell, second, &self.token)?;
        let reached = run.reach_cmd()?;
        let fresh = match run.cmd().filter(|_| reached) {
            Some(pid) => {
                let seen =
                    Subject::of(pid).and_then(|subject| subject.look(|| seen_of_writes() == [false; 3]));
                run.while_held(seen)?
            }
            None => None,
        };
        evidence.again = Some(fresh.ok_or_else(|| run.fate()));
        Ok(())
    }
}

/// The container: all that is in another PID namespace than the cell's, or everybody where CMD is not.
fn is_in_container(cell: &Cell, apart: bool) -> impl Fn(&i32) -> bool + use<> {
    let namespace = |pid: i32| process::namespace(&pid.to_string(), "pid");
    let cells = namespace(cell.container.pid.as_raw());
    move |pid| !apart || namespace(*pid) != cells
}

/// How many times a root lies below that of a mount namespace. A host that was booted from its initramfs, and stayed in
/// it, has its own root once below already (ramfs-rootfs-initramfs.rst).
fn times_below(root: Option<Identity>, subject: &Subject) -> usize {
    let below = subject.roots_below().unwrap_or_default();
    below.into_iter().filter(|below| Some(*below) == root).count()
}

/// Who stands for the outside of CMD's network: its nearest ancestor in another one. That is the cell's, unless
/// PROGRAM keeps its bridge in a network of its own, as one without root's rights over the host's has to.
fn outside_of(cmd: Pid, cell: &Cell) -> Pid {
    let network = |pid: i32| process::namespace(&pid.to_string(), "net");
    let parent = |pid: &i32| -> Option<i32> {
        process::status(Path::new("/proc"), &pid.to_string(), "PPid")?.parse().ok()
    };
    let ancestors = std::iter::successors(Some(cmd.as_raw()), parent).take(64);
    let mut line = ancestors.take_while(|pid| *pid != cell.container.pid.as_raw());
    line.find(|pid| network(*pid) != network(cmd.as_raw())).map_or(cell.container.pid, Pid::from_raw)
}

/// Others in CMD's PID namespace whose root is ROOT: through /proc/PID/root CMD gets there too.
fn with_root(root: Option<Identity>, cmd: Pid, cell: &Cell) -> Vec<String> {
    let namespace = process::namespace(&cmd.to_string(), "pid");
    let has_it = |pid: &i32| {
        process::namespace(&pid.to_string(), "pid") == namespace
            && identity(Path::new(&format!("/proc/{pid}/root/"))) == root
    };
    let number = |pid: i32| process::status(Path::new("/proc"), &pid.to_string(), "NSpid");
    let others = cell.processes().into_iter().filter(|pid| *pid != cmd.as_raw()).filter(has_it);
    let names = others.filter_map(number);
    names.map(|pids| format!("/proc/{}/root", pids.split(' ').next_back().unwrap_or_default())).collect()
}

/// Waits until CMD is ready for SIGTERM. One that is a namespace's PID 1 would not get it before
/// (pid_namespaces(7)), and most programs that pass it on do so once.
fn until_at_rest(run: &mut Run, cmd: Pid) -> Result<(), Fault> {
    let ready = |run: &mut Run| process::takes_signal(cmd, libc::SIGTERM) || !run.tracer.cmd_alive();
    run.until(PATIENCE, ready).map(drop)
}

/// Which of a writer's writes can be seen from `/`.
fn seen_of_writes() -> [bool; 3] {
    let root = std::path::Path::new("/");
    let changed = std::fs::read_to_string(root.join(CHANGED)).is_ok_and(|text| text.ends_with("changed\n"));
    [root.join(ADDED).exists(), changed, !root.join(DELETED).exists()]
}

/// The cell as it is when nothing more changes by itself, or after a while. `None` if it could not be seen, since what
/// was left had to be ended.
pub fn settled(run: &mut Run, before: &Outside) -> Result<Option<Outside>, Fault> {
    let mut seen = Ok(None);
    run.until(SETTLE, |run| {
        seen = Outside::of(run.cell).map(Some);
        seen.as_ref().map_or(true, |now| now.as_ref() == Some(before))
    })?;
    if run.cell.is_over() {
        run.excess.get_or_insert(Excess::Host);
        return Ok(seen.unwrap_or_default());
    }
    seen
}

/// What a cell holds for one run.
pub type Prepared = (Cell, super::run::Streams, Vec<OsString>);
