//! A small init, as `docker run --init` gives: PID 1 reaps what is orphaned and passes signals on, and
//! the program runs as its child, with a PID that signals work on by default.

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpgid, getpgrp};

use super::plan::Plan;
use super::program::{Process, Stdio, become_it};
use super::wire::{FromInside, Wire};
use fault::Fault;
use kernel::child::{close_all_but, guarded};

/// Runs the program in a child and stays as PID 1 until that child ends. Returns its status, 128 + n
/// for a signal.
pub fn run(plan: &Plan, mut process: Process, wire: Wire, wanted: Vec<&'static str>) -> i32 {
    // Blocked before the fork, so that no child's end is missed; sigwait(3) then takes them.
    let all = SigSet::all();
    let _ = all.thread_set_mask();
    // SAFETY: one thread.
    match unsafe { fork() } {
        Ok(ForkResult::Child) => guarded(|| become_it(plan, process, wire, wanted)),
        Ok(ForkResult::Parent { child }) => {
            drop(wire);
            process.stdio = Stdio::default();
            guarded(|| {
                // Init lives as long as the container and never calls execve(2), so what it holds open, anyone inside
                // could reach through /proc/1/fd: directories of the host among them. It needs none of it.
                // SAFETY: what owned these descriptors is never used or dropped again, since init ends by _exit(2).
                unsafe { close_all_but(&[0, 1, 2]) };
                serve(child, &all)
            })
        }
        Err(e) => {
            let fault = match e {
                Errno::EAGAIN => Fault::unable("pids-too-few", &[]),
                e => Fault::broken("fork the program from init", e),
            };
            let _ = wire.say(&FromInside::Failed(fault));
            1
        }
    }
}

/// PID 1's two duties, until the program is done.
fn serve(program: Pid, all: &SigSet) -> i32 {
    loop {
        match wait_for_signal(all) {
            Some((Signal::SIGCHLD, _)) => {
                if let Some(status) = reap(program) {
                    return status;
                }
            }
            // A key on the terminal has reached the program already, unless it left our process group.
            Some((_, true)) if getpgid(Some(program)) == Ok(getpgrp()) => {}
            // The program may be gone by now; its end is in the next SIGCHLD.
            Some((signal, _)) => drop(kill(program, signal)),
            None => {}
        }
    }
}

/// sigwaitinfo(2): the next signal, and whether a key on the terminal sent it.
fn wait_for_signal(all: &SigSet) -> Option<(Signal, bool)> {
    // SAFETY: a structure of integers, which the call fills.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values of the right types.
    let number = unsafe { libc::sigwaitinfo(all.as_ref(), &mut info) };
    Signal::try_from(number).ok().map(|signal| (signal, info.si_code == libc::SI_KERNEL))
}

/// Reaps every child that has ended, ours and adopted; the program's status if it is among them.
fn reap(program: Pid) -> Option<i32> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == program => return Some(code),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == program => return Some(128 + signal as i32),
            Ok(WaitStatus::StillAlive) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}
