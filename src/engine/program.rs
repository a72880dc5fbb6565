//! The last stage: the first process becomes the program that it was made for.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sched::CloneFlags;
use nix::unistd::{AccessFlags, Pid, access, getpid, setpgid, tcsetpgrp};

use super::gate::Gate;
use super::hands::{Given, Hands};
use super::op::{Call, Command};
use super::plan::{Plan, Stage};
use super::state::Place;
use super::terminal::Terminal;
use super::why::explain;
use super::wire::{FromInside, Upward, Wire};
use fault::{Doing, Fault};
use kernel::caller::{Caller, Execve};
use kernel::lacks;
use kernel::signals;
use kernel::told::{Actor, Silence};

/// What runs in a container, and what it shares with us.
pub struct Process<'p> {
    pub program: Program<'p>,
    /// Run the program under a small init, as `docker run --init` does.
    pub init: bool,
    pub stdio: Stdio,
    /// Our terminal, if it is lent to the program.
    pub terminal: Option<Terminal>,
    /// The program is somebody's, and inherits which signals we were told to ignore and block.
    pub passes_signals_on: bool,
    /// How it is asked to end.
    pub stop: Stop,
    pub ties: Ties,
}

/// What comes of a SIGTERM to us.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    /// The signal that the program gets for it.
    pub signal: i32,
    /// After how long it is killed, if it has not ended; `None` for never.
    pub patience: Option<Duration>,
}

impl Default for Stop {
    fn default() -> Stop {
        Stop { signal: libc::SIGTERM, patience: None }
    }
}

/// What ties a container to us.
#[derive(Default)]
pub enum Ties {
    /// It ends when we do: a guard, a line in the ledger, and (if the plan says so) a signal at our death.
    #[default]
    ToUs,
    /// Nothing, once it is made. It waits at a gate that others can open, and is known by its state.
    None { place: Place, gate: Gate },
}

impl<'p> Process<'p> {
    /// A program with our standard streams, and nothing else.
    pub fn new(program: Program<'p>) -> Process<'p> {
        let (stdio, stop, ties) = (Stdio::default(), Stop::default(), Ties::ToUs);
        Process { program, init: false, stdio, terminal: None, passes_signals_on: false, stop, ties }
    }
}

/// What the first process becomes.
pub enum Program<'p> {
    /// The program that the plan ends with.
    Planned,
    /// A function of ours, in the first process itself: for experiments that need nothing installed.
    Call(Box<dyn FnOnce() -> i32 + 'p>),
    /// The same, after a part that can still fail, and whose fault is heard.
    Prepared(Box<dyn FnOnce() -> Result<(), Fault> + 'p>, Box<dyn FnOnce() -> i32 + 'p>),
}

/// Replacements for the standard streams; `None` passes ours through.
#[derive(Default)]
pub struct Stdio {
    pub stdin: Option<OwnedFd>,
    pub stdout: Option<OwnedFd>,
    pub stderr: Option<OwnedFd>,
}

impl Stdio {
    /// The descriptors that will take the place of ours.
    pub fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        [&self.stdin, &self.stdout, &self.stderr].into_iter().flatten().map(AsRawFd::as_raw_fd)
    }

    /// A program that says nothing and hears only what is written to the returned end of a pipe.
    pub fn quiet() -> Result<(Stdio, OwnedFd), Fault> {
        let (stdin, hold) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).doing("make a pipe")?;
        let null = || null_device().map(OwnedFd::from);
        Ok((Stdio { stdin: Some(stdin), stdout: Some(null()?), stderr: Some(null()?) }, hold))
    }
}

/// /dev/null, which a host may lack.
pub fn null_device() -> Result<File, Fault> {
    const NULL: &str = "/dev/null";
    File::options().read(true).write(true).open(NULL).map_err(|error| match error.kind() {
        ErrorKind::NotFound => lacks::no_device(NULL),
        _ => Fault::broken(format!("open {NULL}"), error),
    })
}

