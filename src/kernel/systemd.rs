//! A delegated group from systemd, on cgroup v2.
//!
//! Where systemd runs the host, every group is some manager's, and only that manager may change it: what
//! others enable in a slice it takes away again. But it can make a transient scope around a process and
//! hand that over (`Delegate=`, systemd.resource-control(5)): below it groups may be made. Root asks the
//! system's manager, an ordinary user the one of their own, which starts with a login session. The scope
//! ends by itself when the last process in it does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::Uid;

use super::process::caller;
use super::signals::reset_in;

/// How long the manager may take to answer, and then to move us.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether systemd runs this host: the test of sd_booted(3).
fn runs_the_host() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Whether the caller has a manager: an ordinary user's is not there without a login session, and `su` or
/// `sudo -u` make none.
fn has_manager(user: Uid) -> bool {
    user.is_root() || runtime_dir(user).join("systemd/private").exists()
}

/// The fault of having no group to make others in: what mends it depends on who could hand one out.
pub fn no_group() -> &'static str {
    match (runs_the_host(), has_manager(caller())) {
        (false, _) => "cgroup-v2-no-systemd",
        (true, false) => "cgroup-v2-no-manager",
        (true, true) => "cgroup-v2-not-delegated",
    }
}

/// Asks the caller's manager to put this process into a scope of its own. Whether it did shows in
/// `/proc/self/cgroup`; `false` where there is no manager, or it says no.
///
/// Must be called before the user namespace is entered: D-Bus tells users apart by their real ID.
pub fn scope_of_our_own() -> bool {
    let (user, pid) = (caller(), std::process::id());
    if !runs_the_host() || !has_manager(user) {
        return false;
    }
    let unit = format!("workshop-{pid}.scope");
    let asked = reset_in(&mut Command::new("busctl"))
        .arg(bus(user))
        .args(arguments(&unit, pid))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    asked.is_ok_and(|status| status.success()) && moved_into(&unit)
}

/// Which bus the manager listens on. A user's is named by its path: after `su`, the environment leads to
/// somebody else's bus or to none.
fn bus(user: Uid) -> String {
    match user.is_root() {
        true => "--system".into(),
        false => format!("--address=unix:path={}", runtime_dir(user).join("bus").display()),
    }
}

/// Where pam_systemd(8) keeps a user's sockets.
fn runtime_dir(user: Uid) -> PathBuf {
    format!("/run/user/{user}").into()
}

/// The call of `StartTransientUnit` (org.freedesktop.systemd1(5)) in busctl(1)'s notation.
fn arguments(unit: &str, pid: u32) -> Vec<String> {
    let timeout = format!("--timeout={}", PATIENCE.as_secs());
    let manager = [
        &timeout,
        "call",
        "org.freedesktop.systemd1",
        "/org/freedesktop/systemd1",
        "org.freedesktop.systemd1.Manager",
        "StartTransientUnit",
        "ssa(sv)a(sa(sv))",
    ];
    let properties = ["3", "PIDs", "au", "1", &pid.to_string(), "Delegate", "b", "true"].map(String::from);
    let collect = ["CollectMode", "s", "inactive-or-failed"].map(String::from);
    let mut arguments: Vec<String> = manager.map(String::from).into();
    arguments.extend([unit.to_owned(), "fail".into()]);
    arguments.extend(properties);
    arguments.extend(collect);
    arguments.push("0".into());
    arguments
}

/// The manager answers before it has done it.
fn moved_into(unit: &str) -> bool {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if fs::read_to_string("/proc/self/cgroup").is_ok_and(|text| text.contains(unit)) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_su_the_bus_is_still_the_users_own() {
        assert_eq!(bus(Uid::from_raw(1000)), "--address=unix:path=/run/user/1000/bus");
        assert_eq!(bus(Uid::from_raw(0)), "--system");
    }

    #[test]
    fn the_scope_is_delegated_and_holds_us_alone() {
        let words = arguments("workshop-7.scope", 7).join(" ");
        assert!(words.ends_with(
            "StartTransientUnit ssa(sv)a(sa(sv)) workshop-7.scope fail \
             3 PIDs au 1 7 Delegate b true CollectMode s inactive-or-failed 0"
        ));
    }
}
