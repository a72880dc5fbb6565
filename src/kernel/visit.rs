//! Visits to a container: a short-lived process of ours steps into its namespaces (setns(2)) and its root directory,
//! looks around there and comes back with what it saw. Nothing has to be installed inside.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid, pipe2};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::child::guarded;
use super::lacks;
use super::root::{enter_root, open_root};
use super::users::become_root;
use super::wait::Wait;
use fault::{Doing, Fault};

/// How long a visitor may take. None of them waits for anything that takes a second.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long is waited before it is looked whether that has been enough.
const A_WHILE: Duration = Duration::from_millis(500);

// ANCHOR: visit
/// Runs `look` in a process of its own inside the given namespaces of the process behind `pidfd`, with that one's root
/// directory, and returns what it saw. With a PID namespace among them, the visitor is a process *of* that
/// namespace, since a process that has joined one only passes it on to its children.
pub fn visit<T, F>(pidfd: &OwnedFd, namespaces: CloneFlags, look: F) -> Result<T, Fault>
where
    T: Serialize + DeserializeOwned,
    F: FnOnce() -> T,
{
    visit_by_way_of_the_top(pidfd, namespaces, || (), |()| look())
}

/// The same, with a look around at the root of the mount namespace on the way: setns(2) puts the visitor there, which
/// need not be where the process is.
pub fn visit_by_way_of_the_top<S, T, F>(
    pidfd: &OwnedFd,
    namespaces: CloneFlags,
    look_from_top: impl FnOnce() -> S,
    look: F,
) -> Result<T, Fault>
where
    T: Serialize + DeserializeOwned,
    F: FnOnce(S) -> T,
{
    aside(|| {
        // By descriptor, since no path leads there once we are inside.
        let root = open_root(pidfd).map_err(|errno| Blocked("open its root directory", errno))?;
        // None of them differs where we visit our own kind, and to enter none is an error (EINVAL).
        if !namespaces.is_empty() {
            setns(pidfd, namespaces).map_err(|errno| Blocked("setns", errno))?;
        }
        let seen = look_from_top();
        enter_root(&root).map_err(|errno| Blocked("enter its root directory", errno))?;
        if namespaces.contains(CloneFlags::CLONE_NEWUSER) {
            become_root();
        }
        Ok(|| look(seen))
    })
}
// ANCHOR_END: visit

/// Leaves `work` running in a process of its own inside the given namespaces, and returns its PID.
/// The caller ends and reaps it; it dies with the caller in any case.
pub fn settle(pidfd: &OwnedFd, namespaces: CloneFlags, work: impl FnOnce() -> i32) -> Result<Pid, Fault> {
    let me = getpid();
    // SAFETY: the workshop has one thread.
    match unsafe { fork() }.doing("fork a visitor")? {
        ForkResult::Child => guarded(|| {
            die_with(me);
            let entered = open_root(pidfd).and_then(|root| {
                setns(pidfd, namespaces)?;
                enter_root(&root)
            });
            if entered.is_ok() { work() } else { 1 }
        }),
        ForkResult::Parent { child } => Ok(child),
    }
}

