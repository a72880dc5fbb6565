//! Claims about mounts, the root and the image (steps 2, 3 and 5).

use std::collections::BTreeSet;

use super::evidence::{Escape, Mounted};
use super::finding::Seen;
use super::sight::Subject;
use super::{Evidence, Finding, is_apart, left_of, looked};
use kernel::mounts::{self, Mount};

/// Numbers of peer groups in a mount table (`shared:N`, mount_namespaces(7)).
fn peers(table: &[Mount]) -> BTreeSet<&str> {
    table.iter().flat_map(|m| m.propagation.split(' ')).filter(|p| p.starts_with("shared:")).collect()
}

fn parse(lines: &[String]) -> Vec<Mount> {
    mounts::parse(&lines.join("\n"))
}

pub fn private(evidence: &Evidence) -> Option<Finding> {
    let looked = looked(evidence).filter(|looked| is_apart(looked, "mnt"))?;
    let (inside, outside) = (Subject::parse(&looked.view), parse(&looked.during.mounts));
    let theirs = peers(&outside);
    let outside_is_private = theirs.is_empty() && evidence.exact;
    let shares = |m: &&Mount| {
        let mut peers = m.propagation.split(' ');
        // Where the outside shares nothing, as the lab does, what is shared inside would be so elsewhere too.
        peers.any(|peer| theirs.contains(peer) || (outside_is_private && peer.starts_with("shared:")))
    };
    let shared: Vec<&String> = inside.iter().filter(shares).map(|m| &m.target).collect();
    let otherwise = Seen::of("shared-with-outside", "mounts", Seen::facts(&shared));
    Some(Finding::holds(shared.is_empty(), Seen::words("nothing-shared"), otherwise))
}

pub fn own_proc(evidence: &Evidence) -> Option<Finding> {
    let view = &looked(evidence)?.view;
    let held = view.proc_is_procfs && view.proc_self == view.own_pid.to_string();
    let otherwise = match (view.proc_is_procfs, view.proc_self.as_str()) {
        (false, _) => Seen::words("no-procfs"),
        (true, "") => Seen::words("proc-without-self"),
        (true, other) => Seen::found("proc-of-another", [("pid", &view.own_pid), ("other", &other)]),
    };
    let (own, listed) = (Seen::words("own-proc"), view.listed);
    if evidence.exact && held {
        // PID 1, and the visitor that counts.
        return Some(Finding::holds(listed == 2, own, Seen::found("proc-lists", [("processes", &listed)])));
    }
    Some(Finding::holds(held, own, otherwise))
}

pub fn mount_stays(evidence: &Evidence) -> Option<Finding> {
    let Mounted { inside, outside: (before, after) } = evidence.mounted.as_ref()?;
    let counts = |inside: &usize, outside: &usize| {
        Seen::found("mounts-on-both-sides", [("inside", inside), ("outside", outside)])
    };
    Some(Finding::same(counts(&1, &0), counts(inside, &after.abs_diff(*before))))
}

pub fn outside_same(evidence: &Evidence) -> Option<Finding> {
    let looked = looked(evidence)?;
    let (before, during) = (parse(&looked.before.mounts), parse(&looked.during.mounts));
    let inside = Subject::parse(&looked.view);
    let theirs = peers(&inside);
    let told = |key, m: &Mount| Seen::found(key, [("fstype", &m.fstype), ("target", &m.target)]);
    let is_new = |m: &&Mount| !before.contains(m);
    let leaked = |m: &&Mount| m.propagation.split(' ').any(|peer| theirs.contains(peer));
    // What PROGRAM mounts outside on purpose it may, as long as it takes it back.
    let apart = is_apart(looked, "mnt");
    let from_inside = during.iter().filter(is_new).filter(|m| evidence.exact || (apart && leaked(m)));
    let mut wrong: Vec<Seen> = from_inside.map(|m| told("mounted-from-inside", m)).collect();
    if evidence.exact {
        wrong.extend(before.iter().filter(|m| !during.contains(m)).map(|m| told("mount-gone", m)));
    }
    for (before, left) in evidence.left()? {
        let (old, new) = (parse(&before.mounts), parse(&left.mounts));
        wrong.extend(new.iter().filter(|m| !old.contains(m)).map(|m| told("mount-left", m)));
        wrong.extend(old.iter().filter(|m| !new.contains(m)).map(|m| told("mount-gone", m)));
    }
    wrong.sort();
    wrong.dedup();
    Some(Finding::holds(wrong.is_empty(), Seen::words("mounts-same"), Seen::List(wrong)))
}

