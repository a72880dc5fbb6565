//! Every system call that we make is made to fail once, in turn: the message names it, and the host comes
//! out as it was.

#![cfg(test)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::held::{Held, Told, hold, nth, told};
use common::refuse::{Refusal, Refused, Side, can_refuse, run_refusing};
use common::steps::{self, Step};
use common::strace::{Seen, trace};
use common::{NOBODY, Who, am_root, events, have, place, run, skip, workshop};
use nix::errno::Errno;
use regex::Regex;

/// A user of the workshop's whose ledger and images no other test touches. A run looks at whatever another is building
/// there, and so makes calls that the next one doesn't make.
struct Bench {
    who: Who,
    folder: PathBuf,
}

impl Bench {
    /// `None` where this host lacks what it takes to refuse a call.
    fn new(who: Who, name: &str) -> Option<Bench> {
        if !who.possible() {
            skip("only root can be root", "Run the tests as root too");
            return None;
        }
        if !can_refuse() || !have("strace", "strace") {
            return None;
        }
        let folder = place().dir.join(name);
        fs::create_dir(&folder).expect("a directory of the test's own");
        if am_root() && who == Who::User {
            std::os::unix::fs::chown(&folder, Some(NOBODY), Some(NOBODY)).expect("give it away");
        }
        let bench = Bench { who, folder };
        // Makes the image, so that later runs make the same calls each time.
        let ran = run(&mut bench.command(&["step", "3", "--format", "json"]));
        assert_eq!(ran.status, 0, "{}{}", ran.stdout, ran.stderr);
        Some(bench)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = workshop(self.who);
        command.env("XDG_STATE_HOME", self.state()).env("XDG_CACHE_HOME", self.cache()).args(args);
        command
    }

    fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    fn cache(&self) -> PathBuf {
        self.folder.join("cache")
    }

    /// The calls of a run in which nothing is refused.
    fn record(&self, args: &[&str]) -> Option<(Vec<Told>, Vec<Seen>, Held)> {
        let (ran, seen) = trace(&self.command(args));
        if ran.status == 3 && self.who == Who::User {
            return None;
        }
        assert_eq!(ran.status, 0, "{}{}", ran.stdout, ran.stderr);
        let told = told(&events(&ran.stdout));
        let held = hold(&told, &seen).unwrap_or_else(|why| panic!("{args:?}: {why}"));
        Some((told, seen, held))
    }

    /// Runs with a call refused, and looks at what is left of it.
    fn refuse(&self, args: &[&str], refusal: &Refusal) -> Refused {
        let mounts = host_mounts();
        let refused = run_refusing(&mut self.command(args), refusal);
        let Refused { ran, host, .. } = &refused;
        let said = format!("{args:?}, {refusal:?}, status {}:\n{}{}", ran.status, ran.stdout, ran.stderr);
        assert!(!refused.hung, "it hung: {said}");
        for word in ["panicked", "RUST_BACKTRACE", "stack backtrace"] {
            assert!(!ran.stderr.contains(word) && !ran.stdout.contains(word), "a panic: {said}");
        }
        assert!(ran.status != 101 && (0..128).contains(&ran.status), "{said}");
        assert_eq!(mounts, host_mounts(), "the host's mounts: {said}");
        let ours = format!("{host}-");
        let groups = named(Path::new("/sys/fs/cgroup"), &format!("workshop-{ours}"));
        assert!(groups.is_empty(), "groups are left: {groups:?}: {said}");
        let pages = named(&self.state().join("workshop/ledger"), &ours);
        assert!(pages.is_empty(), "pages of the ledger are left: {pages:?}: {said}");
        let cache = self.cache().join("workshop");
        let built = named(&cache.join("images"), &format!("tmp-{ours}"));
        assert!(built.is_empty(), "half an image is left: {built:?}: {said}");
        let upper = named(&cache.join("boxes"), &ours);
        assert!(upper.is_empty(), "what a container wrote is left: {upper:?}: {said}");
        assert!(named(&cache.join("lab"), "").is_empty(), "the lab's directory is not empty: {said}");
        refused
    }

    /// That whatever was refused before does not stand in the way of the next run.
    fn works(&self, args: &[&str]) {
        let ran = run(&mut self.command(args));
        assert_eq!(ran.status, 0, "{args:?}: {}{}", ran.stdout, ran.stderr);
    }
}

