//! One thing that is done to make a container: a system call, or a message to the kernel. Operations are data: they can
//! be printed, compared, left out and moved before anything is done.

use std::ffi::OsString;
use std::panic::Location;
use std::path::PathBuf;

use nix::mount::{MntFlags, MsFlags};
use nix::sched::CloneFlags;

use super::message::Message;
use super::plan::Stage;
use super::user::User;
use kernel::netlink::Family;
use kernel::rlimits::Limit;
use kernel::told::Actor;
use kernel::undo::Reversal;

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Op {
    /// Slug of the step whose part it is, in whose name it is told.
    pub step: &'static str,
    pub stage: Stage,
    /// Key of the lesson's sentence that says why it is made.
    pub why: &'static str,
    pub call: Call,
    /// What takes it back. It is noted before the call is made, where that changes the host.
    pub undo: Option<Reversal>,
    /// Where it stands in the source.
    pub source: &'static Location<'static>,
    /// Whether the call is told. Those that only make room for the next one (an empty directory to mount on, a
    /// descriptor to write to) are not.
    pub told: bool,
}

/// The two sides of a container's wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The workshop itself.
    Host,
    /// The container's first process.
    Inside,
}

impl Side {
    /// Its name in a printed plan.
    pub fn name(self) -> &'static str {
        match self {
            Side::Host => "host",
            Side::Inside => "inside",
        }
    }

    /// Who makes its calls.
    pub fn actor(self) -> Actor {
        match self {
            Side::Host => Actor::Host,
            Side::Inside => Actor::Container,
        }
    }
}

/// What is done. What a call needs from an earlier one is named by what that one opened or made, and looked up when
/// the call is made.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// A namespace that the first process is born in: a share of clone3(2).
    Namespace(CloneFlags),
    /// The cgroup v2 that it is born in, opened before: a share of clone3(2) (`CLONE_INTO_CGROUP`).
    BornIn(PathBuf),
    /// unshare(2), for a namespace that starts from where its maker stands by then.
    Unshare(CloneFlags),
    /// prctl(2), `PR_SET_PDEATHSIG`.
    ParentDeathSignal,
    /// prctl(2), `PR_SET_NO_NEW_PRIVS`.
    NoNewPrivileges,
    /// setgroups(2), to none.
    NoGroups,
    /// setresgid(2).
    BecomeGroup(u32),
    /// setresuid(2).
    BecomeUser(u32),
    /// prctl(2), `PR_SET_DUMPABLE`.
    Dumpable,
    /// A user namespace with these maps and nobody in it. Its descriptor stays open for later operations.
    MakeUsers {
        name: PathBuf,
        uids: String,
        gids: String,
    },
    /// open_tree(2): another mount of what is at a path, with `below` of all below it, mounted nowhere yet. Its descriptor
    /// stays open for later operations, on both sides.
    OpenTree {
        path: PathBuf,
        name: PathBuf,
        below: bool,
    },
    /// mount_setattr(2), `MOUNT_ATTR_IDMAP`: such a mount, by the maps of a user namespace.
    MapIds {
        tree: PathBuf,
        users: PathBuf,
    },
    /// move_mount(2) of such a mount.
    MoveMount {
        tree: PathBuf,
        target: PathBuf,
    },
    /// mount_setattr(2): more attributes (`MOUNT_ATTR_…`) of an open mount.
    Restrict {
        mount: PathBuf,
        attributes: u64,
        below: bool,
    },
    /// fsmount(2): a new tmpfs with these options, mounted nowhere yet.
    MakeTmpfs {
        name: PathBuf,
        options: Vec<(String, String)>,
        attributes: u64,
    },
    /// What is to be there below `/`, whatever links an image has on the way: a directory, or an empty file.
    MakeInRoot {
        path: PathBuf,
        directory: bool,
    },
    /// openat2(2): what is at a path below `/`, and nowhere else.
    OpenInRoot {
        path: PathBuf,
        name: PathBuf,
    },
    /// move_mount(2) of a mount that is mounted nowhere onto what is open.
    Attach {
        tree: PathBuf,
        target: PathBuf,
    },
    /// setrlimit(2).
    Limit(Limit),
    /// setgroups(2), setresgid(2) and setresuid(2): what this user of the image has, and nothing else.
    GroupsOf(User),
    GroupOf(User),
    IdOf(User),
    /// fchdir(2) to a directory that is open.
    EnterDirectory(PathBuf),
    /// chown(2).
    Chown {
        path: PathBuf,
        uid: u32,
        gid: u32,
    },
    /// mount(2).
    Mount {
        source: Option<PathBuf>,
        target: PathBuf,
        fstype: Option<&'static str>,
        flags: MsFlags,
        data: Option<String>,
    },
    /// umount2(2).
    Unmount {
        target: PathBuf,
        flags: MntFlags,
    },
    /// pivot_root(2).
    PivotRoot {
        new_root: PathBuf,
        put_old: PathBuf,
    },
    /// chdir(2).
    ChangeDirectory(PathBuf),
    /// mkdir(2), with the mode 0755.
    MakeDirectory(PathBuf),
    /// A directory to mount on: mkdir(2), where it is not there yet.
    MakeMountPoint(PathBuf),
    /// An empty file to mount on: open(2) with `O_CREAT`.
    MakeFile(PathBuf),
    /// symlink(2).
    MakeLink {
        target: &'static str,
        path: PathBuf,
    },
    /// open(2) of a directory or, for writing, of a file. The descriptor stays open for later operations.
    Open {
        path: PathBuf,
        directory: bool,
    },
    /// write(2) of all the text in one call.
    Write {
        to: File,
        text: String,
    },
    /// v2: write(2) of those controllers to `cgroup.subtree_control` that the group does not hand on yet; nothing
    /// where it hands on all of them.
    HandOn {
        control: PathBuf,
        controllers: Vec<String>,
    },
    /// flock(2): nobody else changes what this group hands on …
    Hold(PathBuf),
    /// … until it is let go.
    Release(PathBuf),
    /// sethostname(2).
    HostName(String),
    /// ioctl(2), `SIOCSIFFLAGS`: the loopback interface is set up.
    LoopbackUp,
    /// socket(2): a netlink socket, which speaks to the network namespace that it is made in.
    Socket(Family),
    /// sendto(2) of a request on the socket that this side has opened, and the kernel's answer.
    Send(Family, Message),
    /// execve(2).
    Execute(Command),
}