/// Where a program looks for its files, kept in sight from the host's side: an end that needs explaining can be explained
/// when its first process has gone.
pub struct Aftermath {
    pub(super) root: OwnedFd,
    pub(super) directory: File,
    /// Its mount namespace, unless that is ours.
    pub(super) mounts: Option<File>,
}

impl Aftermath {
    /// Of a child of ours, which keeps its PID until we have waited for it. As far as this is possible: nothing depends on
    /// it but an explanation.
    pub fn of(child: Pid, namespaces: CloneFlags) -> Option<Aftermath> {
        let look = |name: &str, flags: i32| {
            let mut options = File::options();
            options.read(true).custom_flags(flags).open(format!("/proc/{child}/{name}")).ok()
        };
        let own = namespaces.contains(CloneFlags::CLONE_NEWNS);
        let mounts = if own { Some(look("ns/mnt", 0)?) } else { None };
        Some(Aftermath { root: look("root", libc::O_PATH)?.into(), directory: look("cwd", 0)?, mounts })
    }
}

/// Where programs are looked for in a container with an environment of its own.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The program that a plan ends with.
pub fn command(plan: &Plan) -> Option<&Command> {
    plan.stage(Stage::Exec).find_map(|op| match &op.call {
        Call::Execute(command) => Some(command),
        _ => None,
    })
}

/// Becomes the program, or says over the wire why that is not possible.
pub fn become_it(plan: &Plan, mut process: Process, wire: Wire, wanted: Vec<&'static str>) -> i32 {
    let ready = settle(&process);
    let fault = match (ready, std::mem::replace(&mut process.program, Program::Planned)) {
        (Err(fault), _) => fault,
        (Ok(()), Program::Planned) => exec(plan, &wire, wanted),
        (Ok(()), Program::Call(run)) => match seal(plan) {
            Ok(()) => {
                drop(wire);
                return run();
            }
            Err(fault) => fault,
        },
        (Ok(()), Program::Prepared(prepare, run)) => match prepare().and_then(|()| seal(plan)) {
            Ok(()) => {
                drop(wire);
                return run();
            }
            Err(fault) => fault,
        },
    };
    let status = fault.status();
    let _ = wire.say(&FromInside::Failed(fault));
    status
}

/// Gives up what the program is not to have. Nobody hears of it from here.
fn seal(plan: &Plan) -> Result<(), Fault> {
    let (mut silence, mut given) = (Silence, Given::default());
    let mut hands = Hands::inside(&mut silence, &mut given);
    plan.stage(Stage::Seal).try_for_each(|op| hands.carry_out(op))
}

/// Standard streams, terminal and signals as a program expects them.
fn settle(process: &Process) -> Result<(), Fault> {
    if process.terminal.as_ref().is_some_and(|terminal| terminal.own_job) {
        setpgid(getpid(), getpid()).doing("setpgid")?;
        tcsetpgrp(std::io::stdin(), getpid()).doing("tcsetpgrp")?;
    }
    if let Some(fd) = &process.stdio.stdin {
        nix::unistd::dup2_stdin(fd.as_fd()).doing("dup2")?;
    }
    if let Some(fd) = &process.stdio.stdout {
        nix::unistd::dup2_stdout(fd.as_fd()).doing("dup2")?;
    }
    if let Some(fd) = &process.stdio.stderr {
        nix::unistd::dup2_stderr(fd.as_fd()).doing("dup2")?;
    }
    if process.passes_signals_on {
        signals::pass_on();
    } else {
        signals::reset();
    }
    Ok(())
}

/// Looks the program up as a shell would, and runs it. Returns what was wrong.
fn exec(plan: &Plan, wire: &Wire, wanted: Vec<&'static str>) -> Fault {
    let (path, execve) = match look_up(plan) {
        Ok(found) => found,
        Err(fault) => return fault,
    };
    match last_calls(plan, &execve, wire, wanted) {
        Ok(fault) => explain(&path).unwrap_or(fault),
        Err(fault) => fault,
    }
}

