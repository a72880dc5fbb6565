//! Runs in which PROGRAM's container is looked at, is let run against its limits, and is let write. Runs in which CMD
//! ends by itself are in [`super::ends`].

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::cell::Cell;
use super::ends::DYING;
use super::part::Part;
use super::run::Run;
use super::trial::Trial;
use claims::bounds::{self, Counters, Limited};
use claims::contents::{ADDED, CHANGED, DELETED};
use claims::evidence::{Evidence, GRACE, Looked, SETTLE, Strained, Terminated, Written};
use claims::fate::{Excess, Fate, PATIENCE};
use claims::look::{Mark, Sought, look_at};
use claims::outside::Outside;
use claims::sight::Subject;
use engine::{Exit, lacks_libraries};
use fault::Fault;
use kernel::process;

/// How long PROGRAM is watched while CMD goes on, besides the time that looking takes: one that does not wait for it
/// ends as soon as it has started it.
const HASTE: Duration = Duration::from_millis(100);

/// How long CMD may strain against its limits. A fifth of an emulated CPU takes its time to fill a memory limit.
const STRAIN: Duration = Duration::from_secs(20);

impl Trial<'_> {
    /// Looks at a container that is about to run CMD, and ends it by SIGTERM.
    pub fn look(&self, evidence: &mut Evidence) -> Result<(), Fault> {
        let (mut cell, streams, asked) = self.cell(Part::Rest, &[], Vec::new())?;
        let before = cell.state()?;
        let mut run = Run::start(self.lab, &mut cell, streams, &self.token)?;
        if !run.reach_cmd()? {
            evidence.fate = Some(run.fate());
            // Without its libraries it starts, and its loader ends it.
            let may_lack = run.tracer.exit() == Some(Exit::Code(127));
            let lacks =
                || self.program.first().filter(|_| may_lack).and_then(|program| lacks_libraries(program));
            evidence.refused = run.cell.refusal().or_else(lacks);
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
        let ended = run.until(GRACE, |run| {
            run.tracer.exit().is_some() && !run.cell.processes().iter().any(&is_inside)
        })?;
        let deserted = !ended && run.tracer.exit().is_some();
        evidence.terminated = Some(Terminated { ended, deserted, exceeded: run.exceeded(), taken: None });
        if ended {
            run.until(DYING, |run| run.cell.processes().is_empty())?;
            looked.running = run.cell.processes();
            looked.left = settled(&mut run, &looked.before)?;
        }
        evidence.looked = Some(looked);
        Ok(())
    }

    fn look_at(&self, run: &Run, pid: Pid, before: Outside, asked: Vec<OsString>) -> Result<Looked, Fault> {
        let sought = Sought {
            mark: self.asked.root.then_some(Mark::Text(&self.token)),
            contents: &self.contents,
            given: self.given(),
            network: self.asked.network,
        };
        let during = run.cell.state()?;
        let looked = look_at(pid, run.cell, &sought, (before, during))?;
        Ok(Looked { asked, ..looked })
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
        evidence.strained =
            Some(Strained { counted, limits, exceeded: run.exceeded(), hog: None, forks: None });
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
        evidence.written = Some(Written { seen, exceeded: run.exceeded(), upper: None });
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

/// Waits until CMD is ready for SIGTERM. One that is a namespace's PID 1 would not get it before
/// (pid_namespaces(7)), and most programs that pass it on do so once.
fn until_at_rest(run: &mut Run, cmd: Pid) -> Result<(), Fault> {
    let ready = |run: &mut Run| process::takes_signal(cmd, libc::SIGTERM) || !run.tracer.cmd_alive();
    run.until(PATIENCE, ready).map(drop)
}

/// Which of a writer's writes can be seen from `/`.
fn seen_of_writes() -> [bool; 3] {
    let root = Path::new("/");
    let changed = std::fs::read_to_string(root.join(CHANGED)).is_ok_and(|text| text.ends_with("changed\n"));
    [root.join(ADDED).exists(), changed, !root.join(DELETED).exists()]
}

/// The cell as it is when nothing more changes by itself, or after a while. `None` if it could not be seen, since what
/// was left had to be ended.
pub fn settled(run: &mut Run, before: &Outside) -> Result<Option<Outside>, Fault> {
    let mut seen = Ok(None);
    run.until(SETTLE, |run| {
        seen = run.cell.state().map(Some);
        seen.as_ref().map_or(true, |now| now.as_ref() == Some(before))
    })?;
    if run.cell.is_over() {
        run.excess.get_or_insert(Excess::Host);
        return Ok(seen.unwrap_or_default());
    }
    seen
}
