//! What is claimed of a container at each step, and whether the evidence bears it out. Every claim is about kernel
//! state; words that a program prints convince nobody.

use std::collections::BTreeSet;

use super::evidence::{Evidence, GRACE, Looked, Talked};
use super::outside::Outside;
use super::sight::Subject;
use super::trial::{Runs, Trial};
use crate::container::Exit;
use crate::kernel::mounts::{self, Mount};

/// What came of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub held: bool,
    pub expected: String,
    pub actual: String,
}

/// Judges one claim; `None` where there is nothing to judge it by, since another claim failed.
type Test = fn(&Case) -> Option<Finding>;

/// A trial and what it brought to light.
pub struct Case<'c> {
    pub trial: &'c Trial<'c>,
    pub evidence: &'c Evidence,
}

/// One claim: the step that asks for it, its name, and how it is judged.
pub struct Claim {
    pub step: u32,
    pub name: &'static str,
    /// The run that it needs, besides the first.
    needs: Need,
    test: Test,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Look,
    Talk,
    Orphan,
    Strain,
    Write,
}

const fn claim(step: u32, name: &'static str, needs: Need, test: Test) -> Claim {
    Claim { step, name, needs, test }
}

/// All claims, in the order in which they are told.
pub const CLAIMS: [Claim; 45] = [
    claim(0, "starts", Need::Look, starts),
    claim(0, "arguments", Need::Look, arguments),
    claim(0, "streams", Need::Talk, streams),
    claim(0, "exit-status", Need::Talk, exit_status),
    claim(0, "death-status", Need::Orphan, death_status),
    claim(0, "nothing-running", Need::Talk, nothing_running),
    claim(1, "own-pids", Need::Look, |case| own_namespace(case, "pid")),
    claim(1, "pid-1", Need::Look, pid_1),
    claim(1, "reaped", Need::Orphan, reaped),
    claim(1, "sigterm", Need::Look, sigterm),
    claim(2, "own-mounts", Need::Look, |case| own_namespace(case, "mnt")),
    claim(2, "private", Need::Look, private),
    claim(2, "own-proc", Need::Look, own_proc),
    claim(2, "outside-same", Need::Talk, outside_same),
    claim(3, "own-root", Need::Look, own_root),
    claim(3, "pivoted", Need::Look, pivoted),
    claim(3, "old-root-gone", Need::Look, old_root_gone),
    claim(3, "inside-cwd", Need::Look, inside_cwd),
    claim(3, "devices", Need::Look, devices),
    claim(3, "sys", Need::Look, sys),
    claim(3, "own-names", Need::Look, |case| own_namespace(case, "uts")),
    claim(3, "own-ipc", Need::Look, |case| own_namespace(case, "ipc")),
    claim(3, "no-descriptors", Need::Look, no_descriptors),
    claim(4, "memory-limit", Need::Look, memory_limit),
    claim(4, "pids-limit", Need::Look, pids_limit),
    claim(4, "cpu-limit", Need::Look, cpu_limit),
    claim(4, "limits-first", Need::Look, limits_first),
    claim(4, "oom", Need::Strain, oom),
    claim(4, "forks-refused", Need::Strain, forks_refused),
    claim(4, "throttled", Need::Strain, throttled),
    claim(4, "own-groups", Need::Look, |case| own_namespace(case, "cgroup")),
    claim(4, "locked", Need::Look, locked),
    claim(4, "groups-gone", Need::Talk, groups_gone),
    claim(5, "overlay-root", Need::Look, overlay_root),
    claim(5, "writable", Need::Write, writable),
    claim(5, "image-same", Need::Write, image_same),
    claim(5, "fresh", Need::Write, fresh),
    claim(5, "no-files", Need::Talk, no_files),
    claim(6, "own-network", Need::Look, |case| own_namespace(case, "net")),
    claim(6, "loopback", Need::Look, loopback),
    claim(6, "eth0", Need::Look, eth0),
    claim(6, "default-route", Need::Look, default_route),
    claim(6, "bridged", Need::Look, bridged),
    claim(6, "gateway", Need::Look, gateway),
    claim(6, "links-gone", Need::Talk, links_gone),
];

