//! Follows a judged program and all that it starts by ptrace(2). The kernel stops each process at its execve(2),
//! after the new program is there and before its first instruction: the one moment at which it can be told what
//! was so *before* the program ran. It also stops for each new process, so that they can be counted.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::news::{self, News};
use super::part::{ACT, is_ours};
use claims::fate::CROWD;
use engine::Exit;
use fault::Fault;
use kernel::process::{self, arguments};
use kernel::wait::Wait;

/// How long a thread may take to stand still that is asked to.
const HALT: Duration = Duration::from_millis(500);

/// One program and its descendants.
pub struct Tracer {
    program: Pid,
    alive: BTreeSet<Pid>,
    /// What CMD's arguments hold.
    token: String,
    /// CMD, once it was seen.
    cmd: Option<Pid>,
    held: bool,
    exit: Option<Exit>,
    cmd_exit: Option<Exit>,
    /// PROGRAM ended, and CMD had not.
    outlived: bool,
    /// All that CMD and its children have started, and those of them that CMD is not the parent of.
    kin: Vec<Pid>,
    orphans: Vec<Pid>,
    /// Nobody is told of the ends of orphans yet.
    gathers: bool,
    /// Words that another of our own programs than CMD was started with, where CMD was to be.
    astray: Option<Vec<OsString>>,
    /// There were more than [`CROWD`].
    pub crowded: bool,
}

impl Tracer {
    /// Begins to follow PROGRAM, which waits for a word of ours before its execve(2).
    pub fn seize(program: Pid, token: String) -> Result<Tracer, Fault> {
        let options = Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_EXITKILL;
        ptrace::seize(program, options).map_err(refused)?;
        Ok(Tracer {
            program,
            alive: BTreeSet::from([program]),
            token,
            cmd: None,
            held: false,
            exit: None,
            cmd_exit: None,
            outlived: false,
            kin: Vec::new(),
            orphans: Vec::new(),
            gathers: false,
            astray: None,
            crowded: false,
        })
    }

    /// Handles the stops that have come, and those that come of that; but not for ever, for whoever forks without end
    /// has always something to tell.
    pub fn turn(&mut self) {
        for _ in 0..16 {
            if self.crowded || !self.round() {
                break;
            }
        }
    }

    /// Asks once for each process. Says whether any had something to tell.
    fn round(&mut self) -> bool {
        let mut any = false;
        for pid in self.alive.clone() {
            let is_gathered = self.gathers && self.orphans.contains(&pid) && is_zombie(pid);
            if is_gathered || self.held && self.cmd == Some(pid) {
                continue;
            }
            let news = news::of(pid);
            any |= news != News::None;
            self.hear(pid, news);
        }
        self.find_stray() || any
    }

    fn hear(&mut self, pid: Pid, news: News) {
        match news {
            News::None => {}
            News::Ended(exit) => self.ended(pid, exit),
            // A thread that went when another called execve(2).
            News::Stranger => self.gone(pid),
            News::Event { event, signal } => self.event(pid, event, signal),
            News::Signal(signal) => go_on(pid, signal),
        }
    }

    fn event(&mut self, pid: Pid, event: i32, signal: i32) {
        match event {
            libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => {
                if let Ok(child) = ptrace::getevent(pid) {
                    self.born(Pid::from_raw(child as i32), pid);
                }
                go_on(pid, 0);
            }
            libc::PTRACE_EVENT_EXEC if self.cmd.is_none() && self.is_cmd(pid) => {
                self.cmd = Some(pid);
                self.held = true;
                self.outlived |= self.exit.is_some();
            }
            libc::PTRACE_EVENT_EXEC => {
                self.look_for_astray(pid);
                go_on(pid, 0);
            }
            // Stopped as a job is, not for us: it may stay so until it is continued (PTRACE_LISTEN, ptrace(2)).
            libc::PTRACE_EVENT_STOP if is_job_stop(signal) => listen(pid),
            _ => go_on(pid, 0),
        }
    }

    fn born(&mut self, child: Pid, parent: Pid) {
        self.alive.insert(child);
        self.crowded |= self.alive.len() > CROWD;
        if self.cmd == Some(parent) || self.kin.contains(&parent) {
            self.kin.push(child);
        }
        if self.kin.contains(&parent) {
            self.orphans.push(child);
        }
    }

    /// Takes note of a program of ours that is not CMD. One that judged programs are made of is on the way to CMD.
    fn look_for_astray(&mut self, pid: Pid) {
        let is_on_the_way = |word: &OsString| word == "run" || word.to_string_lossy().starts_with(ACT);
        if self.cmd.is_none() && is_ours(Path::new(&format!("/proc/{pid}/exe"))) {
            let words = arguments(pid);
            self.astray = (!words.iter().any(is_on_the_way)).then_some(words);
        }
    }

