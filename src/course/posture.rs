//! How far a container is isolated: what is known of it, and the rules by which that is judged. Whoever knows something fills
//! a [`Posture`]: `run --explain` from options; a `config.json` or a running process say the same things.

use std::path::{Path, PathBuf};

use kernel::cgroup::Limits;

use engine::extras::What;
use engine::parts::{cgroup_limit, mount_proc, overlay, pivot_root, unshare_pid, user_map, veth_bridge};
use engine::template::Wanted;

/// The slugs of steps that are about what no part here closes.
const DROP_CAPS: &str = "drop-caps";
const SECCOMP: &str = "seccomp-filter";
const BOOT_VM: &str = "boot-vm";

/// How far, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing stands in the way.
    Open,
    /// Something does, and not everything.
    Weak,
    Unknown,
    Closed,
}

impl Level {
    pub fn name(self) -> &'static str {
        match self {
            Level::Open => "open",
            Level::Weak => "weak",
            Level::Unknown => "unknown",
            Level::Closed => "closed",
        }
    }
}

/// Whose users a container's are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Users {
    /// The machine's own, root among them.
    Machines,
    /// One of them: whoever runs it is root inside.
    Caller,
    /// A range that is nobody's.
    Nobodys,
}

/// What network it sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sees {
    Hosts,
    Own,
    None,
}

/// A part of the host's files that it sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    pub source: PathBuf,
    pub target: PathBuf,
    pub read_only: bool,
}

/// What is known of one container.
#[derive(Clone, Debug, PartialEq)]
pub struct Posture {
    pub windows: Vec<Window>,
    pub users: Users,
    /// Whether its program is not root inside, if that is known.
    pub is_ordinary: Option<bool>,
    /// Whether it has every capability over what is its own, if that is known.
    pub all_capabilities: Option<bool>,
    pub new_privileges: bool,
    /// The kernel's settings in /proc and /sys are masked or read-only.
    pub masked: bool,
    pub filter: bool,
    pub processes: bool,
    pub mounts: bool,
    pub files: bool,
    /// What it writes changes its image.
    pub writes_image: bool,
    pub root_read_only: bool,
    pub network: Sees,
    pub limits: Limits,
    /// Groups of whoever runs it that it keeps.
    pub groups: Vec<u32>,
    /// It shares the terminal of whoever runs it.
    pub terminal: bool,
}

impl Posture {
    /// Of what options ask for, run by who needs a user namespace for a lab if `rootless`.
    pub fn asked(wanted: &Wanted, rootless: bool, groups: Vec<u32>, terminal: bool) -> Posture {
        let (spec, extras) = (&wanted.spec, &wanted.spec.extras);
        let windows = extras.mounts.iter().filter_map(|volume| match &volume.what {
            What::Bind { source, .. } => Some(Window {
                source: source.clone(),
                target: volume.target.clone(),
                read_only: volume.is_read_only(),
            }),
            What::Tmpfs(_) => None,
        });
        let is_ordinary = extras.user.as_ref().map_or(Some(false), |user| user.is_root().map(|root| !root));
        Posture {
            windows: windows.collect(),
            users: match (rootless, wanted.users) {
                (true, _) => Users::Caller,
                (false, true) => Users::Nobodys,
                (false, false) => Users::Machines,
            },
            is_ordinary,
            // From 0 to another id the kernel takes all of them (capabilities(7)).
            all_capabilities: is_ordinary.map(|ordinary| !ordinary),
            new_privileges: true,
            masked: false,
            filter: false,
            processes: spec.processes,
            mounts: spec.mounts,
            files: wanted.root,
            writes_image: false,
            root_read_only: extras.read_only,
            network: match (&spec.network, extras.hosts_network) {
                (_, true) => Sees::Hosts,
                (Some(_), _) => Sees::Own,
                // It has the lab's, which has no way out.
                (None, _) => Sees::None,
            },
            limits: spec.limits.unwrap_or(Limits::NONE),
            groups: if extras.user.is_some() { Vec::new() } else { groups },
            terminal,
        }
    }