/// Lines of mountinfo, as the tests themselves see the host.
fn host_mounts() -> String {
    fs::read_to_string("/proc/self/mountinfo").expect("mountinfo")
}

/// Everything below a directory whose name begins so. What goes away meanwhile is not there.
fn named(dir: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            found.push(entry.path());
        } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) && dir.starts_with("/sys/fs/cgroup") {
            found.extend(named(&entry.path(), prefix));
        }
    }
    found
}

/// The refusal of a told call.
fn refusal(call: &Told, at: usize, seen: &[Seen]) -> Refusal {
    let side = if call.actor == "host" { Side::Host } else { Side::Container };
    Refusal { side, name: call.name.clone(), nth: nth(at, seen), lasting: false, errno: Errno::EPERM }
}

/// A call without what differs from run to run: the names of groups, which hold a PID and a time, the PID in the
/// request that moves a link, and the environment's address.
fn timeless(call: &str) -> String {
    let own = Regex::new(r"workshop-\d[-\d]*|IFLA_NET_NS_PID\}, \d+|0x[0-9a-f]+ /\*").expect("a pattern");
    own.replace_all(call, "…").into_owned()
}

/// Refuses every call that a step tells, one a run: what it adds to an ordinary user's container and to root's,
/// or all that makes root's.
fn refuse_each(step: &Step, verbose: bool) {
    refuse_each_as(Who::User, step, verbose && !am_root());
    refuse_each_as(Who::Root, step, verbose);
}

fn refuse_each_as(who: Who, Step { number, slug, .. }: &Step, verbose: bool) {
    let step = &*number.to_string();
    let Some(bench) = Bench::new(who, &format!("refuse-{}-{step}", who.name())) else { return };
    let args = ["step", step, "--format", "json", "--verbose"];
    let Some((told, seen, held)) = bench.record(&args) else { return };
    let mut tried = 0;
    for (call, at) in told.iter().zip(&held.indices) {
        if !verbose && call.step != *slug {
            continue;
        }
        let refusal = refusal(call, *at, &seen);
        let refused = bench.refuse(&args, &refusal);
        assert!(refused.hit, "never made: {refusal:?}\n{}", refused.ran.stdout);
        let said = events(&refused.ran.stdout);
        let (last, before) = said.split_last().expect("an event");
        assert_eq!(refused.ran.status, 4, "{refusal:?}: {last}");
        assert_eq!((&last["event"], &last["code"]), (&"error".into(), &4.into()), "{last}");
        let message = last["message"].as_str().expect("a message");
        if call.name == "sendto" {
            // A netlink message is told by what it does, as ip(8) would say it.
            let (from, to) = (format!("{}: sendto(", call.step), ") = EPERM");
            assert!(message.starts_with(&from) && message.ends_with(to), "{message}");
            assert!(!message.contains("nlmsg_len"), "{message}");
        } else {
            let expected = format!("{}: {}({}) = EPERM", call.step, call.name, call.args.join(", "));
            assert_eq!(timeless(message), timeless(&expected));
        }
        assert!(last["hint"].as_str().is_some_and(|hint| hint.len() > 20), "{last}");
        // execve(2) is told when it has worked.
        let event = before.last().expect("the call is told first");
        if call.name != "execve" {
            assert_eq!(event["name"], call.name.as_str(), "{event}");
            assert_eq!(event["result"], "-1 EPERM (Operation not permitted)", "{event}");
        }
        tried += 1;
    }
    assert!(tried > 0, "step {step} as {who:?} tells nothing");
    bench.works(&args);
}

/// Refuses the calls of every Nth step from the Mth on. Of the last step that has no overlay and of the last of all, those
/// of the whole container are.
fn refuse_those_of(start: usize, every: usize) {
    let whole = [steps::of_limits(), steps::parts().next_back().expect("a step")].map(|step| step.number);
    for step in steps::parts().skip(start).step_by(every) {
        refuse_each(step, whole.contains(&step.number));
    }
}

// Each a third, to be run side by side.
#[test]
fn each_call_of_the_first_step_and_each_third_may_be_refused() {
    refuse_those_of(0, 3);
}

#[test]
fn each_call_of_the_second_step_and_each_third_may_be_refused() {
    refuse_those_of(1, 3);
}

#[test]
fn each_call_of_the_third_step_and_each_third_may_be_refused() {
    refuse_those_of(2, 3);
}

