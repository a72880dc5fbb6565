//! Step 8: users of its own, who are nobody outside.
//!
//! The first process is born in a user namespace, to which its other namespaces belong: root there has every capability
//! over them, and none over anything else. Which ids of the outside its users are is written to two files by whoever made
//! it, while it waits (user_namespaces(7)).

use std::path::{Path, PathBuf};

use nix::sched::CloneFlags;

use crate::ids::{Files, Ids};
use crate::op::{Call, File, Op, Ops};
use crate::owned::nested;
use crate::plan::Stage;
use crate::site::Site;
use crate::spec::{Root, Spec};
use fault::Fault;
use kernel::undo::Reversal;
use lab::Lab;

/// The step's slug.
pub const SLUG: &str = "user-map";

/// Users of its own.
pub fn operations(spec: &Spec, site: &Site) -> Result<Vec<Op>, Fault> {
    let mut ops = Ops::of(SLUG);
    let Some(ids) = &spec.ids else { return Ok(ops.list()) };
    if let (Files::Shown, Some(Root::Layers(layers))) = (ids.files, &spec.root) {
        show_files(&mut ops, ids, layers, site);
    }
    // ANCHOR: user-map-clone
    ops.add(Stage::Clone, "clone", Call::Namespace(CloneFlags::CLONE_NEWUSER));
    if spec.network.is_none() && !spec.extras.hosts_network {
        // A user namespace gets a /sys only with a network that belongs to it.
        ops.add(Stage::Clone, "clone", Call::Namespace(CloneFlags::CLONE_NEWNET));
        ops.make_room(Stage::Network, "clone", Call::LoopbackUp);
    }
    // ANCHOR_END: user-map-clone
    map(&mut ops, ids);
    become_root(&mut ops, ids);
    if spec.is_handed_in() {
        hand_in(&mut ops, ids, spec, site);
    }
    Ok(ops.list())
}

// ANCHOR: user-map-uid-map
/// Whoever may map one id only has to give up setgroups(2) for all that are born here: a group may be what keeps
/// somebody from a file.
fn map(ops: &mut Ops, ids: &Ids) {
    if !ids.are_others() {
        let deny = Call::Write { to: File::OfProcess("setgroups"), text: "deny".into() };
        ops.add(Stage::Attach, "setgroups", deny);
    }
    let [uids, gids] = ids.maps();
    ops.add(Stage::Attach, "uid-map", Call::Write { to: File::OfProcess("uid_map"), text: uids });
    ops.add(Stage::Attach, "gid-map", Call::Write { to: File::OfProcess("gid_map"), text: gids });
}
// ANCHOR_END: user-map-uid-map

// ANCHOR: user-map-setresuid
/// The process is still who its maker is. With one id that is id 0 by now; else it becomes it, before it makes
/// anything that would belong to nobody here.
fn become_root(ops: &mut Ops, ids: &Ids) {
    if ids.are_others() {
        ops.add(Stage::Identity, "groups", Call::NoGroups);
        ops.add(Stage::Identity, "setresgid", Call::BecomeGroup(0));
        ops.add(Stage::Identity, "setresuid", Call::BecomeUser(0));
        ops.add(Stage::Identity, "dumpable", Call::Dumpable);
    }
}
// ANCHOR_END: user-map-setresuid

// ANCHOR: user-map-idmap
/// An id-mapped mount of each of the image's layers: on disk its files go on belonging to id 0, and in the overlay that
/// is put together from these mounts they belong to the container's.
fn show_files(ops: &mut Ops, ids: &Ids, layers: &[PathBuf], site: &Site) {
    let users = PathBuf::from("users");
    let [uids, gids] = ids.maps();
    ops.make_room(Stage::Prepare, "idmap", Call::MakeUsers { name: users.clone(), uids, gids });
    let shown = site.shown(layers);
    for (path, name) in layers.iter().cloned().zip(shown.iter().cloned()) {
        ops.add(Stage::Prepare, "open-layer", Call::OpenTree { path, name, below: false });
    }
    for tree in shown.iter().cloned() {
        ops.add(Stage::Prepare, "idmap", Call::MapIds { tree, users: users.clone() });
    }
    for dir in shown {
        ops.make_room(Stage::Prepare, "shown", Call::MakeDirectory(dir.clone()));
        let mount = Call::MoveMount { tree: dir.clone(), target: dir.clone() };
        ops.add_with_undo(Stage::Prepare, "shown", mount, Reversal::Mount(dir));
    }
}
// ANCHOR_END: user-map-idmap

// ANCHOR: user-map-open-root
/// The way to its files may lead through directories that only their owner may pass, and its root is somebody else. So
/// it gets them as an open mount, and mounts that over `/`: the one place that it reaches whoever it is.
fn hand_in(ops: &mut Ops, ids: &Ids, spec: &Spec, site: &Site) {
    let root = spec.root_on_host(site);
    if let Some(Root::Layers(_)) = &spec.root {
        // The overlay's `/` belongs to whom its upper directory does.
        ops.add(
            Stage::Prepare,
            "upper-owner",
            Call::Chown { path: site.upper(), uid: ids.uid, gid: ids.gid },
        );
    }
    let open = Call::OpenTree { path: root.clone(), name: root.clone(), below: false };
    ops.add(Stage::Files, "open-root", open);
    let mount = Call::MoveMount { tree: root.clone(), target: Path::new("/").into() };
    // Before the mount table is cut loose from the host's: so that this mount is too.
    ops.add(Stage::Identity, "root", mount);
    ops.add(Stage::Identity, "enter-root", Call::EnterDirectory(root));
}
// ANCHOR_END: user-map-open-root

/// Whether the kernel makes a user namespace here that may mount a /proc and a /sys.
pub fn permitted(lab: &Lab) -> Result<(), Fault> {
    Ids::here(lab.rootless)?;
    nested()
}
