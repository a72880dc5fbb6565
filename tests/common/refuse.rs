//! Makes one system call of a running program fail, as a kernel that says no would.
//!
//! strace(1) can do this too (`-e inject=…:when=K`), but counts to K in every process: the container's first
//! mount(2) can't be refused without refusing the workshop's own first. This is the same by ptrace(2) for one
//! process alone: the call's number is replaced by one that doesn't exist, and its result by the error.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::mpsc;

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::{Ran, skip};

/// Which process makes the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The workshop itself.
    Host,
    /// The first process of the first container.
    Container,
    /// Any other; they are counted together.
    Other,
}

/// The call that is to fail.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub side: Side,
    /// The call's name.
    pub name: String,
    /// 1 for the first call of that name on that side.
    pub nth: usize,
    /// Whether all that follow fail too.
    pub lasting: bool,
    pub errno: Errno,
}

/// What came of it.
pub struct Refused {
    pub ran: Ran,
    /// The workshop's PID.
    pub host: Pid,
    /// The first container's first process.
    pub container: Option<Pid>,
    /// Whether the call was made, and so refused.
    pub hit: bool,
    /// Whether it, or a process that it left behind, had to be killed after the time given.
    pub hung: bool,
}

/// Whether this host lets us do that; skips aloud if not.
pub fn can_refuse() -> bool {
    if cfg!(not(target_arch = "x86_64")) {
        skip("refusing a call is written for x86-64's registers", "Run the test there too");
    }
    cfg!(target_arch = "x86_64")
}

/// Runs `command` with one call refused.
pub fn run_refusing(command: &mut Command, refusal: &Refusal) -> Refused {
    let (out, err) = (tempfile::tempfile().expect("a file"), tempfile::tempfile().expect("a file"));
    command.stdout(out.try_clone().expect("dup")).stderr(err.try_clone().expect("dup"));
    // SAFETY: ptrace(2) alone between fork and exec.
    let mut child = unsafe { command.pre_exec(|| Ok(ptrace::traceme()?)) }.spawn().expect("run the program");
    let host = Pid::from_raw(child.id() as i32);
    let (done, guard) = mpsc::channel::<()>();
    let watchdog = std::thread::spawn(move || {
        let hung =
            guard.recv_timeout(super::watch::PATIENCE).is_err_and(|e| e == mpsc::RecvTimeoutError::Timeout);
        hung.then(|| kill(host, Signal::SIGKILL)).is_some()
    });
    let mut tracer = Tracer {
        refusal,
        number: number(&refusal.name),
        host,
        container: None,
        sides: BTreeMap::from([(host, Side::Host)]),
        early: BTreeSet::new(),
        calls: BTreeMap::new(),
        count: 0,
        pending: None,
        hit: false,
    };
    let status = tracer.run();
    // It has been waited for by then.
    let _ = child.wait();
    drop(done);
    let hung = watchdog.join().expect("the watchdog");
    let text = |mut file: std::fs::File| {
        let mut text = String::new();
        file.rewind().and_then(|()| file.read_to_string(&mut text)).expect("UTF-8");
        text
    };
    let ran = Ran { status, stdout: text(out), stderr: text(err) };
    Refused { ran, host, container: tracer.container, hit: tracer.hit, hung }
}

struct Tracer<'r> {
    refusal: &'r Refusal,
    number: i64,
    host: Pid,
    container: Option<Pid>,
    sides: BTreeMap<Pid, Side>,
    /// New processes that stopped before their parent told of them.
    early: BTreeSet<Pid>,
    /// The call that each process is in.
    calls: BTreeMap<Pid, i64>,
    count: usize,
    /// The process whose call was taken away and has no result yet.
    pending: Option<Pid>,
    hit: bool,
}

