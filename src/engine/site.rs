//! Where a container is made: what is there already, and what its things are called there. All of it is looked up
//! before there is a plan, so that the plan is data alone.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::sys::statfs::{EXT4_SUPER_MAGIC, FsType, statfs};

use super::network::name;
use super::spec::{Root, Spec};
use fault::{Doing, Fault};
use kernel::cgroup::{self, Group, Place};
use kernel::netlink::Device;
use kernel::netlink::route::has_ipv6;
use kernel::process::Owner;
use kernel::undo::{BOXES, GROUP_PREFIX};
use lab::Lab;
use lab::folders::Folders;

/// A place for one container.
#[derive(Clone, Debug)]
pub struct Site {
    /// The container's number, for names.
    pub number: u32,
    /// Who makes it. PIDs are the same in different PID namespaces that share a tree of groups; start times hardly ever.
    pub owner: Owner,
    /// Where directories are made.
    pub dir: PathBuf,
    /// Where those are made that `dir` is not fit for.
    pub cache: PathBuf,
    /// Whether all of it happens in a user namespace.
    pub rootless: bool,
    /// Whether what the container writes goes into the cache: overlayfs can't write to `dir`.
    pub writes_to_cache: bool,
    /// Where groups can be made, one for each hierarchy that a limit is on.
    pub places: Vec<Place>,
    /// Whether its network's bridge is there already.
    pub has_bridge: bool,
    /// Whether the kernel speaks IPv6.
    pub has_ipv6: bool,
}

impl Site {
    /// Looks the lab up for a container that is wanted there.
    ///
    /// # Errors
    /// A [`Fault::Unable`] where limits are wanted and no group can be made for them.
    pub fn in_lab(lab: &Lab, spec: &Spec) -> Result<Site, Fault> {
        let mut site = Site::around(&lab.folders, lab.rootless, lab.next_number(), spec)?;
        site.has_bridge = spec.network.as_ref().is_some_and(|endpoint| is_link(endpoint.network.bridge));
        site.writes_to_cache = matches!(spec.root, Some(Root::Layers(_)))
            && (lab.is_host || (lab.rootless && !takes_user_attributes(&lab.dir)))
            && takes_an_upper_layer(&lab.folders.cache)?;
        if lab.is_host && spec.is_handed_in() {
            return Err(Fault::broken(
                "mount its files",
                "on the host it is for whoever minds the container",
            ));
        }
        if lab.is_host && spec.network.is_some() {
            return Err(Fault::broken("make a network", "on the host it is for whoever minds the container"));
        }
        Ok(site)
    }

    /// The lab that would be made here, for a plan that nobody carries out.
    pub fn planned(folders: &Folders, rootless: bool, number: u32, spec: &Spec) -> Result<Site, Fault> {
        Site::around(folders, rootless, number, spec)
    }

    fn around(folders: &Folders, rootless: bool, number: u32, spec: &Spec) -> Result<Site, Fault> {
        let controllers = spec.limits.map(|limits| limits.controllers()).unwrap_or_default();
        let no_group = |fault: Fault| fault.of_step(super::parts::cgroup_limit::SLUG);
        Ok(Site {
            number,
            owner: Owner::me().doing("read /proc/self/stat")?,
            dir: folders.lab(),
            cache: folders.cache.clone(),
            rootless,
            writes_to_cache: false,
            places: cgroup::places(&controllers).map_err(no_group)?,
            has_bridge: false,
            has_ipv6: has_ipv6(),
        })
    }

    /// The directory of what the container writes.
    pub fn written(&self) -> PathBuf {
        let Owner { pid, started, .. } = self.owner;
        match self.writes_to_cache {
            true => self.cache.join(BOXES).join(format!("{pid}-{started}-{}", self.number)),
            false => self.dir.join(format!("box-{}", self.number)),
        }
    }

    /// The directory in it that overlayfs writes to.
    pub fn upper(&self) -> PathBuf {
        self.written().join("upper")
    }

    /// The one beside it that overlayfs works in.
    pub fn work(&self) -> PathBuf {
        self.written().join("work")
    }

    /// The one where all layers are seen as one tree.
    pub fn merged(&self) -> PathBuf {
        self.written().join("merged")
    }

    /// Where its image's layers are mounted as it sees them, lowest first.
    pub fn shown(&self, layers: &[PathBuf]) -> Vec<PathBuf> {
        (1..=layers.len()).map(|number| self.written().join(format!("lower-{number}"))).collect()
    }

    /// The group that is made at a place.
    pub fn group(&self, place: &Place) -> PathBuf {
        let Owner { pid, started, .. } = self.owner;
        place.parent.join(format!("{GROUP_PREFIX}{pid}-{started}-{}", self.number))
    }

    /// All groups that are made.
    pub fn groups(&self) -> Vec<Group> {
        let group = |place: &Place| Group {
            hierarchy: place.hierarchy.clone(),
            wanted: place.wanted.clone(),
            dir: self.group(place),
        };
        self.places.iter().map(group).collect()
    }
}

fn is_link(bridge: &str) -> bool {
    name(bridge).is_ok_and(|bridge| Device::find(&bridge).is_ok())
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

/// Whether overlayfs can write to a directory's filesystem. It can't on NFS, or on another overlay.
fn takes_an_upper_layer(dir: &Path) -> Result<bool, Fault> {
    const BTRFS: FsType = FsType(libc::BTRFS_SUPER_MAGIC);
    const XFS: FsType = FsType(libc::XFS_SUPER_MAGIC);
    let filesystem = statfs(dir).doing(format!("look at {}", dir.display()))?.filesystem_type();
    Ok([EXT4_SUPER_MAGIC, BTRFS, XFS].contains(&filesystem))
}
