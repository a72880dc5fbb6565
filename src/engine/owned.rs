//! A container's files, where its users are others than those that the files belong to: how it comes to own them.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::extras::What;
use super::hands::try_out;
use super::ids::{Files, Ids};
use super::op::{Call, Ops, Side};
use super::parts::user_map;
use super::plan::{Plan, Stage};
use super::site::Site;
use super::spec::{Root, Spec};
use fault::{Doing, Fault};
use kernel::{attributes, lacks, users};
use lab::{Lab, no_user_namespace};

/// The ids of a container with these layers: with id-mapped mounts of them, where the kernel and their filesystems have
/// such. Asked by putting an overlay together from some, in a child whose mount table goes with it. `site` has an empty
/// directory for that; one that is not there yet, or not empty, is covered first.
pub fn ids_for(layers: &[PathBuf], ids: Ids, site: &Site, covered: bool) -> Ids {
    if !ids.are_others() {
        return ids;
    }
    let shown = Ids { files: Files::Shown, ..ids };
    let tried = try_to_show(layers, shown, site, covered);
    if tried.is_ok() { shown } else { Ids { files: Files::Copied, ..ids } }
}

fn try_to_show(layers: &[PathBuf], ids: Ids, site: &Site, covered: bool) -> Result<(), Fault> {
    let spec = Spec { root: Some(Root::Layers(layers.into())), ids: Some(ids), ..Spec::default() };
    let mut ops = Ops::of(user_map::SLUG);
    let mount = |source: Option<&'static str>, target: &Path, flags| {
        let (fstype, source) = (source, source.map(PathBuf::from));
        Call::Mount { source, target: target.into(), fstype, flags, data: None }
    };
    let everything = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    ops.add(Stage::Prepare, "private", mount(None, Path::new("/"), everything));
    if covered {
        ops.make_room(Stage::Prepare, "upper", Call::MakeDirectory(site.dir.clone()));
        ops.add(Stage::Prepare, "upper", mount(Some("tmpfs"), &site.dir, MsFlags::empty()));
    }
    let mut ops = ops.list();
    let is_asked = |stage: Stage| stage.side() == Side::Host && stage < Stage::Clone;
    ops.extend(Plan::new(&spec, site)?.ops.into_iter().filter(|op| is_asked(op.stage)));
    try_out(CloneFlags::CLONE_NEWNS, &ops)
}

/// Has volumes shown with the container's own users as their owners, where the kernel and their filesystems have
/// id-mapped mounts. Elsewhere their files are nobody's inside.
pub fn show_volumes(spec: &mut Spec) {
    let Some([uids, gids]) = spec.ids.filter(Ids::are_others).map(|ids| ids.maps()) else { return };
    for volume in &mut spec.extras.mounts {
        if let What::Bind { source, shown, .. } = &mut volume.what {
            let tree = attributes::open_tree(source, true).doing("open a volume");
            let mapped = tree.and_then(|tree| {
                attributes::map_ids(&tree, &users::with_maps(&uids, &gids)?).doing("map a volume's ids")
            });
            *shown = mapped.is_ok();
        }
    }
}

/// A copy of each layer that belongs to the container's users; with `as_one`, one copy of all of them.
pub fn copies(lab: &Lab, layers: &[PathBuf], ids: &Ids, as_one: bool) -> Result<Vec<PathBuf>, Fault> {
    let mut copies: Vec<PathBuf> = Vec::new();
    for layer in layers {
        let copy = match copies.first().filter(|_| as_one) {
            Some(first) => first.clone(),
            None => lab.fresh_dir("given")?,
        };
        give_copy(layer, &copy, ids).doing(format!("copy {} to {}", layer.display(), copy.display()))?;
        if !copies.contains(&copy) {
            copies.push(copy);
        }
    }
    Ok(copies)
}

/// Copies directories, files and links. Who owns one, the container's user of the same number owns then; an id that it
/// has no number for becomes its last.
fn give_copy(from: &Path, to: &Path, ids: &Ids) -> std::io::Result<()> {
    let found = from.symlink_metadata()?;
    let kind = found.file_type();
    if kind.is_symlink() {
        // A later layer's takes the place of an earlier one's.
        let _ = fs::remove_file(to);
        symlink(fs::read_link(from)?, to)?;
    } else if kind.is_dir() {
        if !to.is_dir() {
            fs::create_dir(to)?;
        }
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            give_copy(&from.join(&name), &to.join(&name), ids)?;
        }
    } else if kind.is_file() {
        fs::copy(from, to)?;
    } else {
        // A device or a FIFO: what a container needs of those it gets mounted.
        return Ok(());
    }
    let last = ids.count - 1;
    lchown(to, Some(ids.uid + found.uid().min(last)), Some(ids.gid + found.gid().min(last)))?;
    // To give a file away takes the set-user-ID bit from it (chown(2)).
    if kind.is_symlink() { Ok(()) } else { fs::set_permissions(to, fs::Permissions::from_mode(found.mode())) }
}

/// Whether a user namespace is made here that gets a /proc and a /sys of its own.
pub fn nested() -> Result<(), Fault> {
    let user = CloneFlags::CLONE_NEWUSER;
    let others = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNET;
    lacks::aside(|| {
        unshare(user | others).map_err(|errno| {
            let lack = lacks::namespaces(user | others, CloneFlags::empty());
            lack.unwrap_or_else(|| no_user_namespace(errno))
        })?;
        // Its first process is the next child.
        lacks::aside(mount_own)?
    })?
}

fn mount_own() -> Result<(), Fault> {
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).doing("make mounts private")?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    for (kind, key, target, more) in
        [("proc", "proc", "/proc", MsFlags::empty()), ("sysfs", "sys", "/sys", MsFlags::MS_RDONLY)]
    {
        mount(Some(kind), target, Some(kind), flags | more, none).map_err(|errno| {
            let hidden = lacks::hidden(key).filter(|_| errno == Errno::EPERM);
            hidden.unwrap_or_else(|| Fault::broken(format!("mount {kind} in a user namespace"), errno))
        })?;
    }
    Ok(())
}