#[test]
fn the_message_in_text_names_the_call_its_cause_and_a_way_out() {
    let Some(bench) = Bench::new(Who::User, "refuse-text") else { return };
    let json = ["step", "3", "--verbose", "--format", "json"];
    let Some((told, seen, held)) = bench.record(&json) else { return };
    let squeezed = |text: &str| text.split_whitespace().collect::<String>();
    for (call, at) in told.iter().zip(&held.indices).step_by(4) {
        let refusal = refusal(call, *at, &seen);
        let error = events(&bench.refuse(&json, &refusal).ran.stdout).pop().expect("an event");
        let (message, hint) = (error["message"].as_str(), error["hint"].as_str());
        let refused = bench.refuse(&json[..3], &refusal);
        let said = refused.ran.stderr;
        assert_eq!(refused.ran.status, 4, "{said}");
        assert!(said.lines().count() >= 3 && said.trim_start().starts_with("error: "), "{said}");
        // Lines are broken where they would be too long.
        if call.name != "execve" {
            let expected = format!("error:{}{}", message.unwrap_or("?"), hint.unwrap_or("?"));
            assert_eq!(squeezed(&said), squeezed(&expected));
        }
    }
}

/// Root where that is possible: its containers have all layers on every host.
fn most_powerful() -> Who {
    if am_root() { Who::Root } else { Who::User }
}

/// What the kernel may say to a call that is not told.
fn likely(name: &str) -> Errno {
    match name {
        "openat" | "socket" | "socketpair" | "pipe2" | "pidfd_open" | "signalfd4" => Errno::EMFILE,
        "clone" | "clone3" => Errno::EAGAIN,
        "write" | "mkdir" | "symlink" => Errno::ENOSPC,
        "recvfrom" | "sendto" => Errno::ENOBUFS,
        "read" => Errno::EIO,
        _ => Errno::EPERM,
    }
}

/// Refuses the first, the middle and the last call of each of these names that one side makes.
fn refuse_some(who: Who, side: Side, names: &[&str]) {
    let Some(bench) = Bench::new(who, &format!("refuse-{side:?}-{}-{}", who.name(), names.len())) else {
        return;
    };
    let args = ["step", "6", "--verbose", "--format", "json"];
    let (_, seen, _) = bench.record(&args).expect("step 6 works");
    let host = seen[0].pid;
    let container = seen.iter().find(|call| call.name == "clone3" && call.args[0].contains("CLONE_NEWPID"));
    let container: i32 = container.and_then(|call| call.result.parse().ok()).expect("a container");
    // What comes before is Rust's and the C library's.
    let begin = seen.iter().position(|call| call.name == "mkdir").expect("its folders are made first");
    for name in names {
        let made: Vec<usize> = (0..seen.len())
            .filter(|at| {
                let is = match seen[*at].pid {
                    pid if pid == host => Side::Host,
                    pid if pid == container => Side::Container,
                    _ => Side::Other,
                };
                is == side && seen[*at].name == *name
            })
            .collect();
        let early = made.iter().filter(|at| **at < begin).count();
        let mut nths = vec![early + 1, (early + made.len()).div_ceil(2), made.len()];
        nths.dedup();
        for nth in nths.into_iter().filter(|nth| *nth > early) {
            let refusal = Refusal { side, name: name.to_string(), nth, lasting: false, errno: likely(name) };
            let refused = bench.refuse(&args, &refusal);
            let events = events(&refused.ran.stdout);
            let last = events.last().unwrap_or_else(|| panic!("{refusal:?}: nothing was said"));
            let says = match refused.ran.status {
                0 => last["event"] == "done" && last["failed"] == 0,
                1 => last["event"] == "done" && last["failed"] != 0,
                code @ (3 | 4) => last["event"] == "error" && last["code"] == code && last["message"] != "",
                _ => false,
            };
            assert!(says, "{refusal:?}: status {}: {last}\n{}", refused.ran.status, refused.ran.stderr);
        }
    }
    bench.works(&args);
}

#[test]
fn what_the_workshop_does_untold_may_fail_too() {
    let names = [
        "mkdir",
        "openat",
        "read",
        "write",
        "unshare",
        "mount",
        "signalfd4",
        "socketpair",
        "pipe2",
        "clone",
        "clone3",
        "pidfd_open",
        "pidfd_send_signal",
        "waitid",
        "wait4",
        "poll",
        "socket",
        "bind",
        "ioctl",
        "sendto",
        "recvfrom",
    ];
    refuse_some(most_powerful(), Side::Host, &names);
    refuse_some(Who::User, Side::Host, &["unshare", "mount", "openat", "write", "clone"]);
}

