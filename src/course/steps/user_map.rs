//! Step 8: users of its own, who are nobody outside.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use crate::language::Phrase;
use crate::{Build, Part, Row, Step};
use checks::{Fact, Scene};
use claims::task::Asked;
use claims::{KERNELS, Need, claim, own_namespace, users};
use engine::OwnFiles;
use engine::ids::Files;
use engine::parts;
use engine::template::SECOND;
use fault::{Doing, Fault, errno_name};
use kernel::netlink::link_up;
use kernel::process;
use kernel::told::Silence;
use kernel::users as namespaces;

pub const STEP: Step = Step {
    number: 8,
    slug: parts::user_map::SLUG,
    builds: Build::Part(Part {
        wants: |wanted, _| wanted.users = true,
        facts,
        row: Row { host: Phrase::new("users", "사용자"), own: Phrase::new("IDs", "ID") },
        owns: &["part-users"],
        options: &["--userns"],
        way_on: Some("run-without-users"),
    }),
    permit: Some(parts::user_map::permitted),
    claims: &[
        claim("own-users", Need::Look, |evidence| own_namespace(evidence, "user")),
        claim("root-inside", Need::Look, users::root_inside),
        claim("nobodys-ids", Need::Look, users::nobodys_ids),
        claim("owns-namespaces", Need::Look, users::owns_namespaces),
        claim("no-groups", Need::Look, users::no_groups),
        claim("powerless", Need::Look, users::powerless).ours(KERNELS),
        claim("same-owners", Need::Look, users::same_owners),
    ],
    exercise: Some(Asked { users: true, ..Asked::NOTHING }),
};

/// The kinds of namespaces that belong to a user namespace.
const KINDS: [&str; 6] = ["mnt", "pid", "net", "uts", "ipc", "cgroup"];

/// The file that a container makes, to see whose it is.
const MINE: &str = "mine";

/// A file of the image, where it has it: the program that every container here begins with.
const SHELL: &str = "bin/sh";

/// The effective user of a process (proc_pid_status(5)), as the host knows it.
fn user(pid: &str) -> String {
    let ids = process::status(Path::new("/proc"), pid, "Uid").unwrap_or_default();
    ids.split(' ').nth(1).and_then(|id| id.parse().ok()).map_or("?".into(), on_the_host)
}

/// The id that the host has for one of the lab's: without root the lab has a map too.
fn on_the_host(id: u32) -> String {
    let line = namespaces::map("self", "uid_map").into_iter().find_map(|line| {
        let nth = id.checked_sub(line.inside).filter(|nth| *nth < line.count)?;
        Some(line.outside + nth)
    });
    line.unwrap_or(id).to_string()
}

fn map(pid: &str) -> String {
    namespaces::map(pid, "uid_map").iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Whether setgroups(2) may be called, `allow` or `deny`.
fn setgroups(pid: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/setgroups")).unwrap_or_default().trim().to_owned()
}

fn owner(path: &Path, name: impl Fn(u32) -> String) -> String {
    fs::metadata(path).map_or_else(|e| format!("({})", e.kind()), |found| name(found.uid()))
}

/// Which namespaces of the container belong to a user namespace.
fn owned(scene: &Scene, by: &str) -> String {
    let by = fs::metadata(format!("/proc/{by}/ns/user")).map_or(0, |found| found.ino());
    let belongs = |kind: &&str| namespaces::owner(&scene.pid(), kind) == Some(by);
    let kinds: Vec<_> = KINDS.into_iter().filter(belongs).collect();
    if kinds.is_empty() { "none".into() } else { kinds.join(" ") }
}

/// Whose a file of the image is on disk, and whose it is inside.
fn of_the_image(scene: &Scene) -> Result<(String, String), Fault> {
    let layers = scene.layers();
    let lower = layers.iter().rev().map(|dir| dir.join(SHELL)).find(|path| path.exists());
    let inside = scene.container.look(|| owner(&Path::new("/").join(SHELL), |id| id.to_string()))?;
    Ok((owner(&lower.unwrap_or_default(), on_the_host), inside))
}

/// Whose a file is that was made inside: seen on disk, where the container's writes go, and inside. In a container of its
/// own, so that the learner's program does not find it.
fn of_its_own(scene: &Scene) -> Result<(String, String), Fault> {
    let (other, _held) = scene.template.resident(SECOND, &mut Silence)?;
    let made: Result<(), i32> =
        other.change(|own: &OwnFiles| own.write(Path::new(MINE), "mine\n").map_err(|errno| errno as i32))?;
    made.map_err(nix::errno::Errno::from_raw).doing("make a file in the container")?;
    let below =
        other.on_host.upper.clone().unwrap_or_else(|| PathBuf::from(format!("/proc/{}/root", other.pid)));
    let inside = other.look(|| owner(&Path::new("/").join(MINE), |id| id.to_string()))?;
    Ok((owner(&below.join(MINE), on_the_host), inside))
}

pub fn facts(scene: &Scene) -> Result<Vec<Fact>, Fault> {
    let pid = scene.pid();
    let (outside, inside) = scene.namespaces("user");
    let (on_disk, shown) = of_the_image(scene)?;
    let (written, seen) = of_its_own(scene)?;
    let way = match scene.template.spec.ids.map(|ids| ids.files) {
        Some(Files::Shown) => "id-mapped mounts",
        Some(Files::Copied) => "a copy",
        _ => "the same id",
    };
    let works = |errno: &str| if errno.is_empty() { "works".into() } else { errno.to_owned() };
    let lo = || link_up(c"lo").err().map(|errno| errno_name(&(errno as i32))).unwrap_or_default();
    let abroad = users::power(scene.container.pid)?;
    let at_home = scene.container.look(lo)?;
    let root = scene.container.look(|| geteuid().to_string())?;
    Ok(vec![
        Fact::new("namespace", outside, inside),
        Fact::new("uid", user(&pid), root),
        Fact::new("map", map("self"), map(&pid)),
        Fact::new("setgroups", setgroups("self"), setgroups(&pid)),
        Fact::new("owners", owned(scene, "self"), owned(scene, &pid)),
        Fact::new("power", works(&abroad), works(&at_home)),
        Fact::new("image-file", on_disk, shown),
        Fact::new("own-file", written, seen),
        Fact::new("way", way, ""),
    ])
}
