//! Step 3: a root filesystem of its own, /dev and /sys in it, a host name and IPC of its own.
//!
//! chroot(2) only changes where a process starts to look for paths, and there are ways back.
//! pivot_root(2) moves the mount itself: once the old root is detached, nothing leads to it.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags};
use nix::sched::CloneFlags;

use super::{Host, Inside, Layer, Stage};
use crate::container::Root;
use crate::fault::{Doing, Fault};
use crate::kernel::root::Spot;
use crate::kernel::{lacks, mounts};

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
pub struct PivotRoot {
    /// The directory that becomes `/`.
    root: PathBuf,
    hostname: String,
}

impl PivotRoot {
    pub fn new(root: PathBuf, hostname: &str) -> PivotRoot {
        PivotRoot { root, hostname: hostname.into() }
    }
}

impl Layer for PivotRoot {
    fn slug(&self) -> &'static str {
        "pivot-root"
    }

    // ANCHOR: pivot-root-clone
    fn namespaces(&self) -> CloneFlags {
        CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC
    }
    // ANCHOR_END: pivot-root-clone

    fn prepare(&mut self, host: &mut Host) -> Result<(), Fault> {
        // With an overlay it is that layer's to say.
        if self.root != Path::new("/") {
            let dir = File::open(&self.root).doing(format!("open {}", self.root.display()))?;
            let spot = Spot::of(dir).doing(format!("look at {}", self.root.display()))?;
            host.made.root = Some(Root::Directory(spot.device, spot.inode));
        }
        Ok(())
    }

    fn enter(&self, stage: Stage, inside: &mut Inside) -> Result<(), Fault> {
        match stage {
            Stage::Root => self.choose(inside),
            Stage::Mounts => {
                mount_dev(inside)?;
                mount_sys(inside)
            }
            Stage::Switch => switch(inside),
            // ANCHOR: pivot-root-hostname
            Stage::Names => inside.calls.sethostname("hostname", &self.hostname),
            // ANCHOR_END: pivot-root-hostname
            _ => Ok(()),
        }
    }
}

impl PivotRoot {
    // ANCHOR: pivot-root-bind
    /// pivot_root(2) wants a mount point. A plain directory becomes one by being bind-mounted onto
    /// itself; an overlay is one already.
    fn choose(&self, inside: &mut Inside) -> Result<(), Fault> {
        if !inside.root_is_mount {
            let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
            inside.calls.mount("bind", Some(&self.root), &self.root, None, bind, None)?;
            inside.root = self.root.clone();
            inside.root_is_mount = true;
        }
        for dir in ["proc", "dev", "sys"] {
            make_mount_point(&inside.root.join(dir))?;
        }
        Ok(())
    }
    // ANCHOR_END: pivot-root-bind
}

// ANCHOR: pivot-root-dev
/// A small /dev: a tmpfs with the host's own harmless nodes bound into it. mknod(2) would need
/// CAP_MKNOD in the initial user namespace, which no unprivileged user has.
fn mount_dev(inside: &mut Inside) -> Result<(), Fault> {
    let dev = inside.root.join("dev");
    let no_exec = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    let tmpfs = Some(Path::new("tmpfs"));
    inside.calls.mount("dev", tmpfs, &dev, Some("tmpfs"), no_exec, Some("mode=755,size=64k"))?;
    for name in DEVICES {
        let node = dev.join(name);
        let host = device(name)?;
        File::create(&node).doing(format!("make {}", node.display()))?;
        inside.calls.mount("dev-node", Some(&host), &node, None, MsFlags::MS_BIND, None)?;
    }
    for (name, target) in LINKS {
        symlink(target, dev.join(name)).doing(format!("make the link /dev/{name}"))?;
    }
    make_dir(&dev.join("pts"))?;
    let options = Some("newinstance,ptmxmode=0666,mode=620");
    inside.calls.mount(
        "pts",
        Some(Path::new("devpts")),
        &dev.join("pts"),
        Some("devpts"),
        no_exec,
        options,
    )?;
    make_dir(&dev.join("shm"))?;
    let flags = no_exec | MsFlags::MS_NODEV;
    inside.calls.mount("shm", tmpfs, &dev.join("shm"), Some("tmpfs"), flags, Some("mode=1777"))
}
// ANCHOR_END: pivot-root-dev

/// A device of the host's, which may lack one: a chroot often has an empty /dev.
fn device(name: &str) -> Result<PathBuf, Fault> {
    let path = Path::new("/dev").join(name);
    let there = path.symlink_metadata().is_ok();
    if there { Ok(path) } else { Err(lacks::no_device(&path.display().to_string())) }
}

// ANCHOR: pivot-root-sys
/// sysfs shows the devices of the network namespace it is mounted in; read-only, since much of what
/// can be written there is the host's.
fn mount_sys(inside: &mut Inside) -> Result<(), Fault> {
    let sys = inside.root.join("sys");
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    inside.calls.mount("sys", Some(Path::new("sysfs")), &sys, Some("sysfs"), flags, None)
}
// ANCHOR_END: pivot-root-sys

// ANCHOR: pivot-root-chdir
/// The switch itself. With "." for both arguments the old root ends up stacked on top of the new one
/// (pivot_root(2), "NOTES"), so no directory has to be made to hold it; "." is then the old root,
/// and detaching it uncovers the new one.
fn switch(inside: &mut Inside) -> Result<(), Fault> {
    let (here, root) = (Path::new("."), inside.root.clone());
    inside.calls.chdir("chdir", &root)?;
    inside.calls.pivot_root("pivot", here, here).map_err(explain)?;
    inside.calls.umount2("detach", here, MntFlags::MNT_DETACH)?;
    inside.calls.chdir("home", Path::new("/"))?;
    inside.root = "/".into();
    Ok(())
}
// ANCHOR_END: pivot-root-chdir

/// A directory to mount on. A link would lead the mount out of the root that is being made.
fn make_mount_point(dir: &Path) -> Result<(), Fault> {
    match fs::symlink_metadata(dir) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => {
            let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Err(Fault::unable("rootfs-mount-point", &[("name", &name)]))
        }
        Err(_) => make_dir(dir),
    }
}

/// The kernel's first root, an initramfs, has no mount below it that could take its place: pivot_root(2) says
/// EINVAL there, as for several faults of a caller's.
fn explain(fault: Fault) -> Fault {
    let root = mounts::mine().ok().and_then(|table| mounts::at(&table, "/").map(|m| m.fstype.clone()));
    if root.as_deref() == Some("rootfs") { Fault::unable("root-is-initramfs", &[]) } else { fault }
}

fn make_dir(dir: &Path) -> Result<(), Fault> {
    fs::create_dir_all(dir).doing(format!("make {}", dir.display()))
}