// ANCHOR: unshare-pid-exec
/// The calls after which there is nobody to tell of them. So all are told before the first is made: what came of them
/// is seen from the host. Nothing of ours comes between the last one and execve(2). Returns what refused that.
fn last_calls(plan: &Plan, execve: &Execve, wire: &Wire, wanted: Vec<&'static str>) -> Result<Fault, Fault> {
    let mut upward = Upward::new(wire, wanted);
    let mut calls = Caller::new(Actor::Container, &mut upward);
    for op in plan.stage(Stage::Seal) {
        calls.speak_of(op.step, op.source);
        calls.announce(op.why, op.call.name(), op.call.args())?;
    }
    if let Some(op) = plan.stage(Stage::Exec).last() {
        calls.speak_of(op.step, op.source);
    }
    calls.announce_execve("exec", execve)?;
    seal(plan)?;
    Ok(calls.execve("exec", execve))
}
// ANCHOR_END: unshare-pid-exec

/// The program's file, and an execve(2) of it that needs nothing more.
fn look_up(plan: &Plan) -> Result<(PathBuf, Execve), Fault> {
    let missing = || Fault::program(127, "program-not-found", &[("program", ""), ("path", PATH)]);
    let command = command(plan).ok_or_else(missing)?;
    let (argv, environment) = (&command.argv, environment(command)?);
    let path = find(argv.first().ok_or_else(missing)?, &environment)?;
    let texts =
        |list: &[OsString]| list.iter().map(|s| CString::new(s.as_bytes())).collect::<Result<Vec<_>, _>>();
    let (Ok(name), Ok(args), Ok(envp)) =
        (CString::new(path.as_os_str().as_bytes()), texts(argv), texts(&environment))
    else {
        return Err(Fault::usage("nul-in-argument", &[]));
    };
    Ok((path, Execve::new(name, args, envp)))
}

/// The environment: a small one of its own, or the caller's, and what was asked for besides.
pub(super) fn environment(command: &Command) -> Result<Vec<OsString>, Fault> {
    let mut list = own_or_callers(command.own_environment);
    let mut set = |pair: OsString| {
        let name = |pair: &OsString| pair.as_bytes().split(|byte| *byte == b'=').next().map(<[u8]>::to_vec);
        list.retain(|known| name(known) != name(&pair));
        list.push(pair);
    };
    if let Some(user) = &command.user {
        let mut home = OsString::from("HOME=");
        home.push(user.find()?.home.unwrap_or("/".into()));
        set(home);
    }
    command.environment.iter().cloned().for_each(set);
    Ok(list)
}

/// It may hold any bytes, not only text.
fn own_or_callers(own: bool) -> Vec<OsString> {
    let pair = |name: &OsStr, value: &OsStr| {
        let mut pair = name.to_owned();
        pair.push("=");
        pair.push(value);
        pair
    };
    if !own {
        return std::env::vars_os().map(|(name, value)| pair(&name, &value)).collect();
    }
    let from_caller = |name: &&str| Some(pair(OsStr::new(name), &std::env::var_os(name)?));
    let mut list: Vec<OsString> = vec![format!("PATH={PATH}").into(), "HOME=/root".into()];
    list.extend(["TERM", "COLORTERM"].iter().filter_map(from_caller));
    list
}

/// The file that a command name stands for: as it is with a slash in it, else the first in PATH.
pub fn find(name: &OsStr, environment: &[OsString]) -> Result<PathBuf, Fault> {
    if name.as_bytes().contains(&b'/') {
        return Ok(name.into());
    }
    let path = environment.iter().find_map(|e| e.as_bytes().strip_prefix(b"PATH="));
    let path = path.map_or(PATH.into(), String::from_utf8_lossy);
    let candidates = path.split(':').map(|dir| Path::new(dir).join(name));
    let mut refused = None;
    for candidate in candidates {
        if access(&candidate, AccessFlags::X_OK).is_ok() && candidate.is_file() {
            return Ok(candidate);
        }
        if candidate.is_file() {
            refused = Some(candidate);
        }
    }
    // A file that is there but may not be run is the better thing to complain about.
    Err(refused.and_then(|path| explain(&path)).unwrap_or_else(|| {
        let name = name.to_string_lossy();
        Fault::program(127, "program-not-found", &[("program", &name), ("path", &path)])
    }))
}