impl Tracer<'_> {
    /// Until no process is left. Returns the workshop's exit status.
    fn run(&mut self) -> i32 {
        let mut result = -1;
        let mut begun = false;
        // Only what this thread has started: other tests' children are not ours to reap.
        let all = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        loop {
            match waitpid(None, Some(all)) {
                Err(Errno::ECHILD) => return result,
                Err(Errno::EINTR) => {}
                Err(e) => panic!("waitpid: {e}"),
                Ok(WaitStatus::Exited(pid, status)) if pid == self.host => result = status,
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == self.host => result = 128 + signal as i32,
                Ok(WaitStatus::PtraceSyscall(pid)) => self.at_call(pid),
                Ok(WaitStatus::PtraceEvent(pid, _, event)) => self.at_event(pid, event),
                Ok(WaitStatus::Stopped(pid, _)) if pid == self.host && !begun => {
                    begun = true;
                    let options = Options::PTRACE_O_TRACESYSGOOD
                        | Options::PTRACE_O_TRACEFORK
                        | Options::PTRACE_O_TRACEVFORK
                        | Options::PTRACE_O_TRACECLONE
                        | Options::PTRACE_O_TRACEEXEC
                        | Options::PTRACE_O_EXITKILL;
                    ptrace::setoptions(pid, options).expect("ptrace options");
                    go_on(pid, None);
                }
                Ok(WaitStatus::Stopped(pid, Signal::SIGSTOP)) if !self.sides.contains_key(&pid) => {
                    self.early.insert(pid);
                }
                Ok(WaitStatus::Stopped(pid, signal)) => {
                    // A new process begins with a SIGSTOP that is not meant for it.
                    let first = !self.calls.contains_key(&pid) && signal == Signal::SIGSTOP;
                    go_on(pid, (!first).then_some(signal));
                }
                Ok(_) => {}
            }
        }
    }

    /// A process was born, or became another program.
    fn at_event(&mut self, pid: Pid, event: i32) {
        let birth = [libc::PTRACE_EVENT_FORK, libc::PTRACE_EVENT_VFORK, libc::PTRACE_EVENT_CLONE];
        if let (true, Ok(child)) = (birth.contains(&event), ptrace::getevent(pid)) {
            let child = Pid::from_raw(child as i32);
            let cloned = event == libc::PTRACE_EVENT_FORK && self.calls.get(&pid) == Some(&libc::SYS_clone3);
            let first = pid == self.host && cloned && self.container.is_none();
            if first {
                self.container = Some(child);
            }
            self.sides.insert(child, if first { Side::Container } else { Side::Other });
            if self.early.remove(&child) {
                go_on(child, None);
            }
        }
        go_on(pid, None);
    }

    /// A call begins or ends.
    fn at_call(&mut self, pid: Pid) {
        if let Ok(info) = ptrace::syscall_info(pid) {
            if info.op == libc::PTRACE_SYSCALL_INFO_ENTRY {
                // SAFETY: this part of the union goes with that value of `op`.
                let number = unsafe { info.u.entry.nr } as i64;
                self.calls.insert(pid, number);
                if number == self.number && self.sides.get(&pid) == Some(&self.refusal.side) {
                    self.count += 1;
                    let Refusal { nth, lasting, .. } = self.refusal;
                    if self.count == *nth || (*lasting && self.count > *nth) {
                        set_number(pid);
                        self.pending = Some(pid);
                    }
                }
            } else if self.pending == Some(pid) {
                set_result(pid, self.refusal.errno);
                self.pending = None;
                self.hit = true;
            }
        }
        go_on(pid, None);
    }
}

/// Lets a process go on to its next call. One that was killed meanwhile does not, and is heard of again.
fn go_on(pid: Pid, signal: Option<Signal>) {
    let _ = ptrace::syscall(pid, signal);
}

/// Takes the call away: there is none of this number.
#[cfg(target_arch = "x86_64")]
fn set_number(pid: Pid) {
    let mut registers = ptrace::getregs(pid).expect("registers");
    registers.orig_rax = u64::MAX;
    ptrace::setregs(pid, registers).expect("set registers");
}

#[cfg(target_arch = "x86_64")]
fn set_result(pid: Pid, errno: Errno) {
    let mut registers = ptrace::getregs(pid).expect("registers");
    registers.rax = (-(errno as i64)) as u64;
    ptrace::setregs(pid, registers).expect("set registers");
}

#[cfg(not(target_arch = "x86_64"))]
fn set_number(_: Pid) {}

#[cfg(not(target_arch = "x86_64"))]
fn set_result(_: Pid, _: Errno) {}

#[cfg(not(target_arch = "x86_64"))]
fn number(_: &str) -> i64 {
    -1
}

/// The number of a call.
#[cfg(target_arch = "x86_64")]
fn number(name: &str) -> i64 {
    let numbers = [
        ("bind", libc::SYS_bind),
        ("capset", libc::SYS_capset),
        ("chdir", libc::SYS_chdir),
        ("chown", libc::SYS_chown),
        ("clone", libc::SYS_clone),
        ("clone3", libc::SYS_clone3),
        ("close_range", libc::SYS_close_range),
        ("execve", libc::SYS_execve),
        ("fchdir", libc::SYS_fchdir),
        ("fsconfig", libc::SYS_fsconfig),
        ("fsmount", libc::SYS_fsmount),
        ("fsopen", libc::SYS_fsopen),
        ("ioctl", libc::SYS_ioctl),
        ("mkdir", libc::SYS_mkdir),
        ("mount", libc::SYS_mount),
        ("mount_setattr", libc::SYS_mount_setattr),
        ("move_mount", libc::SYS_move_mount),
        ("open_tree", libc::SYS_open_tree),
        ("openat", libc::SYS_openat),
        ("openat2", libc::SYS_openat2),
        ("pidfd_open", libc::SYS_pidfd_open),
        ("pidfd_send_signal", libc::SYS_pidfd_send_signal),
        ("pipe2", libc::SYS_pipe2),
        ("pivot_root", libc::SYS_pivot_root),
        ("poll", libc::SYS_poll),
        ("prctl", libc::SYS_prctl),
        ("prlimit64", libc::SYS_prlimit64),
        ("read", libc::SYS_read),
        ("recvfrom", libc::SYS_recvfrom),
        ("rmdir", libc::SYS_rmdir),
        ("seccomp", libc::SYS_seccomp),
        ("sendto", libc::SYS_sendto),
        ("setgroups", libc::SYS_setgroups),
        ("sethostname", libc::SYS_sethostname),
        ("setns", libc::SYS_setns),
        ("setresgid", libc::SYS_setresgid),
        ("setresuid", libc::SYS_setresuid),
        ("signalfd4", libc::SYS_signalfd4),
        ("socket", libc::SYS_socket),
        ("socketpair", libc::SYS_socketpair),
        ("symlink", libc::SYS_symlink),
        ("umount2", libc::SYS_umount2),
        ("unshare", libc::SYS_unshare),
        ("wait4", libc::SYS_wait4),
        ("waitid", libc::SYS_waitid),
        ("write", libc::SYS_write),
    ];
    numbers.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("{name}: what number?")).1
}
