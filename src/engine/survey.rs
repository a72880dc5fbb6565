//! What a container has, asked of the kernel from both sides: what an experiment compares. Each question is asked
//! whatever the container is made of, and each answer is one line.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::stat::{major, minor};
use nix::unistd::pipe2;
use serde::{Deserialize, Serialize};

use super::parts::pivot_root::DEVICES;
use super::{Container, OnHost, Plan, Process, Program, Site, Spec, Stdio, create};
use fault::{Doing, Fault};
use kernel::icmp::ping;
use kernel::netlink::facts;
use kernel::told::Silence;
use kernel::visit::hear;
use kernel::{mounts, process};
use lab::Lab;

/// Answers by question.
pub type Answers = BTreeMap<String, String>;

/// The kinds of namespaces that a container may have of its own (/proc/PID/ns).
const KINDS: [&str; 7] = ["user", "pid", "mnt", "uts", "ipc", "cgroup", "net"];

/// Links that programs expect in /dev.
const LINKS: [&str; 5] = ["ptmx", "fd", "stdin", "stdout", "stderr"];

/// How long an answer to a packet may take.
const PATIENCE: Duration = Duration::from_secs(4);

/// What was found while a container was there, and when it was gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    pub inside: Answers,
    pub outside: Answers,
    pub afterwards: Answers,
}

impl Survey {
    /// The questions that another survey answers otherwise.
    pub fn differences(&self, other: &Survey) -> Vec<String> {
        let sides = [
            ("inside", &self.inside, &other.inside),
            ("outside", &self.outside, &other.outside),
            ("afterwards", &self.afterwards, &other.afterwards),
        ];
        let differ = |(side, one, two): (&str, &Answers, &Answers)| -> Vec<String> {
            let questions: std::collections::BTreeSet<_> = one.keys().chain(two.keys()).collect();
            let apart = questions.into_iter().filter(|question| one.get(*question) != two.get(*question));
            apart.map(|question| format!("{side}: {question}")).collect()
        };
        sides.into_iter().flat_map(differ).collect()
    }
}

/// Makes the container of a plan, looks at it from both sides, lets it go, and looks at what is left.
///
/// # Errors
/// What refused it. The plan's own program is not run: a function of ours looks around in its place.
pub fn of(plan: &Plan, spec: &Spec, site: &Site, lab: &Lab) -> Result<Survey, Fault> {
    let before = host_state();
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC).doing("make a pipe")?;
    let gateway = spec.network.as_ref().map(|endpoint| endpoint.gateway());
    let look = move || {
        let text = serde_json::to_vec(&inside(gateway)).unwrap_or_default();
        let told = File::from(writer).write_all(&text);
        // Until whoever looks from outside has seen enough.
        let waited = std::io::stdin().read(&mut [0; 1]);
        i32::from(told.and(waited).is_err())
    };
    let (stdio, hold) = Stdio::quiet()?;
    let process = Process { stdio, ..Process::new(Program::Call(Box::new(look))) };
    let mut container = create(plan.clone(), process, OnHost::new(spec, site)?, lab, &mut Silence)?;
    container.start(&mut Silence)?;
    let text = hear(reader)?.unwrap_or_default();
    let inside = serde_json::from_slice(&text).doing("understand what was seen inside")?;
    let outside = outside(&container, spec, &before);
    drop(hold);
    container.end()?;
    Ok(Survey { inside, outside, afterwards: afterwards(site, &before) })
}