/// The way into a container ended here.
struct Blocked(&'static str, Errno);

fn aside<T, F>(way_in: impl FnOnce() -> Result<F, Blocked>) -> Result<T, Fault>
where
    T: Serialize + DeserializeOwned,
    F: FnOnce() -> T,
{
    let (reader, writer) = pipe2(nix::fcntl::OFlag::O_CLOEXEC).doing("make a pipe")?;
    let me = getpid();
    // SAFETY: the workshop has one thread, so the child has all that it needs.
    match unsafe { fork() }.doing("fork a visitor")? {
        ForkResult::Child => {
            drop(reader);
            guarded(|| travel(way_in, std::fs::File::from(writer), me))
        }
        ForkResult::Parent { child } => {
            drop(writer);
            let report = hear(reader);
            if !matches!(report, Ok(Some(_))) {
                let _ = kill(child, Signal::SIGKILL);
            }
            let _ = waitpid(child, None);
            let report = report?.ok_or_else(|| Fault::broken("visit the container", "no answer"))?;
            if report.is_empty() {
                return Err(Fault::broken("visit the container", "the visitor ended without a word"));
            }
            serde_json::from_slice::<Result<T, String>>(&report)
                .doing("understand a visitor's report")?
                .map_err(blocked)
        }
    }
}

/// A visitor that was not let in.
fn blocked(problem: String) -> Fault {
    let errno = [Errno::EPERM, Errno::ENOSYS].into_iter().find(|e| problem == format!("setns: {e}"));
    let filtered = errno.and_then(|errno| lacks::filtered("setns", errno));
    filtered.unwrap_or_else(|| Fault::broken("visit the container", problem))
}

/// In the visitor: step in, fork into the PID namespace, look, report.
fn travel<T: Serialize, F: FnOnce() -> T>(
    way_in: impl FnOnce() -> Result<F, Blocked>,
    mut report: impl Write,
    parent: Pid,
) -> i32 {
    die_with(parent);
    let sorry = |mut report, words: String| {
        let words: Result<T, String> = Err(words);
        let _ = serde_json::to_writer(&mut report, &words);
        1
    };
    let look = match way_in() {
        Ok(look) => look,
        Err(Blocked(doing, errno)) => return sorry(report, format!("{doing}: {errno}")),
    };
    // Whoever becomes another user is not told of his parent's death any more (prctl(2)).
    die_with(parent);
    let before = getpid();
    // SAFETY: still one thread.
    match unsafe { fork() } {
        Ok(ForkResult::Child) => guarded(|| {
            // A parent in another PID namespace has no number here.
            die_with(if getppid().as_raw() == 0 { Pid::from_raw(0) } else { before });
            let seen: Result<T, String> = Ok(look());
            let text = serde_json::to_vec(&seen).unwrap_or_default();
            i32::from(report.write_all(&text).is_err())
        }),
        Ok(ForkResult::Parent { child }) => {
            drop(report);
            i32::from(waitpid(child, None).is_err())
        }
        Err(e) => sorry(report, format!("fork: {e}")),
    }
}

/// Asks the kernel for a SIGKILL when our parent dies (prctl(2)). If it has died already, we have been
/// adopted by then, and end at once.
fn die_with(parent: Pid) {
    let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
    if getppid() != parent {
        // SAFETY: _exit(2) ends the process at once.
        unsafe { libc::_exit(1) }
    }
}

/// Everything that a process of ours writes into a pipe until all ends of it are closed; `None` when that
/// takes too long.
pub fn hear(reader: OwnedFd) -> Result<Option<Vec<u8>>, Fault> {
    let wait = Wait::begin(PATIENCE);
    let mut file = std::fs::File::from(reader);
    let (mut report, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let mut ready = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, PollTimeout::try_from(A_WHILE).unwrap_or(PollTimeout::ZERO)) {
            Ok(0) if wait.is_over() => return Ok(None),
            Ok(0) => continue,
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(e) => return Err(Fault::broken("wait for a visitor", e)),
        }
        match file.read(&mut chunk).doing("read a visitor's report")? {
            0 => return Ok(Some(report)),
            n => report.extend(chunk.iter().take(n)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    use nix::fcntl::OFlag;
    use nix::mount::{MsFlags, mount};
    use nix::sched::unshare;

    use super::*;

    #[test]
    fn a_visitor_brings_back_what_it_saw() {
        let pid = aside(|| Ok(std::process::id)).unwrap();
        assert_ne!(pid, std::process::id());
    }

    /// Whoever may not make a mount namespace gets it with a user namespace.
    fn own_mounts() -> nix::Result<()> {
        unshare(CloneFlags::CLONE_NEWNS)
            .or_else(|_| unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS))
    }

    /// In a chroot, as a child: makes a process with a mount namespace of its own, and visits it.
    fn visit_from_chroot(dir: &Path, is_mount: bool) -> Result<(u64, u64), Fault> {
        let none = None::<&str>;
        own_mounts().doing("unshare")?;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).doing("mount")?;
        if is_mount {
            mount(none, dir, Some("tmpfs"), MsFlags::empty(), none).doing("mount")?;
        }
        let proc = dir.join("proc");
        std::fs::create_dir(&proc).doing("mkdir")?;
        mount(Some("/proc"), &proc, none, MsFlags::MS_BIND | MsFlags::MS_REC, none).doing("mount")?;
        std::env::set_current_dir(dir).doing("chdir")?;
        nix::unistd::chroot(".").doing("chroot")?;

        let (up, ready) = pipe2(OFlag::O_CLOEXEC).doing("pipe2")?;
        let (wait, hold) = pipe2(OFlag::O_CLOEXEC).doing("pipe2")?;
        // SAFETY: the child makes system calls, and ends by _exit(2).
        match unsafe { fork() }.doing("fork")? {
            ForkResult::Child => guarded(|| {
                drop(hold);
                let _ = unshare(CloneFlags::CLONE_NEWNS);
                drop(ready);
                i32::from(nix::unistd::read(&wait, &mut [0; 1]).is_err())
            }),
            ForkResult::Parent { child } => {
                drop(ready);
                let _ = nix::unistd::read(&up, &mut [0; 1]);
                let pidfd = crate::child::pidfd_open(child).doing("pidfd_open")?;
                let root = || std::fs::metadata("/").map_or((0, 0), |m| (m.dev(), m.ino()));
                let seen = visit(&pidfd, CloneFlags::CLONE_NEWNS, root);
                let (by_settler, settler) = pipe2(OFlag::O_CLOEXEC).doing("pipe2")?;
                let settled = settle(&pidfd, CloneFlags::CLONE_NEWNS, || {
                    let (dev, ino) = root();
                    let same = (dev, ino) == seen.clone().unwrap_or_default();
                    i32::from(nix::unistd::write(&settler, if same { b"s" } else { b"o" }).is_err())
                })?;
                waitpid(settled, None).doing("waitpid")?;
                let mut word = [0; 1];
                nix::unistd::read(&by_settler, &mut word).doing("read")?;
                drop(hold);
                waitpid(child, None).doing("waitpid")?;
                assert_eq!(&word, b"s", "who settles lands elsewhere than who visits");
                assert_eq!(seen.clone()?, root(), "is not the root of who visits");
                seen
            }
        }
    }

    #[test]
    fn in_a_chroot_a_visitor_enters_the_root_that_is_meant_and_not_the_namespaces() {
        for is_mount in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            let host = std::fs::metadata("/").map(|m| (m.dev(), m.ino())).unwrap();
            let seen = aside(|| Ok(|| visit_from_chroot(dir.path(), is_mount).map_err(|f| f.to_string())));
            assert_ne!(seen.unwrap().unwrap(), host, "the namespace's root");
        }
    }

    #[test]
    fn a_visitor_that_dies_is_a_fault_not_a_hang() {
        // SAFETY: _exit(2) ends the process at once.
        let died: Result<(), _> = aside(|| Ok(|| unsafe { libc::_exit(3) }));
        assert!(died.is_err());
    }
}