#[test]
fn what_the_first_process_does_untold_may_fail_too() {
    let names = [
        "close_range",
        "recvfrom",
        "sendto",
        "mkdir",
        "openat",
        "symlink",
        "socket",
        "bind",
        "ioctl",
        "read",
    ];
    refuse_some(most_powerful(), Side::Container, &names);
}

#[test]
fn what_visitors_and_later_containers_do_may_fail_too() {
    let names = ["setns", "clone", "prctl", "write", "openat", "socket", "recvfrom", "mount", "execve"];
    refuse_some(most_powerful(), Side::Other, &names);
}

#[test]
fn a_ledger_that_cannot_be_written_stops_a_run_before_it_changes_anything() {
    let Some(bench) = Bench::new(Who::Root, "refuse-ledger") else { return };
    let args = ["step", "4", "--verbose", "--format", "json"];
    let (_, seen, _) = bench.record(&args).expect("step 4 works");
    let page = |call: &&Seen| call.name == "openat" && call.args[1].ends_with(".jsonl\"");
    let opened = seen.iter().find(page).expect("a page");
    let begun = seen.iter().position(|call| call == opened).expect("it is there");
    let written =
        (begun..seen.len()).find(|at| seen[*at].name == "write" && seen[*at].args[0] == opened.result);
    let folder = seen.iter().position(|call| call.name == "mkdir" && call.args[0].ends_with("/ledger\""));
    let folder = folder.expect("its folder");
    let reasons = [(begun, Errno::EACCES), (written.expect("a line"), Errno::ENOSPC), (folder, Errno::EROFS)];
    for (at, errno) in reasons {
        let refusal = Refusal {
            side: Side::Host,
            name: seen[at].name.clone(),
            nth: nth(at, &seen),
            lasting: false,
            errno,
        };
        // Where the folder is there already, mkdir(2) is only asked to make sure.
        let _ = fs::remove_dir(bench.state().join("workshop/ledger"));
        let refused = bench.refuse(&args, &refusal);
        assert!(refused.hit && refused.ran.status == 4, "{refusal:?}: {}", refused.ran.stdout);
        let said = events(&refused.ran.stdout);
        assert!(said.iter().all(|event| event["event"] != "call"), "something was done before: {said:#?}");
        let message = said.last().and_then(|error| error["message"].as_str());
        assert!(message.is_some_and(|m| m.contains("undo ledger")), "{said:#?}");
    }
    bench.works(&args);
}

#[test]
fn a_group_that_cannot_be_removed_is_tried_again_and_left_to_the_next_run() {
    let Some(bench) = Bench::new(Who::Root, "refuse-rmdir") else { return };
    let args = ["step", "4", "--verbose", "--format", "json"];
    let (told, seen, _) = bench.record(&args).expect("step 4 works");
    let made = told.iter().find(|call| call.name == "mkdir").expect("a group is made");
    let removed = seen.iter().position(|call| call.name == "rmdir" && call.args[0] == made.args[0]);
    let nth = nth(removed.expect("it is removed"), &seen);
    let refusal =
        |lasting| Refusal { side: Side::Host, name: "rmdir".into(), nth, lasting, errno: Errno::EPERM };
    let says = |refused: &Refused| {
        let last = refused.ran.stdout.lines().last().unwrap_or_default();
        assert!(refused.hit && refused.ran.status == 4 && last.contains("remove the cgroup"), "{last}");
    };

    // Once: it is removed after all, and that it was not so easy is said.
    says(&bench.refuse(&args, &refusal(false)));

    let refused = run_refusing(&mut bench.command(&args), &refusal(true));
    says(&refused);
    let group = format!("workshop-{}-", refused.host);
    let pages = bench.state().join("workshop/ledger");
    assert_eq!(named(Path::new("/sys/fs/cgroup"), &group).len(), 1, "one is left");
    assert_eq!(named(&pages, &format!("{}-", refused.host)).len(), 1, "and written down");
    bench.works(&args);
    assert_eq!(named(Path::new("/sys/fs/cgroup"), &group), [] as [PathBuf; 0]);
    assert_eq!(named(&pages, ""), [] as [PathBuf; 0]);
}
