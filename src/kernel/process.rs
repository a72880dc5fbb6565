//! What /proc tells about a process: who it is, whether it still is, what it listens to.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::sys::statfs::{PROC_SUPER_MAGIC, statfs};
use nix::unistd::{Pid, Uid, geteuid};
use serde::{Deserialize, Serialize};

use fault::Fault;

/// A process, told apart from a later one that got the same PID by the time it started, and from one in
/// another container by its PID namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub pid: i32,
    /// Inode of the PID namespace that `pid` is a number of.
    pub namespace: u64,
    /// Start time in clock ticks since boot: field 22 of `/proc/PID/stat` (proc_pid_stat(5)).
    pub started: u64,
}

impl Owner {
    /// The calling process.
    pub fn me() -> io::Result<Owner> {
        Owner::of(std::process::id() as i32)
    }

    /// The process that has `pid` now, in our PID namespace.
    pub fn of(pid: i32) -> io::Result<Owner> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let (_, started) =
            state_and_start(&stat).ok_or_else(|| io::Error::other("unreadable /proc/PID/stat"))?;
        Ok(Owner { pid, namespace: my_pid_namespace()?, started })
    }

    /// Whether we can tell if it runs: its PID means something only in its own namespace.
    pub fn within_sight(&self) -> bool {
        my_pid_namespace().is_ok_and(|namespace| namespace == self.namespace)
    }

    /// Whether this very process still runs; `None` if that can't be known. A zombie doesn't: it can undo nothing any
    /// more.
    fn runs(&self) -> Option<bool> {
        // The kernel itself knows of every process, whatever /proc hides (`hidepid=`, proc(5)).
        if kill(Pid::from_raw(self.pid), None) == Err(Errno::ESRCH) {
            return Some(false);
        }
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?;
        let (state, started) = state_and_start(&stat)?;
        Some(started == self.started && state != 'Z' && state != 'X')
    }

    /// Whether it has certainly ended, so that somebody else may undo what it did.
    pub fn is_gone(&self) -> bool {
        self.within_sight() && need_own_proc().is_ok() && self.runs() == Some(false)
    }

    /// Whether it certainly runs.
    pub fn is_alive(&self) -> bool {
        self.within_sight() && need_own_proc().is_ok() && self.runs() == Some(true)
    }
}

/// The machine's present run, from its start to its end: the first part of a random number (random(4), `boot_id`). Empty
/// where /proc doesn't tell it.
pub fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.chars().take_while(char::is_ascii_hexdigit).collect()
}

fn my_pid_namespace() -> io::Result<u64> {
    fs::metadata("/proc/self/ns/pid").map(|ns| ns.ino())
}

/// Who the caller is to the host: in the lab's user namespace everybody is root.
pub fn caller() -> Uid {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    outside(&map, geteuid().as_raw()).map_or_else(geteuid, Uid::from_raw)
}

/// Whether we are in a user namespace other than the first one, which alone maps every ID to itself
/// (user_namespaces(7)).
pub fn in_user_namespace() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    !map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// The user ID that stands outside a user namespace for one inside it, by lines of `inside outside length`
/// (user_namespaces(7)).
fn outside(map: &str, uid: u32) -> Option<u32> {
    map.lines().find_map(|line| {
        let mut fields = line.split_whitespace().map(|field| field.parse::<u32>().ok());
        let (inside, outside, length) = (fields.next()??, fields.next()??, fields.next()??);
        uid.checked_sub(inside).filter(|nth| *nth < length).map(|nth| outside + nth)
    })
}

/// Fails unless /proc is there, and that of our own PID namespace: only then are the PIDs in it those that we know.
pub fn need_own_proc() -> Result<(), Fault> {
    let mounted = statfs("/proc").is_ok_and(|found| found.filesystem_type() == PROC_SUPER_MAGIC);
    match fs::read_link("/proc/self") {
        _ if !mounted => Err(Fault::unable("proc-missing", &[])),
        Ok(me) if me.as_os_str() == std::process::id().to_string().as_str() => Ok(()),
        _ => Err(Fault::unable("proc-of-another-namespace", &[])),
    }
}

/// Whether a process has never called execve(2) since it was forked: `PF_FORKNOEXEC` in the flags of
/// `/proc/PID/stat` (field 9), which outlives the process until it is waited for.
pub fn never_executed(pid: Pid) -> bool {
    const PF_FORKNOEXEC: u64 = 0x40;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let flags = stat.rfind(')').and_then(|end| stat.get(end + 2..)?.split(' ').nth(6)?.parse::<u64>().ok());
    flags.is_some_and(|flags| flags & PF_FORKNOEXEC != 0)
}

