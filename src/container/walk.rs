//! One container start, from end to end: prepare → clone → attach → enter → exec. (Waiting and
//! undoing are [`Container::wait`] and [`Container::end`].)
//!
//! ```text
//!   the workshop                          the first process
//!   prepare: groups, directories, bridge
//!   clone3 ─────────────────────────────▶ born in its namespaces; waits
//!   attach: what needs its PID
//!   go ─────────────────────────────────▶ enter: stage by stage
//!   posts a guard, which ends it if we can't
//!   tells each call          ◀─────────── calls as they are made
//!                            ◀─────────── ready; waits
//!   go ─────────────────────────────────▶ execve: the wire closes, the program runs
//! ```

use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::Instant;

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use super::message::{Channel, FromInside, Upward};
use super::terminal::{Terminal, Tty};
use super::{Container, Milestone, Plan, Program, init, program};
use crate::fault::{Doing, Fault};
use crate::kernel::caller::Caller;
use crate::kernel::clone3;
use crate::kernel::lacks;
use crate::kernel::ledger::{Ledger, Undo};
use crate::kernel::pidfd;
use crate::kernel::process::Owner;
use crate::kernel::told::{Actor, Listener};
use crate::kernel::undo::{Reversal, Undos};
use crate::kernel::visit::guarded;
use crate::lab::Lab;
use crate::layers::{Host, Inside, Layer, Made, Stage};

