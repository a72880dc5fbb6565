//! `kill -9` of any of our processes at any moment: the container dies with us, the next command removes
//! what is left, and only that.

#![cfg(test)]

mod common;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::watch::{Desk, Process, Session, give_to, groups_of, pages, recorded, wait_until};
use common::{Who, place, run, who};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The moments are the same in every run, as far as a scheduler lets them be.
const SEED: u64 = 0x5eed_0fc0_17a1;

/// Which of our processes is killed, in turn.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Workshop,
    /// A container's first process.
    First,
    /// The process that ends a container when the workshop can't.
    Guard,
    /// Any other: a visitor, a process of an experiment.
    Other,
}

impl Victim {
    const ALL: [Victim; 4] = [Victim::Workshop, Victim::First, Victim::Guard, Victim::Other];

    fn find(self, session: &Session) -> Option<Process> {
        let workshop = session.pid();
        let outside = process_depth();
        session.processes().into_iter().find(|p| match self {
            Victim::Workshop => p.pid == workshop,
            Victim::First => p.depth > outside && p.inner == 1,
            Victim::Guard => p.session != workshop,
            Victim::Other => p.session == workshop && p.pid != workshop && p.inner != 1,
        })
    }
}

/// In how many PID namespaces this test has a PID.
fn process_depth() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("read /proc/self/status");
    let line = status.lines().find(|l| l.starts_with("NSpid:")).expect("NSpid");
    line.split_whitespace().count() - 1
}

/// xorshift64: the next of a row of numbers that the seed fixes.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Kills so many times at random moments of a command's run, and looks at what is left. (The four tests that do
/// this kill 66 times.)
fn kill_at_random(kills: usize, name: &str, args: &[&str], whos: &[Who]) {
    let mut random = SEED ^ name.len() as u64;
    for &who in whos {
        let desk = Desk::new(who, name);
        desk.must(&["run", "--", "true"]);
        let begun = Instant::now();
        desk.must(args);
        let mut whole = begun.elapsed();
        let wanted = kills / whos.len();
        let (mut hits, mut tries) = (0, 0);
        while hits < wanted {
            tries += 1;
            let victim = Victim::ALL[tries % 4];
            let delay = whole.mul_f64((next(&mut random) % 1000) as f64 / 1000.0);
            let story = format!("{name}, {who:?}, try {tries}, {victim:?} after {delay:?} (seed {SEED:#x})");
            let (pid, missed) = kill_once(&desk, args, victim, delay, &story);
            match missed {
                None => hits += 1,
                // It was over before: the machine has become faster, or slower while it was measured.
                Some(lived) => whole = lived,
            }
            assert!(hits == wanted || tries < 8 * wanted, "only {hits} kills so far: {story}");
            // The next command, whichever it is, takes back what was left.
            match tries / 4 % 2 {
                0 => drop(desk.must(&["clean"])),
                _ => drop(desk.must(&["run", "--", "true"])),
            }
            assert!(pages(&desk.state).is_empty(), "{:?}: {story}", pages(&desk.state));
            assert!(groups_of(pid).is_empty(), "{:?}: {story}", groups_of(pid));
        }
        desk.must(args);
    }
}

/// Returns the workshop's PID, and how long it lived if there was no process of that kind to kill.
fn kill_once(
    desk: &Desk,
    args: &[&str],
    victim: Victim,
    delay: Duration,
    story: &str,
) -> (i32, Option<Duration>) {
    let begun = Instant::now();
    let mut session = Session::start(&mut desk.workshop(args));
    // A process of that kind may only come later than at the moment that was drawn, or not any more.
    let mut hit = false;
    wait_until(story, || {
        if begun.elapsed() >= delay {
            let found = victim.find(&session);
            hit = found.is_some_and(|p| kill(Pid::from_raw(p.pid), Signal::SIGKILL).is_ok());
        }
        hit || session.child.try_wait().expect("wait").is_some()
    });
    let lived = begun.elapsed();
    let status = session.end();
    if let (Victim::Workshop, true) = (victim, hit) {
        // It may have been on its way out.
        assert!([0, 137].contains(&status), "status {status}: {story}");
    }
    if let Victim::Guard = victim {
        assert_eq!(status, 0, "nobody but the workshop misses a guard: {story}");
    }
    wait_until(&format!("the end of all processes: {story}"), || session.processes().is_empty());
    let (left, known) = (groups_of(session.pid()), recorded(&desk.state));
    assert!(left.is_subset(&known), "groups that no page names: {left:?}: {story}");
    if !matches!(victim, Victim::Workshop) {
        assert!(left.is_empty(), "we lived, and left {left:?}: {story}");
    }
    (session.pid(), (!hit).then_some(lived))
}

