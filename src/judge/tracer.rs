//! Follows a judged program and all that it starts by ptrace(2). The kernel stops each process at its execve(2),
//! after the new program is there and before its first instruction: the one moment at which it can be told what
//! was so *before* the program ran. It also stops for each new process, so that they can be counted.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

use super::part::{ACT, arguments, is_ours};
use crate::container::Exit;
use crate::fault::{Doing, Fault};
use crate::kernel::process;

/// Processes and threads that a program may have at a time.
pub const CROWD: usize = 512;

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
    /// All that CMD and its children have started.
    kin: Vec<Pid>,
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
            kin: Vec::new(),
            crowded: false,
        })
    }

    /// Handles the stops that have come, and those that come of that; but not for ever, for whoever forks without end
    /// has always something to tell.
    pub fn turn(&mut self) -> Result<(), Fault> {
        for _ in 0..16 {
            if self.crowded || !self.round()? {
                break;
            }
        }
        Ok(())
    }

    /// Asks once for each process. Says whether any had something to tell.
    fn round(&mut self) -> Result<bool, Fault> {
        let mut any = false;
        for pid in self.alive.clone() {
            if self.held && self.cmd == Some(pid) {
                continue;
            }
            match waitpid(pid, Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WALL)) {
                Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => {}
                Ok(status) => {
                    any = true;
                    self.stopped(pid, status)?;
                }
                // A thread that went when another called execve(2).
                Err(_) => self.gone(pid),
            }
        }
        Ok(any)
    }

    fn stopped(&mut self, pid: Pid, status: WaitStatus) -> Result<(), Fault> {
        match status {
            WaitStatus::Exited(_, code) => self.ended(pid, Exit::Code(code)),
            WaitStatus::Signaled(_, signal, _) => self.ended(pid, Exit::Signal(signal as i32)),
            WaitStatus::PtraceEvent(_, signal, event) => self.event(pid, signal, event)?,
            WaitStatus::Stopped(_, signal) => go_on(pid, Some(signal)),
            _ => go_on(pid, None),
        }
        Ok(())
    }

    fn event(&mut self, pid: Pid, signal: Signal, event: i32) -> Result<(), Fault> {
        match event {
            libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => {
                match ptrace::getevent(pid) {
                    Ok(child) => self.born(Pid::from_raw(child as i32), pid),
                    // Killed before it could be asked whom it has started.
                    Err(_) => self.find_strays(),
                }
                go_on(pid, None);
            }
            libc::PTRACE_EVENT_EXEC if self.cmd.is_none() && self.is_cmd(pid) => {
                self.cmd = Some(pid);
                self.held = true;
            }
            // Stopped as a job is, not for us: it may stay so until it is continued (PTRACE_LISTEN, ptrace(2)).
            libc::PTRACE_EVENT_STOP if is_job_stop(signal) => listen(pid),
            _ => go_on(pid, None),
        }
        Ok(())
    }

    fn born(&mut self, child: Pid, parent: Pid) {
        self.alive.insert(child);
        self.crowded |= self.alive.len() > CROWD;
        if self.cmd == Some(parent) || self.kin.contains(&parent) {
            self.kin.push(child);
        }
    }

    /// Takes in those that are followed without our having been told of them. As long as one of them, even a dead
    /// one, is not waited for by us, its container is not gone.
    fn find_strays(&mut self) {
        let me = std::process::id().to_string();
        let tasks = |pid: i32| process::pids(Path::new(&format!("/proc/{pid}/task")));
        let follower = |pid: &i32| process::status(Path::new("/proc"), &pid.to_string(), "TracerPid");
        let all = process::pids(Path::new("/proc")).into_iter().flat_map(tasks);
        self.alive.extend(all.filter(|pid| follower(pid).as_ref() == Some(&me)).map(Pid::from_raw));
    }

    fn ended(&mut self, pid: Pid, exit: Exit) {
        if pid == self.program {
            self.exit = Some(exit);
        }
        self.gone(pid);
    }

    fn gone(&mut self, pid: Pid) {
        self.alive.remove(&pid);
    }

    /// Whether a process has just become CMD. A wrapper on the way there has the same words among its own.
    fn is_cmd(&self, pid: Pid) -> bool {
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

    /// Lets CMD run.
    pub fn release(&mut self) {
        if let (true, Some(pid)) = (std::mem::take(&mut self.held), self.cmd) {
            go_on(pid, None);
        }
    }

    /// Whether CMD still is.
    pub fn cmd_alive(&self) -> bool {
        self.cmd.is_some_and(|pid| self.alive.contains(&pid))
    }

    /// Whether CMD had children, and all that it and they have started has ended.
    pub fn is_childless_again(&self) -> bool {
        !self.kin.is_empty() && self.kin.iter().all(|pid| !self.alive.contains(pid))
    }

    /// How many of them nobody has waited for since they ended.
    pub fn zombies(&self) -> usize {
        let state = |pid: &Pid| process::status(Path::new("/proc"), &pid.to_string(), "State");
        self.kin.iter().filter(|pid| state(pid).is_some_and(|state| state.starts_with('Z'))).count()
    }

    /// Ends all of them, and waits until they have: one that is followed is not gone before its follower has
    /// been told, and a PID namespace does not end before the last of its processes is gone.
    pub fn end(&mut self) {
        let until = Instant::now() + Duration::from_secs(10);
        self.held = false;
        while Instant::now() < until {
            for pid in &self.alive {
                let _ = kill(*pid, Signal::SIGKILL);
            }
            // Some were born while their parents were ended, who could not tell of them any more.
            while let Some(pid) = next_of_ours() {
                let _ = kill(pid, Signal::SIGKILL);
                match waitpid(pid, Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WALL)) {
                    Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(_) => self.gone(pid),
                    Ok(_) => {}
                }
            }
            self.alive.retain(|pid| kill(*pid, None).is_ok());
            if self.alive.is_empty() {
                return;
            }
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

    /// Physical memory of all of them, in bytes: the second field of `/proc/PID/statm`, in pages (proc_pid_statm(5)).
    pub fn memory(&self) -> u64 {
        let pages = |pid: &Pid| -> Option<u64> {
            fs::read_to_string(format!("/proc/{pid}/statm")).ok()?.split(' ').nth(1)?.parse().ok()
        };
        self.alive.iter().filter_map(pages).sum::<u64>() * 4096
    }
}

/// A process that we follow and that has something to tell, which it goes on having.
fn next_of_ours() -> Option<Pid> {
    let flags = WaitPidFlag::WEXITED
        | WaitPidFlag::WSTOPPED
        | WaitPidFlag::WNOHANG
        | WaitPidFlag::WNOWAIT
        | WaitPidFlag::__WALL;
    let pid = waitid(Id::All, flags).ok()?.pid()?;
    // A child of ours that we don't follow is somebody else's to wait for.
    let tracer = process::status(Path::new("/proc"), &pid.to_string(), "TracerPid")?;
    (tracer == std::process::id().to_string()).then_some(pid)
}

/// Continues a process; one that was killed meanwhile can't be.
fn go_on(pid: Pid, signal: Option<Signal>) {
    let _ = ptrace::cont(pid, signal);
}

/// `PTRACE_LISTEN`, which nix does not have.
fn listen(pid: Pid) {
    let none = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: no memory is read or written.
    unsafe { libc::ptrace(libc::PTRACE_LISTEN, pid.as_raw(), none, none) };
}

fn is_job_stop(signal: Signal) -> bool {
    matches!(signal, Signal::SIGSTOP | Signal::SIGTSTP | Signal::SIGTTIN | Signal::SIGTTOU)
}

/// Tracing one's own children is refused only where a setting forbids all of it.
fn refused(errno: Errno) -> Fault {
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    match (errno, scope.trim()) {
        (Errno::EPERM, "3") => Fault::unable("ptrace-off", &[]),
        _ => Result::<(), _>::Err(errno).doing("ptrace(PTRACE_SEIZE)").unwrap_err(),
    }
}
