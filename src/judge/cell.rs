//! The cell: a throw-away host in the lab, with everything that a container could leave a trace in. What runs in
//! it is root there; it changes the learner's machine not by mistake, and does not outlive the cell.
//!
//! It is no place for programs that nobody trusts: the real root may make every mount writable again (mount(2)), open
//! disks, and freeze processes by a hierarchy of its own (cgroups(7)), in the cell as elsewhere. An ordinary user's
//! program can do there what that user can.
//!
//! It is a container like the others, made by the same walk, whose first process starts the judged program.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::slice;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{ForkResult, Pid, fork, pipe2, setsid};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::exec::exec;
use super::ground::{self, Ground};
use super::table::Table;
use super::tracer;
use claims::fate::{self, ROOM};
use claims::sight::{Identity, Network, Subject, network};
use claims::surroundings::Surroundings;
use engine::op::{Call, Ops};
use engine::plan::Stage;
use engine::{Container, OnHost, Plan, Process, Program, Site, Spec, Stdio, create, explain_refusal};
use fault::{Doing, Fault};
use kernel::cgroup::{Group, Limits};
use kernel::child::{close_all_but, close_on_exec_above_stderr, guarded};
use kernel::freezer;
use kernel::process;
use kernel::signals;
use kernel::told::Silence;
use lab::Lab;

/// What all processes of a cell may use together, where groups can be made.
const BOUNDS: Limits =
    Limits { memory: Some(fate::MEMORY), pids: Some(ROOM), cpus: Some(8192.0), ..Limits::NONE };

/// The group that PROGRAM itself starts in (v2): one that holds processes may not hand controllers on.
pub const LEAF: &str = "judged";

/// A descriptor that PROGRAM gets besides the three that it needs: a number that each shell can close.
const TOO_MANY: i32 = 9;

/// How long the cell's first process may take for its part.
const PATIENCE: Duration = Duration::from_secs(20);

/// Capabilities that no container runtime needs, and that a real root could harm the machine with
/// (capabilities(7)): modules, ports, the clock, reboot, the kernel's log, access control, alarms.
const DROPPED: [u8; 9] = [16, 17, 22, 25, 32, 33, 34, 35, 36];

/// A program to be started: its arguments and its standard streams.
pub struct Launch {
    pub argv: Vec<OsString>,
    pub streams: [OwnedFd; 3],
}

/// A cell, with programs that wait to be started in it.
pub struct Cell {
    pub container: Container,
    pub ground: Ground,
    start: File,
    ready: OwnedFd,
    seized: File,
    /// The host's freezer groups before PROGRAM, and those that what is in the cell was found in.
    freezers: BTreeSet<PathBuf>,
    frozen: BTreeSet<PathBuf>,
}

impl Cell {
    /// Makes a cell in which LAUNCHES can be started, one after the other.
    pub fn new(lab: &Lab, ground: Ground, launches: Vec<Launch>, grouped: bool) -> Result<Cell, Fault> {
        let pipe = || pipe2(OFlag::O_CLOEXEC).doing("make a pipe");
        let ((start_r, start), (ready, ready_w), (seized_r, seized)) = (pipe()?, pipe()?, pipe()?);
        let spec = Spec { processes: true, limits: grouped.then_some(BOUNDS), ..Spec::default() };
        let site = Site::in_lab(lab, &spec)?;
        let (here, groups) = (ground.clone(), site.groups());
        let prepare = move || {
            groups.iter().try_for_each(|group| group.hand_on_below(LEAF))?;
            lab::loopback_up()?;
            ground::lay(&here, &groups)
        };
        let here = ground.clone();
        let keep = move || {
            let keeper = Keeper { start: start_r, ready: ready_w.into(), seized: seized_r.into(), launches };
            keeper.run(&here)
        };
        let program = Program::Prepared(Box::new(prepare), Box::new(keep));
        let process = Process { stdio: Stdio::quiet()?.0, ..Process::new(program) };
        let on_host = OnHost::new(&spec, &site)?;
        let mut container = create(plan(&spec, &site)?, process, on_host, lab, &mut Silence)?;
        container.start(&mut Silence)?;
        let (start, seized) = (start.into(), seized.into());
        let (freezers, frozen) = (freezer::groups(), BTreeSet::new());
        Ok(Cell { container, ground, start, ready, seized, freezers, frozen })
    }

