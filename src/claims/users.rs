//! Claims about users: whose user namespace it is, who its ids are outside, and what they own (step 8).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sched::CloneFlags;
use nix::unistd::Pid;

use super::contents::Contents;
use super::evidence::Evidence;
use super::finding::{Finding, Seen};
use super::{is_apart, looked};
use engine::ids;
use fault::{Fault, errno_name};
use kernel::child::pidfd_open;
use kernel::netlink::link_up;
use kernel::process;
use kernel::users::{self, Line};
use kernel::visit::visit;

/// The kinds of namespaces that belong to a user namespace (user_namespaces(7)).
const OWNED: [&str; 6] = ["mnt", "pid", "net", "uts", "ipc", "cgroup"];

/// What is known of a container's users.
#[derive(Debug, Default)]
pub struct Users {
    /// `uid_map` and `gid_map`, as they are read outside.
    pub maps: [Vec<Line>; 2],
    /// CMD's effective user and group there.
    pub ids: [u32; 2],
    /// Its supplementary groups there.
    pub groups: Vec<u32>,
    /// Whether they can't be given up: `/proc/PID/setgroups` says `deny`.
    pub keeps_groups: bool,
    /// Of each kind of namespace that is its own: the inode of the user namespace that it belongs to.
    pub owners: Vec<(&'static str, Option<u64>)>,
    /// The inode of its own.
    pub own: u64,
    /// Whether those who look may map any id, and so may PROGRAM.
    pub by_root: bool,
    /// Users and ranges of somebody's that are mapped although they are somebody's.
    pub taken: Vec<String>,
    /// What came of setting the outside's loopback interface up with CMD's capabilities: the name of an error. Tried with
    /// our own alone.
    pub outside_power: Option<String>,
}

impl Users {
    /// Whether its root is somebody else outside than those who look.
    pub fn are_others(&self) -> bool {
        let root = self.maps[0].iter().find(|line| line.inside == 0);
        root.is_some_and(|line| line.outside != nix::unistd::geteuid().as_raw())
    }

