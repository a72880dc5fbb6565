//! One container, from end to end: prepare → clone → attach → enter → exec → wait → undo. What is done at each stage is
//! in the [plan](super::plan); this is the order, and who waits for whom.
//!
//! ```text
//!   the workshop                          the first process
//!   prepare: groups, directories, bridge, its files
//!   clone3 ─────────────────────────────▶ born in its namespaces; waits
//!   attach: what needs its PID
//!   go ─────────────────────────────────▶ enter: stage by stage
//!   posts a guard, which ends it if we can't
//!   tells each call          ◀─────────── calls as they are made
//!                            ◀─────────── ready; waits
//!   go ─────────────────────────────────▶ seal, execve: the wire closes, the program runs
//!   waits, and passes signals on
//!                            ◀─────────── ends
//!   undo: last thing first
//! ```

use std::os::fd::AsRawFd;
use std::time::Instant;

use nix::sched::CloneFlags;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use super::gate::Gate;
use super::guard::Guard;
use super::hands::{Given, Hands};
use super::op::{Call, Op};
use super::plan::Stage;
use super::program::{Aftermath, Ties};
use super::state::Place;
use super::wire::{FromInside, Upward, Wire};
use super::{Container, Exit, Milestone, OnHost, Plan, Process, Program, init, program};
use fault::{Doing, Fault};
use kernel::child::{self, close_all_but, close_on_exec_above_stderr, guarded, pidfd_open};
use kernel::lacks;
use kernel::process::{self, Owner};
use kernel::signals::Signals;
use kernel::told::{self, Listener};
use kernel::undo::{Ledger, Reversal, Undo, Undos};
use lab::Lab;

/// Makes the container that `plan` describes and leaves its first process waiting, one execve(2) away from its program.
/// If anything fails, what was done so far is taken back.
pub fn create(
    plan: Plan,
    mut process: Process,
    on_host: OnHost,
    lab: &Lab,
    listener: &mut dyn Listener,
) -> Result<Container, Fault> {
    plan.check()?;
    let mut undo = Undos::new(Ledger::of(on_host.owner, on_host.number, &lab.folders.ledger));
    let (ours, theirs) = Wire::pair()?;
    let (mut given, mut timeline) = (Given::default(), Vec::new());
    let (place, gate) = match std::mem::take(&mut process.ties) {
        Ties::ToUs => (None, None),
        Ties::None { place, gate } => (Some(place), Some(gate)),
    };
    match prepare_and_clone(&plan, &mut given, &mut undo, listener, &mut timeline) {
        Ok(Some(pid)) => {
            drop(theirs);
            given.child = Some(pid);
            let pidfd = match pidfd_open(pid).doing("pidfd_open") {
                Ok(pidfd) => pidfd,
                Err(fault) => {
                    // The process is not a container yet, which would take care of it. It waits for a word,
                    // and ends when it hears that none will come.
                    drop(ours);
                    let _ = waitpid(pid, None);
                    let _ = undo.carry_out();
                    return Err(fault);
                }
            };
            let namespaces = plan.namespaces();
            let executes = !process.init && matches!(process.program, Program::Planned);
            let mut container = Container {
                pid,
                pidfd,
                guard: None,
                namespaces,
                on_host,
                wire: None,
                becoming: Vec::new(),
                executes,
                let_go: false,
                plan,
                aftermath: None,
                undo,
                exit: None,
                init: process.init,
                terminal: process.terminal,
                stop: process.stop,
                timeline,
            };
            // From here on, dropping the container ends the process and undoes the rest.
            attach(&container.plan, &mut given, &mut container.undo, listener)?;
            listener.heard().map_err(Fault::output)?;
            container.reached(Milestone::Attached);
            // Read before the process may mount something over /proc, where it is in our mount namespace.
            let process = Owner::of(pid.as_raw()).doing("read /proc/PID/stat")?;
            ours.go()?;
            // Somebody must end it if we can't: its guard may be killed with us.
            container.undo.before(Reversal::Outside(Undo::EndProcess { process }))?;
            if place.is_none() {
                container.post_guard()?;
            }
            hear_until_ready(&ours, &lab.signals, &mut container, listener)?;
            container.reached(Milestone::Entered);
            match place {
                None => container.wire = Some(ours),
                Some(place) => container.let_go(&place)?,
            }
            Ok(container)
        }
        Ok(None) => {
            drop(ours);
            let wanted = plan.steps().into_iter().filter(|step| listener.wants(step)).collect();
            guarded(|| first_process(&plan, process, &mut given, (theirs, gate), wanted))
        }
        Err(fault) => {
            // The first fault is the one to tell; what can't be undone stays in the ledger.
            let _ = undo.carry_out();
            Err(fault)
        }
    }
}

