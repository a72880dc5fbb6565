//! How an operation is printed before it is carried out: the call's own name, and its arguments as far as they are
//! known by then.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::op::{Call, Command, File, Op};
use kernel::netlink::Family;
use kernel::strace;
use kernel::told;

impl Op {
    /// The call as it would be told, with no result.
    pub fn as_told(&self) -> told::Call {
        told::Call {
            step: self.step.into(),
            actor: self.stage.side().actor(),
            name: self.call.name().into(),
            args: self.call.args(),
            result: String::new(),
            ok: true,
            why: self.why.into(),
            source: format!("{}:{}", self.source.file(), self.source.line()),
            brief: self.call.brief(),
        }
    }
}

impl Call {
    /// The system call's own name.
    pub fn name(&self) -> &'static str {
        match self {
            Call::Namespace(_) | Call::BornIn(_) => "clone3",
            Call::Unshare(_) => "unshare",
            Call::ParentDeathSignal | Call::NoNewPrivileges | Call::Dumpable => "prctl",
            Call::NoGroups => "setgroups",
            Call::BecomeGroup(_) => "setresgid",
            Call::BecomeUser(_) => "setresuid",
            Call::Chown { .. } => "chown",
            Call::OpenTree { .. } => "open_tree",
            Call::MapIds { .. } | Call::Restrict { .. } => "mount_setattr",
            Call::MoveMount { .. } | Call::Attach { .. } => "move_mount",
            Call::MakeTmpfs { .. } => "fsmount",
            Call::OpenInRoot { .. } => "openat2",
            Call::Limit(_) => "setrlimit",
            Call::GroupsOf(_) => "setgroups",
            Call::GroupOf(_) => "setresgid",
            Call::IdOf(_) => "setresuid",
            Call::MakeInRoot { directory: true, .. } => "mkdir",
            Call::MakeInRoot { directory: false, .. } => "open",
            Call::EnterDirectory(_) => "fchdir",
            Call::Mount { .. } => "mount",
            Call::Unmount { .. } => "umount2",
            Call::PivotRoot { .. } => "pivot_root",
            Call::ChangeDirectory(_) => "chdir",
            Call::MakeDirectory(_) | Call::MakeMountPoint(_) => "mkdir",
            Call::MakeFile(_) | Call::Open { .. } | Call::MakeUsers { .. } => "open",
            Call::MakeLink { .. } => "symlink",
            Call::Write { .. } | Call::HandOn { .. } => "write",
            Call::Hold(_) | Call::Release(_) => "flock",
            Call::HostName(_) => "sethostname",
            Call::LoopbackUp => "ioctl",
            Call::Socket(_) => "socket",
            Call::Send(..) => "sendto",
            Call::Execute(_) => "execve",
        }
    }

    /// Its arguments, as strace(1) shows them. What is only known when the call is made is named: a descriptor by the
    /// path that it was opened by, a message by what ip(8) would say.
    pub fn args(&self) -> Vec<String> {
        match self {
            Call::Namespace(kind) | Call::Unshare(kind) => vec![strace::clone_flags(kind.bits() as u64)],
            Call::BornIn(group) => vec!["CLONE_INTO_CGROUP".into(), descriptor(group)],
            Call::ParentDeathSignal => vec!["PR_SET_PDEATHSIG".into(), "SIGKILL".into()],
            Call::NoNewPrivileges => ["PR_SET_NO_NEW_PRIVS", "1", "0", "0", "0"].map(String::from).into(),
            Call::Dumpable => vec!["PR_SET_DUMPABLE".into(), "SUID_DUMP_USER".into()],
            Call::NoGroups => vec!["0".into(), "NULL".into()],
            Call::BecomeGroup(id) | Call::BecomeUser(id) => vec![id.to_string(); 3],
            Call::Chown { path, uid, gid } => vec![strace::path(path), uid.to_string(), gid.to_string()],
            Call::MakeUsers { uids, gids, .. } => vec![format!("<user namespace, {uids}; {gids}>")],
            Call::OpenTree { path, below, .. } => {
                vec!["AT_FDCWD".into(), strace::path(path), strace::open_tree_flags(*below).into()]
            }
            Call::Restrict { mount, attributes, below } => vec![
                descriptor(mount),
                strace::text(""),
                strace::at_flags(*below).into(),
                strace::mount_attributes(*attributes),
            ],
            Call::MakeTmpfs { options, attributes, .. } => strace::tmpfs(options, *attributes),
            Call::MakeInRoot { path, .. } => vec![strace::path(path)],
            Call::OpenInRoot { path, .. } => strace::open_in_root(path),
            Call::Attach { tree, target } => vec![
                descriptor(tree),
                strace::text(""),
                descriptor(target),
                strace::text(""),
                strace::ATTACH.into(),
            ],
            Call::Limit(limit) => limit.args(),
            Call::GroupsOf(user) => vec![format!("<groups of {user}>")],
            Call::GroupOf(user) => vec![format!("<group of {user}>"); 3],
            Call::IdOf(user) => vec![format!("<{user}>"); 3],
            Call::MapIds { tree, .. } => {
                vec![descriptor(tree), strace::text(""), "AT_EMPTY_PATH".into(), "MOUNT_ATTR_IDMAP".into()]
            }
            Call::MoveMount { tree, target } => vec![
                descriptor(tree),
                strace::text(""),
                "AT_FDCWD".into(),
                strace::path(target),
                "MOVE_MOUNT_F_EMPTY_PATH".into(),
            ],
            Call::EnterDirectory(dir) => vec![descriptor(dir)],
            Call::Mount { source, target, fstype, flags, data } => vec![
                strace::path_or_null(source.as_deref()),
                strace::path(target),
                strace::text_or_null(*fstype),
                strace::mount_flags(*flags),
                strace::text_or_null(data.as_deref()),
            ],
            Call::Unmount { target, flags } => vec![strace::path(target), strace::umount_flags(*flags)],
            Call::PivotRoot { new_root, put_old } => vec![strace::path(new_root), strace::path(put_old)],
            Call::ChangeDirectory(dir) => vec![strace::path(dir)],
            Call::MakeDirectory(dir) | Call::MakeMountPoint(dir) => vec![strace::path(dir), "0755".into()],
            Call::MakeFile(path) => vec![strace::path(path), "O_WRONLY|O_CREAT|O_TRUNC".into()],
            Call::MakeLink { target, path } => vec![strace::text(target), strace::path(path)],
            Call::Open { path, directory: true } => vec![strace::path(path), "O_RDONLY".into()],
            Call::Open { path, directory: false } => vec![strace::path(path), "O_WRONLY".into()],
            Call::Write { to, text } => written(&to.path(), text),
            Call::HandOn { control, controllers } => {
                let names: Vec<_> = controllers.iter().map(|name| format!("+{name}")).collect();
                written(control, &names.join(" "))
            }
            Call::Hold(group) => vec![descriptor(group), "LOCK_EX".into()],
            Call::Release(group) => vec![descriptor(group), "LOCK_UN".into()],
            Call::HostName(name) => vec![strace::text(name), name.len().to_string()],
            Call::LoopbackUp => vec!["SIOCSIFFLAGS".into(), "lo up".into()],
            Call::Socket(family) => {
                vec!["AF_NETLINK".into(), "SOCK_RAW|SOCK_CLOEXEC".into(), protocol(*family).into()]
            }
            Call::Send(family, message) => vec![protocol(*family).into(), message.brief()],
            Call::Execute(Command { argv, .. }) => {
                let texts = argv.iter().filter_map(|arg| CString::new(arg.as_bytes()).ok());
                vec![strace::list(&texts.collect::<Vec<_>>())]
            }
        }
    }

    /// The arguments in short, for people, where shortening each alone would not do.
    fn brief(&self) -> Option<String> {
        match self {
            Call::Mount { source, target, fstype, flags, data } => {
                let (source, data) = (source.as_deref(), data.as_deref());
                Some(strace::mount_in_short(source, target, *fstype, *flags, data))
            }
            Call::ChangeDirectory(dir) | Call::MakeDirectory(dir) | Call::MakeMountPoint(dir) => {
                Some(strace::short(dir))
            }
            Call::MakeFile(path) | Call::Open { path, .. } | Call::Hold(path) | Call::Release(path) => {
                Some(strace::short(path))
            }
            Call::MakeLink { target, path } => Some(format!("{target} {}", strace::short(path))),
            Call::BornIn(group) => Some(format!("CLONE_INTO_CGROUP {}", strace::short(group))),
            Call::Write { to, text } => Some(format!("{} {text}", strace::short(&to.path()))),
            Call::Chown { path, uid, gid } => Some(format!("{} {uid} {gid}", strace::short(path))),
            Call::OpenTree { path, .. } => Some(format!("{} OPEN_TREE_CLONE", strace::short(path))),
            Call::MapIds { tree, .. } => Some(format!("{} MOUNT_ATTR_IDMAP", strace::short(tree))),
            Call::Restrict { mount, attributes, .. } => {
                Some(format!("{} {}", strace::short(mount), strace::mount_attributes(*attributes)))
            }
            Call::OpenInRoot { path, .. } | Call::MakeInRoot { path, .. } => Some(strace::short(path)),
            Call::Attach { tree, target } => {
                Some(format!("{} {}", strace::short(tree), strace::short(target)))
            }
            Call::GroupsOf(user) | Call::GroupOf(user) | Call::IdOf(user) => Some(user.to_string()),
            Call::MoveMount { tree, target } if tree != target => {
                Some(format!("{} {}", strace::short(tree), strace::short(target)))
            }
            Call::MoveMount { target, .. } => Some(strace::short(target)),
            Call::EnterDirectory(dir) => Some(strace::short(dir)),
            Call::HandOn { control, controllers } => {
                let names: Vec<_> = controllers.iter().map(|name| format!("+{name}")).collect();
                Some(format!("{} {}", strace::short(control), names.join(" ")))
            }
            Call::Send(_, message) => Some(message.brief()),
            _ => None,
        }
    }
}

impl File {
    /// Its path; of a process that is not born yet, with a stand-in for its PID.
    fn path(&self) -> PathBuf {
        match self {
            File::At(path) | File::IfThere(path) | File::Opened(path) => path.clone(),
            File::OfProcess(name) => format!("/proc/PID/{name}").into(),
        }
    }
}

fn written(path: &Path, text: &str) -> Vec<String> {
    vec![descriptor(path), strace::text(text), text.len().to_string()]
}

/// A descriptor, as `strace -y` shows it but for the number.
fn descriptor(path: &Path) -> String {
    format!("<{}>", path.display())
}

fn protocol(family: Family) -> &'static str {
    match family {
        Family::Route => "NETLINK_ROUTE",
        Family::Netfilter => "NETLINK_NETFILTER",
    }
}
