//! What PID 1 of a container of ours does for orphans and signals, and the kernel for its namespace (step 1).

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork, getpid, getppid};
use serde::{Deserialize, Serialize};

use claims::evidence::{Orphans, Terminated};
use engine::template::{EXPERIMENT, Template};
use engine::{Exit, Process, Program, Stdio};
use fault::{Doing, Fault};
use kernel::child::guarded;
use kernel::process;
use kernel::signals;
use kernel::told::Silence;

const PROC: &str = "/proc";

/// What a program ends with that has got the signal it waited for.
const TAKEN: Exit = Exit::Code(42);

/// What became of an orphan.
#[derive(Default, Serialize, Deserialize)]
struct Fate {
    parent: String,
    is_zombie: bool,
}

/// The PIDs of a process in a namespace nested in a container's.
pub fn nested(template: &Template) -> Result<String, Fault> {
    Ok(template.experiment(false, nested_pids)?.seen.unwrap_or_default())
}

/// What becomes of an orphan, under an init of ours or under a PID 1 that waits for nobody.
pub fn orphans(template: &Template, init: bool) -> Result<Orphans, Fault> {
    let fate = template.experiment(init, || orphan(init))?.seen.unwrap_or_default();
    Ok(Orphans { ended: 1, zombies: fate.is_zombie.into(), parent: Some(fate.parent), exceeded: None })
}

/// As PID 1: makes a namespace in the namespace, and a process in that. Returns all of its PIDs,
/// outermost first. /proc is the host's still, so the line goes all the way up.
fn nested_pids() -> String {
    if unshare(CloneFlags::CLONE_NEWPID).is_err() {
        return "unshare refused".into();
    }
    in_child(|| process::status(Path::new(PROC), "self", "NSpid").unwrap_or_default())
}

/// Runs `look` in a child and returns its words.
fn in_child(look: impl FnOnce() -> String) -> String {
    let Ok((reader, writer)) = nix::unistd::pipe() else { return "no pipe".into() };
    // SAFETY: one thread.
    match unsafe { fork() } {
        Ok(ForkResult::Child) => guarded(|| {
            drop(reader);
            i32::from(File::from(writer).write_all(look().as_bytes()).is_err())
        }),
        Ok(ForkResult::Parent { child }) => {
            drop(writer);
            let mut words = String::new();
            let _ = File::from(reader).read_to_string(&mut words);
            let _ = waitpid(child, None);
            words
        }
        Err(e) => format!("fork: {e}"),
    }
}

/// Makes an orphan and tells who its new parent is, and what becomes of it when it ends. With
/// `reaped` it waits for it to go, since then PID 1 is an init with some work to do.
fn orphan(reaped: bool) -> Fate {
    let Ok((reader, writer)) = nix::unistd::pipe() else { return Fate::default() };
    in_child(|| {
        let parent = getpid();
        // SAFETY: one thread.
        if let Ok(ForkResult::Child) = unsafe { fork() } {
            guarded(|| {
                wait_until(|| getppid() != parent);
                // The host's /proc knows us by our PID on the host.
                let me = fs::read_link("/proc/self").unwrap_or_default();
                let words = format!("{} {}", getppid(), me.display());
                i32::from(File::from(writer).write_all(words.as_bytes()).is_err())
            });
        }
        String::new()
    });
    let mut words = String::new();
    // One read: the other end is still open here.
    let mut room = [0; 64];
    if let Ok(n) = File::from(reader).read(&mut room) {
        words.push_str(&String::from_utf8_lossy(room.get(..n).unwrap_or_default()));
    }
    let (parent, pid) = words.split_once(' ').unwrap_or_default();
    let state = || process::status(Path::new(PROC), pid, "State").unwrap_or_default();
    wait_until(|| if reaped { state().is_empty() } else { state().starts_with('Z') });
    Fate { parent: parent.into(), is_zombie: state().starts_with('Z') }
}

/// Waits for something that is about to happen, for two seconds at most.
fn wait_until(happened: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(2);
    while !happened() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Sends ourselves a SIGTERM while a container runs whose program takes it, and tells how that ended. (Where we were
/// told to ignore SIGTERM, another signal.)
pub fn passed_on(template: &Template) -> Result<Terminated, Fault> {
    let signal = if signals::ignored(libc::SIGTERM) { Signal::SIGUSR1 } else { Signal::SIGTERM };
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).doing("make a pipe")?;
    let program = move || {
        let set = SigSet::from(signal);
        let _ = set.thread_block();
        let _ = File::from(writer).write_all(b"r");
        if set.wait() == Ok(signal) { TAKEN.status() } else { 1 }
    };
    let stdio = Stdio::quiet()?.0;
    let process = Process { stdio, ..Process::new(Program::Call(Box::new(program))) };
    let mut container = template.create(&template.spec.at(EXPERIMENT), process, &mut Silence)?;
    container.start(&mut Silence)?;
    File::from(reader).read_exact(&mut [0; 1]).doing("wait for the program")?;
    raise(signal).doing("send a signal")?;
    let exit = container.wait(&template.lab.signals)?;
    Ok(Terminated { ended: true, taken: Some((exit, TAKEN)), ..Terminated::default() })
}

/// PID 1 forks a child that would live for a minute, and ends. The child holds a pipe open: when that
/// closes, it is gone.
pub fn end_of_one(template: &Template) -> Result<bool, Fault> {
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).doing("make a pipe")?;
    let began = Instant::now();
    template.experiment(false, move || {
        let _held = writer;
        // SAFETY: one thread.
        if let Ok(ForkResult::Child) = unsafe { fork() } {
            guarded(|| {
                std::thread::sleep(Duration::from_secs(60));
                0
            });
        }
    })?;
    let mut nothing = Vec::new();
    File::from(reader).read_to_end(&mut nothing).doing("wait for the child's end")?;
    Ok(began.elapsed() < Duration::from_secs(30))
}