    /// Starts the next program, up to the point where it waits to be followed. Returns its PID.
    pub fn launch(&mut self) -> Result<Pid, Fault> {
        self.start.write_all(b"g").doing("ask the cell for a program")?;
        let mut ready = [PollFd::new(self.ready.as_fd(), PollFlags::POLLIN)];
        let patience = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::MAX);
        poll(&mut ready, patience).doing("wait for the cell")?;
        let mut byte = [0; 1];
        let n = nix::unistd::read(&self.ready, &mut byte).doing("hear the cell")?;
        let waits = |pid: &i32| process::never_executed(Pid::from_raw(*pid));
        let child = Table::read().children(self.container.pid.as_raw()).find(waits);
        match child {
            Some(pid) if n == 1 => Ok(Pid::from_raw(pid)),
            _ => Err(Fault::broken("start the judged program", "the cell has no process for it")),
        }
    }

    /// Lets the program that waits become what it is to be.
    pub fn go(&mut self) -> Result<(), Fault> {
        self.seized.write_all(b"s").doing("let the judged program run")
    }

    /// Why the program could not even be started, if that is so.
    pub fn refusal(&self) -> Option<Fault> {
        let mut told = PollFd::new(self.ready.as_fd(), PollFlags::POLLIN);
        poll(slice::from_mut(&mut told), PollTimeout::ZERO).ok().filter(|_| told.any() == Some(true))?;
        let mut text = [0; 4096];
        let length = nix::unistd::read(&self.ready, &mut text).ok()?;
        serde_json::from_slice(text.get(..length)?).ok()
    }

    /// Whether its first process ends or has ended, and with it everything in it: it has left its namespaces. It may
    /// still wait for the others to be gone (pid_namespaces(7)).
    pub fn is_over(&self) -> bool {
        fs::read_link(format!("/proc/{}/ns/mnt", self.container.pid)).is_err()
    }

    /// Whether all of it is gone. Nobody has waited for the first process yet, so that its PID is still its own.
    fn is_gone(&self) -> bool {
        let state = process::status(Path::new("/proc"), &self.container.pid.to_string(), "State");
        state.is_none_or(|state| state.starts_with('Z'))
    }

    /// PIDs of all that is in the cell, besides its first process: those whose PID namespace is the cell's or
    /// one in it.
    pub fn processes(&self) -> Vec<i32> {
        let (first, table) = (self.container.pid.as_raw(), Table::read());
        let own = process::namespace(&first.to_string(), "pid");
        let floor = table.depth(first).unwrap_or(0);
        let inside = |pid: &i32| match table.depth(*pid).map(|depth| depth.cmp(&floor)) {
            _ if *pid == first => false,
            Some(Ordering::Equal) => process::namespace(&pid.to_string(), "pid") == own,
            Some(Ordering::Greater) => table.descends(*pid, first),
            Some(Ordering::Less) | None => false,
        };
        table.pids().filter(inside).collect()
    }

    /// Lets those go on that were frozen, so that they can be ended. A real root can reach the host's freezer.
    pub fn thaw(&mut self) {
        self.frozen.extend(self.processes().into_iter().filter_map(freezer::thaw));
    }

    /// The cell's groups.
    pub fn groups(&self) -> &[Group] {
        &self.container.on_host.groups
    }
}

impl Surroundings for Cell {
    fn pid(&self) -> Pid {
        self.container.pid
    }

    fn groups(&self) -> &[Group] {
        &self.container.on_host.groups
    }

    fn leaf(&self) -> Option<&str> {
        Some(LEAF)
    }