    /// What CMD was started with in place of what it was to be given, if that is known.
    pub fn astray(&self) -> Option<&[OsString]> {
        self.astray.as_deref()
    }

    /// From now on nobody is told that an orphan of CMD's has ended: its parent is told when its follower has been.
    pub fn gather(&mut self) {
        self.gathers = true;
    }

    /// Whether all orphans have ended that nobody has been told of.
    pub fn has_gathered(&self) -> bool {
        !self.orphans.is_empty() && self.orphans.iter().all(|pid| is_zombie(*pid))
    }

    /// Tells of all of them at once. Whoever is to wait for them stands still meanwhile: however busy the machine is, it
    /// is sent a signal for each and finds one for all (signal(7), "Queueing and delivery semantics").
    pub fn tell(&mut self) {
        self.gathers = false;
        let halted = self.halt_heirs();
        let ends: Vec<(Pid, News)> = self.orphans.iter().map(|pid| (*pid, news::of(*pid))).collect();
        ends.into_iter().for_each(|(pid, news)| self.hear(pid, news));
        halted.into_iter().for_each(|pid| go_on(pid, 0));
    }

    /// Stops whoever the orphans were left to, with all threads; those that stand still in time.
    fn halt_heirs(&mut self) -> Vec<Pid> {
        let field = |pid: &Pid, name: &str| process::status(Path::new("/proc"), &pid.to_string(), name);
        let heirs: BTreeSet<String> = self.orphans.iter().filter_map(|pid| field(pid, "PPid")).collect();
        let threads =
            self.alive.iter().filter(|pid| field(pid, "Tgid").is_some_and(|group| heirs.contains(&group)));
        let threads: Vec<Pid> = threads.copied().collect();
        threads.into_iter().filter(|pid| self.halt(*pid)).collect()
    }

    /// Stops one thread (`PTRACE_INTERRUPT`), and says whether it stands still.
    fn halt(&mut self, pid: Pid) -> bool {
        let wait = Wait::begin(HALT);
        let asked = ptrace::interrupt(pid).is_ok();
        while asked && !wait.is_over() && self.alive.contains(&pid) {
            match news::of(pid) {
                News::Event { event: libc::PTRACE_EVENT_STOP, signal: libc::SIGTRAP } => return true,
                News::None => std::thread::sleep(Duration::from_micros(200)),
                // It goes on from that, and stops then.
                news => self.hear(pid, news),
            }
        }
        false
    }

    /// Takes in one that is followed without our having been told of it: its parent was killed before it could say
    /// whom it had started. It would stay stopped, and as long as one of them, even a dead one, is not waited for by
    /// us, its container is not gone. Says whether there was one.
    fn find_stray(&mut self) -> bool {
        let stray = news::any().filter(|pid| !self.alive.contains(pid) && is_followed(*pid));
        self.alive.extend(stray);
        self.crowded |= self.alive.len() > CROWD;
        stray.is_some()
    }

    /// Nobody is told of the end of its child before its follower is, so that whoever has waited for CMD ends later.
    fn ended(&mut self, pid: Pid, exit: Exit) {
        if self.cmd == Some(pid) {
            self.cmd_exit = Some(exit);
        }
        self.gone(pid);
        if pid == self.program {
            self.exit = Some(exit);
            self.outlived |= self.cmd_alive();
        }
    }

    fn gone(&mut self, pid: Pid) {
        self.alive.remove(&pid);
    }

    /// Whether a process has become CMD. A wrapper on the way there has the same words among its own.
    pub fn is_cmd(&self, pid: Pid) -> bool {
        let words = arguments(pid);
        words.get(1).is_some_and(|word| word.to_string_lossy().starts_with(ACT))
            && words.iter().any(|word| word.to_string_lossy().contains(&self.token))
            && is_ours(Path::new(&format!("/proc/{pid}/exe")))
    }

    /// CMD, if it was ever there.
    pub fn cmd(&self) -> Option<Pid> {
        self.cmd
    }

    /// Whether CMD stands before its first instruction.
    pub fn holds(&self) -> bool {
        self.held && self.cmd.is_some_and(|pid| self.alive.contains(&pid))
    }

    /// Whether CMD has stood there all the time. Only SIGKILL moves one that is held, and anybody may send it.
    pub fn still_holds(&self) -> bool {
        let state = |pid: Pid| process::status(Path::new("/proc"), &pid.to_string(), "State");
        self.holds() && self.cmd.and_then(state).is_some_and(|state| state.starts_with('t'))
    }

    /// Lets CMD run.
    pub fn release(&mut self) {
        if let (true, Some(pid)) = (std::mem::take(&mut self.held), self.cmd) {
            go_on(pid, 0);
        }
    }

