//! Runs in which CMD ends: what is heard of it, what PROGRAM makes of its end, and what is left then.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::cell::Cell;
use super::look::settled;
use super::part::{ASIDE, ORPHANS, Part, STATUS};
use super::run::Run;
use super::trial::{Order, Trial};
use claims::evidence::{Died, Ended, Evidence, Orphans, SETTLE, Talked};
use claims::fate::{Fate, PATIENCE};
use claims::outside::Outside;
use engine::Exit;
use fault::Fault;
use kernel::process;

/// Words that runtimes are known to spoil: blanks and line ends, nothing at all, other letters, what means something
/// to a shell or to printf(3), and what looks like an option, PROGRAM's own above all.
const HARD: [&str; 22] = [
    "two words",
    " ",
    "",
    "two\nlines",
    "end\n",
    "한글",
    "*",
    "it's \"quoted\"",
    "$HOME",
    "`id`",
    "a\\tb",
    "%s",
    "-x",
    "--",
    "--help",
    "run",
    "--net",
    "--rootfs",
    "/",
    "--image=/",
    "--memory",
    "1",
];

/// A word that is no text at all.
const BYTES: [u8; 4] = [0xff, b'x', 0xc3, 0x28];

/// Statuses that CMD ends with: one that has to be kept apart from its negative, and one that many a clean-up makes
/// something else of.
const LARGE: i32 = 200;
const NONE: i32 = 0;

/// How long those whom PROGRAM has ended may take to be gone after it.
pub const DYING: Duration = Duration::from_millis(1000);

/// How long it may take until nothing is left of a container.
const CLEAN: Duration = Duration::from_millis(300);

/// A way in which CMD ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// With a status, after hard words.
    Word,
    /// With a status, asked for by its name.
    Name,
    /// By SIGKILL, after it has left orphans.
    Orphan,
    /// By a signal that is not SIGKILL.
    Die,
}

impl Trial<'_> {
    /// Lets CMD talk and end by itself.
    pub fn talk(&self, evidence: &mut Evidence) -> Result<(), Fault> {
        let input: Vec<u8> = (0..200_000u32).flat_map(|n| n.to_le_bytes()).take(300_000).collect();
        // Ends in no line end, which some wait for.
        let (first, rest) = input.split_at(input.len() / 2);
        let (mut cell, streams, _) = self.cell(Part::Talk, &[], first.to_vec())?;
        let before = cell.state()?;
        let mut run = Run::start(self.lab, &mut cell, streams.unfinished(), &self.token)?;
        if !run.reach_cmd()? {
            evidence.fate = Some(run.fate());
            return Ok(());
        }
        run.release();
        let heard = |run: &Run| run.heard().0.len();
        run.until(PATIENCE, |run| heard(run) >= first.len() || !run.tracer.cmd_alive())?;
        let at_once = heard(&run) >= first.len();
        run.say_last(rest);
        let exit = run.finish(PATIENCE)?;
        // What one that did not wait for it says later.
        run.until(PATIENCE, |run| !run.tracer.cmd_alive())?;
        run.until(DYING, |run| run.cell.processes().is_empty())?;
        let running = run.cell.processes();
        let left = if exit.is_some() { settled(&mut run, &before)? } else { None };
        let (stdout, stderr) = run.heard();
        evidence.talked = Some(Talked {
            aside: ASIDE.as_bytes(),
            status: STATUS,
            at_once,
            stdout: stdout.into(),
            stderr: stderr.into(),
            exit,
            fate: run.fate(),
            outlived: run.tracer.cmd_outlived(),
            running,
            before,
            left,
            input,
        });
        Ok(())
    }

    /// Lets CMD end in each of the ways that are left, one after the other in a cell, and in a new one after a PROGRAM
    /// that has left something behind.
    pub fn end(&self, ways: &[Way], evidence: &mut Evidence) -> Result<(), Fault> {
        let mut ways = ways.iter();
        while !ways.as_slice().is_empty() {
            let orders: Vec<Order> = ways.as_slice().iter().map(|way| self.order(*way)).collect();
            let (mut cell, streams) = self.cell_for(&orders)?;
            let before = cell.state()?;
            for ((way, order), streams) in ways.by_ref().zip(&orders).zip(streams) {
                let run = Run::start(self.lab, &mut cell, streams, &self.token)?;
                self.take(*way, order, run, evidence)?;
                if !is_as_before(&cell, &before) {
                    break;
                }
            }
        }
        Ok(())
    }

    fn order(&self, way: Way) -> Order {
        let status = |status: i32| OsString::from(status.to_string());
        match way {
            Way::Word => {
                let mut words = vec![status(LARGE)];
                words.extend(HARD.map(OsString::from));
                words.extend(self.takes_bytes.then(|| OsString::from_vec(BYTES.into())));
                self.command(None, Part::End, &words)
            }
            Way::Name => self.command(Some(&self.token), Part::End, &[status(NONE)]),
            Way::Orphan => self.command(None, Part::Orphan, &[]),
            Way::Die => self.command(None, Part::Die, &[]),
        }
    }

    fn take(&self, way: Way, order: &Order, mut run: Run, evidence: &mut Evidence) -> Result<(), Fault> {
        let reached = run.reach_cmd()?;
        let given = run.cmd().filter(|_| reached).map(process::arguments);
        if way == Way::Orphan {
            run.tracer.gather();
        }
        run.release();
        match way {
            Way::Word => evidence.worded = Some(ended(&mut run, order, given, LARGE)?),
            Way::Name => evidence.named = Some(ended(&mut run, order, given, NONE)?),
            _ if !reached => evidence.fate = Some(run.fate()),
            Way::Orphan => {
                run.until(PATIENCE, |run| run.tracer.has_gathered() || !run.tracer.cmd_alive())?;
                run.tracer.tell();
                run.until(PATIENCE, |run| run.tracer.is_childless_again() || !run.tracer.cmd_alive())?;
                run.until(SETTLE, |run| run.tracer.zombies() == 0)?;
                let zombies = run.tracer.zombies();
                run.signal_cmd(Signal::SIGKILL);
                let died = died(&mut run)?;
                let exceeded = Some(died.fate.clone()).filter(Fate::is_excess);
                evidence.orphans = Some(Orphans { ended: ORPHANS, zombies, parent: None, exceeded });
                evidence.orphaned = Some(died);
            }
            Way::Die => evidence.died = Some(died(&mut run)?),
        }
        Ok(())
    }
}

/// Whether PROGRAM has left nothing, once the kernel has had time to take back what was in its namespaces.
fn is_as_before(cell: &Cell, before: &Outside) -> bool {
    let until = Instant::now() + CLEAN;
    loop {
        match cell.state() {
            Ok(now) if now == *before => return true,
            Ok(_) if Instant::now() < until => std::thread::sleep(Duration::from_millis(20)),
            _ => return false,
        }
    }
}

/// How PROGRAM ends as CMD does, if CMD was reached.
fn ended(run: &mut Run, order: &Order, given: Option<Vec<OsString>>, status: i32) -> Result<Ended, Fault> {
    let exit = if given.is_some() { run.finish(PATIENCE)? } else { None };
    Ok(Ended { asked: order.asked.clone(), given, status, exit, fate: run.fate() })
}

/// How CMD and PROGRAM end.
fn died(run: &mut Run) -> Result<Died, Fault> {
    let exit = run.finish(PATIENCE)?;
    let signal = match run.tracer.cmd_exit() {
        Some(Exit::Signal(signal)) => Some(signal),
        _ => None,
    };
    Ok(Died { signal, exit, fate: run.fate() })
}
