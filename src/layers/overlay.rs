//! Step 5: an image that stays as it is, under a layer for what the container writes.
//!
//! overlayfs shows several directories as one tree (Documentation/filesystems/overlayfs.rst): reads
//! come from the topmost layer that has the file, writes go to the upper layer, and the layers
//! below are never touched.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::mount::MsFlags;
use nix::sched::CloneFlags;
use nix::sys::statfs::{EXT4_SUPER_MAGIC, FsType, statfs};

use super::{Host, Inside, Layer, Stage};
use crate::container::Root;
use crate::fault::{Doing, Fault};
use crate::kernel::caller::Caller;
use crate::kernel::lacks;
use crate::kernel::ledger::{BOXES, Undo};
use crate::kernel::process::Owner;
use crate::kernel::told::{Actor, Silence};
use crate::kernel::undo::Reversal;
use crate::lab::Lab;

/// A root that is read-only layers below and one writable layer above.
pub struct Overlay {
    /// The image's layers, lowest first.
    lowers: Vec<PathBuf>,
    made: Option<Directories>,
    /// In a user namespace overlayfs may not use `trusted.*` attributes, and takes `user.*`.
    userxattr: bool,
    /// What is written need not reach the disk: it is thrown away with the container.
    volatile: bool,
}

struct Directories {
    upper: PathBuf,
    work: PathBuf,
    merged: PathBuf,
}

impl Overlay {
    pub fn new(lowers: Vec<PathBuf>, rootless: bool) -> Overlay {
        Overlay { lowers, made: None, userxattr: rootless, volatile: false }
    }

    fn mount(&self, made: &Directories, calls: &mut Caller) -> Result<(), Fault> {
        let (source, flags) = (Some(Path::new("overlay")), MsFlags::empty());
        calls.mount("overlay", source, &made.merged, Some("overlay"), flags, Some(&self.options(made)))
    }

    /// The mount's options. The first directory of `lowerdir` is the topmost.
    fn options(&self, made: &Directories) -> String {
        let lowers: Vec<_> = self.lowers.iter().rev().map(|dir| escaped(dir)).collect();
        let (upper, work) = (escaped(&made.upper), escaped(&made.work));
        let userxattr = if self.userxattr { ",userxattr" } else { "" };
        let volatile = if self.volatile { ",volatile" } else { "" };
        format!("lowerdir={},upperdir={upper},workdir={work}{userxattr}{volatile}", lowers.join(":"))
    }
}

/// Whether overlayfs takes what a container's root is made of. Asked by mounting one, over the cache and in the lab, in
/// a child whose mount table goes with it.
pub fn permitted(lab: &Lab) -> Result<(), Fault> {
    let base = lab.fresh_dir("trial")?;
    let made =
        Directories { upper: base.join("upper"), work: base.join("work"), merged: base.join("merged") };
    for dir in [&made.upper, &made.work, &made.merged] {
        fs::create_dir(dir).doing(format!("make {}", dir.display()))?;
    }
    let overlay = Overlay::new(vec![lab.folders.cache.clone()], lab.rootless);
    let mounted = lacks::aside(|| {
        let mut silence = Silence;
        let mut calls = Caller::new(Actor::Host, &mut silence);
        calls.speak_for(overlay.slug());
        calls.unshare("clone", CloneFlags::CLONE_NEWNS)?;
        overlay.mount(&made, &mut calls)
    })?;
    let _ = fs::remove_dir_all(&base);
    mounted.map_err(|fault| match fault {
        // No privilege is missing to who may mount the lab's own filesystem.
        Fault::Refused(refused) if refused.errno == libc::EPERM => {
            Fault::unable("overlay-for-root-only", &[]).of_step(&refused.step)
        }
        fault => fault,
    })
}

/// A path as overlayfs reads it: colons separate layers and commas options, unless escaped.
pub fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "\\\\").replace(':', "\\:").replace(',', "\\,")
}

/// Whether a directory can have `user.*` attributes (xattr(7)). On a tmpfs it can since Linux 6.6. Without them
/// overlayfs can't mark a directory as opaque, and `rm -r` of an image's directory fails with EIO.
fn takes_user_attributes(dir: &Path) -> bool {
    let Ok(dir) = CString::new(dir.as_os_str().as_bytes()) else { return false };
    // SAFETY: both strings end in NUL and outlive the calls; the value is empty.
    unsafe {
        libc::setxattr(dir.as_ptr(), c"user.workshop".as_ptr(), std::ptr::null(), 0, 0) == 0
            && libc::removexattr(dir.as_ptr(), c"user.workshop".as_ptr()) == 0
    }
}

/// A directory in the cache, for lack of a better one in the lab; `None` where overlayfs can't write to the
/// cache's filesystem either, as on NFS or another overlay.
fn on_disk(host: &mut Host) -> Result<Option<PathBuf>, Fault> {
    const BTRFS: FsType = FsType(libc::BTRFS_SUPER_MAGIC);
    const XFS: FsType = FsType(libc::XFS_SUPER_MAGIC);
    let cache = &host.lab.folders.cache;
    let filesystem = statfs(cache).doing(format!("look at {}", cache.display()))?.filesystem_type();
    if ![EXT4_SUPER_MAGIC, BTRFS, XFS].contains(&filesystem) {
        return Ok(None);
    }
    let me = Owner::me().doing("read /proc/self/stat")?;
    let dir = cache.join(BOXES).join(format!("{}-{}-{}", me.pid, me.started, host.number));
    host.undo.before(Reversal::Outside(Undo::RemoveBox { path: dir.clone() }))?;
    fs::create_dir_all(&dir).doing(format!("make {}", dir.display()))?;
    Ok(Some(dir))
}

impl Layer for Overlay {
    fn slug(&self) -> &'static str {
        "overlay"
    }

    // ANCHOR: overlay-upper
    fn prepare(&mut self, host: &mut Host) -> Result<(), Fault> {
        let mut base = host.lab.fresh_dir("box")?;
        host.undo.before(Reversal::Tree(base.clone()))?;
        if self.userxattr
            && !takes_user_attributes(&base)
            && let Some(dir) = on_disk(host)?
        {
            base = dir;
            self.volatile = true;
        }
        let (upper, work, merged) = (base.join("upper"), base.join("work"), base.join("merged"));
        host.calls.mkdir("upper", &upper, 0o755)?;
        host.calls.mkdir("work", &work, 0o755)?;
        host.calls.mkdir("merged", &merged, 0o755)?;
        host.made.upper = Some(upper.clone());
        host.made.root = Some(Root::Overlay(upper.clone()));
        self.made = Some(Directories { upper, work, merged });
        Ok(())
    }
    // ANCHOR_END: overlay-upper

    // ANCHOR: overlay-overlay
    fn enter(&self, stage: Stage, inside: &mut Inside) -> Result<(), Fault> {
        if let (Stage::Image, Some(made)) = (stage, &self.made) {
            self.mount(made, &mut inside.calls)?;
            inside.root = made.merged.clone();
            inside.root_is_mount = true;
        }
        Ok(())
    }
    // ANCHOR_END: overlay-overlay
}
