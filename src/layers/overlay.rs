//! Step 5: an image that stays as it is, under a layer for what the container writes.
//!
//! overlayfs shows several directories as one tree (Documentation/filesystems/overlayfs.rst): reads
//! come from the topmost layer that has the file, writes go to the upper layer, and the layers
//! below are never touched.

use std::path::{Path, PathBuf};

use nix::mount::MsFlags;

use super::{Host, Inside, Layer, Stage};
use crate::fault::Fault;
use crate::kernel::undo::Reversal;

/// A root that is read-only layers below and one writable layer above.
pub struct Overlay {
    /// The image's layers, lowest first.
    lowers: Vec<PathBuf>,
    made: Option<Directories>,
    /// In a user namespace overlayfs may not use `trusted.*` attributes, and takes `user.*`.
    userxattr: bool,
}

struct Directories {
    upper: PathBuf,
    work: PathBuf,
    merged: PathBuf,
}

impl Overlay {
    pub fn new(lowers: Vec<PathBuf>, rootless: bool) -> Overlay {
        Overlay { lowers, made: None, userxattr: rootless }
    }

    /// The mount's options. The first directory of `lowerdir` is the topmost.
    fn options(&self, made: &Directories) -> String {
        let lowers: Vec<_> = self.lowers.iter().rev().map(|dir| escaped(dir)).collect();
        let (upper, work) = (escaped(&made.upper), escaped(&made.work));
        let extra = if self.userxattr { ",userxattr" } else { "" };
        format!("lowerdir={},upperdir={upper},workdir={work}{extra}", lowers.join(":"))
    }
}

/// A path as overlayfs reads it: colons separate layers and commas options, unless escaped.
pub fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "\\\\").replace(':', "\\:").replace(',', "\\,")
}

impl Layer for Overlay {
    fn slug(&self) -> &'static str {
        "overlay"
    }

    fn prepare(&mut self, host: &mut Host) -> Result<(), Fault> {
        let base = host.lab.fresh_dir("box")?;
        host.undo.before(Reversal::Tree(base.clone()))?;
        let (upper, work, merged) = (base.join("upper"), base.join("work"), base.join("merged"));
        host.calls.mkdir("upper", &upper, 0o755)?;
        host.calls.mkdir("work", &work, 0o755)?;
        host.calls.mkdir("merged", &merged, 0o755)?;
        host.made.upper = Some(upper.clone());
        self.made = Some(Directories { upper, work, merged });
        Ok(())
    }

    fn enter(&self, stage: Stage, inside: &mut Inside) -> Result<(), Fault> {
        if let (Stage::Image, Some(made)) = (stage, &self.made) {
            let options = self.options(made);
            let source = Some(Path::new("overlay"));
            inside.calls.mount(
                "overlay",
                source,
                &made.merged,
                Some("overlay"),
                MsFlags::empty(),
                Some(&options),
            )?;
            inside.root = made.merged.clone();
            inside.root_is_mount = true;
        }
        Ok(())
    }
}
