//! Step 3: a root filesystem of its own, /dev and /sys in it, a host name and IPC of its own.
//!
//! chroot(2) only changes where a process starts to look for paths, and there are ways back.
//! pivot_root(2) moves the mount itself: once the old root is detached, nothing leads to it.

use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags};
use nix::sched::CloneFlags;

use crate::op::{Call, Op, Ops};
use crate::plan::Stage;
use crate::site::Site;
use crate::spec::{Root, Spec};
use fault::Fault;

/// The step's slug.
pub const SLUG: &str = "pivot-root";

/// Device nodes that every program may count on.
pub const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Links in /dev, and where they lead.
const LINKS: [(&str, &str); 5] = [
    ("ptmx", "pts/ptmx"),
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// Files of its own.
pub fn operations(spec: &Spec, site: &Site) -> Result<Vec<Op>, Fault> {
    let mut ops = Ops::of(SLUG);
    let Some(files) = &spec.root else { return Ok(ops.list()) };
    let root = spec.new_root(site);
    // ANCHOR: pivot-root-clone
    ops.add(Stage::Clone, "clone", Call::Namespace(CloneFlags::CLONE_NEWUTS));
    ops.add(Stage::Clone, "clone", Call::Namespace(CloneFlags::CLONE_NEWIPC));
    // ANCHOR_END: pivot-root-clone
    choose(&mut ops, files, &root, spec.is_handed_in());
    mount_dev(&mut ops, &root.join("dev"));
    if let Some(terminal) = &spec.terminal {
        name_terminal(&mut ops, terminal.clone(), root.join("dev/console"));
    }
    if spec.extras.hosts_network {
        show_hosts_sys(&mut ops, root.join("sys"));
    } else {
        mount_sys(&mut ops, root.join("sys"));
    }
    switch(&mut ops, Some(root).filter(|_| !spec.is_handed_in()));
    // ANCHOR: pivot-root-hostname
    ops.add(Stage::Names, "hostname", Call::HostName(spec.hostname.clone()));
    // ANCHOR_END: pivot-root-hostname
    Ok(ops.list())
}

// ANCHOR: pivot-root-bind
/// pivot_root(2) wants a mount point. A plain directory becomes one by being bind-mounted onto
/// itself; an overlay is one already.
fn choose(ops: &mut Ops, files: &Root, root: &Path, is_mount: bool) {
    if let (Root::Directory(dir), false) = (files, is_mount) {
        ops.add(Stage::Root, "bind", bind(dir.clone(), dir.clone(), MsFlags::MS_REC));
    }
    for (dir, why) in [("proc", "bind"), ("dev", "dev"), ("sys", "sys")] {
        ops.make_room(Stage::Root, why, Call::MakeMountPoint(root.join(dir)));
    }
}
// ANCHOR_END: pivot-root-bind

// ANCHOR: pivot-root-dev
/// A small /dev: a tmpfs with the host's own harmless nodes bound into it. mknod(2) would need
/// CAP_MKNOD in the initial user namespace, which no unprivileged user has.
fn mount_dev(ops: &mut Ops, dev: &Path) {
    let no_exec = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    ops.add(Stage::Mounts, "dev", filesystem("tmpfs", dev.into(), no_exec, "mode=755,size=64k"));
    for name in DEVICES {
        let node = dev.join(name);
        ops.make_room(Stage::Mounts, "dev-node", Call::MakeFile(node.clone()));
        let device = Path::new("/dev").join(name);
        ops.add(Stage::Mounts, "dev-node", bind(device, node, MsFlags::empty()));
    }
    for (name, target) in LINKS {
        ops.make_room(Stage::Mounts, "dev", Call::MakeLink { target, path: dev.join(name) });
    }
    let (pts, shm) = (dev.join("pts"), dev.join("shm"));
    ops.make_room(Stage::Mounts, "pts", Call::MakeDirectory(pts.clone()));
    ops.add(Stage::Mounts, "pts", filesystem("devpts", pts, no_exec, "newinstance,ptmxmode=0666,mode=620"));
    ops.make_room(Stage::Mounts, "shm", Call::MakeDirectory(shm.clone()));
    let flags = no_exec | MsFlags::MS_NODEV;
    ops.add(Stage::Mounts, "shm", filesystem("tmpfs", shm, flags, "mode=1777"));
}
// ANCHOR_END: pivot-root-dev

// ANCHOR: pivot-root-console
/// The terminal that we lend it is one of the host's devpts, whose names mean nothing inside. Where /dev has the same
/// node, ttyname(3) finds it.
fn name_terminal(ops: &mut Ops, terminal: PathBuf, console: PathBuf) {
    ops.make_room(Stage::Mounts, "console", Call::MakeFile(console.clone()));
    ops.add(Stage::Mounts, "console", bind(terminal, console, MsFlags::empty()));
}
// ANCHOR_END: pivot-root-console

// ANCHOR: pivot-root-sys
/// sysfs shows the devices of the network namespace it is mounted in; read-only, since much of what
/// can be written there is the host's.
fn mount_sys(ops: &mut Ops, sys: PathBuf) {
    let sealed = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let (source, fstype) = (Some("sysfs".into()), Some("sysfs"));
    ops.add(Stage::Mounts, "sys", Call::Mount { source, target: sys, fstype, flags: sealed, data: None });
}
// ANCHOR_END: pivot-root-sys

/// A sysfs is had only by whom the network belongs to. With the host's network it is the host's, and all of it read-only.
fn show_hosts_sys(ops: &mut Ops, target: PathBuf) {
    let sys = PathBuf::from("/sys");
    let sealed =
        libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC;
    ops.add(Stage::Files, "sys", Call::OpenTree { path: sys.clone(), name: sys.clone(), below: true });
    let seal = Call::Restrict { mount: sys.clone(), attributes: sealed, below: true };
    ops.add(Stage::Files, "sys", seal);
    ops.add(Stage::Mounts, "sys", Call::MoveMount { tree: sys, target });
}

// ANCHOR: pivot-root-chdir
/// The switch itself. With "." for both arguments the old root ends up stacked on top of the new one
/// (pivot_root(2), "NOTES"), so no directory has to be made to hold it; "." is then the old root,
/// and detaching it uncovers the new one.
fn switch(ops: &mut Ops, elsewhere: Option<PathBuf>) {
    let here = || PathBuf::from(".");
    if let Some(root) = elsewhere {
        ops.add(Stage::Switch, "chdir", Call::ChangeDirectory(root));
    }
    ops.add(Stage::Switch, "pivot", Call::PivotRoot { new_root: here(), put_old: here() });
    ops.add(Stage::Switch, "detach", Call::Unmount { target: here(), flags: MntFlags::MNT_DETACH });
    ops.add(Stage::Switch, "home", Call::ChangeDirectory("/".into()));
}
// ANCHOR_END: pivot-root-chdir

fn bind(source: PathBuf, target: PathBuf, more: MsFlags) -> Call {
    let flags = MsFlags::MS_BIND | more;
    Call::Mount { source: Some(source), target, fstype: None, flags, data: None }
}

fn filesystem(fstype: &'static str, target: PathBuf, flags: MsFlags, data: &str) -> Call {
    let (source, data) = (Some(fstype.into()), Some(data.to_owned()));
    Call::Mount { source, target, fstype: Some(fstype), flags, data }
}
