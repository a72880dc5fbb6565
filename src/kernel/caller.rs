//! System calls that are told. Each method makes one call, tells it with its real arguments and
//! result, and turns a refusal into a [`Refused`] that names it, or into what the host lacks.

mod asked;

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::panic::Location;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags};
use nix::sched::CloneFlags;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, sendto, socket};
use nix::sys::stat::Mode;

use super::netlink::{Family, NetlinkSocket, Request, kernel_address};
use super::told::{Actor, Call, Listener};
use super::{attributes, lacks, strace};
use fault::{Doing, Fault, Refused};

/// Makes calls for one side, in the name of one step at a time.
pub struct Caller<'a> {
    actor: Actor,
    step: &'static str,
    /// Where the operation stands whose call it is.
    source: &'static Location<'static>,
    listener: &'a mut dyn Listener,
}

/// How one call is shown before it is made.
struct Shown {
    name: &'static str,
    args: Vec<String>,
    brief: Option<String>,
}

impl<'a> Caller<'a> {
    /// A caller for `actor` whose calls `listener` hears.
    #[track_caller]
    pub fn new(actor: Actor, listener: &'a mut dyn Listener) -> Caller<'a> {
        Caller { actor, step: "", source: Location::caller(), listener }
    }

    /// From here on, calls are made in the name of `step`, and of this place in the source.
    #[track_caller]
    pub fn speak_for(&mut self, step: &'static str) {
        self.speak_of(step, Location::caller());
    }

    /// The same, of another place.
    pub fn speak_of(&mut self, step: &'static str, source: &'static Location<'static>) {
        (self.step, self.source) = (step, source);
    }

    /// Makes one call. `shown` is only worked out when somebody listens or the call fails. An error means that nothing
    /// was done: the kernel refused the call, or it was not made. That it could not be told is an error of the next one.
    fn make<T>(
        &mut self,
        why: &str,
        shown: impl Fn() -> Shown,
        call: impl FnOnce() -> nix::Result<T>,
        result: impl FnOnce(&T) -> String,
    ) -> Result<T, Fault> {
        if !self.listener.wants(self.step) {
            return call().map_err(|errno| self.refused(why, shown(), errno, None));
        }
        let mut told = self.describe(why, shown());
        self.listener.about(&told).map_err(Fault::output)?;
        let outcome = call();
        told.ok = outcome.is_ok();
        told.result = match &outcome {
            Ok(value) => result(value),
            Err(errno) => strace::errno(*errno),
        };
        self.listener.told(told);
        outcome.map_err(|errno| self.refused(why, shown(), errno, None))
    }

    fn describe(&self, why: &str, shown: Shown) -> Call {
        Call {
            step: self.step.into(),
            actor: self.actor,
            name: shown.name.into(),
            args: shown.args,
            result: String::new(),
            ok: true,
            why: why.into(),
            source: format!("{}:{}", self.source.file(), self.source.line()),
            brief: shown.brief,
        }
    }

    fn refused(&self, why: &str, shown: Shown, errno: Errno, said: Option<String>) -> Fault {
        lacks::explain(Refused {
            step: self.step.into(),
            name: shown.name.into(),
            why: why.into(),
            // A netlink message takes ten lines, and hides what it is about.
            brief: shown.brief.filter(|_| shown.name == "sendto"),
            args: shown.args,
            errno: errno as i32,
            said,
        })
    }

    /// clone3(2): the new process, or `None` in it. See [`super::child`].
    pub fn clone3(&mut self, why: &str, args: &libc::clone_args) -> Result<Option<nix::unistd::Pid>, Fault> {
        let shown = || Shown {
            name: "clone3",
            args: vec![strace::clone_args(args), size_of::<libc::clone_args>().to_string()],
            brief: Some(strace::flags_only(args)),
        };
        // The child returns through here too. It must not tell: the parent does.
        let mut told = self.listener.wants(self.step).then(|| self.describe(why, shown()));
        if let Some(told) = &told {
            self.listener.about(told).map_err(Fault::output)?;
        }
        let outcome = super::child::clone3(args);
        if let Ok(None) = outcome {
            return Ok(None);
        }
        if let Some(mut told) = told.take() {
            told.ok = outcome.is_ok();
            told.result = match &outcome {
                Ok(pid) => pid.map_or(0, |p| p.as_raw()).to_string(),
                Err(errno) => strace::errno(*errno),
            };
            self.listener.told(told);
        }
        outcome.map_err(|errno| self.refused(why, shown(), errno, None))
    }

    /// mount(2).
    pub fn mount(
        &mut self,
        why: &str,
        source: Option<&Path>,
        target: &Path,
        fstype: Option<&str>,
        flags: MsFlags,
        data: Option<&str>,
    ) -> Result<(), Fault> {
        let shown = || Shown {
            name: "mount",
            args: vec![
                strace::path_or_null(source),
                strace::path(target),
                strace::text_or_null(fstype),
                strace::mount_flags(flags),
                strace::text_or_null(data),
            ],
            brief: Some(strace::mount_in_short(source, target, fstype, flags, data)),
        };
        self.make(why, shown, || nix::mount::mount(source, target, fstype, flags, data), zero)
    }

    /// umount2(2).
    pub fn umount2(&mut self, why: &str, target: &Path, flags: MntFlags) -> Result<(), Fault> {
        let shown = || Shown {
            name: "umount2",
            args: vec![strace::path(target), strace::umount_flags(flags)],
            brief: None,
        };
        self.make(why, shown, || nix::mount::umount2(target, flags), zero)
    }

    /// pivot_root(2).
    pub fn pivot_root(&mut self, why: &str, new_root: &Path, put_old: &Path) -> Result<(), Fault> {
        let shown = || Shown {
            name: "pivot_root",
            args: vec![strace::path(new_root), strace::path(put_old)],
            brief: None,
        };
        self.make(why, shown, || nix::unistd::pivot_root(new_root, put_old), zero)
    }

    /// chdir(2).
    pub fn chdir(&mut self, why: &str, to: &Path) -> Result<(), Fault> {
        let shown = || Shown { name: "chdir", args: vec![strace::path(to)], brief: Some(strace::short(to)) };
        self.make(why, shown, || nix::unistd::chdir(to), zero)
    }

    /// mkdir(2).
    pub fn mkdir(&mut self, why: &str, dir: &Path, mode: u32) -> Result<(), Fault> {
        let shown = || Shown {
            name: "mkdir",
            args: vec![strace::path(dir), format!("0{mode:o}")],
            brief: Some(strace::short(dir)),
        };
        self.make(why, shown, || nix::unistd::mkdir(dir, Mode::from_bits_truncate(mode)), zero)
    }

    /// sethostname(2).
    pub fn sethostname(&mut self, why: &str, name: &str) -> Result<(), Fault> {
        let shown = || Shown {
            name: "sethostname",
            args: vec![strace::text(name), name.len().to_string()],
            brief: None,
        };
        self.make(why, shown, || nix::unistd::sethostname(name), zero)
    }

    /// unshare(2).
    pub fn unshare(&mut self, why: &str, flags: CloneFlags) -> Result<(), Fault> {
        let shown =
            || Shown { name: "unshare", args: vec![strace::clone_flags(flags.bits() as u64)], brief: None };
        self.make(why, shown, || nix::sched::unshare(flags), zero).map_err(|fault| {
            let lack = lacks::namespaces(flags, CloneFlags::empty());
            lack.map_or(fault, |lack| lack.of_step(self.step))
        })
    }

    /// prctl(2) with `PR_SET_PDEATHSIG`: the signal that we get when our parent dies.
    pub fn parent_death_signal(&mut self, why: &str) -> Result<(), Fault> {
        let shown =
            || Shown { name: "prctl", args: vec!["PR_SET_PDEATHSIG".into(), "SIGKILL".into()], brief: None };
        self.make(why, shown, || nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL), zero)
    }