    /// Every rule's finding, the worst first, and among equals in the order of the rules.
    pub fn findings(&self) -> Vec<Finding> {
        let mut all: Vec<Finding> = RULES
            .iter()
            .flat_map(|rule| (rule.judge)(self).into_iter().map(move |seen| rule.found(seen)))
            .collect();
        all.sort_by_key(|finding| finding.level);
        all
    }
}

/// What one rule found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub area: &'static str,
    pub name: &'static str,
    pub level: Level,
    /// What it is judged by, as the kernel or a command line has it.
    pub value: String,
    /// The option or file that says so.
    pub source: String,
    /// The step that closes it.
    pub closes: &'static str,
    /// Key of its words, with what fills them.
    pub key: String,
    pub with: Vec<(&'static str, String)>,
}

/// One rule.
pub struct Rule {
    /// A group of claims: `processes files limits network security`.
    pub area: &'static str,
    pub name: &'static str,
    /// The step that closes it.
    pub closes: &'static str,
    judge: fn(&Posture) -> Vec<Judged>,
}

/// Level, value, source, and what fills the words.
struct Judged(Level, String, String, Vec<(&'static str, String)>);

impl Rule {
    fn found(&self, Judged(level, value, source, with): Judged) -> Finding {
        let (area, name, closes) = (self.area, self.name, self.closes);
        let key = format!("{name}-{}", level.name());
        Finding { area, name, level, value, source, closes, key, with }
    }
}

/// All rules: of two that are as open, the one comes first whose harm is greater.
pub const RULES: &[Rule] = &[
    Rule { area: "files", name: "volume", closes: pivot_root::SLUG, judge: volumes },
    Rule { area: "security", name: "users", closes: user_map::SLUG, judge: users },
    Rule { area: "files", name: "files", closes: pivot_root::SLUG, judge: |p| own(p.files, "root") },
    Rule { area: "security", name: "capabilities", closes: DROP_CAPS, judge: capabilities },
    Rule { area: "security", name: "masks", closes: DROP_CAPS, judge: masks },
    Rule { area: "network", name: "network", closes: veth_bridge::SLUG, judge: network },
    Rule {
        area: "processes",
        name: "processes",
        closes: unshare_pid::SLUG,
        judge: |p| own(p.processes, "pid"),
    },
    Rule { area: "files", name: "mounts", closes: mount_proc::SLUG, judge: |p| own(p.mounts, "mnt") },
    Rule {
        area: "security",
        name: "filter",
        closes: SECCOMP,
        judge: |p| unless(p.filter, Level::Open, "seccomp"),
    },
    Rule {
        area: "security",
        name: "privileges",
        closes: DROP_CAPS,
        judge: |p| unless(!p.new_privileges, guarded_by_users(p), "no_new_privs"),
    },
    Rule {
        area: "limits",
        name: "memory",
        closes: cgroup_limit::SLUG,
        judge: |p| limit(p.limits.memory, "--memory"),
    },
    Rule {
        area: "limits",
        name: "pids",
        closes: cgroup_limit::SLUG,
        judge: |p| limit(p.limits.pids, "--pids"),
    },
    Rule {
        area: "limits",
        name: "cpus",
        closes: cgroup_limit::SLUG,
        judge: |p| limit(p.limits.cpus, "--cpus"),
    },
    Rule { area: "files", name: "image", closes: overlay::SLUG, judge: image },
    Rule { area: "security", name: "groups", closes: user_map::SLUG, judge: groups },
    Rule { area: "processes", name: "terminal", closes: DROP_CAPS, judge: terminal },
    Rule { area: "security", name: "kernel", closes: BOOT_VM, judge: |_| vec![judged(Level::Weak, "1", "")] },
];

fn judged(level: Level, value: &str, source: &str) -> Judged {
    Judged(level, value.into(), source.into(), Vec::new())
}

fn own(is_own: bool, value: &str) -> Vec<Judged> {
    vec![judged(if is_own { Level::Closed } else { Level::Open }, value, "")]
}

fn unless(is_closed: bool, level: Level, value: &str) -> Vec<Judged> {
    vec![judged(if is_closed { Level::Closed } else { level }, value, "")]
}

/// How bad it is to be root, by whose root that is.
fn guarded_by_users(posture: &Posture) -> Level {
    if posture.users == Users::Machines { Level::Open } else { Level::Weak }
}

/// What a container may change there is the machine's, for everybody.
const SYSTEM: [&str; 14] = [
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/opt", "/proc", "/root", "/sbin", "/sys", "/usr",
    "/var",
];

/// Sockets by which whoever reaches them is root of the machine.
const ENGINES: [&str; 5] = ["docker.sock", "containerd.sock", "crio.sock", "podman.sock", "dockerd.sock"];

fn volumes(posture: &Posture) -> Vec<Judged> {
    let of = |Window { source, target, read_only }: &Window| {
        let is_system = SYSTEM.iter().any(|dir| source == Path::new(dir))
            || source.starts_with("/etc")
            || source.starts_with("/boot");
        let is_engine = source.file_name().is_some_and(|name| ENGINES.iter().any(|known| name == *known))
            || ["/run", "/var/run"].iter().any(|dir| source == Path::new(dir));
        let level = match (is_engine, is_system, read_only) {
            // A socket that can't be written to can still be spoken to.
            (true, ..) | (_, true, false) => Level::Open,
            _ => Level::Weak,
        };
        let ro = if *read_only { ":ro" } else { "" };
        let [source, target] = [source, target].map(|path| path.display().to_string());
        let option = format!("--volume {source}:{target}{ro}");
        let with = vec![("source", source.clone()), ("target", target)];
        let mode = if *read_only { "ro" } else { "rw" };
        Judged(level, mode.into(), option, with)
    };
    posture.windows.iter().map(of).collect()
}

fn users(posture: &Posture) -> Vec<Judged> {
    vec![match posture.users {
        // He is whoever has that number outside.
        Users::Machines if posture.is_ordinary == Some(true) => judged(Level::Unknown, "host", "--user"),
        Users::Machines => judged(Level::Open, "host", ""),
        Users::Caller => judged(Level::Weak, "caller", ""),
        Users::Nobodys => judged(Level::Closed, "range", "--userns"),
    }]
}

fn capabilities(posture: &Posture) -> Vec<Judged> {
    match posture.all_capabilities {
        Some(all) => unless(!all, guarded_by_users(posture), "all"),
        None => vec![judged(Level::Unknown, "by the image's passwd", "--user")],
    }
}

fn masks(posture: &Posture) -> Vec<Judged> {
    // They belong to root.
    let level = if posture.is_ordinary == Some(true) { Level::Weak } else { guarded_by_users(posture) };
    unless(posture.masked, level, "/proc/sys")
}

fn network(posture: &Posture) -> Vec<Judged> {
    vec![match posture.network {
        Sees::Hosts => judged(Level::Open, "host", "--network host"),
        Sees::Own => judged(Level::Closed, "lab", ""),
        Sees::None => judged(Level::Closed, "none", "--network none"),
    }]
}

fn limit<T: std::fmt::Display>(limit: Option<T>, option: &str) -> Vec<Judged> {
    vec![match limit {
        Some(most) => judged(Level::Closed, &most.to_string(), option),
        None => judged(Level::Weak, "max", ""),
    }]
}

fn image(posture: &Posture) -> Vec<Judged> {
    match (posture.files, posture.root_read_only, posture.writes_image) {
        (false, ..) => Vec::new(),
        (_, true, _) => vec![judged(Level::Closed, "ro", "--read-only")],
        (_, _, true) => vec![judged(Level::Weak, "rw", "")],
        (_, _, false) => vec![judged(Level::Closed, "layer", "")],
    }
}

fn groups(posture: &Posture) -> Vec<Judged> {
    let names: Vec<String> = posture.groups.iter().map(u32::to_string).collect();
    match names.is_empty() || posture.users == Users::Nobodys {
        true => Vec::new(),
        false => vec![judged(Level::Weak, &names.join(" "), "")],
    }
}

fn terminal(posture: &Posture) -> Vec<Judged> {
    if posture.terminal { vec![judged(Level::Weak, "shared", "")] } else { Vec::new() }
}