    /// Whether CMD still is.
    pub fn cmd_alive(&self) -> bool {
        self.cmd.is_some_and(|pid| self.alive.contains(&pid))
    }

    /// Whether PROGRAM ended before CMD did.
    pub fn cmd_outlived(&self) -> bool {
        self.outlived
    }

    /// How CMD ended, if it has.
    pub fn cmd_exit(&self) -> Option<Exit> {
        self.cmd_exit
    }

    /// Whether nobody is left who could become CMD.
    pub fn is_deserted(&self) -> bool {
        self.alive.is_empty()
    }

    /// Whether CMD had children, and all that it and they have started has ended.
    pub fn is_childless_again(&self) -> bool {
        !self.kin.is_empty() && self.kin.iter().all(|pid| !self.alive.contains(pid))
    }

    /// How many of them nobody has waited for since they ended.
    pub fn zombies(&self) -> usize {
        self.kin.iter().filter(|pid| is_zombie(**pid)).count()
    }

    /// Ends all of them, and waits until they have: one that is followed is not gone before its follower has
    /// been told, and a PID namespace does not end before the last of its processes is gone.
    pub fn end(&mut self) {
        let until = Instant::now() + Duration::from_secs(10);
        self.held = false;
        while !self.alive.is_empty() && Instant::now() < until {
            self.alive.retain(|pid| !has_been_ended(*pid));
            end_the_untold();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// How PROGRAM ended, if it has.
    pub fn exit(&self) -> Option<Exit> {
        self.exit
    }

    /// PROGRAM itself.
    pub fn program(&self) -> Pid {
        self.program
    }

    /// Physical memory of all of them, in bytes: the second field of `/proc/PID/statm`, in pages
    /// (proc_pid_statm(5)). Threads have the memory of their process, which is counted once.
    pub fn memory(&self) -> u64 {
        let pages = |pid: &Pid| -> Option<u64> {
            let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
            text.split(' ').nth(1)?.parse().ok()
        };
        self.alive.iter().filter(|pid| is_process(**pid)).filter_map(pages).sum::<u64>() * page_size()
    }
}

fn is_zombie(pid: Pid) -> bool {
    let state = process::status(Path::new("/proc"), &pid.to_string(), "State");
    state.is_some_and(|state| state.starts_with('Z'))
}

/// Whether an ID is a whole process's, and not that of one more thread in it (`Tgid`, proc_pid_status(5)).
fn is_process(id: Pid) -> bool {
    let group = process::status(Path::new("/proc"), &id.to_string(), "Tgid");
    group.is_some_and(|group| group == id.to_string())
}

/// Bytes in a page: not 4096 everywhere.
fn page_size() -> u64 {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
    size.and_then(|size| u64::try_from(size).ok()).unwrap_or(4096)
}

/// Ends a process that we follow, and says whether it was, and we were told so. As long as we were not, nobody else
/// can have got its PID.
fn has_been_ended(pid: Pid) -> bool {
    match news::of(pid) {
        News::Ended(_) | News::Stranger => true,
        _ => {
            let _ = kill(pid, Signal::SIGKILL);
            false
        }
    }
}

/// Ends those that nobody has told us of: they were born while their parents were ended.
pub fn end_the_untold() {
    while let Some(pid) = news::any().filter(|pid| is_followed(*pid)) {
        let _ = kill(pid, Signal::SIGKILL);
        let _ = news::of(pid);
    }
}

/// Whether a process is followed by us. A child of ours that is not is somebody else's to wait for.
fn is_followed(pid: Pid) -> bool {
    let tracer = process::status(Path::new("/proc"), &pid.to_string(), "TracerPid");
    tracer.is_some_and(|tracer| tracer == std::process::id().to_string())
}

/// Continues a process and delivers a signal to it, 0 for none; one that was killed meanwhile can't be continued.
fn go_on(pid: Pid, signal: i32) {
    let (none, signal) = (std::ptr::null_mut::<libc::c_void>(), libc::c_long::from(signal));
    // SAFETY: no memory is read or written. nix's function takes no real-time signals.
    unsafe { libc::ptrace(libc::PTRACE_CONT, pid.as_raw(), none, signal) };
}

/// `PTRACE_LISTEN`, which nix does not have.
fn listen(pid: Pid) {
    let none = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: no memory is read or written.
    unsafe { libc::ptrace(libc::PTRACE_LISTEN, pid.as_raw(), none, none) };
}

fn is_job_stop(signal: i32) -> bool {
    matches!(signal, libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU)
}

/// Tracing one's own children is refused only where a setting forbids all of it.
fn refused(errno: Errno) -> Fault {
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    match (errno, scope.trim()) {
        (Errno::EPERM, "3") => Fault::unable("ptrace-off", &[]),
        _ => Fault::broken("ptrace(PTRACE_SEIZE)", errno),
    }
}