pub fn own_root(evidence: &Evidence) -> Option<Finding> {
    let view = &looked(evidence)?.view;
    let expected = Seen::words("files-of-dir");
    if !view.is_marked {
        return Some(Finding::holds(false, expected, Seen::words("other-files")));
    }
    let otherwise = Seen::of("without", "names", Seen::facts(&view.missing));
    Some(Finding::holds(view.missing.is_empty(), expected, otherwise))
}

pub fn pivoted(evidence: &Evidence) -> Option<Finding> {
    let looked = looked(evidence).filter(|looked| is_apart(looked, "mnt"))?;
    let held = looked.view.top.is_some() && looked.view.top == looked.root;
    let (otherwise, sign) = match held {
        true => (Seen::words("old-root-below"), "below"),
        false => (Seen::words("root-of-its-own"), "apart"),
    };
    let finding = Finding::holds(held && !looked.covers_old_root, Seen::words("namespace-root"), otherwise);
    Some(finding.with_signs([sign]))
}

pub fn old_root_gone(evidence: &Evidence) -> Option<Finding> {
    let looked = looked(evidence).filter(|looked| is_apart(looked, "mnt"))?;
    let stray = if evidence.exact { strays(&Subject::parse(&looked.view)) } else { Vec::new() };
    let found = looked.foreign.iter().chain(&looked.old_roots).chain(&stray);
    let otherwise = Seen::of("found-at", "places", Seen::facts(found));
    let held = looked.foreign.is_empty() && looked.old_roots.is_empty() && stray.is_empty();
    let sign = if looked.foreign.is_empty() { "process" } else { "mount" };
    Some(Finding::holds(held, Seen::words("nothing-of-old-root"), otherwise).with_signs([sign]))
}

/// Mounts that are neither the root of one of our containers nor below it: any second mount of `/`, and whatever stands
/// in a place that a root filesystem of ours has no mount in.
fn strays(inside: &[Mount]) -> Vec<String> {
    let is_below = |m: &Mount, dir: &&str| std::path::Path::new(&m.target).starts_with(dir);
    let is_ours = |m: &Mount| ["/proc", "/dev", "/sys"].iter().any(|dir| is_below(m, dir));
    let (roots, others): (Vec<&Mount>, Vec<&Mount>) = inside.iter().partition(|m| m.target == "/");
    let others = others.into_iter().filter(|m| !is_ours(m));
    roots.into_iter().skip(1).chain(others).map(|m| m.target.clone()).collect()
}

pub fn escape(evidence: &Evidence) -> Option<Finding> {
    let root = Seen::words("same-root");
    let actual = match evidence.escape.as_ref()? {
        Escape::SameRoot => root.clone(),
        Escape::Out => Seen::words("outsides-root"),
        Escape::Untried(problem) => Seen::found("not-tried", [("problem", problem)]),
    };
    Some(Finding::same(root, actual))
}

pub fn inside_cwd(evidence: &Evidence) -> Option<Finding> {
    let looked = looked(evidence).filter(|looked| looked.view.top == looked.root)?;
    let held = looked.top_of_cwd == looked.root;
    Some(Finding::holds(held, Seen::words("cwd-inside"), Seen::words("cwd-outside")))
}

pub fn devices(evidence: &Evidence) -> Option<Finding> {
    // The rest of a whole /dev (ptmx, pts, shm) is welcome, and not asked for.
    let asked = ["null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm"];
    let asked = if evidence.exact { &asked[..] } else { &asked[..6] };
    let broken = &looked(evidence)?.view.broken_devices;
    let broken: Vec<&String> = broken.iter().filter(|name| asked.contains(&name.as_str())).collect();
    let expected = Seen::found("devices-work", [("names", &asked.join(", "))]);
    let otherwise = Seen::found(
        "devices-broken",
        [("names", &broken.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", "))],
    );
    Some(Finding::holds(broken.is_empty(), expected, otherwise))
}