impl Claim {
    /// Judges it. Limits that could not be asked for are not judged either.
    pub fn judge(&self, case: &Case) -> Option<Finding> {
        let asked = self.step != 4 || case.trial.grouped;
        let first = self.name == "starts";
        let looked = case.evidence.looked.is_some();
        if asked && (first || looked) { (self.test)(case) } else { None }
    }
}

/// The runs that the claims of some steps need.
pub fn runs_for(claims: &[&Claim]) -> Runs {
    let needs = |need| claims.iter().any(|claim| claim.needs == need);
    Runs {
        talk: needs(Need::Talk),
        orphan: needs(Need::Orphan),
        strain: needs(Need::Strain),
        write: needs(Need::Write),
    }
}

/// A finding that holds if both sides are the same.
fn same(expected: impl ToString, actual: impl ToString) -> Option<Finding> {
    let (expected, actual) = (expected.to_string(), actual.to_string());
    Some(Finding { held: expected == actual, expected, actual })
}

/// A finding with what is to be said when it holds, and otherwise.
fn holds(held: bool, expected: impl ToString, otherwise: impl ToString) -> Option<Finding> {
    let expected = expected.to_string();
    let actual = if held { expected.clone() } else { otherwise.to_string() };
    Some(Finding { held, expected, actual })
}

/// A list that must be empty.
fn nothing<T: AsRef<str>>(names: &[T]) -> Option<Finding> {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    holds(names.is_empty(), "nothing", some_of(&names))
}

/// Enough of a list to know what is meant.
fn some_of(names: &[&str]) -> String {
    const SHOWN: usize = 4;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

impl<'c> Case<'c> {
    fn looked(&self) -> Option<&'c Looked> {
        self.evidence.looked.as_ref()
    }

    fn talked(&self) -> Option<&'c Talked> {
        self.evidence.talked.as_ref()
    }

    /// The state before, and what was left after an end of CMD's own; and the same for an end by SIGTERM.
    fn left(&self) -> Option<Vec<(&'c Outside, &'c Outside)>> {
        let talked = self.talked()?;
        let mut ends = vec![(&talked.before, talked.left.as_ref()?)];
        if let Some(looked) = self.looked() {
            ends.extend(looked.left.as_ref().map(|left| (&looked.before, left)));
        }
        Some(ends)
    }
}

fn starts(case: &Case) -> Option<Finding> {
    // Each time: one that starts CMD only while it is looked at has the rest unjudged.
    let started = case.evidence.looked.is_some() && case.evidence.fate.is_empty();
    holds(started, "CMD is executed", &case.evidence.fate)
}

fn arguments(case: &Case) -> Option<Finding> {
    let looked = case.looked()?;
    let words = |all: &[std::ffi::OsString]| format!("{:?}", all.get(3..).unwrap_or_default());
    same(words(&looked.asked), words(&looked.arguments))
}

fn streams(case: &Case) -> Option<Finding> {
    let talked = case.talked()?;
    let of = |name: &str, n: usize, all: usize| format!("{name} {n} of {all} bytes");
    let (all, out, err) = (talked.input.len(), talked.stdout.len(), talked.stderr.len());
    let actual = format!("{}, standard error {err} bytes", of("standard output", out, all));
    holds(talked.apart(), "all of standard input on standard output, the rest on standard error", actual)
}

fn exit_status(case: &Case) -> Option<Finding> {
    let talked = case.talked()?;
    let status = |code| format!("PROGRAM ended with status {code}");
    let expected = status(super::part::STATUS);
    let held = talked.exit == Some(Exit::Code(super::part::STATUS));
    holds(held, expected, &talked.fate)
}

fn death_status(case: &Case) -> Option<Finding> {
    let orphaned = case.evidence.orphaned.as_ref()?;
    let killed = libc::SIGKILL;
    let held = matches!(orphaned.exit, Some(Exit::Signal(n)) if n == killed)
        || orphaned.exit == Some(Exit::Code(128 + killed));
    holds(held, "status 137, or killed by signal 9, as CMD was", &orphaned.fate)
}

