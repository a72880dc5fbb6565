//! The same steps on another kernel, with cgroup v2 alone: in a virtual machine, as root and as an ordinary user
//! with a delegated group, against the same snapshots.

use std::cmp::Ordering;

use crate::common::guest::Guest;
use crate::common::steps::{of_limits, parts};
use crate::common::{Who, events, filters};
use crate::compare;

/// How a step is asked for, and what its snapshot is called.
const FORMS: [(&str, &str); 3] =
    [("en", "--lang en"), ("ko", "--lang ko"), ("json", "--format json --lang en")];

/// What is run in one machine: names of snapshots, and the commands for them.
#[derive(Default)]
struct Script(Vec<(String, String)>);

impl Script {
    /// A command that changes the guest and has no snapshot.
    fn line(mut self, line: &str) -> Script {
        self.0.push((String::new(), line.into()));
        self
    }

    /// A step in every form. `name` is put into its snapshots' names after the number and the form; `before` comes
    /// before the program.
    fn step(mut self, number: u32, name: &str, before: &str) -> Script {
        self.0.extend(FORMS.map(|(form, options)| {
            (format!("step_{number}_{form}_{name}"), format!("{before} workshop step {number} {options}"))
        }));
        self
    }

    /// Runs it all, and holds each run against its snapshot.
    fn judge(self, guest: &Guest) {
        for (name, said, status) in guest.script(&self.0) {
            match name.is_empty() {
                true => assert_eq!((said.as_str(), status), ("", 0)),
                false => judge_one(&name, &said, status),
            }
        }
    }
}

fn judge_one(name: &str, said: &str, status: i32) {
    let wanted = if name.ends_with("refused") { 3 } else { 0 };
    assert_eq!(status, wanted, "{name}: {said}");
    if !name.contains("_json_") {
        return compare(name, &filters::even_columns(said));
    }
    let checks: Vec<_> = events(said).into_iter().filter(|e| e["event"] == "check").collect();
    assert!(checks.is_empty() == (wanted == 3) && checks.iter().all(|c| c["passed"] == true), "{said}");
    compare(name, said);
}

impl Script {
    /// All steps of the container. (A guest has no QEMU, to start another in it.) `limited` and `later` are put into the
    /// names of the snapshots of the step with limits and of those after it.
    fn steps_of_containers(self, name: &str, limited: &str, later: &str) -> Script {
        let limits = of_limits().number;
        parts().fold(self, |script, step| {
            let name = match step.number.cmp(&limits) {
                Ordering::Less => name,
                Ordering::Equal => limited,
                Ordering::Greater => later,
            };
            // Its root filesystem is a tmpfs, which had no id-mapped mounts before Linux 6.3.
            let copied = if step.users() && name == "root" { "_copied" } else { "" };
            script.step(step.number, &format!("{name}{copied}"), "")
        })
    }
}

#[test]
fn steps_in_a_guest_as_root_are_told_as_in_their_snapshots() {
    if !Guest::possible() {
        return;
    }
    // A host has homes, and a container's image has none: that is one of step 3's facts.
    let script = Script::default().line("mkdir -p /home/somebody");
    let script = script.steps_of_containers("root", "root_v2", "root");
    // As on a host with systemd, which hands the controllers on to everybody.
    let script = script.line("echo '+memory +pids +cpu' > /sys/fs/cgroup/cgroup.subtree_control");
    let script = script.step(of_limits().number, "root_v2_handed_on", "");
    // As in a login without a user manager.
    let nobody = "HOME=/tmp/nobody setpriv --reuid 65534 --regid 65534 --clear-groups";
    let script = script.line("mkdir /tmp/nobody; chown 65534:65534 /tmp/nobody");
    script.step(of_limits().number, "user_v2_refused", nobody).judge(&Guest::new(Who::User));
}

#[test]
fn steps_in_a_guest_as_an_ordinary_user_are_told_as_in_their_snapshots() {
    if !Guest::possible() {
        return;
    }
    let script = Script::default().steps_of_containers("user", "user_v2", "user_limited");
    script.judge(&Guest::new(Who::User).with(&["--user=65534"]));
}