#[test]
fn step_4_may_be_killed_at_any_moment() {
    let whos: Vec<Who> = who().into_iter().filter(|w| common::has_limits(*w)).collect();
    kill_at_random(16, "step-4", &["step", "4"], &whos);
}

#[test]
fn step_6_may_be_killed_at_any_moment() {
    kill_at_random(18, "step-6", &["step", "6"], &who());
}

#[test]
fn the_tour_may_be_killed_at_any_moment() {
    // Its steps are killed above, more often; a whole one takes its time where a machine is emulated.
    kill_at_random(6, "tour", &["tour"], &who());
}

#[test]
fn run_may_be_killed_at_any_moment() {
    kill_at_random(20, "run", &["run", "--", "sh", "-c", "sleep 0.1"], &who());
}

#[test]
fn a_killed_image_build_leaves_no_half_image() {
    let desk = Desk::new(Who::User, "build");
    let mut random = SEED;
    for round in 0..6 {
        let cache = desk.state.join(format!("cache-{round}"));
        let mut build = desk.workshop(&["run", "--", "true"]);
        let mut session = Session::start(build.env("XDG_CACHE_HOME", &cache));
        std::thread::sleep(Duration::from_millis(next(&mut random) % 150));
        session.signal(Signal::SIGKILL);
        session.end();
        session.gone();
        let again = run(desk.workshop(&["run", "--", "true"]).env("XDG_CACHE_HOME", &cache));
        assert_eq!(again.status, 0, "round {round} (seed {SEED:#x})");
        let images = fs::read_dir(cache.join("workshop/images")).expect("the store").flatten();
        let halves: Vec<_> = images.filter(|e| e.file_name().to_string_lossy().starts_with("tmp-")).collect();
        assert!(halves.is_empty(), "{halves:?} after round {round} (seed {SEED:#x})");
    }
}

#[test]
fn clean_removes_what_the_dead_left_and_nothing_else() {
    for who in who().into_iter().filter(|w| common::has_limits(*w)) {
        let desk = Desk::new(who, "clean");
        let foreign = Foreign::new();
        let mut living = desk.held(&["step", "4"]);
        let mut dead = desk.held(&["step", "4"]);
        let (kept, left) = (groups_of(living.pid()), groups_of(dead.pid()));
        assert!(!kept.is_empty() && !left.is_empty(), "a container with limits has groups");
        dead.signal(Signal::SIGKILL);
        assert_eq!(dead.end(), 137);
        dead.gone();
        assert_eq!(groups_of(dead.pid()), left, "nobody has cleaned up yet");

        let said = desk.must(&["clean", "--dry-run", "--format", "json"]);
        for group in &left {
            assert!(said.contains(group.to_str().expect("UTF-8")), "{said}");
        }
        assert_eq!(groups_of(dead.pid()), left, "a dry run removes nothing");
        assert_eq!(pages(&desk.state).len(), 2, "a dry run forgets nothing");

        let said = desk.must(&["clean", "--format", "json"]);
        for group in &left {
            assert!(said.contains(group.to_str().expect("UTF-8")), "{said}");
        }
        assert!(groups_of(dead.pid()).is_empty(), "clean removes the groups");
        assert_eq!(groups_of(living.pid()), kept, "those of the living stay");
        assert_eq!(recorded(&desk.state), kept, "and so does their page");
        assert!(foreign.group.exists(), "a group that is in no ledger is none of ours");
        drop(living.child.stdin.take());
        assert_eq!(living.end(), 0);
        assert!(groups_of(living.pid()).is_empty() && pages(&desk.state).is_empty());
        assert!(foreign.group.exists());
    }
}