/// A file to write to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum File {
    /// Opened by its path for this one write.
    At(PathBuf),
    /// The same, if this kernel has it.
    IfThere(PathBuf),
    /// Opened by an earlier operation, perhaps on the other side.
    Opened(PathBuf),
    /// In the first process's directory of /proc.
    OfProcess(&'static str),
}

/// A program to become.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    pub argv: Vec<OsString>,
    /// Whether it gets a fresh environment instead of the caller's.
    pub own_environment: bool,
    /// Variables that were asked for besides: `NAME=VALUE`.
    pub environment: Vec<OsString>,
    /// Who is to run it, by the image's own users.
    pub user: Option<User>,
}

/// One part's operations, as they are put together.
pub struct Ops {
    step: &'static str,
    list: Vec<Op>,
}

impl Ops {
    /// None yet, for the part of the step with this slug.
    pub fn of(step: &'static str) -> Ops {
        Ops { step, list: Vec::new() }
    }

    /// Adds one that is told.
    #[track_caller]
    pub fn add(&mut self, stage: Stage, why: &'static str, call: Call) {
        self.push(stage, why, call, None, true);
    }

    /// Adds one that is told, and what takes it back.
    #[track_caller]
    pub fn add_with_undo(&mut self, stage: Stage, why: &'static str, call: Call, undo: Reversal) {
        self.push(stage, why, call, Some(undo), true);
    }

    /// Adds one that makes room for the one with this reason, and is not told.
    #[track_caller]
    pub fn make_room(&mut self, stage: Stage, why: &'static str, call: Call) {
        self.push(stage, why, call, None, false);
    }

    /// Adds one that is told in the name of another part.
    #[track_caller]
    pub fn add_of(&mut self, step: &'static str, stage: Stage, why: &'static str, call: Call) {
        self.push(stage, why, call, None, true);
        self.list.iter_mut().last().into_iter().for_each(|op| op.step = step);
    }

    /// The same, with what takes it back.
    #[track_caller]
    pub fn make_room_with_undo(&mut self, stage: Stage, why: &'static str, call: Call, undo: Reversal) {
        self.push(stage, why, call, Some(undo), false);
    }

    #[track_caller]
    fn push(&mut self, stage: Stage, why: &'static str, call: Call, undo: Option<Reversal>, told: bool) {
        self.list.push(Op { step: self.step, stage, why, call, undo, source: Location::caller(), told });
    }

    /// All of them, in the order in which they were added.
    pub fn list(self) -> Vec<Op> {
        self.list
    }
}