    fn processes(&self) -> Vec<i32> {
        Cell::processes(self)
    }

    fn look<T: Serialize + DeserializeOwned>(&self, look: impl FnOnce() -> T) -> Result<T, Fault> {
        self.container.look(look)
    }

    fn roots_below(&self) -> Result<Vec<Identity>, Fault> {
        Subject::of(self.container.pid)?.roots_below()
    }

    /// That of its nearest ancestor in another one: the cell's, unless PROGRAM keeps its bridge in a network of its own,
    /// as one without root's rights over the host's has to.
    fn network(&self, cmd: Pid) -> Result<Network, Fault> {
        let of = |pid: i32| process::namespace(&pid.to_string(), "net");
        let parent = |pid: &i32| -> Option<i32> {
            process::status(Path::new("/proc"), &pid.to_string(), "PPid")?.parse().ok()
        };
        let ancestors = std::iter::successors(Some(cmd.as_raw()), parent).take(64);
        let mut line = ancestors.take_while(|pid| *pid != self.container.pid.as_raw());
        let outside = line.find(|pid| of(*pid) != of(cmd.as_raw())).map_or(self.container.pid, Pid::from_raw);
        Subject::of(outside)?.look(|| network(false))
    }
}

impl Drop for Cell {
    /// A PID namespace ends when the last of its processes is gone, and one that was followed when its follower has
    /// been told: nobody may be left who was born too late for [`Tracer::end`](super::tracer::Tracer::end).
    fn drop(&mut self) {
        let _ = self.container.signal(libc::SIGKILL);
        self.thaw();
        let until = Instant::now() + PATIENCE;
        while !self.is_gone() && Instant::now() < until {
            tracer::end_the_untold();
            std::thread::sleep(Duration::from_millis(1));
        }
        // Those that PROGRAM made; while somebody else is in one, it can't be removed.
        self.frozen.difference(&self.freezers).for_each(|group| drop(fs::remove_dir(group)));
    }
}

/// What makes a container a cell: all namespaces, and a group for what is in it. It has no view of that group: what is
/// mounted in a cell is laid out by its first process.
fn plan(spec: &Spec, site: &Site) -> Result<Plan, Fault> {
    let mut plan = Plan::new(spec, site)?;
    plan.ops.retain(|op| op.stage != Stage::Mounts);
    let mut ops = Ops::of("cell");
    for kind in [
        CloneFlags::CLONE_NEWNS,
        CloneFlags::CLONE_NEWNET,
        CloneFlags::CLONE_NEWUTS,
        CloneFlags::CLONE_NEWIPC,
    ] {
        ops.add(Stage::Clone, "clone", Call::Namespace(kind));
    }
    plan.ops.extend(ops.list());
    plan.sort();
    Ok(plan)
}

/// The cell's first process. It starts programs and reaps whoever is left to it.
struct Keeper {
    start: OwnedFd,
    ready: File,
    seized: File,
    launches: Vec<Launch>,
}