    /// prctl(2) with `PR_SET_NO_NEW_PRIVS`: no execve(2) from here on gives more privileges than there are.
    pub fn no_new_privileges(&mut self, why: &str) -> Result<(), Fault> {
        let args = ["PR_SET_NO_NEW_PRIVS", "1", "0", "0", "0"].map(String::from);
        let shown = || Shown { name: "prctl", args: args.to_vec(), brief: None };
        self.make(why, shown, nix::sys::prctl::set_no_new_privs, zero)
    }

    /// prctl(2) with `PR_SET_DUMPABLE`: /proc/PID belongs to its user, and not to root alone (proc(5)).
    pub fn dumpable(&mut self, why: &str) -> Result<(), Fault> {
        let shown = || Shown {
            name: "prctl",
            args: vec!["PR_SET_DUMPABLE".into(), "SUID_DUMP_USER".into()],
            brief: None,
        };
        self.make(why, shown, || nix::sys::prctl::set_dumpable(true), zero)
    }

    /// setgroups(2): no supplementary groups.
    pub fn no_groups(&mut self, why: &str) -> Result<(), Fault> {
        let shown = || Shown { name: "setgroups", args: vec!["0".into(), "NULL".into()], brief: None };
        // SAFETY: an empty list is read by nobody.
        let call = || Errno::result(unsafe { libc::setgroups(0, std::ptr::null()) }).map(drop);
        self.make(why, shown, call, zero)
    }

