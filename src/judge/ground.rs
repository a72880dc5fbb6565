//! What a cell stands on: the learner's own files, none of which can be written to, and fresh places that can.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};

use claims::foreign::OPEN;
use fault::{Doing, Fault};
use kernel::attributes::{make_read_only, make_writable};
use kernel::cgroup::Group;
use kernel::lacks;

/// The one of them that hides something; see [`keep_whole`].
const BACKSTAGE: &str = "/run";

/// Files of /proc by which a real root could change the running kernel.
const SEALED: [&str; 3] = ["/proc/sys/kernel", "/proc/sys/vm", "/proc/sysrq-trigger"];

/// The ground of one cell.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The working directory of what runs there.
    pub work: PathBuf,
    /// Files and directories that must be seen wherever they are, such as a program that lies in /tmp.
    pub kept: Vec<PathBuf>,
    /// The one directory among them that may be written to: a root filesystem.
    pub lent: Option<Lent>,
    /// The search path of what runs there (PATH, environ(7)).
    pub path: OsString,
    pub rootless: bool,
}

/// A directory that the cell has in another place than the host. That one is on a way that only the caller may go,
/// below a home of mode 0700 for example; a container whose root is somebody else outside must get there too.
#[derive(Clone, Debug)]
pub struct Lent {
    pub from: PathBuf,
    pub to: PathBuf,
}

impl Lent {
    /// Lends DIR under NAME, in the first of the [`OPEN`] places.
    pub fn new(dir: PathBuf, name: &str) -> Lent {
        let to = if opens(OPEN[0]) { Path::new(OPEN[0]).join(name) } else { dir.clone() };
        Lent { from: dir, to }
    }
}

impl Ground {
    /// What is kept of one of the [`OPEN`] places. The place itself can't be, or it would not be empty.
    pub fn kept_in<'g>(&'g self, place: &'g str) -> impl Iterator<Item = &'g PathBuf> {
        let place = Path::new(place);
        self.kept.iter().filter(move |path| path.starts_with(place) && *path != place)
    }

    /// Where a kept path is on the host.
    fn source<'g>(&'g self, path: &'g Path) -> &'g Path {
        self.lent.as_ref().filter(|lent| lent.to == path).map_or(path, |lent| &lent.from)
    }
}

/// Lays the ground, as the cell's first process.
pub fn lay(ground: &Ground, groups: &[Group]) -> Result<(), Fault> {
    seal()?;
    // Those of the real places that are needed are held open while something else is mounted over them.
    for place in OPEN {
        open_up(ground, place)?;
    }
    if let Some(Lent { to, .. }) = &ground.lent {
        bind(to, to)?;
        writable(to)?;
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
    make_read_only(Path::new("/"), true).doing("make the cell's mounts read-only")
}

fn writable(dir: &Path) -> Result<(), Fault> {
    make_writable(dir).doing(format!("make {} writable in the cell", dir.display()))
}

/// Whether this host has one of the [`OPEN`] places, and as a directory: behind a link is one that isn't of that name.
fn opens(place: &str) -> bool {
    fs::symlink_metadata(place).is_ok_and(|metadata| metadata.is_dir())
}

/// Mounts an empty filesystem on PLACE, and in it again what is kept.
fn open_up(ground: &Ground, place: &str) -> Result<(), Fault> {
    if !opens(place) {
        return Ok(());
    }
    let mut kept = Vec::new();
    for path in ground.kept_in(place) {
        kept.push((path, hold(ground.source(path))?));
    }
    let options = "mode=1777,size=256m,nr_inodes=65536";
    let flags = MsFlags::MS_NOSUID;
    let fresh = || {
        mount(Some("tmpfs"), place, Some("tmpfs"), flags, Some(options))
            .doing(format!("mount tmpfs on {place}"))
    };
    if place == BACKSTAGE {
        fresh()?;
        keep_whole(Path::new(place));
    }
    fresh()?;
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

/// Mounts proc and sysfs whole and writable below PLACE, on which something else is mounted next.
///
/// A user namespace may mount a new proc or sysfs only if its mount namespace has one already that nothing is mounted
/// over, and that is as writable as the new one is to be (mount_namespaces(7); `mount_too_revealing()` in the kernel's
/// fs/namespace.c). The cell's own /proc and /sys aren't such, and a runtime with a user namespace of its own must get
/// in the cell what it gets outside. What can't be mounted here can't be mounted there either.
fn keep_whole(place: &Path) {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    for kind in ["proc", "sysfs"] {
        let dir = place.join(kind);
        let _ = fs::create_dir(&dir)
            .map_err(drop)
            .and_then(|()| mount(Some(kind), &dir, Some(kind), flags, None::<&str>).map_err(drop));
    }
}

/// /proc of the cell's processes. A real root may not write to all of it.
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
        make_read_only(file, false).doing(format!("make {} read-only", file.display()))?;
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