/// A group that has the prefix of ours in its name and is not ours.
struct Foreign {
    group: PathBuf,
}

impl Foreign {
    /// In a group of this test's own, below the one that it runs in.
    fn new() -> Foreign {
        let membership = fs::read_to_string("/proc/self/cgroup").expect("read /proc/self/cgroup");
        let place = |line: &str| {
            let fields: Vec<&str> = line.splitn(3, ':').collect();
            let mount = Path::new("/sys/fs/cgroup").join(fields[1]);
            Some(mount.join(fields[2].trim_start_matches('/'))).filter(|dir| dir.is_dir())
        };
        let own = membership.lines().find_map(place).expect("a cgroup filesystem");
        let test = own.join(format!("kill-test-{}", std::process::id()));
        let group = test.join(format!("workshop-foreign-{}", std::process::id()));
        fs::create_dir_all(&group).expect("make a group");
        Foreign { group }
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.group);
        let _ = self.group.parent().map(fs::remove_dir);
    }
}

#[test]
fn a_kill_in_the_middle_of_a_held_container_ends_its_grandchildren() {
    for who in who() {
        let desk = Desk::new(who, "orphans");
        for args in [&["run"][..], &["run", "--init"], &["step", "1"]] {
            // An orphan, and a child.
            let mut session = desk.script(args, "(sleep 1000 &) ; sleep 1000 & echo it runs; read _");
            wait_until("both orphans", || {
                session.processes().iter().filter(|p| p.name == "sleep").count() == 2
            });
            session.signal(Signal::SIGKILL);
            assert_eq!(session.end(), 137);
            session.gone();
        }
    }
}

#[test]
fn killing_a_containers_first_process_ends_the_workshop_with_137() {
    for who in who() {
        let desk = Desk::new(who, "first");
        let mut session = desk.held(&["run"]);
        let first = Victim::First.find(&session).expect("a first process");
        kill(Pid::from_raw(first.pid), Signal::SIGKILL).expect("kill it");
        assert_eq!(session.end(), 137);
        session.gone();
    }
}

#[test]
fn many_workshops_at_once_do_not_get_into_each_others_way() {
    // All of them find an empty cache, and build the image at the same time.
    let cache = place().dir.join("shared");
    let all: Vec<(Who, &[&str])> = vec![
        (Who::Root, &["step", "4"]),
        (Who::Root, &["step", "5"]),
        (Who::Root, &["step", "6"]),
        (Who::Root, &["tour"]),
        (Who::User, &["step", "3"]),
        (Who::User, &["step", "5"]),
        (Who::User, &["step", "6"]),
        (Who::User, &["tour"]),
    ];
    let start = |(who, args): (Who, &'static [&'static str])| {
        let desk = Desk::new(who, "many");
        let log = desk.state.join(format!("{}.log", args.join("-")));
        let file = File::create(&log).expect("make a log");
        let mut command = desk.workshop(args);
        let cache = cache.join(who.name());
        let errors = file.try_clone().expect("one more descriptor");
        let session = Session::start(command.env("XDG_CACHE_HOME", cache).stdout(file).stderr(errors));
        (desk, args, log, session)
    };
    for who in who() {
        fs::create_dir_all(cache.join(who.name())).expect("make a cache");
        give_to(who, &cache.join(who.name()));
    }
    let running: Vec<_> = all.into_iter().filter(|(who, _)| who.possible()).map(start).collect();
    for (desk, args, log, mut session) in running {
        assert_eq!(
            session.end(),
            0,
            "{:?} {args:?}: {}",
            desk.who,
            fs::read_to_string(log).unwrap_or_default()
        );
        session.gone();
        assert!(groups_of(session.pid()).is_empty());
    }
}