    /// setresgid(2): real, effective and saved.
    pub fn setresgid(&mut self, why: &str, gid: u32) -> Result<(), Fault> {
        let shown = || Shown { name: "setresgid", args: vec![gid.to_string(); 3], brief: None };
        self.make(why, shown, || nix::unistd::setresgid(gid.into(), gid.into(), gid.into()), zero)
    }

    /// setresuid(2): real, effective and saved.
    pub fn setresuid(&mut self, why: &str, uid: u32) -> Result<(), Fault> {
        let shown = || Shown { name: "setresuid", args: vec![uid.to_string(); 3], brief: None };
        self.make(why, shown, || nix::unistd::setresuid(uid.into(), uid.into(), uid.into()), zero)
    }

    /// chown(2).
    pub fn chown(&mut self, why: &str, path: &Path, uid: u32, gid: u32) -> Result<(), Fault> {
        let shown = || Shown {
            name: "chown",
            args: vec![strace::path(path), uid.to_string(), gid.to_string()],
            brief: Some(format!("{} {uid} {gid}", strace::short(path))),
        };
        let call = || nix::unistd::chown(path, Some(uid.into()), Some(gid.into()));
        self.make(why, shown, call, zero)
    }

    /// open_tree(2): another mount of what is at a path, mounted nowhere yet, perhaps with all below it.
    pub fn open_tree(&mut self, why: &str, path: &Path, below: bool) -> Result<OwnedFd, Fault> {
        let shown = || Shown {
            name: "open_tree",
            args: vec!["AT_FDCWD".into(), strace::path(path), strace::open_tree_flags(below).into()],
            brief: Some(format!("{} OPEN_TREE_CLONE", strace::short(path))),
        };
        self.make(why, shown, || attributes::open_tree(path, below), |fd| fd.as_raw_fd().to_string())
    }

    /// mount_setattr(2) with `MOUNT_ATTR_IDMAP`: a mount that is mounted nowhere yet shows its files' owners by the maps
    /// of a user namespace.
    pub fn map_ids(&mut self, why: &str, tree: &OwnedFd, users: &OwnedFd) -> Result<(), Fault> {
        let shown = || Shown {
            name: "mount_setattr",
            args: vec![
                tree.as_raw_fd().to_string(),
                strace::text(""),
                "AT_EMPTY_PATH".into(),
                strace::map_ids(users.as_raw_fd()),
                size_of::<libc::mount_attr>().to_string(),
            ],
            brief: Some("MOUNT_ATTR_IDMAP".into()),
        };
        self.make(why, shown, || attributes::map_ids(tree, users), zero)
    }

    /// move_mount(2) of one that is mounted nowhere yet.
    pub fn move_mount(&mut self, why: &str, tree: &OwnedFd, target: &Path) -> Result<(), Fault> {
        let shown = || Shown {
            name: "move_mount",
            args: vec![
                tree.as_raw_fd().to_string(),
                strace::text(""),
                "AT_FDCWD".into(),
                strace::path(target),
                "MOVE_MOUNT_F_EMPTY_PATH".into(),
            ],
            brief: Some(strace::short(target)),
        };
        self.make(why, shown, || attributes::move_mount(tree, target), zero)
    }

    /// fchdir(2).
    pub fn fchdir(&mut self, why: &str, dir: &OwnedFd) -> Result<(), Fault> {
        let shown = || Shown { name: "fchdir", args: vec![dir.as_raw_fd().to_string()], brief: None };
        self.make(why, shown, || nix::unistd::fchdir(dir), zero)
    }

    /// write(2) of all of `text` in one call, to a file that `path` names for people.
    pub fn write(&mut self, why: &str, fd: BorrowedFd, path: &Path, text: &str) -> Result<(), Fault> {
        let shown = || Shown {
            name: "write",
            args: vec![fd.as_raw_fd().to_string(), strace::text(text), text.len().to_string()],
            brief: Some(format!("{} {text}", strace::short(path))),
        };
        self.make(why, shown, || nix::unistd::write(fd, text.as_bytes()), |n| n.to_string()).map(drop)
    }

