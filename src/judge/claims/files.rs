//! Claims about mounts, the root and the image (steps 2, 3 and 5).

use std::collections::BTreeSet;

use super::{Case, Finding, holds, is_apart, left_of, nothing, some_of};
use crate::judge::sight::Subject;
use crate::kernel::mounts::{self, Mount};

/// Numbers of peer groups in a mount table (`shared:N`, mount_namespaces(7)).
fn peers(table: &[Mount]) -> BTreeSet<&str> {
    table.iter().flat_map(|m| m.propagation.split(' ')).filter(|p| p.starts_with("shared:")).collect()
}

fn parse(lines: &[String]) -> Vec<Mount> {
    mounts::parse(&lines.join("\n"))
}

pub fn private(case: &Case) -> Option<Finding> {
    let looked = case.looked().filter(|looked| is_apart(looked, "mnt"))?;
    let (inside, outside) = (Subject::parse(&looked.view), parse(&looked.during.mounts));
    let theirs = peers(&outside);
    let shares = |m: &&Mount| m.propagation.split(' ').any(|peer| theirs.contains(peer));
    let shared: Vec<&str> = inside.iter().filter(shares).map(|m| m.target.as_str()).collect();
    let otherwise = format!("shared with outside: {}", some_of(&shared));
    holds(shared.is_empty(), "no mount is shared with outside", otherwise)
}

pub fn own_proc(case: &Case) -> Option<Finding> {
    let view = &case.looked()?.view;
    let held = view.proc_is_procfs && view.proc_self == view.own_pid.to_string();
    let otherwise = match (view.proc_is_procfs, view.proc_self.as_str()) {
        (false, _) => "no procfs at /proc".to_owned(),
        (true, "") => "a /proc in which its own processes are not".to_owned(),
        (true, other) => format!("a /proc in which PID {} is PID {other}", view.own_pid),
    };
    holds(held, "the /proc of its own PID namespace", otherwise)
}

pub fn outside_same(case: &Case) -> Option<Finding> {
    let looked = case.looked()?;
    let (before, during) = (parse(&looked.before.mounts), parse(&looked.during.mounts));
    let inside = Subject::parse(&looked.view);
    let theirs = peers(&inside);
    let is_new = |m: &&Mount| !before.contains(m);
    let leaked = |m: &&Mount| m.propagation.split(' ').any(|peer| theirs.contains(peer));
    // What PROGRAM mounts outside on purpose it may, as long as it takes it back.
    let mut names: Vec<String> = during
        .iter()
        .filter(is_new)
        .filter(leaked)
        .filter(|_| is_apart(looked, "mnt"))
        .map(|m| format!("{} on {}, from inside", m.fstype, m.target))
        .collect();
    for (before, left) in case.left()? {
        let new = parse(&left.mounts);
        let old = parse(&before.mounts);
        names.extend(
            new.iter().filter(|m| !old.contains(m)).map(|m| format!("{} on {}, left", m.fstype, m.target)),
        );
        names.extend(
            old.iter()
                .filter(|m| !new.contains(m))
                .map(|m| format!("{} on {}, gone or changed", m.fstype, m.target)),
        );
    }
    names.sort();
    names.dedup();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    holds(names.is_empty(), "the mount table outside stays the same", some_of(&names))
}

pub fn own_root(case: &Case) -> Option<Finding> {
    let view = &case.looked()?.view;
    if view.nonce != case.trial.token {
        return holds(false, "the files of DIR", "other files");
    }
    let missing: Vec<&str> = view.missing.iter().map(String::as_str).collect();
    holds(missing.is_empty(), "the files of DIR", format!("without {}", some_of(&missing)))
}

pub fn pivoted(case: &Case) -> Option<Finding> {
    let looked = case.looked().filter(|looked| is_apart(looked, "mnt"))?;
    let held = looked.view.top.is_some() && looked.view.top == looked.root;
    let otherwise = if held {
        "the old root lies below it"
    } else {
        "CMD has a root of its own in a namespace that has another"
    };
    holds(held && !looked.covers_old_root, "CMD's root is its mount namespace's", otherwise)
}

pub fn old_root_gone(case: &Case) -> Option<Finding> {
    let looked = case.looked().filter(|looked| is_apart(looked, "mnt"))?;
    let names: Vec<&str> = looked.foreign.iter().map(String::as_str).collect();
    holds(names.is_empty(), "nothing of the old root", format!("found at {}", some_of(&names)))
}

pub fn inside_cwd(case: &Case) -> Option<Finding> {
    let looked = case.looked().filter(|looked| looked.view.top == looked.root)?;
    let held = looked.top_of_cwd == looked.root;
    holds(held, "CMD's working directory is below its root", "going up from it leads out of the root")
}

pub fn devices(case: &Case) -> Option<Finding> {
    // The rest of a whole /dev (ptmx, pts, shm) is welcome, and not asked for.
    let asked = ["null", "zero", "full", "random", "urandom", "tty"];
    let broken = &case.looked()?.view.broken_devices;
    let broken: Vec<&str> = broken.iter().map(String::as_str).filter(|name| asked.contains(name)).collect();
    let names = asked.join(", ");
    holds(broken.is_empty(), format!("{names} work"), format!("missing or broken: {}", broken.join(", ")))
}

pub fn sys(case: &Case) -> Option<Finding> {
    holds(case.looked()?.view.sys_is_sysfs, "sysfs at /sys", "something else at /sys")
}

pub fn no_descriptors(case: &Case) -> Option<Finding> {
    let open = &case.looked()?.descriptors;
    holds(open.is_empty(), "0, 1 and 2", format!("also {}", open.join(", ")))
}

pub fn overlay_root(case: &Case) -> Option<Finding> {
    let root = mounts::at(&case.looked()?.own_mounts, "/")?;
    // Files that lie in a lower layer keep their inode numbers, at least the lower half (overlayfs.rst, "Inode
    // properties"). One in user space chooses its own.
    let low = |inodes: &[u64]| inodes.iter().map(|inode| *inode as u32).collect::<Vec<_>>();
    let is_below = low(&case.looked()?.view.inodes) == low(&case.trial.contents.inodes);
    match root.fstype.as_str() {
        "overlay" => holds(is_below, "overlay of DIR", "overlay of something else"),
        "fuse.fuse-overlayfs" => holds(true, "overlay of DIR", ""),
        other => holds(false, "overlay of DIR", other),
    }
}

pub fn writable(case: &Case) -> Option<Finding> {
    let written = case.evidence.written?;
    let kinds = ["create", "change", "delete"].iter().zip(written);
    let failed: Vec<&str> = kinds.filter(|(_, done)| !done).map(|(kind, _)| *kind).collect();
    holds(failed.is_empty(), "create, change and delete work", format!("did not work: {}", failed.join(", ")))
}

pub fn image_same(case: &Case) -> Option<Finding> {
    case.evidence.written?;
    holds(case.evidence.image_same?, "DIR is as it was", "DIR was changed")
}

pub fn fresh(case: &Case) -> Option<Finding> {
    let again = case.evidence.again?;
    let otherwise =
        if again.is_none() { "a second container did not start" } else { "it finds the first one's writes" };
    holds(again == Some(true), "a second container starts from the image", otherwise)
}

pub fn no_files(case: &Case) -> Option<Finding> {
    nothing(&left_of(case, |o| &o.files)?)
}
