//! Step 1: a process tree of its own. It is PID 1 of a namespace, with all that PID 1 must do.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork, getpid, getppid};

use crate::checks::{Fact, Report, Scene, nothing_after};
use crate::course::language::Phrase;
use crate::course::{Build, Part, Row, Step};
use crate::engine::parts;
use crate::engine::template::{EXPERIMENT, Template};
use crate::engine::{Exit, Process, Program, Stdio};
use crate::fault::{Doing, Fault};
use crate::judge::claims::{Need, claim, own_namespace, processes};
use crate::judge::{Asked, Task};
use crate::kernel::child::guarded;
use crate::kernel::process;
use crate::kernel::signals;
use crate::kernel::told::Silence;

pub const STEP: Step = Step {
    number: 1,
    slug: parts::unshare_pid::SLUG,
    builds: Build::Part(Part {
        wants: |wanted, _| wanted.spec.processes = true,
        facts,
        checks,
        after: nothing_after,
        row: Row { host: Phrase::new("processes", "프로세스"), own: Phrase::new("PIDs", "PID") },
        owns: &["part-processes"],
        options: &[],
        way_on: None,
    }),
    permit: None,
    exercise: Some(Task {
        asks: Asked::NOTHING,
        claims: &[
            claim("own-pids", Need::Look, |case| own_namespace(case, "pid")),
            claim("pid-1", Need::Look, processes::pid_1),
            claim("reaped", Need::Orphan, processes::reaped),
            claim("sigterm", Need::Look, processes::sigterm),
        ],
    }),
};

const PROC: &str = "/proc";

pub fn facts(scene: &Scene) -> Result<Vec<Fact>, Fault> {
    let pid = scene.pid();
    let (outside, inside) = scene.namespaces("pid");
    let nspid = process::status(Path::new(PROC), &pid, "NSpid").unwrap_or_default();
    let own = nspid.split(' ').next_back().unwrap_or_default().to_owned();
    let listed = process::pids(Path::new(PROC)).len();
    let seen = scene.container.look(others)?;
    let by_pid = scene.container.look(|| process::namespace("self", "pid"))?;
    Ok(vec![
        Fact::new("pid", &pid, &own),
        Fact::new("nspid", nspid.split(' ').next().unwrap_or_default(), &nspid),
        Fact::new("namespace", outside, &inside),
        Fact::new("by-pid", inside, by_pid),
        Fact::new("processes", listed, seen),
    ])
}

/// How many processes a visitor sees besides itself and the one of ours that brought it, by the host's /proc.
fn others() -> usize {
    let me = fs::read_link("/proc/self").ok().and_then(|link| link.to_str()?.parse::<i32>().ok());
    let parent = process::status(Path::new(PROC), "self", "PPid").and_then(|pid| pid.parse().ok());
    process::pids(Path::new(PROC)).into_iter().filter(|pid| Some(*pid) != me && Some(*pid) != parent).count()
}

pub fn checks(scene: &Scene, report: &mut Report) -> Result<(), Fault> {
    let nspid = process::status(Path::new(PROC), &scene.pid(), "NSpid").unwrap_or_default();
    report.equal("pid-1", 1, nspid.split(' ').next_back().unwrap_or_default())?;

    let (outside, inside) = scene.namespaces("pid");
    report.tell("own-namespace", outside != inside, format!("not {outside}"), &inside)?;
    let own = scene.container.look(|| process::namespace("self", "pid"))?;
    report.equal("host-sees-it", own, inside)?;

    let nested = scene.template.experiment(false, nested_pids)?.seen.unwrap_or_default();
    report.tell("nested", nested.split(' ').count() == 3, "3 PIDs", &nested)?;

    let fate = scene.template.experiment(false, || orphan(false))?.seen.unwrap_or_default();
    report.equal("orphans", "parent 1, a zombie", fate)?;
    let fate = scene.template.experiment(true, || orphan(true))?.seen.unwrap_or_default();
    report.equal("reaped", "parent 1, gone", fate)?;

    report.equal("signal", "exit 42", passed_on(scene.template)?)?;
    report.equal("end-of-1", "ended", end_of_one(scene.template)?)
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
fn orphan(reaped: bool) -> String {
    let Ok((reader, writer)) = nix::unistd::pipe() else { return "no pipe".into() };
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
        words.push_str(&String::from_utf8_lossy(&room[..n]));
    }
    let (parent, pid) = words.split_once(' ').unwrap_or_default();
    let state = || process::status(Path::new(PROC), pid, "State").unwrap_or_default();
    wait_until(|| if reaped { state().is_empty() } else { state().starts_with('Z') });
    let fate = match state().chars().next() {
        None => "gone",
        Some('Z') => "a zombie",
        Some(_) => "still running",
    };
    format!("parent {parent}, {fate}")
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
fn passed_on(template: &Template) -> Result<String, Fault> {
    let signal = if signals::ignored(libc::SIGTERM) { Signal::SIGUSR1 } else { Signal::SIGTERM };
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).doing("make a pipe")?;
    let program = move || {
        let set = SigSet::from(signal);
        let _ = set.thread_block();
        let _ = File::from(writer).write_all(b"r");
        if set.wait() == Ok(signal) { 42 } else { 1 }
    };
    let stdio = Stdio::quiet()?.0;
    let process = Process { stdio, ..Process::new(Program::Call(Box::new(program))) };
    let mut container = template.create(&template.spec.at(EXPERIMENT), process, &mut Silence)?;
    container.start(&mut Silence)?;
    File::from(reader).read_exact(&mut [0; 1]).doing("wait for the program")?;
    raise(signal).doing("send a signal")?;
    Ok(match container.wait(&template.lab.signals)? {
        Exit::Code(code) => format!("exit {code}"),
        Exit::Signal(signal) => format!("signal {signal}"),
    })
}

/// PID 1 forks a child that would live for a minute, and ends. The child holds a pipe open: when that
/// closes, it is gone.
fn end_of_one(template: &Template) -> Result<&'static str, Fault> {
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
    Ok(if began.elapsed() < Duration::from_secs(30) { "ended" } else { "lived on" })
}
