//! A delegated group from systemd, for an ordinary user on cgroup v2.
//!
//! A login session's group belongs to root. The user's own systemd manager can make a transient scope
//! around a process and hand it over (`Delegate=`, systemd.resource-control(5)): below it the user may
//! make groups. The scope ends by itself when the last process in it does.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long the manager may take to answer, and then to move us.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks the user's manager to put this process into a scope of its own. Whether it did shows in
/// `/proc/self/cgroup`; `false` where there is no manager, or it says no.
///
/// Must be called before the user namespace is entered: D-Bus tells users apart by their real ID.
pub fn scope_of_our_own() -> bool {
    let unit = format!("workshop-{}.scope", std::process::id());
    let asked = Command::new("busctl")
        .args(arguments(&unit, std::process::id()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    asked.is_ok_and(|status| status.success()) && moved_into(&unit)
}

/// The call of `StartTransientUnit` (org.freedesktop.systemd1(5)) in busctl(1)'s notation.
fn arguments(unit: &str, pid: u32) -> Vec<String> {
    let timeout = format!("--timeout={}", PATIENCE.as_secs());
    let manager = [
        "--user",
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
    #[test]
    fn the_scope_is_delegated_and_holds_us_alone() {
        let words = super::arguments("workshop-7.scope", 7).join(" ");
        assert!(words.ends_with(
            "StartTransientUnit ssa(sv)a(sa(sv)) workshop-7.scope fail \
             3 PIDs au 1 7 Delegate b true CollectMode s inactive-or-failed 0"
        ));
    }
}
