//! A directory for one container, with what is mounted in it. All of it goes with it.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use engine::parts::overlay::escaped;
use fault::{Doing, Fault};
use kernel::process::in_user_namespace;
use kernel::tree;
use lab::folders::temp_dir;

/// A directory for temporary files' sake, below [`temp_dir`].
pub struct Scratch {
    pub dir: PathBuf,
    mounts: Vec<PathBuf>,
}

impl Scratch {
    /// Makes it. Only its owner may enter.
    pub fn new() -> Result<Scratch, Fault> {
        let dir = temp_dir().join(Scratch::name());
        DirBuilder::new().mode(0o700).create(&dir).doing(format!("make {}", dir.display()))?;
        Ok(Scratch { dir, mounts: Vec::new() })
    }

    /// A name that no other container of ours has at the time.
    pub fn name() -> String {
        format!("adapt-{}", std::process::id())
    }

    /// A new directory in it.
    pub fn make(&self, name: &str) -> Result<PathBuf, Fault> {
        let dir = self.dir.join(name);
        fs::create_dir(&dir).doing(format!("make {}", dir.display()))?;
        Ok(dir)
    }

    /// Puts a layer that takes writes over an image, as whoever calls a low-level runtime does.
    pub fn overlay(&mut self, image: &Path) -> Result<PathBuf, Fault> {
        let (root, upper, work) = (self.make("root")?, self.make("upper")?, self.make("work")?);
        let xattr = if in_user_namespace() { ",userxattr" } else { "" };
        let [lower, upper, work] = [image, &upper, &work].map(escaped);
        let options = format!("lowerdir={lower},upperdir={upper},workdir={work}{xattr}");
        self.mounts.push(root.clone());
        mount(Some("overlay"), &root, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
            .doing(format!("mount an overlay on {}", root.display()))?;
        Ok(root)
    }

    /// The caller's whole tree once more, for a runtime that wants a root filesystem whatever happens.
    pub fn mirror(&mut self) -> Result<PathBuf, Fault> {
        let (root, none) = (self.make("root")?, None::<&str>);
        let doing = || format!("bind / to {}", root.display());
        self.mounts.push(root.clone());
        mount(Some("/"), &root, none, MsFlags::MS_BIND | MsFlags::MS_REC, none).doing(doing())?;
        // Or what is unmounted in the mirror would be unmounted in the original (mount_namespaces(7)).
        mount(none, &root, none, MsFlags::MS_SLAVE | MsFlags::MS_REC, none).doing(doing())?;
        Ok(root)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let unmounted = self.mounts.iter().rev().all(|place| umount2(place, MntFlags::MNT_DETACH).is_ok());
        // Never into what is still mounted there.
        if unmounted {
            let _ = tree::remove(&self.dir);
        }
    }
}