fn nothing_running(case: &Case) -> Option<Finding> {
    let talked = case.talked().filter(|talked| talked.exit.is_some())?;
    // PROGRAM has ended, and then what it left had to be ended.
    let Some(left) = &talked.left else { return holds(false, "nothing", &talked.fate) };
    let names: Vec<String> = left.processes.iter().map(|pid| format!("PID {pid}")).collect();
    nothing(&names)
}

fn own_namespace(case: &Case, kind: &str) -> Option<Finding> {
    let (_, outside, inside) = case.looked()?.namespaces.iter().find(|(name, ..)| *name == kind)?;
    Some(Finding { held: outside != inside, expected: format!("not {outside}"), actual: inside.clone() })
}

/// Whether CMD is in another namespace of a kind than the cell.
fn is_apart(looked: &Looked, kind: &str) -> bool {
    looked.namespaces.iter().any(|(name, outside, inside)| *name == kind && outside != inside)
}

fn pid_1(case: &Case) -> Option<Finding> {
    let looked = case.looked().filter(|looked| is_apart(looked, "pid"))?;
    let otherwise = format!("CMD has the PIDs {}, and none of its ancestors is PID 1", looked.pids.join(" "));
    holds(looked.pid_1_above, "CMD or an ancestor of it is PID 1", otherwise)
}

fn reaped(case: &Case) -> Option<Finding> {
    let zombies = case.evidence.orphaned.as_ref()?.zombies;
    holds(zombies == 0, "no zombie", format!("{zombies} zombie"))
}

fn sigterm(case: &Case) -> Option<Finding> {
    let looked = case.looked()?;
    let running = format!("still running after {} s", GRACE.as_secs());
    holds(looked.terminated, "ended", if looked.fate.is_empty() { &running } else { &looked.fate })
}

/// Numbers of peer groups in a mount table (`shared:N`, mount_namespaces(7)).
fn peers(table: &[Mount]) -> BTreeSet<&str> {
    table.iter().flat_map(|m| m.propagation.split(' ')).filter(|p| p.starts_with("shared:")).collect()
}

fn parse(lines: &[String]) -> Vec<Mount> {
    mounts::parse(&lines.join("\n"))
}

fn private(case: &Case) -> Option<Finding> {
    let looked = case.looked().filter(|looked| is_apart(looked, "mnt"))?;
    let (inside, outside) = (Subject::parse(&looked.view), parse(&looked.during.mounts));
    let theirs = peers(&outside);
    let shares = |m: &&Mount| m.propagation.split(' ').any(|peer| theirs.contains(peer));
    let shared: Vec<&str> = inside.iter().filter(shares).map(|m| m.target.as_str()).collect();
    let otherwise = format!("shared with outside: {}", some_of(&shared));
    holds(shared.is_empty(), "no mount is shared with outside", otherwise)
}

fn own_proc(case: &Case) -> Option<Finding> {
    let view = &case.looked()?.view;
    let held = view.proc_is_procfs && view.proc_self == view.own_pid.to_string();
    let otherwise = match (view.proc_is_procfs, view.proc_self.as_str()) {
        (false, _) => "no procfs at /proc".to_owned(),
        (true, "") => "a /proc in which its own processes are not".to_owned(),
        (true, other) => format!("a /proc in which PID {} is PID {other}", view.own_pid),
    };
    holds(held, "the /proc of its own PID namespace", otherwise)
}