    /// Of a process, by its PID; OUTSIDE is that of one outside.
    pub fn of(pid: Pid, outside: &str) -> Users {
        let name = pid.to_string();
        let status = |line: &str| process::status(Path::new("/proc"), &name, line).unwrap_or_default();
        let number = |text: &str| text.parse().unwrap_or(u32::MAX);
        // Real, effective, saved and of the filesystem (proc_pid_status(5)).
        let effective = |line: &str| status(line).split(' ').nth(1).map_or(u32::MAX, number);
        let maps = ["uid_map", "gid_map"].map(|file| users::map(&name, file));
        let by_root = !process::in_user_namespace();
        let owners = OWNED.map(|kind| (kind, users::owner(&name, kind)));
        let is_own = |kind: &str| process::namespace(&name, kind) != process::namespace(outside, kind);
        let setgroups = fs::read_to_string(format!("/proc/{pid}/setgroups")).unwrap_or_default();
        Users {
            taken: if by_root { ids::somebodys(&maps) } else { Vec::new() },
            maps,
            ids: ["Uid", "Gid"].map(effective),
            groups: status("Groups").split(' ').filter_map(|group| group.parse().ok()).collect(),
            keeps_groups: setgroups.trim() == "deny",
            owners: owners.into_iter().filter(|(kind, _)| is_own(kind)).collect(),
            own: fs::metadata(format!("/proc/{pid}/ns/user")).map_or(0, |found| found.ino()),
            by_root,
            outside_power: None,
        }
    }
}

/// Has a visitor in the user namespace of a process, and otherwise where we are, set the loopback interface up, as it is
/// already: that takes CAP_NET_ADMIN over the network. Returns what refused it.
pub fn power(pid: Pid) -> Result<String, Fault> {
    let is_own = process::namespace(&pid.to_string(), "user") != process::namespace("self", "user");
    let users = if is_own { CloneFlags::CLONE_NEWUSER } else { CloneFlags::empty() };
    let Ok(pidfd) = pidfd_open(pid) else { return Ok("ESRCH".into()) };
    visit(&pidfd, users, || link_up(c"lo").err().map(|errno| errno_name(&(errno as i32))).unwrap_or_default())
}

/// The id inside that stands for one outside.
fn inside(map: &[Line], outside: u32) -> Option<u32> {
    map.iter().find_map(|line| {
        let nth = outside.checked_sub(line.outside).filter(|nth| *nth < line.count)?;
        Some(line.inside + nth)
    })
}

pub fn root_inside(evidence: &Evidence) -> Option<Finding> {
    let looked = looked(evidence).filter(|looked| is_apart(looked, "user"))?;
    let Users { maps, ids, .. } = &looked.users;
    let seen = |[uid, gid]: [u32; 2]| Seen::found("user-and-group", [("uid", &uid), ("gid", &gid)]);
    let nobody = u32::from(u16::MAX - 1);
    let is: Vec<u32> = maps.iter().zip(ids).map(|(map, id)| inside(map, *id).unwrap_or(nobody)).collect();
    let signs = match is[..] {
        [0, 0] => None,
        _ if maps.iter().any(|map| map.iter().all(|line| line.inside != 0)) => Some("map"),
        _ => Some("still"),
    };
    Some(Finding::same(seen([0, 0]), seen([*is.first()?, *is.get(1)?])).with_signs(signs))
}

pub fn nobodys_ids(evidence: &Evidence) -> Option<Finding> {
    let looked = looked(evidence).filter(|looked| is_apart(looked, "user"))?;
    let Users { maps, by_root, taken, .. } = &looked.users;
    let line = |map: &[Line]| map.iter().map(Line::to_string).collect::<Vec<_>>().join(", ");
    let mapped = Seen::found("maps", [("uids", &line(&maps[0])), ("gids", &line(&maps[1]))]);
    if !by_root {
        // Nobody can map more than his own.
        return Some(Finding::same(mapped.clone(), mapped));
    }
    let otherwise = Seen::of("somebodys", "who", Seen::facts(taken));
    Some(Finding {
        actual: if taken.is_empty() { mapped } else { otherwise },
        ..Finding::holds(taken.is_empty(), Seen::words("nobodys"), Seen::words("nobodys"))
    })
}

pub fn owns_namespaces(evidence: &Evidence) -> Option<Finding> {
    let looked = looked(evidence).filter(|looked| is_apart(looked, "user"))?;
    let Users { owners, own, .. } = &looked.users;
    let not_its = owners.iter().filter(|(_, owner)| *owner != Some(*own)).map(|(kind, _)| kind);
    let others = Seen::of("belong-to-others", "kinds", Seen::facts(not_its.clone()));
    Some(Finding::holds(not_its.count() == 0, Seen::words("belong-to-it"), others))
}

pub fn no_groups(evidence: &Evidence) -> Option<Finding> {
    let looked = looked(evidence).filter(|looked| is_apart(looked, "user"))?;
    let Users { maps: [_, gids], groups, keeps_groups, .. } = &looked.users;
    if *keeps_groups {
        let kept = Seen::words("groups-kept");
        return Some(Finding::same(kept.clone(), kept));
    }
    let foreign = groups.iter().filter(|group| inside(gids, **group).is_none());
    Some(Finding::nothing(foreign.map(|group| Seen::found("group", [("gid", group)])).collect()))
}

pub fn powerless(evidence: &Evidence) -> Option<Finding> {
    let looked = looked(evidence).filter(|looked| is_apart(looked, "user"))?;
    let power = looked.users.outside_power.as_ref()?;
    let actual = if power.is_empty() { Seen::words("power-works") } else { Seen::fact(power) };
    Some(Finding::same(Seen::fact("EPERM"), actual))
}

pub fn same_owners(evidence: &Evidence) -> Option<Finding> {
    let looked = looked(evidence).filter(|looked| is_apart(looked, "user"))?;
    let others = &looked.view.other_owners;
    let otherwise = Seen::of("other-owners", "names", Seen::facts(others));
    Some(Finding::holds(others.is_empty(), Seen::words("same-owners"), otherwise))
}

/// Files that don't belong to the users inside that they belong to in the image.
pub fn other_owners(contents: &Contents) -> Vec<String> {
    let is_otherwise = |(name, owner): &(&Path, (u32, u32))| {
        let found = fs::symlink_metadata(Path::new("/").join(name));
        found.is_ok_and(|found| (found.uid(), found.gid()) != *owner)
    };
    contents.owners().filter(is_otherwise).map(|(name, _)| format!("/{}", name.display())).collect()
}
