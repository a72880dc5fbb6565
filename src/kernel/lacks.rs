//! What a host may lack: refusals of the kernel's that are nobody's mistake. Each is recognised in one place, here,
//! wherever the call is made, and is from there on a [`Fault::Unable`] whose words say what is missing.
//!
//! An error number alone seldom says that. `EPERM` may come from a filter, a masked /proc or a missing privilege, so
//! what would explain it is looked for, and where it is not found the refusal stays what it is: a [`Fault::Refused`].

use std::fs::File;
use std::io::Write;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork, pipe2};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::child::guarded;
use super::mounts::{self, Mount};
use super::process::{in_user_namespace, status};
use super::visit::hear;
use fault::{Doing, Fault, Refused};

/// The kinds of namespaces: the flag of clone(2), the name in /proc/PID/ns and in /proc/sys/user/max_NAME_namespaces,
/// and the kernel's option (Kconfig).
const KINDS: [(CloneFlags, &str, &str); 7] = [
    (CloneFlags::CLONE_NEWUSER, "user", "CONFIG_USER_NS"),
    (CloneFlags::CLONE_NEWPID, "pid", "CONFIG_PID_NS"),
    (CloneFlags::CLONE_NEWNS, "mnt", "CONFIG_NAMESPACES"),
    (CloneFlags::CLONE_NEWUTS, "uts", "CONFIG_UTS_NS"),
    (CloneFlags::CLONE_NEWIPC, "ipc", "CONFIG_IPC_NS"),
    (CloneFlags::CLONE_NEWNET, "net", "CONFIG_NET_NS"),
    (CloneFlags::CLONE_NEWCGROUP, "cgroup", "CONFIG_CGROUPS"),
];

/// The fault that a refused call is: the host's lack if that is what it shows, else the refusal itself.
pub fn explain(refused: Refused) -> Fault {
    let errno = Errno::from_raw(refused.errno);
    let lack = known(&refused, errno).or_else(|| filtered(&refused.name, errno)).or_else(|| {
        let with = [("call", refused.name.as_str()), ("errno", &format!("{errno:?}"))];
        means_that_there_is_none(errno).then(|| Fault::unable("kernel-lacks", &with))
    });
    match lack {
        // One clone3(2) makes the namespaces of many steps.
        Some(fault) if refused.name == "clone3" => fault,
        Some(fault) => fault.of_step(&refused.step),
        None => Fault::Refused(Box::new(refused)),
    }
}

/// The calls that a host is known to refuse for what it lacks, and the words for it.
fn known(refused: &Refused, errno: Errno) -> Option<Fault> {
    use Errno::*;
    let path =
        |nth: usize| refused.args.get(nth).map(|arg| arg.trim_matches('"').to_owned()).unwrap_or_default();
    let lack = |key| Some(Fault::unable(key, &[]));
    match (refused.name.as_str(), refused.why.as_str(), errno) {
        ("mount", "overlay", ENODEV) => lack("no-overlay"),
        ("mount", "overlay", EINVAL) => lack("overlay-not-here"),
        ("mount", "proc" | "sys" | "view", EPERM) => hidden(&refused.why),
        ("mount", "dev-node", ENOENT) if !Path::new(&path(0)).exists() => Some(no_device(&path(0))),
        // The kernel's first root has no mount below it that could take its place; pivot_root(2) says EINVAL there, as
        // for several faults of a caller's.
        ("pivot_root", _, EINVAL) if is_initramfs() => lack("root-is-initramfs"),
        ("sendto", "bridge", EOPNOTSUPP) => lack("no-bridge"),
        ("sendto", "pair", EOPNOTSUPP) => lack("no-veth"),
        ("sendto", "nat", EOPNOTSUPP) | ("socket", "netlink", EPROTONOSUPPORT) => lack("no-nf-tables"),
        ("sendto", "nat", ENOENT) => lack("no-masquerade"),
        ("clone3", _, ENOSYS) => lack("no-clone3"),
        ("mkdir", "group", EAGAIN) => Some(Fault::unable("cgroup-v2-full", &[("path", &parent(&path(0)))])),
        _ => None,
    }
}

fn is_initramfs() -> bool {
    let table = mounts::mine().unwrap_or_default();
    mounts::at(&table, "/").is_some_and(|root| root.fstype == "rootfs")
}

/// Errors by which a kernel says that it has no such call, filesystem, kind of link or protocol.
fn means_that_there_is_none(errno: Errno) -> bool {
    use Errno::*;
    matches!(errno, ENOSYS | ENODEV | EOPNOTSUPP | EPROTONOSUPPORT | EAFNOSUPPORT)
}

fn parent(path: &str) -> String {
    Path::new(path).parent().unwrap_or(Path::new("/")).display().to_string()
}