    /// socket(2): a netlink socket, which speaks to the network namespace it is made in.
    pub fn netlink(&mut self, why: &str, family: Family) -> Result<NetlinkSocket, Fault> {
        let protocol = match family {
            Family::Route => "NETLINK_ROUTE",
            Family::Netfilter => "NETLINK_NETFILTER",
        };
        let shown = || Shown {
            name: "socket",
            args: vec!["AF_NETLINK".into(), "SOCK_RAW|SOCK_CLOEXEC".into(), protocol.into()],
            brief: None,
        };
        let open =
            || socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, family.protocol());
        let fd = self.make(why, shown, open, |fd| fd.as_raw_fd().to_string())?;
        NetlinkSocket::from_fd(fd, family).doing("set up a netlink socket")
    }

    /// sendto(2) of one netlink request, and the kernel's acknowledgement of it.
    pub fn send(&mut self, why: &str, socket: &NetlinkSocket, request: &Request) -> Result<(), Fault> {
        let fd = socket.as_fd().as_raw_fd();
        let shown =
            || Shown { name: "sendto", args: request.args(fd).into(), brief: Some(request.brief.clone()) };
        let send = || sendto(fd, &request.bytes, &kernel_address(), MsgFlags::empty());
        self.make(why, shown, send, |n| n.to_string())?;
        // The kernel took the message; whether it did as it was told is in its answer.
        match socket.acks(request) {
            Ok(_) => Ok(()),
            Err(e) => Err(self.refused(why, shown(), e.errno, e.text)),
        }
    }

    /// Tells a call that will be made where nobody can be told of it any more.
    pub fn announce(&mut self, why: &str, name: &'static str, args: Vec<String>) -> Result<(), Fault> {
        self.about(why, || Shown { name, args, brief: None })
    }

    /// Tells the execve(2) that will be made.
    pub fn announce_execve(&mut self, why: &str, execve: &Execve) -> Result<(), Fault> {
        self.about(why, || execve.shown())
    }

    fn about(&mut self, why: &str, shown: impl FnOnce() -> Shown) -> Result<(), Fault> {
        if !self.listener.wants(self.step) {
            return Ok(());
        }
        let told = self.describe(why, shown());
        self.listener.about(&told).map_err(Fault::output)
    }

    /// execve(2), which was announced. Returns only when it failed.
    pub fn execve(&self, why: &str, execve: &Execve) -> Fault {
        let errno = execve.make();
        self.refused(why, execve.shown(), errno, None)
    }

    /// Tells an execve(2) that a child of ours makes, which has no voice of its own: `go` lets it, and returns what
    /// came of it.
    pub fn executed(
        &mut self,
        why: &str,
        execve: &Execve,
        go: impl FnOnce() -> nix::Result<()>,
    ) -> Result<(), Fault> {
        self.make(why, || execve.shown(), go, zero)
    }

    /// memfd_create(2), with the descriptor closed by execve(2).
    pub fn memfd_create(&mut self, why: &str, name: &CStr) -> Result<OwnedFd, Fault> {
        let shown = || Shown {
            name: "memfd_create",
            args: vec![strace::text(name.to_bytes()), "MFD_CLOEXEC".into()],
            brief: None,
        };
        let create = || memfd_create(name, MFdFlags::MFD_CLOEXEC);
        self.make(why, shown, create, |fd| fd.as_raw_fd().to_string())
    }
}

/// An execve(2) that is ready to be made: nothing needs memory any more.
pub struct Execve {
    path: CString,
    argv: Vec<CString>,
    envp: Vec<CString>,
    /// The NULL-terminated arrays of pointers that the call wants.
    pointers: [Vec<*const libc::c_char>; 2],
}

impl Execve {
    pub fn new(path: CString, argv: Vec<CString>, envp: Vec<CString>) -> Execve {
        // A CString's bytes stay where they are when it is moved.
        let pointers = [pointers(&argv), pointers(&envp)];
        Execve { path, argv, envp, pointers }
    }

    /// Makes the call. Returns only if it was refused.
    pub fn make(&self) -> Errno {
        let [argv, envp] = &self.pointers;
        // SAFETY: both arrays end in NULL, and they and their strings outlive the call.
        unsafe { libc::execve(self.path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
        Errno::last()
    }

    fn shown(&self) -> Shown {
        Shown {
            name: "execve",
            args: vec![
                strace::text(self.path.as_bytes()),
                strace::list(&self.argv),
                format!("{:p} /* {} vars */", self.pointers[1].as_ptr(), self.envp.len()),
            ],
            brief: Some(strace::list(&self.argv)),
        }
    }
}

fn zero<T>(_: &T) -> String {
    "0".into()
}

/// The addresses of strings, and a NULL behind them.
fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
}

/// Opens a file for writing that already exists, such as a cgroup's or a sysctl's.
pub fn open_for_writing(path: &Path) -> nix::Result<OwnedFd> {
    use nix::fcntl::{OFlag, open};
    open(path, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())
}
