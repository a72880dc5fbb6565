//! What options of `run` ask for besides: no step of the course. A volume's source is opened by whoever runs us, by what he
//! may reach; where it goes is looked up in the container, whose files have no way out of it by then.

use std::path::{Path, PathBuf};

use crate::extras::{Extras, Volume, What};
use crate::ids::Ids;
use crate::op::{Call, Op, Ops};
use crate::plan::Stage;
use crate::site::Site;
use crate::spec::Spec;
use fault::Fault;

/// In place of a step's slug.
pub const SLUG: &str = "run";

/// What was asked for.
pub fn operations(spec: &Spec, _: &Site) -> Result<Vec<Op>, Fault> {
    let mut ops = Ops::of(SLUG);
    let Extras { user, directory, rlimits, mounts, read_only, .. } = &spec.extras;
    for volume in mounts {
        mount(&mut ops, volume, spec.ids.as_ref());
    }
    if let Some(directory) = directory {
        start_in(&mut ops, directory);
    }
    if *read_only {
        let root = PathBuf::from("/");
        ops.add(Stage::Asked, "target", Call::OpenInRoot { path: root.clone(), name: root.clone() });
        let seal = Call::Restrict { mount: root, attributes: libc::MOUNT_ATTR_RDONLY, below: false };
        ops.add(Stage::Asked, "read-only", seal);
    }
    for limit in rlimits {
        ops.add(Stage::Seal, "rlimit", Call::Limit(limit.clone()));
    }
    if let Some(user) = user {
        ops.add(Stage::Seal, "user-groups", Call::GroupsOf(user.clone()));
        ops.add(Stage::Seal, "user-group", Call::GroupOf(user.clone()));
        ops.add(Stage::Seal, "user", Call::IdOf(user.clone()));
        if spec.processes && !spec.outlives_its_maker {
            // Whoever changes his ids loses it (prctl(2)).
            ops.add(Stage::Seal, "user-pdeathsig", Call::ParentDeathSignal);
        }
    }
    Ok(ops.list())
}

/// One mount more. The target is made and opened by one lookup that can't leave `/`, and mounted on by its descriptor: a
/// link in its place, or one that is put there meanwhile, changes nothing (CVE-2021-30465).
fn mount(ops: &mut Ops, volume: &Volume, ids: Option<&Ids>) {
    let target = &volume.target;
    let (tree, directory) = match &volume.what {
        What::Bind { source, directory, shown } => {
            let tree = named(source, target);
            let open = Call::OpenTree { path: source.clone(), name: tree.clone(), below: true };
            ops.add(Stage::Files, "volume", open);
            if let (true, Some(ids)) = (shown, ids) {
                let users = PathBuf::from("volume-users");
                let [uids, gids] = ids.maps();
                ops.make_room(
                    Stage::Files,
                    "volume-ids",
                    Call::MakeUsers { name: users.clone(), uids, gids },
                );
                ops.add(Stage::Files, "volume-ids", Call::MapIds { tree: tree.clone(), users });
            }
            let restrict = Call::Restrict { mount: tree.clone(), attributes: volume.attributes, below: true };
            ops.add(Stage::Files, "volume-attributes", restrict);
            (tree, *directory)
        }
        What::Tmpfs(options) => {
            let tree = named(Path::new("tmpfs"), target);
            let (name, options, attributes) = (tree.clone(), options.clone(), volume.attributes);
            ops.add(Stage::Asked, "tmpfs", Call::MakeTmpfs { name, options, attributes });
            (tree, true)
        }
    };
    ops.make_room(Stage::Asked, "target", Call::MakeInRoot { path: target.clone(), directory });
    ops.add(Stage::Asked, "target", Call::OpenInRoot { path: target.clone(), name: target.clone() });
    ops.add(Stage::Asked, "attach", Call::Attach { tree, target: target.clone() });
}

/// What a mount is called until it is mounted.
fn named(source: &Path, target: &Path) -> PathBuf {
    let mut name = source.as_os_str().to_owned();
    name.push(":");
    name.push(target);
    name.into()
}

/// The program's directory. A link of the image's to what we hold open would lead out (CVE-2024-21626).
fn start_in(ops: &mut Ops, directory: &Path) {
    let path = directory.to_path_buf();
    ops.make_room(Stage::Asked, "workdir", Call::MakeInRoot { path: path.clone(), directory: true });
    ops.add(Stage::Asked, "target", Call::OpenInRoot { path: path.clone(), name: path.clone() });
    ops.add(Stage::Asked, "workdir", Call::EnterDirectory(path));
}
