//! A controller that is not there to be had.

use std::fs;

use super::Controller;
use crate::mounts;
use fault::Fault;

/// Why a controller can't be had: the kernel has none, or nobody has mounted the hierarchy that it is on.
pub fn why(controller: Controller) -> Fault {
    let name = controller.name();
    match unmounted(name) {
        Some(command) => Fault::unable("cgroup-not-mounted", &[("controller", name), ("command", &command)]),
        None => Fault::unable("no-controller", &[("controller", name)]),
    }
}

/// What mounts the hierarchies of which nothing is to be seen here, where there is none of CONTROLLER but the kernel
/// has it (`/proc/cgroups`: name, number of its v1 hierarchy or 0, groups, enabled).
fn unmounted(controller: &str) -> Option<String> {
    let mounts = mounts::mine().ok()?;
    let table = fs::read_to_string("/proc/cgroups").unwrap_or_default();
    let enabled = |name: &str| {
        let line = table
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .find(|l| l.first() == Some(&name))?;
        (line.get(3) == Some(&"1")).then(|| line.get(1).is_some_and(|number| *number != "0"))
    };
    // Since Linux 6.13 a kernel may have no v1, and then it lists nothing there.
    match enabled(controller) {
        Some(true) if !mounts.iter().any(|mount| mount.fstype == "cgroup") => Some(mount_v1()),
        Some(false) | None if !mounts.iter().any(|mount| mount.fstype == "cgroup2") => {
            Some(format!("sudo mount -t cgroup2 cgroup2 {TOP}"))
        }
        _ => None,
    }
}

/// Where everybody mounts them (hier(7), cgroups(7)).
const TOP: &str = "/sys/fs/cgroup";

/// The commands for v1: a directory for each hierarchy.
fn mount_v1() -> String {
    let membership = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mut commands = vec![format!("mount -t tmpfs cgroup {TOP}")];
    for name in Controller::ALL.map(Controller::name) {
        let of = |line: &str| {
            line.split(':').nth(1).filter(|all| all.split(',').any(|c| c == name)).map(String::from)
        };
        if let Some(all) = membership.lines().find_map(of) {
            commands.push(format!("mkdir {TOP}/{name}"));
            commands.push(format!("mount -t cgroup -o {all} cgroup {TOP}/{name}"));
        }
    }
    format!("sudo sh -c '{}'", commands.join("; "))
}
