//! Step 5: an image that stays as it is, under a layer for what the container writes.
//!
//! overlayfs shows several directories as one tree (Documentation/filesystems/overlayfs.rst): reads
//! come from the topmost layer that has the file, writes go to the upper layer, and the layers
//! below are never touched.

use std::path::{Path, PathBuf};

use nix::mount::MsFlags;
use nix::sched::CloneFlags;

use crate::hands::try_out;
use crate::ids::{Files, Ids};
use crate::op::{Call, Op, Ops};
use crate::plan::Stage;
use crate::site::Site;
use crate::spec::{Root, Spec};
use fault::Fault;
use kernel::undo::{Reversal, Undo};
use lab::Lab;

/// The step's slug.
pub const SLUG: &str = "overlay";

/// A root that is read-only layers below and one writable layer above.
pub fn operations(spec: &Spec, site: &Site) -> Result<Vec<Op>, Fault> {
    let mut ops = Ops::of(SLUG);
    let Some(Root::Layers(lowers)) = &spec.root else { return Ok(ops.list()) };
    // ANCHOR: overlay-upper
    let dir = site.written();
    let undo = match site.writes_to_cache {
        true => Reversal::Outside(Undo::RemoveBox { path: dir.clone() }),
        false => Reversal::Tree(dir.clone()),
    };
    ops.make_room_with_undo(Stage::Prepare, "upper", Call::MakeDirectory(dir), undo);
    ops.add(Stage::Prepare, "upper", Call::MakeDirectory(site.upper()));
    ops.add(Stage::Prepare, "work", Call::MakeDirectory(site.work()));
    ops.add(Stage::Prepare, "merged", Call::MakeDirectory(site.merged()));
    // ANCHOR_END: overlay-upper
    // ANCHOR: overlay-overlay
    let lowers = match spec.ids {
        Some(Ids { files: Files::Shown, .. }) => site.shown(lowers),
        _ => lowers.clone(),
    };
    let overlay = Call::Mount {
        source: Some("overlay".into()),
        target: site.merged(),
        fstype: Some("overlay"),
        flags: MsFlags::empty(),
        data: Some(options(&lowers, site)),
    };
    if spec.is_handed_in() {
        // Its own root may not mount what belongs to others.
        ops.add_with_undo(Stage::Files, "overlay", overlay, Reversal::Mount(site.merged()));
    } else {
        ops.add(Stage::Image, "overlay", overlay);
    }
    // ANCHOR_END: overlay-overlay
    Ok(ops.list())
}

/// The mount's options. The first directory of `lowerdir` is the topmost.
fn options(lowers: &[PathBuf], site: &Site) -> String {
    let lowers: Vec<_> = lowers.iter().rev().map(|dir| escaped(dir)).collect();
    let (upper, work) = (escaped(&site.upper()), escaped(&site.work()));
    // In a user namespace overlayfs may not use `trusted.*` attributes, and takes `user.*`.
    let userxattr = if site.rootless { ",userxattr" } else { "" };
    // What is written to a disk need not reach it: it is thrown away with the container.
    let volatile = if site.writes_to_cache { ",volatile" } else { "" };
    format!("lowerdir={},upperdir={upper},workdir={work}{userxattr}{volatile}", lowers.join(":"))
}

/// A path as overlayfs reads it: colons separate layers and commas options, unless escaped.
pub fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "\\\\").replace(':', "\\:").replace(',', "\\,")
}

/// Whether overlayfs takes what a container's root is made of. Asked by mounting one, over the cache and in the lab, in
/// a child whose mount table goes with it.
pub fn permitted(lab: &Lab) -> Result<(), Fault> {
    let root = Some(Root::Layers(vec![lab.folders.cache.clone()]));
    let spec = Spec { root, ..Spec::default() };
    let dir = lab.fresh_dir("trial")?;
    let site = Site { writes_to_cache: false, dir: dir.clone(), ..Site::in_lab(lab, &spec)? };
    let mounted = try_out(CloneFlags::CLONE_NEWNS, &operations(&spec, &site)?);
    let _ = std::fs::remove_dir_all(dir);
    mounted.map_err(|fault| match fault {
        // No privilege is missing to who may mount the lab's own filesystem.
        Fault::Refused(refused) if refused.errno == libc::EPERM => {
            Fault::unable("overlay-for-root-only", &[]).of_step(&refused.step)
        }
        fault => fault,
    })
}