/// Makes the container that `plan` describes and leaves its first process waiting, one execve(2)
/// away from its program. If anything fails, what was done so far is taken back.
pub fn create(mut plan: Plan, lab: &Lab, listener: &mut dyn Listener) -> Result<Container, Fault> {
    let number = lab.next_number();
    let mut undo = Undos::new(Ledger::open(&lab.folders.ledger(), number)?);
    let mut made = Made::default();
    let (ours, theirs) = Channel::pair()?;
    let later: CloneFlags = plan.layers.iter().map(|l| l.later_namespaces()).collect();
    let namespaces = namespaces(&plan) | later;
    let init = plan.init;
    let mut timeline = Vec::new();
    let terminal = Terminal::lend(plan.tty);
    if terminal.is_none() {
        plan.tty = Tty::Unused;
    }

    let host =
        Host { calls: Caller::new(Actor::Host, listener), undo: &mut undo, lab, number, made: &mut made };
    match prepare_and_clone(&mut plan, host, &mut timeline) {
        Ok(Some(pid)) => {
            drop(theirs);
            let pidfd = match pidfd::open(pid).doing("pidfd_open") {
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
            let mut container = Container {
                pid,
                pidfd,
                guard: None,
                namespaces,
                made,
                channel: None,
                becoming: None,
                executes: !plan.init && matches!(plan.program, Program::Exec { .. }),
                suspicion: None,
                undo,
                exit: None,
                init,
                terminal,
                timeline,
            };
            // From here on, dropping the container ends the process and undoes the rest.
            attach(&mut plan, lab, number, &mut container, listener)?;
            listener.heard().map_err(Fault::output)?;
            container.reached(Milestone::Attached);
            ours.go()?;
            tie_to_us(&mut container)?;
            hear_until_ready(&ours, lab, &mut container, listener)?;
            container.reached(Milestone::Entered);
            container.channel = Some(ours);
            Ok(container)
        }
        Ok(None) => {
            drop(ours);
            let wanted = plan.layers.iter().map(|l| l.slug()).filter(|s| listener.wants(s)).collect();
            guarded(|| first_process(plan, theirs, wanted))
        }
        Err(fault) => {
            // The first fault is the one to tell; what can't be undone stays in the ledger.
            let _ = undo.carry_out();
            Err(fault)
        }
    }
}

/// The namespaces that the first process is born in.
fn namespaces(plan: &Plan) -> CloneFlags {
    plan.layers.iter().map(|l| l.namespaces()).collect()
}

// ANCHOR: unshare-pid-clone
/// The host's part before there is a process, and the process. `None` is the process itself.
fn prepare_and_clone(
    plan: &mut Plan,
    mut host: Host,
    timeline: &mut Vec<(Milestone, Instant)>,
) -> Result<Option<Pid>, Fault> {
    for layer in &mut plan.layers {
        host.calls.speak_for(layer.slug());
        layer.prepare(&mut host).map_err(|fault| fault.of_step(layer.slug()))?;
    }
    timeline.push((Milestone::Prepared, Instant::now()));
    let flags = namespaces(plan).bits() as u64;
    let birthplace = plan.layers.iter().find_map(|l| l.birthplace()).map(|fd| fd.as_raw_fd());
    // The call belongs to the last step that added something to it.
    let adds = |l: &dyn Layer| !l.namespaces().is_empty() || l.birthplace().is_some();
    host.calls.speak_for(plan.layers.iter().rev().find(|l| adds(l.as_ref())).map_or("", |l| l.slug()));
    let cloned = host.calls.clone3("clone", &clone3::arguments(flags, birthplace));
    let pid = cloned.map_err(|fault| culprit(&plan.layers, fault))?;
    timeline.push((Milestone::Cloned, Instant::now()));
    Ok(pid)
}
// ANCHOR_END: unshare-pid-clone

/// One call makes the namespaces of all layers. If one of them can't be made, that layer's step is what the host
/// lacks.
fn culprit(layers: &[Box<dyn Layer>], fault: Fault) -> Fault {
    let alone = |layer: &dyn Layer| {
        let lack = lacks::namespaces(layer.namespaces(), CloneFlags::empty())?;
        Some(lack.of_step(layer.slug()))
    };
    layers.iter().find_map(|layer| alone(layer.as_ref())).unwrap_or(fault)
}

/// The host's part while the process waits.
fn attach(
    plan: &mut Plan,
    lab: &Lab,
    number: u32,
    container: &mut Container,
    listener: &mut dyn Listener,
) -> Result<(), Fault> {
    let (child, undo, made) = (container.pid, &mut container.undo, &mut container.made);
    let mut host = Host { calls: Caller::new(Actor::Host, listener), undo, lab, number, made };
    for layer in &mut plan.layers {
        host.calls.speak_for(layer.slug());
        layer.attach(&mut host, child).map_err(|fault| fault.of_step(layer.slug()))?;
    }
    Ok(())
}

/// Sees to it that the container ends with us, while its first process sets it up: a guard, and a line in
/// the ledger in case the guard is killed as well.
fn tie_to_us(container: &mut Container) -> Result<(), Fault> {
    let process = Owner::of(container.pid.as_raw()).doing("read /proc/PID/stat")?;
    container.undo.before(Reversal::Outside(Undo::EndProcess { process }))?;
    container.post_guard()
}

/// Passes on what the first process tells, until it is ready.
fn hear_until_ready(
    wire: &Channel,
    lab: &Lab,
    container: &mut Container,
    listener: &mut dyn Listener,
) -> Result<(), Fault> {
    loop {
        wire.ready(&lab.signals)?;
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
            Some(FromInside::Suspect(_)) => {}
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
fn first_process(mut plan: Plan, wire: Channel, wanted: Vec<&'static str>) -> i32 {
    let prepared = close_on_exec()
        .doing("close_range")
        .and_then(|()| wire.wait())
        .and_then(|()| enter(&plan, &wire, wanted.clone()));
    let outcome = prepared.and_then(|()| {
        wire.say(&FromInside::Ready)?;
        wire.wait()
    });
    match outcome {
        Ok(()) if plan.init => init::run(&mut plan, wire, wanted),
        Ok(()) => program::become_it(&mut plan, wire, wanted),
        Err(fault) => {
            let status = fault.status();
            // If nobody hears it, nobody is left to be told.
            let _ = wire.say(&FromInside::Failed(fault));
            status
        }
    }
}

/// Every layer's part inside, stage by stage.
fn enter(plan: &Plan, wire: &Channel, wanted: Vec<&'static str>) -> Result<(), Fault> {
    let mut upward = Upward::new(wire, wanted);
    let calls = Caller::new(Actor::Container, &mut upward);
    let mut inside = Inside { calls, root: PathBuf::from("/"), root_is_mount: false };
    for stage in Stage::ALL {
        for layer in &plan.layers {
            inside.calls.speak_for(layer.slug());
            layer.enter(stage, &mut inside).map_err(|fault| fault.of_step(layer.slug()))?;
        }
    }
    Ok(())
}

/// Nothing of ours, nor of whoever started us, is open in the program: everything above standard error is
/// closed by execve(2) (close_range(2) with `CLOSE_RANGE_CLOEXEC`).
pub fn close_on_exec() -> nix::Result<()> {
    let cloexec = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: no pointers; descriptors are marked, not closed.
    let done = unsafe { libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, cloexec) };
    Errno::result(done).map(drop)
}
