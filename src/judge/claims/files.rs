//! Claims about mounts, the root and the image (steps 2, 3 and 5).

use std::collections::BTreeSet;

use super::{Case, Finding, is_apart, left_of};
use crate::finding::Seen;
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
    let shared: Vec<&String> = inside.iter().filter(shares).map(|m| &m.target).collect();
    let otherwise = Seen::of("shared-with-outside", "mounts", Seen::facts(&shared));
    Some(Finding::holds(shared.is_empty(), Seen::words("nothing-shared"), otherwise))
}

pub fn own_proc(case: &Case) -> Option<Finding> {
    let view = &case.looked()?.view;
    let held = view.proc_is_procfs && view.proc_self == view.own_pid.to_string();
    let otherwise = match (view.proc_is_procfs, view.proc_self.as_str()) {
        (false, _) => Seen::words("no-procfs"),
        (true, "") => Seen::words("proc-without-self"),
        (true, other) => Seen::found("proc-of-another", [("pid", &view.own_pid), ("other", &other)]),
    };
    Some(Finding::holds(held, Seen::words("own-proc"), otherwise))
}

pub fn outside_same(case: &Case) -> Option<Finding> {
    let looked = case.looked()?;
    let (before, during) = (parse(&looked.before.mounts), parse(&looked.during.mounts));
    let inside = Subject::parse(&looked.view);
    let theirs = peers(&inside);
    let told = |key, m: &Mount| Seen::found(key, [("fstype", &m.fstype), ("target", &m.target)]);
    let is_new = |m: &&Mount| !before.contains(m);
    let leaked = |m: &&Mount| m.propagation.split(' ').any(|peer| theirs.contains(peer));
    // What PROGRAM mounts outside on purpose it may, as long as it takes it back.
    let apart = is_apart(looked, "mnt");
    let from_inside = during.iter().filter(is_new).filter(leaked).filter(|_| apart);
    let mut wrong: Vec<Seen> = from_inside.map(|m| told("mounted-from-inside", m)).collect();
    for (before, left) in case.left()? {
        let (old, new) = (parse(&before.mounts), parse(&left.mounts));
        wrong.extend(new.iter().filter(|m| !old.contains(m)).map(|m| told("mount-left", m)));
        wrong.extend(old.iter().filter(|m| !new.contains(m)).map(|m| told("mount-gone", m)));
    }
    wrong.sort();
    wrong.dedup();
    Some(Finding::holds(wrong.is_empty(), Seen::words("mounts-same"), Seen::List(wrong)))
}

pub fn own_root(case: &Case) -> Option<Finding> {
    let view = &case.looked()?.view;
    let expected = Seen::words("files-of-dir");
    if view.nonce != case.trial.token {
        return Some(Finding::holds(false, expected, Seen::words("other-files")));
    }
    let otherwise = Seen::of("without", "names", Seen::facts(&view.missing));
    Some(Finding::holds(view.missing.is_empty(), expected, otherwise))
}

pub fn pivoted(case: &Case) -> Option<Finding> {
    let looked = case.looked().filter(|looked| is_apart(looked, "mnt"))?;
    let held = looked.view.top.is_some() && looked.view.top == looked.root;
    let (otherwise, sign) = match held {
        true => (Seen::words("old-root-below"), "below"),
        false => (Seen::words("root-of-its-own"), "apart"),
    };
    let finding = Finding::holds(held && !looked.covers_old_root, Seen::words("namespace-root"), otherwise);
    Some(finding.with_signs([sign]))
}

pub fn old_root_gone(case: &Case) -> Option<Finding> {
    let looked = case.looked().filter(|looked| is_apart(looked, "mnt"))?;
    let found = looked.foreign.iter().chain(&looked.old_roots);
    let otherwise = Seen::of("found-at", "places", Seen::facts(found));
    let held = looked.foreign.is_empty() && looked.old_roots.is_empty();
    let sign = if looked.foreign.is_empty() { "process" } else { "mount" };
    Some(Finding::holds(held, Seen::words("nothing-of-old-root"), otherwise).with_signs([sign]))
}