/// The host's part before there is a process, and the process. `None` is the process itself.
fn prepare_and_clone(
    plan: &Plan,
    given: &mut Given,
    undo: &mut Undos,
    listener: &mut dyn Listener,
    timeline: &mut Vec<(Milestone, Instant)>,
) -> Result<Option<Pid>, Fault> {
    let mut hands = Hands::outside(listener, given, undo);
    plan.preparation().try_for_each(|op| hands.carry_out(op))?;
    timeline.push((Milestone::Prepared, Instant::now()));
    let child = clone(plan, &mut hands)?;
    timeline.push((Milestone::Cloned, Instant::now()));
    Ok(child)
}

// ANCHOR: unshare-pid-clone
/// One clone3(2), to which each operation of the stage gives its share. It is told in the name of the last step that
/// added something to it.
fn clone(plan: &Plan, hands: &mut Hands) -> Result<Option<Pid>, Fault> {
    let shares: Vec<&Op> = plan.stage(Stage::Clone).collect();
    let group = shares.iter().find_map(|op| match &op.call {
        Call::BornIn(group) => Some(hands.descriptor(group).map(|fd| fd.as_raw_fd())),
        _ => None,
    });
    let args = child::arguments(plan.born_in().bits() as u64, group.transpose()?);
    if let Some(last) = shares.last() {
        hands.calls.speak_of(last.step, last.source);
    }
    hands.calls.clone3("clone", &args).map_err(|fault| culprit(&shares, fault))
}
// ANCHOR_END: unshare-pid-clone

/// One call makes the namespaces of all parts. If one of them can't be made, that part's step is what the host lacks.
fn culprit(shares: &[&Op], fault: Fault) -> Fault {
    let alone = |op: &&Op| match op.call {
        Call::Namespace(kind) => Some(lacks::namespaces(kind, CloneFlags::empty())?.of_step(op.step)),
        _ => None,
    };
    shares.iter().find_map(alone).unwrap_or(fault)
}

/// The host's part while the process waits.
fn attach(
    plan: &Plan,
    given: &mut Given,
    undo: &mut Undos,
    listener: &mut dyn Listener,
) -> Result<(), Fault> {
    let mut hands = Hands::outside(listener, given, undo);
    plan.stage(Stage::Attach).try_for_each(|op| hands.carry_out(op))
}

/// Passes on what the first process tells, until it is ready.
fn hear_until_ready(
    wire: &Wire,
    signals: &Signals,
    container: &mut Container,
    listener: &mut dyn Listener,
) -> Result<(), Fault> {
    loop {
        wire.ready(signals)?;
        match wire.receive()? {
            Some(FromInside::About(call)) => {
                listener.about(&call).map_err(Fault::output)?;
                wire.go()?;
            }
            Some(FromInside::Told(call)) => {
                listener.told(call);
                listener.heard().map_err(Fault::output)?;
            }
            Some(FromInside::Ready) => return Ok(()),
            Some(FromInside::Failed(fault)) => return Err(fault),
            None => {
                let exit = container.reap()?;
                return Err(Fault::broken(
                    "set up the container",
                    format!("its first process ended: {exit:?}"),
                ));
            }
        }
    }
}

/// The whole life of the first process, up to its program.
fn first_process(
    plan: &Plan,
    process: Process,
    given: &mut Given,
    (wire, gate): (Wire, Option<Gate>),
    wanted: Vec<&'static str>,
) -> i32 {
    let entered = close_on_exec_above_stderr()
        .doing("close_range")
        .and_then(|()| wire.wait())
        .and_then(|()| enter(plan, given, &wire, wanted.clone()))
        .and_then(|()| wire.say(&FromInside::Ready));
    // Who opens a gate with a name is not who has listened so far.
    let wanted = if gate.is_none() { wanted } else { Vec::new() };
    if entered.is_ok()
        && let Some(gate) = &gate
    {
        let kept: Vec<i32> =
            [wire.as_raw_fd(), gate.descriptor()].into_iter().chain(process.stdio.descriptors()).collect();
        // It may wait for long, and whatever of ours it held open would never end for who reads at the other end.
        // SAFETY: what owned the others is never used again, since this process ends by execve(2) or _exit(2).
        unsafe { close_all_but(&[&[0, 1, 2], &kept[..]].concat()) };
    }
    match entered {
        Ok(()) => match wait_for_the_word(wire, gate) {
            Ok(wire) if process.init => init::run(plan, process, wire, wanted),
            Ok(wire) => program::become_it(plan, process, wire, wanted),
            // Whoever was to give the word has gone.
            Err(fault) => fault.status(),
        },
        Err(fault) => {
            let status = fault.status();
            // If nobody hears it, nobody is left to be told.
            let _ = wire.say(&FromInside::Failed(fault));
            status
        }
    }
}

/// The word to become the program comes over the wire, or to whoever has a gate of its own, there. Returns the wire that is
/// there from then on.
fn wait_for_the_word(wire: Wire, gate: Option<Gate>) -> Result<Wire, Fault> {
    match gate {
        None => wire.wait().map(|()| wire),
        Some(gate) => {
            drop(wire);
            gate.wait()
        }
    }
}

