//! The same steps on another kernel, with cgroup v2 alone: in a virtual machine, as root and as an ordinary user
//! with a delegated group, against the same snapshots.

use std::fmt::Write;

use crate::common::guest::Guest;
use crate::common::{STEPS, Who, events};
use crate::{LIMITS, compare, filters};

/// How a step is asked for, and what its snapshot is called.
const FORMS: [(&str, &str); 3] =
    [("en", "--lang en"), ("ko", "--lang ko"), ("json", "--format json --lang en")];

/// Begins and ends what one run said; nothing that a step says begins like that.
const MARK: &str = "@@";

/// What is run in one machine, one after the other: booting takes longer than a step does.
struct Script(String);

impl Script {
    fn new() -> Script {
        // A host has homes, and a container's image has none: that is one of step 3's facts.
        Script("export LANG=C.UTF-8\n[ -w /home ] && mkdir -p /home/somebody\n".into())
    }

    fn line(mut self, line: &str) -> Script {
        self.0 += line;
        self.0 += "\n";
        self
    }

    /// A step in every form. `name` is put into its snapshots' names after the number and the form; `before` comes
    /// before the program.
    fn step(mut self, number: u32, name: &str, before: &str) -> Script {
        for (form, options) in FORMS {
            let run = format!("{before} workshop step {number} {options} 2>&1; echo \"{MARK} $?\"");
            writeln!(self.0, "echo '{MARK} step_{number}_{form}_{name}'; {run}").expect("write to a string");
        }
        self
    }

    /// Runs it all, and holds each run against its snapshot.
    fn judge(self, guest: &Guest) {
        let ran = guest.run(&["sh", "-c", &self.0]);
        assert_eq!(ran.status, 0, "{}\n{}", ran.stdout, ran.stderr);
        let mut pieces = ran.stdout.split(MARK).skip(1);
        let mut count = 0;
        while let (Some(head), Some(end)) = (pieces.next(), pieces.next()) {
            let (name, said) = head.split_once('\n').expect("a line");
            judge_one(name.trim(), said, end.trim());
            count += 1;
        }
        assert_eq!(count, self.0.matches("workshop step").count(), "{}", ran.stdout);
    }
}

fn judge_one(name: &str, said: &str, status: &str) {
    let wanted = if name.ends_with("refused") { "3" } else { "0" };
    assert_eq!(status, wanted, "{name}: {said}");
    if !name.contains("_json_") {
        return compare(name, &filters::even_columns(said));
    }
    let checks: Vec<_> = events(said).into_iter().filter(|e| e["event"] == "check").collect();
    assert!(checks.is_empty() == (wanted == "3") && checks.iter().all(|c| c["passed"] == true), "{said}");
    compare(name, said);
}

#[test]
fn steps_in_a_guest_as_root_are_told_as_in_their_snapshots() {
    if !Guest::possible() {
        return;
    }
    let name = |number| if number == LIMITS { "root_v2" } else { "root" };
    let script =
        STEPS.iter().fold(Script::new(), |script, (number, _)| script.step(*number, name(*number), ""));
    // As on a host with systemd, which hands the controllers on to everybody.
    let script = script.line("echo '+memory +pids +cpu' > /sys/fs/cgroup/cgroup.subtree_control");
    let script = script.step(LIMITS, "root_v2_handed_on", "");
    // As in a login without a user manager.
    let nobody = "HOME=/tmp/nobody setpriv --reuid 65534 --regid 65534 --clear-groups";
    let script = script.line("mkdir /tmp/nobody; chown 65534:65534 /tmp/nobody");
    script.step(LIMITS, "user_v2_refused", nobody).judge(&Guest::new(Who::User));
}

#[test]
fn steps_in_a_guest_as_an_ordinary_user_are_told_as_in_their_snapshots() {
    if !Guest::possible() {
        return;
    }
    let name = |number| match number {
        LIMITS => "user_v2",
        5.. => "user_limited",
        _ => "user",
    };
    let script =
        STEPS.iter().fold(Script::new(), |script, (number, _)| script.step(*number, name(*number), ""));
    script.judge(&Guest::new(Who::User).with(&["--user=65534"]));
}