pub fn inside_cwd(case: &Case) -> Option<Finding> {
    let looked = case.looked().filter(|looked| looked.view.top == looked.root)?;
    let held = looked.top_of_cwd == looked.root;
    Some(Finding::holds(held, Seen::words("cwd-inside"), Seen::words("cwd-outside")))
}

pub fn devices(case: &Case) -> Option<Finding> {
    // The rest of a whole /dev (ptmx, pts, shm) is welcome, and not asked for.
    let asked = ["null", "zero", "full", "random", "urandom", "tty"];
    let broken = &case.looked()?.view.broken_devices;
    let broken: Vec<&String> = broken.iter().filter(|name| asked.contains(&name.as_str())).collect();
    let expected = Seen::found("devices-work", [("names", &asked.join(", "))]);
    let otherwise = Seen::found(
        "devices-broken",
        [("names", &broken.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", "))],
    );
    Some(Finding::holds(broken.is_empty(), expected, otherwise))
}

pub fn sys(case: &Case) -> Option<Finding> {
    let held = case.looked()?.view.sys_is_sysfs;
    Some(Finding::holds(held, Seen::words("sysfs"), Seen::words("no-sysfs")))
}

pub fn no_descriptors(case: &Case) -> Option<Finding> {
    let open = &case.looked()?.descriptors;
    let otherwise = Seen::of("also-open", "names", Seen::facts(open));
    Some(Finding::holds(open.is_empty(), Seen::words("three-descriptors"), otherwise))
}

pub fn overlay_root(case: &Case) -> Option<Finding> {
    let root = mounts::at(&case.looked()?.own_mounts, "/")?;
    // Files that lie in a lower layer keep their inode numbers, at least the lower half (overlayfs.rst, "Inode
    // properties"). One in user space chooses its own.
    let low = |inodes: &[u64]| inodes.iter().map(|inode| *inode as u32).collect::<Vec<_>>();
    let is_below = low(&case.looked()?.view.inodes) == low(&case.trial.contents.inodes);
    let expected = Seen::words("overlay-of-dir");
    Some(match root.fstype.as_str() {
        "overlay" => Finding::holds(is_below, expected, Seen::words("overlay-of-else")).with_signs(["copy"]),
        "fuse.fuse-overlayfs" => Finding::same(expected.clone(), expected),
        other => Finding::holds(false, expected, Seen::fact(other)),
    })
}

pub fn writable(case: &Case) -> Option<Finding> {
    let written = case.evidence.written.as_ref()?;
    let expected = Seen::words("writes-work");
    if let Some(fate) = &written.exceeded {
        return Some(Finding::holds(false, expected, fate.seen()));
    }
    let kinds = ["write-create", "write-change", "write-delete"].into_iter().zip(written.seen);
    let failed: Vec<Seen> = kinds.filter(|(_, seen)| !seen).map(|(kind, _)| Seen::words(kind)).collect();
    let held = failed.is_empty();
    Some(Finding::holds(held, expected, Seen::of("writes-failed", "kinds", Seen::List(failed))))
}

pub fn image_same(case: &Case) -> Option<Finding> {
    case.evidence.written.as_ref()?;
    Some(Finding::holds(case.evidence.image_same?, Seen::words("dir-same"), Seen::words("dir-changed")))
}

pub fn fresh(case: &Case) -> Option<Finding> {
    let otherwise = match case.evidence.again.as_ref()? {
        Err(fate) => Seen::of("no-second", "fate", fate.seen()),
        Ok(_) => Seen::words("finds-writes"),
    };
    let held = matches!(case.evidence.again, Some(Ok(true)));
    Some(Finding::holds(held, Seen::words("from-the-image"), otherwise))
}

pub fn no_files(case: &Case) -> Option<Finding> {
    Some(Finding::nothing(left_of(case, |o| &o.files)?))
}