fn outside_same(case: &Case) -> Option<Finding> {
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

fn own_root(case: &Case) -> Option<Finding> {
    let held = case.looked()?.view.nonce == case.trial.token;
    holds(held, "the files of DIR", "other files")
}

fn pivoted(case: &Case) -> Option<Finding> {
    let looked = case.looked().filter(|looked| is_apart(looked, "mnt"))?;
    let held = looked.view.top.is_some() && looked.view.top == looked.root;
    holds(
        held,
        "CMD's root is its mount namespace's",
        "CMD has a root of its own in a namespace that has another",
    )
}

fn old_root_gone(case: &Case) -> Option<Finding> {
    let looked = case.looked().filter(|looked| is_apart(looked, "mnt"))?;
    let outside = parse(&looked.before.mounts);
    let old = mounts::at(&outside, "/")?.device.clone();
    let inside = Subject::parse(&looked.view);
    let left = |m: &&Mount| m.device == old && !m.target.starts_with("/dev/");
    let names: Vec<&str> = inside.iter().filter(left).map(|m| m.target.as_str()).collect();
    holds(
        names.is_empty(),
        "no mount of the old root's filesystem",
        format!("mounted on {}", some_of(&names)),
    )
}

fn inside_cwd(case: &Case) -> Option<Finding> {
    let looked = case.looked().filter(|looked| looked.view.top == looked.root)?;
    let held = looked.top_of_cwd == looked.root;
    holds(held, "CMD's working directory is below its root", "going up from it leads out of the root")
}

fn devices(case: &Case) -> Option<Finding> {
    // The rest of a whole /dev (ptmx, pts, shm) is welcome, and not asked for.
    let asked = ["null", "zero", "full", "random", "urandom", "tty"];
    let broken = &case.looked()?.view.broken_devices;
    let broken: Vec<&str> = broken.iter().map(String::as_str).filter(|name| asked.contains(name)).collect();
    let names = asked.join(", ");
    holds(broken.is_empty(), format!("{names} work"), format!("missing or broken: {}", broken.join(", ")))
}

fn sys(case: &Case) -> Option<Finding> {
    holds(case.looked()?.view.sys_is_sysfs, "sysfs at /sys", "something else at /sys")
}

fn no_descriptors(case: &Case) -> Option<Finding> {
    let open = &case.looked()?.descriptors;
    holds(open.is_empty(), "0, 1 and 2", format!("also {}", open.join(", ")))
}

fn number(value: Option<u64>) -> String {
    value.map_or("none".into(), |n| n.to_string())
}

fn memory_limit(case: &Case) -> Option<Finding> {
    same(number(case.trial.wanted().memory), number(case.looked()?.limits_later.memory))
}

fn pids_limit(case: &Case) -> Option<Finding> {
    same(number(case.trial.wanted().pids), number(case.looked()?.limits_later.pids))
}

fn cpu_limit(case: &Case) -> Option<Finding> {
    let words = |value: Option<u64>| value.map_or("none".into(), |n| format!("{:.2}", n as f64 / 100.0));
    same(words(case.trial.wanted().cpus), words(case.looked()?.limits_later.cpus))
}

fn limits_first(case: &Case) -> Option<Finding> {
    let looked = case.looked()?;
    let (first, later) = (looked.limits_first, looked.limits_later);
    let late: Vec<&str> = [
        ("memory", first.memory == later.memory),
        ("pids", first.pids == later.pids),
        ("cpu", first.cpus == later.cpus),
    ]
    .into_iter()
    .filter(|(_, same)| !same)
    .map(|(name, _)| name)
    .collect();
    holds(late.is_empty(), "in force before CMD's first instruction", format!("later: {}", late.join(", ")))
}

fn oom(case: &Case) -> Option<Finding> {
    let counted = case.evidence.strained?.oom_kills;
    holds(counted > 0, "killed by the kernel, and counted", "not killed in this group")
}

fn forks_refused(case: &Case) -> Option<Finding> {
    let strained = case.evidence.strained?;
    let most = case.trial.wanted().pids.unwrap_or(0);
    let held = strained.forks_refused > 0 && strained.processes <= most;
    let otherwise = format!("{} processes, and no fork refused in this group", strained.processes);
    holds(held, format!("at most {most} processes, then EAGAIN"), otherwise)
}

fn throttled(case: &Case) -> Option<Finding> {
    holds(case.evidence.strained?.throttled > 0, "throttled at least once", "never throttled")
}

fn locked(case: &Case) -> Option<Finding> {
    let open: Vec<&str> = case.looked()?.view.open_groups.iter().map(String::as_str).collect();
    holds(open.is_empty(), "nothing that opens for writing", some_of(&open))
}

/// What is new of a kind after an end.
fn left_of(case: &Case, list: fn(&Outside) -> &[String]) -> Option<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for (before, left) in case.left()? {
        names.extend(Outside::new_in(list(left), list(before)).into_iter().map(String::from));
    }
    names.sort();
    names.dedup();
    Some(names)
}