/// As the first process: what it has.
fn inside(gateway: Option<std::net::Ipv4Addr>) -> Answers {
    let mut answers = Answers::new();
    let mut add = |question: &str, answer: String| {
        answers.insert(question.into(), answer);
    };
    add("PID", std::process::id().to_string());
    add("dies with us", format!("{:?}", nix::sys::prctl::get_pdeathsig()));
    let no_more = nix::sys::prctl::get_no_new_privs().unwrap_or_default();
    add("new privileges", if no_more { "no" } else { "yes" }.into());
    add("user and group", format!("{}:{}", nix::unistd::geteuid(), nix::unistd::getegid()));
    let groups = nix::unistd::getgroups().map_or(0, |groups| groups.len());
    add("other groups", if groups == 0 { "none" } else { "some" }.into());
    add("its /proc", if nix::sys::prctl::get_dumpable() == Ok(true) { "its own" } else { "root's" }.into());
    for path in ["/", "/bin/sh", "/etc/hosts"] {
        let owner = fs::metadata(path).map(|found| format!("{}:{}", found.uid(), found.gid()));
        add(&format!("owner of {path}"), owner.unwrap_or_else(|e| e.kind().to_string()));
    }
    add("working directory", format!("{:?}", std::env::current_dir().map_err(|e| e.kind())));
    add(
        "host name",
        nix::unistd::gethostname().map_or_else(|e| e.to_string(), |n| n.to_string_lossy().into()),
    );
    let many = process::pids(Path::new("/proc")).len() > 1;
    add("processes in /proc", if many { "others too" } else { "its own" }.into());
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limited = |line: &&str| {
        ["memory", "pids", "cpu"].iter().any(|name| line.contains(name)) || line.starts_with("0::")
    };
    let is_top = own.lines().filter(limited).all(|line| line.ends_with(":/"));
    add("its group as it sees it", if is_top { "/" } else { "not /" }.into());
    let table = mounts::mine().unwrap_or_default();
    let travels = table.iter().any(|mount| !mount.propagation.is_empty());
    add("mounts travel", if travels { "yes" } else { "no" }.into());
    let (own, others): (Vec<_>, Vec<_>) = table.iter().partition(|mount| is_expected(&mount.target));
    add("other mounts", if others.is_empty() { "none" } else { "some" }.into());
    for mount in own {
        // The last one at a place is the one that is seen.
        add(&format!("mount {}", mount.target), format!("{} {}", mount.fstype, mount.options));
    }
    for name in DEVICES {
        let found = fs::metadata(Path::new("/dev").join(name));
        add(
            &format!("/dev/{name}"),
            found.map_or_else(
                |e| e.kind().to_string(),
                |m| {
                    let kind = if m.file_type().is_char_device() { "device" } else { "file" };
                    format!("{kind} {}:{}", major(m.rdev()), minor(m.rdev()))
                },
            ),
        );
    }
    for name in LINKS {
        let target = fs::read_link(Path::new("/dev").join(name));
        add(
            &format!("/dev/{name}"),
            target.map_or_else(|e| e.kind().to_string(), |t| t.display().to_string()),
        );
    }
    for (link, name) in facts::links().unwrap_or_default().iter().map(|link| (link, &link.name)) {
        add(&format!("link {name}"), if link.up { "up" } else { "down" }.into());
    }
    let addresses: Vec<_> =
        facts::addresses().unwrap_or_default().iter().map(|a| a.cidr.to_string()).collect();
    add("addresses", addresses.join(" "));
    let route = facts::default_route().ok().flatten().and_then(|route| route.gateway);
    add("default route", route.map_or("none".into(), |gateway| gateway.to_string()));
    if let Some(gateway) = gateway {
        add("gateway", ping(gateway, PATIENCE).map_or_else(|e| e.kind().to_string(), |_| "answers".into()));
    }
    answers
}

/// Places where a container has something mounted; where else a host has, is its own affair.
fn is_expected(target: &str) -> bool {
    let device = |name: &str| target.strip_prefix("/dev/") == Some(name);
    let group = |name: &str| target.strip_prefix("/sys/fs/cgroup/") == Some(name);
    ["/", "/proc", "/dev", "/dev/pts", "/dev/shm", "/sys", "/sys/fs/cgroup"].contains(&target)
        || DEVICES.into_iter().any(device)
        || ["memory", "pids", "cpu", "cpu,cpuacct", "unified"].into_iter().any(group)
}

/// As the host, while it is there.
fn outside(container: &Container, spec: &Spec, before: &Answers) -> Answers {
    let mut answers = changes(before, &host_state());
    let pid = container.pid.to_string();
    for kind in KINDS {
        let shared = process::namespace("self", kind) == process::namespace(&pid, kind);
        answers.insert(format!("{kind} namespace"), if shared { "the host's" } else { "its own" }.into());
    }
    for group in &container.on_host.groups {
        let name = group.hierarchy.controllers.clone();
        let members = fs::read_to_string(group.dir.join("cgroup.procs")).unwrap_or_default();
        let member = members.lines().any(|member| member == pid);
        answers.insert(format!("in its group of {name}"), member.to_string());
        let limits = spec.limits.iter().flat_map(|limits| {
            group.wanted.iter().flat_map(|controller| limits.settings(*controller, group.hierarchy.version))
        });
        for setting in limits {
            let value = fs::read_to_string(group.dir.join(setting.file)).unwrap_or_default();
            answers.insert(setting.file.into(), value.trim().into());
        }
    }
    answers
}

/// As the host, when it is gone.
fn afterwards(site: &Site, before: &Answers) -> Answers {
    let mut answers = changes(before, &host_state());
    let left = |path: &Path| if path.exists() { "left" } else { "gone" }.to_owned();
    answers.insert("what it wrote".into(), left(&site.written()));
    for group in site.groups() {
        answers.insert(format!("its group of {}", group.hierarchy.controllers), left(&group.dir));
    }
    answers
}

/// What a container could change where it stands.
fn host_state() -> Answers {
    let mut answers = Answers::new();
    answers
        .insert("host name".into(), nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into());
    let mounts = mounts::mine().map_or_else(|e| e.kind().to_string(), |table| table.len().to_string());
    answers.insert("mounts".into(), mounts);
    let links: Vec<_> = facts::links().unwrap_or_default().into_iter().map(|link| link.name).collect();
    answers.insert("links".into(), links.join(" "));
    answers.insert("firewall tables".into(), facts::nft_tables().unwrap_or_default().join(" "));
    let forward = fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap_or_default();
    answers.insert("ip_forward".into(), forward.trim().into());
    answers
}

/// The host's answers that are others than before, and what they are now.
fn changes(before: &Answers, now: &Answers) -> Answers {
    let changed = now.iter().filter(|(question, answer)| before.get(*question) != Some(answer));
    changed.map(|(question, answer)| (format!("the host's {question}"), answer.clone())).collect()
}