impl Keeper {
    fn run(mut self, ground: &Ground) -> i32 {
        self.close_what_is_not_ours();
        let children = SigSet::from(Signal::SIGCHLD);
        let _ = children.thread_block();
        let Ok(ends) = SignalFd::with_flags(&children, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK) else {
            return 1;
        };
        self.launches.reverse();
        loop {
            let mut ready = [
                PollFd::new(ends.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.start.as_fd(), PollFlags::POLLIN),
            ];
            let _ = poll(&mut ready, PollTimeout::NONE);
            let asked = ready[1].any() == Some(true);
            while let Ok(Some(_)) = ends.read_signal() {}
            while waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)).is_ok_and(|s| s.pid().is_some()) {}
            let mut byte = [0; 1];
            if asked {
                match (nix::unistd::read(&self.start, &mut byte), self.launches.pop()) {
                    (Ok(1), Some(launch)) => self.launch(launch, ground),
                    // The judge has gone, or asks for more than there is.
                    _ => return 0,
                }
            }
        }
    }

    /// We never call execve(2), so nothing is closed by itself: the judge's ends of the pipes, above all, whose
    /// being open would keep a standard input from ending.
    fn close_what_is_not_ours(&self) {
        let mut kept = vec![0, 1, 2, self.start.as_raw_fd(), self.ready.as_raw_fd(), self.seized.as_raw_fd()];
        kept.extend(self.launches.iter().flat_map(|launch| &launch.streams).map(AsRawFd::as_raw_fd));
        // SAFETY: whoever owns the others is not run in this process.
        unsafe { close_all_but(&kept) };
    }

    fn launch(&mut self, launch: Launch, ground: &Ground) {
        // SAFETY: one thread.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => guarded(|| self.become_program(launch, ground)),
            Ok(ForkResult::Parent { .. }) => {}
            Err(_) => drop(self.ready.write_all(b"x")),
        }
    }

    /// Waits until it is followed, and becomes PROGRAM. Returns only if that is not possible.
    fn become_program(&mut self, launch: Launch, ground: &Ground) -> i32 {
        let _ = setsid();
        let _ = self.ready.write_all(b"r");
        if self.seized.read_exact(&mut [0; 1]).is_err() {
            return 1;
        }
        bound();
        let [stdin, stdout, stderr] = launch.streams;
        let Some((program, arguments)) = launch.argv.split_first() else { return 1 };
        let mut command = Command::new(program);
        command.args(arguments).stdin(stdin).stdout(stdout).stderr(stderr);
        command.env("TMPDIR", "/tmp").env("PATH", &ground.path).current_dir(&ground.work);
        // One of a followed process can't follow it too, as LeakSanitizer does (ptrace(2)).
        command.env("LSAN_OPTIONS", "detect_leaks=0");
        signals::reset();
        let _ = close_on_exec_above_stderr();
        // SAFETY: open(2) and dup2(2), in the process that becomes PROGRAM.
        unsafe { command.pre_exec(give_one_too_many) };
        // Beyond the one that it is given in addition.
        let ready = fcntl(&self.ready, FcntlArg::F_DUPFD_CLOEXEC(TOO_MANY + 1));
        let error = exec(&mut command);
        // Seen from here, where it was to run.
        let fault = explain_refusal(Path::new(program)).unwrap_or_else(|| Fault::broken("execve", error));
        // SAFETY: nobody else has this descriptor.
        let ready = ready.map(|fd| unsafe { File::from_raw_fd(fd) });
        let _ = ready.map(|ready| serde_json::to_writer(ready, &fault));
        127
    }
}

/// Opens a descriptor that nobody asked for, as whoever starts a program may leave it one.
fn give_one_too_many() -> io::Result<()> {
    // SAFETY: the path ends with a zero byte.
    let null = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY) };
    if null != TOO_MANY {
        // SAFETY: only numbers; the program that comes next owns nothing yet.
        unsafe {
            libc::dup2(null, TOO_MANY);
            libc::close(null);
        }
    }
    Ok(())
}

/// What nothing in the cell may have, whoever it is there.
fn bound() {
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    // In a user namespace of its own the kernel counts what was started there (user_namespaces(7)); a real root
    // is bounded by the cell's group instead, where there is one.
    let most = fate::CROWD as u64 * 2;
    let _ = setrlimit(Resource::RLIMIT_NPROC, most, most);
    for capability in DROPPED {
        // SAFETY: prctl(2) with integers. What we don't have can't be dropped, and need not be.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(capability), 0, 0, 0) };
    }
}

/// The end of a pipe that is written to by a judged program: what is read from it is never waited for.
pub fn nonblocking(fd: &OwnedFd) -> Result<(), Fault> {
    // SAFETY: a descriptor that we own.
    let done = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
    nix::errno::Errno::result(done).map(drop).doing("fcntl(O_NONBLOCK)")
}