fn groups_gone(case: &Case) -> Option<Finding> {
    nothing(&left_of(case, |o| &o.groups)?)
}

fn overlay_root(case: &Case) -> Option<Finding> {
    let root = mounts::at(&case.looked()?.own_mounts, "/")?;
    let held = matches!(root.fstype.as_str(), "overlay" | "fuse.fuse-overlayfs");
    holds(held, "overlay", &root.fstype)
}

fn writable(case: &Case) -> Option<Finding> {
    let written = case.evidence.written?;
    let kinds = ["create", "change", "delete"].iter().zip(written);
    let failed: Vec<&str> = kinds.filter(|(_, done)| !done).map(|(kind, _)| *kind).collect();
    holds(failed.is_empty(), "create, change and delete work", format!("did not work: {}", failed.join(", ")))
}

fn image_same(case: &Case) -> Option<Finding> {
    case.evidence.written?;
    holds(case.evidence.image_same?, "DIR is as it was", "DIR was changed")
}

fn fresh(case: &Case) -> Option<Finding> {
    let again = case.evidence.again?;
    let otherwise =
        if again.is_none() { "a second container did not start" } else { "it finds the first one's writes" };
    holds(again == Some(true), "a second container starts from the image", otherwise)
}

fn no_files(case: &Case) -> Option<Finding> {
    nothing(&left_of(case, |o| &o.files)?)
}

fn loopback(case: &Case) -> Option<Finding> {
    let network = &case.looked().filter(|looked| is_apart(looked, "net"))?.view.network;
    holds(network.links.iter().any(|l| l.name == "lo" && l.up), "lo is up", "lo is down")
}

fn eth0(case: &Case) -> Option<Finding> {
    let links = &case.looked().filter(|looked| is_apart(looked, "net"))?.view.network.links;
    let found = links.iter().find(|link| link.name == "eth0");
    let actual = match found {
        None => format!("only {}", links.iter().map(|l| l.name.as_str()).collect::<Vec<_>>().join(", ")),
        Some(link) if !link.up => "eth0 is down".into(),
        Some(link) if link.addresses.is_empty() => "eth0 has no address".into(),
        Some(_) => String::new(),
    };
    holds(actual.is_empty(), "eth0, up, with an address", &actual)
}

/// The container's eth0, where there is one to judge further.
fn has_eth0<'c>(case: &Case<'c>) -> Option<&'c super::sight::Link> {
    let looked = case.looked().filter(|looked| is_apart(looked, "net"))?;
    looked.view.network.links.iter().find(|link| link.name == "eth0")
}

fn default_route(case: &Case) -> Option<Finding> {
    has_eth0(case)?;
    let actual = match &case.looked()?.view.network.route {
        Some((Some(_), link)) if link == "eth0" => String::new(),
        Some((None, link)) => format!("one without a gateway, through {link}"),
        Some((_, link)) => format!("one through {link}"),
        None => "none".into(),
    };
    holds(actual.is_empty(), "a default route through eth0", &actual)
}

fn bridged(case: &Case) -> Option<Finding> {
    let inside = has_eth0(case)?;
    let outside = &case.looked()?.network_outside.links;
    let peer = outside.iter().find(|link| Some(link.index) == inside.peer);
    let bridge = |index| outside.iter().any(|link| Some(link.index) == index && link.kind == "bridge");
    let actual = match peer {
        None => "eth0 has no other end outside".to_owned(),
        Some(peer) if peer.master.is_none() => format!("{} is no port of a bridge", peer.name),
        Some(peer) if !bridge(peer.master) => format!("{} is a port of something else", peer.name),
        Some(_) => String::new(),
    };
    holds(actual.is_empty(), "eth0's other end is a port of a bridge outside", &actual)
}

fn gateway(case: &Case) -> Option<Finding> {
    let network = &case.looked()?.view.network;
    network.route.as_ref()?.0?;
    same("answers", &network.ping)
}

fn links_gone(case: &Case) -> Option<Finding> {
    let mut names = left_of(case, |o| &o.links)?;
    names.extend(left_of(case, |o| &o.tables)?.iter().map(|table| format!("nftables table {table}")));
    nothing(&names)
}