/// State and start time out of a stat line. The name in parentheses may hold anything, so count
/// from the last parenthesis.
fn state_and_start(stat: &str) -> Option<(char, u64)> {
    let rest = stat.get(stat.rfind(')')? + 2..)?;
    let fields: Vec<&str> = rest.split(' ').collect();
    Some((fields.first()?.chars().next()?, fields.get(19)?.parse().ok()?))
}

/// One line of `/proc/PID/status`, without its name: `NSpid` → `4711 1`.
pub fn status(proc: &Path, pid: &str, line: &str) -> Option<String> {
    let text = fs::read_to_string(proc.join(pid).join("status")).ok()?;
    let value = text.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(':'))?;
    Some(value.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The arguments of a process as it was given them (proc_pid_cmdline(5)).
pub fn arguments(pid: Pid) -> Vec<OsString> {
    let mut text = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    // Each ends with a zero byte, an empty one too.
    if text.pop() != Some(0) {
        return Vec::new();
    }
    text.split(|byte| *byte == 0).map(|word| OsStr::from_bytes(word).to_owned()).collect()
}

/// The PIDs that a /proc lists, in ascending order.
pub fn pids(proc: &Path) -> Vec<i32> {
    let Ok(entries) = fs::read_dir(proc) else { return Vec::new() };
    let mut pids: Vec<i32> = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids
}

/// Whether a signal would do anything to a namespace's PID 1: it gets only what it has a handler for,
/// or waits for while it is blocked (pid_namespaces(7)).
pub fn takes_signal(pid: Pid, signal: i32) -> bool {
    let pid = pid.to_string();
    ["SigCgt", "SigBlk"].iter().any(|mask| in_mask(&pid, mask, signal)) || waits_for_signals(&pid)
}

/// Whether a process chose to ignore a signal.
pub fn ignores_signal(pid: Pid, signal: i32) -> bool {
    in_mask(&pid.to_string(), "SigIgn", signal)
}

/// Whether a signal is in one of the masks of `/proc/PID/status` (proc_pid_status(5)).
fn in_mask(pid: &str, mask: &str, signal: i32) -> bool {
    status(Path::new("/proc"), pid, mask)
        .and_then(|hex| u64::from_str_radix(&hex, 16).ok())
        .is_some_and(|mask| mask & 1 << (signal - 1) != 0)
}

/// Whether a thread is in sigwait(3) or its kin. While it is, the kernel takes the awaited signals out of
/// the mask that /proc shows, so the call itself is looked for (`/proc/PID/syscall`, proc_pid_syscall(5)).
fn waits_for_signals(pid: &str) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    threads.flatten().any(|thread| {
        let call = fs::read_to_string(thread.path().join("syscall")).unwrap_or_default();
        call.split(' ').next().and_then(|number| number.parse().ok()) == Some(libc::SYS_rt_sigtimedwait)
    })
}

/// Whether the caller has a capability in its own user namespace (capget(2): the effective ones, capabilities(7)).
pub fn has_capability(number: u8) -> bool {
    const VERSION_3: u32 = 0x2008_0522;
    // The version and a PID, 0 for the caller; then effective, permitted and inheritable ones, the first 32 and the rest.
    let (header, mut sets) = ([VERSION_3, 0], [[0_u32; 3]; 2]);
    // SAFETY: both are of the sizes that this version has.
    let got = unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr()) };
    let [[low, ..], [high, ..]] = sets;
    got == 0 && (u64::from(high) << 32 | u64::from(low)) & 1 << number != 0
}

/// The inode that a namespace is known by: `pid:[4026531836]` of `/proc/PID/ns/pid` (namespaces(7)).
pub fn namespace(pid: &str, kind: &str) -> String {
    fs::read_link(format!("/proc/{pid}/ns/{kind}"))
        .map_or_else(|e| format!("({})", e.kind()), |link| link.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i_am_alive_and_a_later_process_of_my_pid_is_not_me() {
        let me = Owner::me().unwrap();
        assert!(me.is_alive() && !me.is_gone());
        assert!(Owner { started: me.started + 1, ..me }.is_gone());
        let elsewhere = Owner { namespace: 1, ..me };
        assert!(me.within_sight() && !elsewhere.within_sight());
        assert!(!elsewhere.is_gone() && !elsewhere.is_alive(), "nobody knows");
    }

    #[test]
    fn root_in_a_user_namespace_is_somebody_outside() {
        assert_eq!(outside("         0       1000          1\n", 0), Some(1000));
        assert_eq!(outside("0 1000 1\n1 100000 65536\n", 7), Some(100006));
        assert_eq!(outside("0 0 4294967295\n", 1000), Some(1000));
        assert_eq!(outside("0 1000 1\n", 5), None, "not mapped");
    }

    #[test]
    fn a_name_with_a_parenthesis_shifts_nothing() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 9 9";
        assert_eq!(state_and_start(stat), Some(('S', 4242)));
    }
}
