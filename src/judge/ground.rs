//! What a cell stands on: the learner's own files, none of which can be written to, and fresh places that can.

use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};

use crate::fault::{Doing, Fault};
use crate::kernel::cgroup::Group;
use crate::kernel::lacks;

/// Places that are empty and may be written to: what every system has for that (hier(7)).
pub const OPEN: [&str; 4] = ["/tmp", "/run", "/var/tmp", "/dev/shm"];

/// Files of /proc by which a real root could change the running kernel.
const SEALED: [&str; 3] = ["/proc/sys/kernel", "/proc/sys/vm", "/proc/sysrq-trigger"];

/// The ground of one cell.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The working directory of what runs there.
    pub work: PathBuf,
    /// Files and directories that must be seen wherever they are, such as a program that lies in /tmp.
    pub kept: Vec<PathBuf>,
    /// Directories among them that may be written to: root filesystems.
    pub lent: Vec<PathBuf>,
    pub rootless: bool,
}

impl Ground {
    /// What is kept of one of the [`OPEN`] places. The place itself can't be, or it would not be empty.
    pub fn kept_in<'g>(&'g self, place: &'g str) -> impl Iterator<Item = &'g PathBuf> {
        let place = Path::new(place);
        self.kept.iter().filter(move |path| path.starts_with(place) && *path != place)
    }
}

/// Lays the ground, as the cell's first process.
pub fn lay(ground: &Ground, groups: &[Group]) -> Result<(), Fault> {
    seal()?;
    // Those of the real places that are needed are held open while something else is mounted over them.
    for place in OPEN {
        open_up(ground, place)?;
    }
    for dir in &ground.lent {
        bind(dir, dir)?;
        writable(dir)?;
    }
    own_proc(ground)?;
    for group in groups {
        bind(&group.dir, &group.hierarchy.mount)?;
        writable(&group.hierarchy.mount)?;
    }
    share()?;
    nix::unistd::chdir(&ground.work).doing(format!("chdir({})", ground.work.display()))
}

/// Every mount that there is becomes read-only (mount_setattr(2), `AT_RECURSIVE`).
fn seal() -> Result<(), Fault> {
    let attributes =
        libc::mount_attr { attr_set: libc::MOUNT_ATTR_RDONLY, attr_clr: 0, propagation: 0, userns_fd: 0 };
    set_attributes(Path::new("/"), libc::AT_RECURSIVE, attributes).doing("make the cell's mounts read-only")
}

fn writable(dir: &Path) -> Result<(), Fault> {
    let attributes =
        libc::mount_attr { attr_set: 0, attr_clr: libc::MOUNT_ATTR_RDONLY, propagation: 0, userns_fd: 0 };
    set_attributes(dir, 0, attributes).doing(format!("make {} writable in the cell", dir.display()))
}

fn set_attributes(dir: &Path, flags: i32, attributes: libc::mount_attr) -> nix::Result<()> {
    let path = std::ffi::CString::new(dir.as_os_str().as_encoded_bytes()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the path and the structure are live, and the structure's own size is given.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    Errno::result(done).map(drop)
}

/// Mounts an empty filesystem on PLACE, and in it again what is kept.
fn open_up(ground: &Ground, place: &str) -> Result<(), Fault> {
    if !Path::new(place).is_dir() || fs::symlink_metadata(place).is_ok_and(|m| m.is_symlink()) {
        return Ok(());
    }
    let mut kept = Vec::new();
    for path in ground.kept_in(place) {
        kept.push((path, hold(path)?));
    }
    let options = "mode=1777,size=256m,nr_inodes=65536";
    let flags = MsFlags::MS_NOSUID;
    mount(Some("tmpfs"), place, Some("tmpfs"), flags, Some(options))
        .doing(format!("mount tmpfs on {place}"))?;
    for (path, held) in kept {
        if path.exists() {
            // It lies in another that is kept.
            continue;
        }
        let source = by_descriptor(&held);
        let is_dir = source.is_dir();
        let dir = if is_dir { path.as_path() } else { path.parent().unwrap_or(path) };
        fs::create_dir_all(dir).doing(format!("make {}", dir.display()))?;
        if !is_dir {
            File::create(path).doing(format!("make {}", path.display()))?;
        }
        bind(&source, path)?;
    }
    Ok(())
}

/// /proc of the cell's processes, whole, so that a user namespace in the cell may mount its own
/// (mount_namespaces(7)). A real root may not write to all of it.
fn own_proc(ground: &Ground) -> Result<(), Fault> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>).map_err(|errno| {
        let hidden = lacks::hidden("proc").filter(|_| errno == Errno::EPERM);
        hidden.unwrap_or_else(|| Fault::broken("mount the cell's /proc", errno))
    })?;
    if ground.rootless {
        return Ok(());
    }
    for file in SEALED.map(Path::new).into_iter().filter(|file| file.exists()) {
        bind(file, file)?;
        let attributes =
            libc::mount_attr { attr_set: libc::MOUNT_ATTR_RDONLY, attr_clr: 0, propagation: 0, userns_fd: 0 };
        set_attributes(file, 0, attributes).doing(format!("make {} read-only", file.display()))?;
    }
    Ok(())
}

/// As systemd leaves a host: what is mounted in one mount namespace appears in those that were copied from it.
fn share() -> Result<(), Fault> {
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SHARED, none).doing("make the cell's mounts shared")
}

/// Holds on to a file while something else is mounted over it (`O_PATH`, open(2)): one that may be run need not be one
/// that may be read, and a FIFO would have us wait for its writer.
fn hold(path: &Path) -> Result<OwnedFd, Fault> {
    let held = File::options().read(true).custom_flags(libc::O_PATH).open(path);
    held.map(OwnedFd::from).doing(format!("open {}", path.display()))
}

fn by_descriptor(fd: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

fn bind(from: &Path, to: &Path) -> Result<(), Fault> {
    let none: Option<&str> = None;
    mount(Some(from), to, none, MsFlags::MS_BIND | MsFlags::MS_REC, none).doing(format!(
        "bind {} to {}",
        from.display(),
        to.display()
    ))
}