/// A call that a seccomp filter refuses (seccomp(2)), which answers with `EPERM`, or as if there were no such call.
/// None of ours is at work before the container's program starts.
pub fn filtered(call: &str, errno: Errno) -> Option<Fault> {
    let mode = status(Path::new("/proc"), "self", "Seccomp");
    let refuses = matches!(errno, Errno::EPERM | Errno::ENOSYS) && mode.is_some_and(|mode| mode == "2");
    let with = [("call", call), ("errno", &format!("{errno:?}"))];
    refuses.then(|| Fault::unable("seccomp", &with))
}

/// Why namespaces of all these kinds can't be made, if one of them alone can't either. WITH is the user namespace
/// that gives the right to, where it takes one.
pub fn namespaces(kinds: CloneFlags, with: CloneFlags) -> Option<Fault> {
    let asked = KINDS.iter().filter(|(flag, ..)| kinds.contains(*flag));
    asked.into_iter().find_map(|(flag, kind, option)| {
        let errno = tried(|| unshare(*flag | with))?;
        let setting = format!("user.max_{kind}_namespaces");
        let names =
            [("kind", *kind), ("setting", &setting), ("option", option), ("errno", &format!("{errno:?}"))];
        match errno {
            Errno::ENOSPC => Some(Fault::unable("namespaces-used-up", &names)),
            Errno::EINVAL if !Path::new("/proc/self/ns").join(kind).exists() => {
                Some(Fault::unable("namespaces-none", &names))
            }
            errno => filtered("unshare", errno),
        }
    })
}

/// Tries a call in a child, which it changes in our place. Returns the error, if there is one.
pub fn tried(call: impl FnOnce() -> nix::Result<()>) -> Option<Errno> {
    aside(|| call().err().map(|errno| errno as i32)).ok().flatten().map(Errno::from_raw)
}

/// Runs a part in a child, which it changes in our place, and returns what came of it.
pub fn aside<T: Serialize + DeserializeOwned>(part: impl FnOnce() -> T) -> Result<T, Fault> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC).doing("make a pipe")?;
    // SAFETY: the workshop has one thread.
    match unsafe { fork() }.doing("fork")? {
        ForkResult::Child => guarded(|| {
            let text = serde_json::to_vec(&part()).unwrap_or_default();
            i32::from(File::from(writer).write_all(&text).is_err())
        }),
        ForkResult::Parent { child } => {
            drop(writer);
            let text = hear(reader)?.unwrap_or_default();
            let _ = waitpid(child, None);
            serde_json::from_slice(&text).doing("hear a child of ours")
        }
    }
}

/// Why a user namespace gets no filesystem of this kind of its own: the kernel gives it one only where it sees
/// another that nothing is hidden of (`mount_too_revealing` in fs/namespace.c).
pub fn hidden(what: &str) -> Option<Fault> {
    let (fstypes, key): (&[&str], _) = match what {
        "proc" => (&["proc"], "proc-masked"),
        "sys" => (&["sysfs"], "sys-masked"),
        _ => (&["cgroup", "cgroup2"], "cgroup-masked"),
    };
    let table = mounts::mine().ok()?;
    let whole = |mount: &Mount| {
        fstypes.contains(&mount.fstype.as_str()) && mount.root == "/" && covers(&table, mount).is_empty()
    };
    if !in_user_namespace() || table.iter().any(|mount| whole(mount) && !is_read_only(mount)) {
        return None;
    }
    let of_kind = table.iter().filter(|mount| fstypes.contains(&mount.fstype.as_str()));
    let masks: Vec<&str> = of_kind.flat_map(|mount| covers(&table, mount)).collect();
    let masks = masks.iter().take(3).copied().collect::<Vec<_>>().join(", ");
    Some(Fault::unable(key, &[("masks", if masks.is_empty() { "-" } else { &masks })]))
}

fn is_read_only(mount: &Mount) -> bool {
    mount.fstype == "proc" && mount.options.split(',').any(|option| option == "ro")
}

/// Where something is mounted over a part of MOUNT. What the kernel keeps empty for others to be mounted on hides
/// nothing.
fn covers<'t>(table: &'t [Mount], mount: &Mount) -> Vec<&'t str> {
    let meant: &[&str] = match mount.fstype.as_str() {
        "sysfs" => &["fs/", "kernel/"],
        _ => &["sys/fs/binfmt_misc", "fs/nfsd"],
    };
    let below = |target: &'t str| target.strip_prefix(&mount.target)?.strip_prefix('/');
    let hides = |other: &'t Mount| {
        let hides = |name: &str| !meant.iter().any(|place| name.starts_with(place));
        below(&other.target).filter(|name| hides(name)).map(|_| other.target.as_str())
    };
    table.iter().filter_map(hides).collect()
}

/// A device that every program counts on is not there.
pub fn no_device(path: &str) -> Fault {
    Fault::unable("no-device", &[("path", path)])
}