pub fn sys(evidence: &Evidence) -> Option<Finding> {
    let held = looked(evidence)?.view.sys_is_sysfs;
    Some(Finding::holds(held, Seen::words("sysfs"), Seen::words("no-sysfs")))
}

pub fn sys_read_only(evidence: &Evidence) -> Option<Finding> {
    let errno = &looked(evidence)?.view.sys_write;
    let actual = if errno.is_empty() { Seen::words("can-be-written") } else { Seen::fact(errno) };
    Some(Finding::same(Seen::fact("EROFS"), actual))
}

pub fn no_descriptors(evidence: &Evidence) -> Option<Finding> {
    let open = &looked(evidence)?.started.descriptors;
    let otherwise = Seen::of("also-open", "names", Seen::facts(open));
    Some(Finding::holds(open.is_empty(), Seen::words("three-descriptors"), otherwise))
}

pub fn overlay_root(evidence: &Evidence) -> Option<Finding> {
    let root = mounts::at(&looked(evidence)?.own_mounts, "/")?;
    // Whose root is another user outside may have had to copy it.
    let view = &looked(evidence)?.view;
    let is_below = view.same_files || (looked(evidence)?.users.are_others() && view.missing.is_empty());
    let expected = Seen::words("overlay-of-dir");
    Some(match root.fstype.as_str() {
        "overlay" => Finding::holds(is_below, expected, Seen::words("overlay-of-else")).with_signs(["copy"]),
        "fuse.fuse-overlayfs" => Finding::same(expected.clone(), expected),
        other => Finding::holds(false, expected, Seen::fact(other)),
    })
}

pub fn writable(evidence: &Evidence) -> Option<Finding> {
    let written = evidence.written.as_ref()?;
    let expected = Seen::words("writes-work");
    if let Some(fate) = &written.exceeded {
        return Some(Finding::holds(false, expected, fate.seen()));
    }
    let kinds = ["write-create", "write-change", "write-delete"].into_iter().zip(written.seen);
    let failed: Vec<Seen> = kinds.filter(|(_, seen)| !seen).map(|(kind, _)| Seen::words(kind)).collect();
    let held = failed.is_empty();
    Some(Finding::holds(held, expected, Seen::of("writes-failed", "kinds", Seen::List(failed))))
}

pub fn upper_write(evidence: &Evidence) -> Option<Finding> {
    let added = &evidence.written.as_ref()?.upper.as_ref()?.added;
    Some(Finding::same(Seen::fact("mine"), Seen::fact(added)))
}

pub fn whiteout(evidence: &Evidence) -> Option<Finding> {
    let mark = &evidence.written.as_ref()?.upper.as_ref()?.deleted;
    let device = Seen::found("character-device", [("number", &"0/0")]);
    let held = mark == "0/0";
    Some(Finding::holds(held, device, Seen::fact(mark)))
}

pub fn copy_up(evidence: &Evidence) -> Option<Finding> {
    let copied = evidence.written.as_ref()?.upper.as_ref()?.copied;
    Some(Finding::holds(copied, Seen::words("old-content"), Seen::words("other-content")))
}

pub fn image_same(evidence: &Evidence) -> Option<Finding> {
    evidence.written.as_ref()?;
    Some(Finding::holds(evidence.image_same?, Seen::words("dir-same"), Seen::words("dir-changed")))
}

pub fn fresh(evidence: &Evidence) -> Option<Finding> {
    let otherwise = match evidence.again.as_ref()? {
        Err(fate) => Seen::of("no-second", "fate", fate.seen()),
        Ok(_) => Seen::words("finds-writes"),
    };
    let held = matches!(evidence.again, Some(Ok(true)));
    Some(Finding::holds(held, Seen::words("from-the-image"), otherwise))
}

pub fn no_files(evidence: &Evidence) -> Option<Finding> {
    Some(Finding::nothing(left_of(evidence, |o| &o.files)?))
}