/// The first process's part, stage by stage.
fn enter(plan: &Plan, given: &mut Given, wire: &Wire, wanted: Vec<&'static str>) -> Result<(), Fault> {
    let mut upward = Upward::new(wire, wanted);
    let mut hands = Hands::inside(&mut upward, given);
    plan.entry().try_for_each(|op| hands.carry_out(op))
}

impl Container {
    /// Lets the first process become its program, and waits until it has.
    pub fn start(&mut self, listener: &mut dyn Listener) -> Result<(), Fault> {
        let Some(wire) = self.wire.take() else { return Ok(()) };
        if self.executes {
            self.aftermath = Aftermath::of(self.pid, self.namespaces);
        }
        wire.go()?;
        loop {
            match wire.receive()? {
                Some(FromInside::About(call)) => {
                    listener.about(&call).map_err(Fault::output)?;
                    self.becoming.push(call);
                    wire.go()?;
                }
                Some(FromInside::Failed(fault)) => return Err(fault),
                Some(_) => {}
                // The other end was closed by execve(2) itself: the program runs.
                None => break,
            }
        }
        self.reached(Milestone::Executed);
        // Or by death. (An init never calls execve(2), and neither does a function of ours.)
        if self.executes && process::never_executed(self.pid) {
            return Err(Fault::unable("died-before-exec", &[]));
        }
        for call in std::mem::take(&mut self.becoming) {
            // Nothing that was refused would have been followed by execve(2).
            listener.told(told::Call { result: "0".into(), ..call });
        }
        listener.heard().map_err(Fault::output)
    }

    /// Waits for the end, passing on the signals that come to us.
    ///
    /// A PID 1 gets only signals that it has a handler for. One that asks it to end and that it has
    /// none for would be lost, and we would wait for ever: then it is killed, and the status says
    /// which signal did it. So does a second SIGTERM to a program that took the first and stayed, or the end of our
    /// patience.
    pub fn wait(&mut self, signals: &Signals) -> Result<Exit, Fault> {
        let (mut ended_by, mut until) = (None, None);
        while !self.over(until, Some(signals))? {
            if until.is_some_and(|until| Instant::now() >= until) {
                (ended_by, until) = (Some(libc::SIGKILL), None);
                self.signal(libc::SIGKILL)?;
            }
            while let Some(sent) = signals.next() {
                self.pass_on(sent, &mut ended_by)?;
                let patience = self.stop.patience.filter(|_| ended_by == Some(libc::SIGTERM));
                until = until.or(patience.map(|patience| Instant::now() + patience));
            }
        }
        let exit = self.reap()?;
        Ok(match (exit, ended_by) {
            (Exit::Signal(libc::SIGKILL), Some(signal)) => Exit::Signal(signal),
            (exit, _) => exit,
        })
    }

    /// Writes its state down, from where others take it, and lets it go: from here on it is not ours to end.
    fn let_go(&mut self, place: &Place) -> Result<(), Fault> {
        let process = Owner::of(self.pid.as_raw()).doing("read /proc/PID/stat")?;
        place.record(process, self.undo.outside())?;
        self.undo.forget();
        self.let_go = true;
        Ok(())
    }

    /// Ends it, if it has not ended, and takes back what it changed.
    pub fn end(&mut self) -> Result<(), Fault> {
        self.end_with(Undos::carry_out)
    }

    /// The same in a lab that ends now: what the kernel takes back with the lab is left to it.
    pub fn end_with_the_lab(&mut self) -> Result<(), Fault> {
        self.end_with(Undos::carry_out_outside)
    }

    fn end_with(&mut self, take_back: impl FnOnce(&mut Undos) -> Result<(), Fault>) -> Result<(), Fault> {
        if self.let_go {
            return Ok(());
        }
        let ended = match self.exit {
            Some(_) => Ok(()),
            None => self.signal(libc::SIGKILL).and_then(|()| self.reap().map(drop)),
        };
        if let Some(terminal) = self.terminal.take() {
            terminal.take_back();
        }
        // Even if it could not be waited for: what is left then is left to the kernel alone.
        let undone = take_back(&mut self.undo);
        // A container that could not be ended keeps its guard. Otherwise the guard has ended meanwhile.
        if ended.is_ok() {
            self.guard.take().into_iter().for_each(Guard::dismiss);
        }
        ended.and(undone)
    }

    /// Posts a guard, in place of one that was killed if there was one.
    pub(super) fn post_guard(&mut self) -> Result<(), Fault> {
        self.guard.take().into_iter().for_each(Guard::dismiss);
        self.guard = Some(Guard::post(&self.pidfd)?);
        Ok(())
    }

    fn reached(&mut self, milestone: Milestone) {
        self.timeline.push((milestone, Instant::now()));
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // On the way out after another fault: that one is told, and the ledger still knows.
        let _ = self.end();
    }
}
