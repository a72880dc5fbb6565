//! Telling may fail between any two system calls: the reader goes away, the disk is full, the reader stands still and
//! we are asked to end, or are killed. Nothing is left then, or the ledger names it.
//!
//! By default each call is met once. `WORKSHOP_TELLING=5`, as in `.ci/telling`, meets every line, the calls' and all
//! others, five times.

#![cfg(test)]

mod common;

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Instant;

use common::steps::{self, STEPS, Step};
use common::watch::{AT_ONCE, Desk, Session, groups_of, pages, recorded, wait_until};
use common::{Who, am_root, have, skip, who};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::pipe2;

const FORMATS: [&str; 2] = ["text", "json"];

/// The calls that are told.
const CALLS: [&str; 13] = [
    "mkdir",
    "write",
    "clone3",
    "mount",
    "umount2",
    "pivot_root",
    "chdir",
    "sethostname",
    "unshare",
    "prctl",
    "socket",
    "sendto",
    "execve",
];

/// How often every line is to be met.
fn times() -> Option<usize> {
    std::env::var("WORKSHOP_TELLING").ok().map(|times| times.parse().expect("WORKSHOP_TELLING is a number"))
}

fn is_full() -> bool {
    times().is_some()
}

/// A command whose words fail to be told.
#[derive(Clone)]
struct Story {
    who: Who,
    args: Vec<String>,
    format: &'static str,
    /// What it says when all goes well.
    lines: Vec<String>,
}

impl Story {
    fn new(desk: &Desk, args: &[&str], format: &'static str) -> Story {
        let args: Vec<String> = args.iter().chain(&["--format", format]).map(|arg| arg.to_string()).collect();
        let said = desk.must(&args.iter().map(String::as_str).collect::<Vec<_>>());
        Story { who: desk.who, args, format, lines: said.lines().map(|line| format!("{line}\n")).collect() }
    }

    fn args(&self) -> Vec<&str> {
        self.args.iter().map(String::as_str).collect()
    }

    /// The lines that are to fail, by number: all, or those that tell a call.
    fn moments(&self) -> Vec<usize> {
        let tells = |line: &str| match self.format {
            "json" => line.contains("\"event\":\"call\""),
            _ => line.split_whitespace().take(4).any(|word| CALLS.contains(&word)),
        };
        let all = self.lines.iter().enumerate();
        // A machine takes seconds to boot: there the calls must do.
        let every = is_full() && steps::named(&self.args[1]).is_part;
        let chosen: Vec<usize> =
            all.filter(|(_, line)| every || tells(line)).map(|(number, _)| number).collect();
        assert!(!chosen.is_empty(), "{:?} tells no call", self.args);
        chosen
    }

    /// How many bytes come before a line.
    fn offset(&self, line: usize) -> usize {
        self.lines[..line].iter().map(String::len).sum()
    }

    fn at(&self, line: usize, how: &str) -> String {
        format!("{how}: {:?} {:?} at line {line}: {}", self.who, self.args, self.lines[line].trim_end())
    }
}

/// A pipe that holds one write(2) and no more (`O_DIRECT` of pipe(2), and a capacity of one page): whoever writes is
/// always exactly one line ahead of the reader.
struct Reader(File);

impl Reader {
    fn pipe() -> (Reader, OwnedFd) {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_DIRECT).expect("make a pipe");
        fcntl(&reader, FcntlArg::F_SETPIPE_SZ(4096)).expect("make it small");
        (Reader(reader.into()), writer)
    }

    /// Reads until LINE is the next that will be written, and all before it were.
    fn reach(&mut self, line: usize, session: &mut Session) {
        let (mut read, mut chunk) = (0, [0; 1 << 16]);
        while read + 1 < line {
            let count = self.0.read(&mut chunk).expect("read");
            assert!(count > 0, "it ended before line {line}");
            read += chunk[..count].iter().filter(|byte| **byte == b'\n').count();
        }
        if line > 0 {
            wait_until("the line before", || self.waiting() > 0 || is_over(session));
        }
    }

    /// How many bytes wait to be read (FIONREAD, ioctl_tty(2)).
    fn waiting(&self) -> i32 {
        let mut count = 0;
        // SAFETY: an open descriptor, and a live number.
        unsafe { libc::ioctl(self.0.as_raw_fd(), libc::FIONREAD, &raw mut count) };
        count
    }
}

fn is_over(session: &mut Session) -> bool {
    session.child.try_wait().expect("wait").is_some()
}

/// Nothing of it is left: no process, no group, no page, no box.
fn nothing_is_left(desk: &Desk, session: &Session, story: &str) {
    session.gone();
    let (groups, pages) = (groups_of(session.pid()), pages(&desk.state));
    assert!(groups.is_empty() && pages.is_empty(), "{groups:?}, {pages:?} are left after {story}");
    let boxes = fs::read_dir(common::home(desk.who).join(".cache/workshop/boxes"));
    let own = format!("{}-", session.pid());
    let boxes =
        boxes.into_iter().flatten().flatten().filter(|b| b.file_name().to_string_lossy().starts_with(&own));
    assert_eq!(boxes.count(), 0, "a box is left after {story}");
}

/// Does the jobs, some at a time, each with a desk of its own. One that fails doesn't hide the others.
fn share_out<J: Send>(name: &str, jobs: Vec<(Who, J)>, work: impl Fn(&Desk, J) + Sync) {
    let (all, begun) = (jobs.len(), Instant::now());
    let (jobs, failed) = (Mutex::new(VecDeque::from(jobs)), AtomicUsize::new(0));
    let next = || jobs.lock().expect("the jobs").pop_front();
    let worker = |number: usize| {
        while let Some((who, job)) = next() {
            let desk = Desk::new(who, &format!("{name}-{number}"));
            if catch_unwind(AssertUnwindSafe(|| work(&desk, job))).is_err() {
                failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        (0..4).for_each(|number| {
            drop(scope.spawn({
                let worker = &worker;
                move || worker(number)
            }))
        })
    });
    let failed = failed.into_inner();
    println!("{name}: {failed} of {all} failed, {:.0} s", begun.elapsed().as_secs_f64());
    assert_eq!(failed, 0, "of {all}: see above");
}

/// The steps, as whoever can do them tells them when all goes well. To boot a machine takes time.
fn stories() -> Vec<Story> {
    static STORIES: OnceLock<Vec<Story>> = OnceLock::new();
    let step =
        |desk: &Desk, step: &Step| FORMATS.map(|format| Story::new(desk, &["step", step.slug], format));
    let of = |who: Who| {
        let desk = Desk::new(who, "stories");
        let possible = |of: &&Step| {
            let limits = !of.limits() || common::has_limits(who);
            limits && (of.is_part || is_full() && common::has_machines(who))
        };
        STEPS.iter().filter(possible).flat_map(|of| step(&desk, of)).collect::<Vec<_>>()
    };
    STORIES.get_or_init(|| who().into_iter().flat_map(of).collect()).clone()
}

/// Those of the steps that change most outside the lab, where the others would show no more in a short run.
fn short(stories: Vec<Story>) -> Vec<Story> {
    let most = ["--memory", "--net"].map(|option| steps::with_option(option).slug);
    let changes = |story: &Story| most.contains(&story.args[1].as_str()) && story.format == "json";
    stories.into_iter().filter(|story| is_full() || changes(story)).collect()
}

/// Each moment of each story, as often as is wanted.
fn moments(stories: Vec<Story>) -> Vec<(Who, (Story, usize))> {
    let times = times().unwrap_or(1);
    let each = |story: Story| story.moments().into_iter().map(move |line| (story.who, (story.clone(), line)));
    stories.into_iter().flat_map(each).flat_map(|job| std::iter::repeat_n(job, times)).collect()
}

#[test]
fn a_reader_that_goes_away_leaves_nothing_behind() {
    let jobs = moments(stories());
    share_out("away", jobs, |desk, (story, line)| {
        let at = story.at(line, "the reader goes away");
        let (mut reader, writer) = Reader::pipe();
        let mut session = Session::start(desk.workshop(&story.args()).stdout(writer));
        reader.reach(line, &mut session);
        drop(reader);
        assert_eq!(session.end(), 128 + libc::SIGPIPE, "{at}");
        nothing_is_left(desk, &session, &at);
    });
}

/// The size that no file may exceed (`RLIMIT_FSIZE`, setrlimit(2)): to a program that is a disk that is full.
fn limited(command: &mut std::process::Command, bytes: usize) -> &mut std::process::Command {
    let limit = move || setrlimit(Resource::RLIMIT_FSIZE, bytes as u64, bytes as u64).map_err(Into::into);
    // SAFETY: setrlimit(2) may be called between fork and exec.
    unsafe { command.pre_exec(limit) }
}

#[test]
fn a_file_that_takes_no_more_leaves_nothing_behind() {
    let jobs = moments(short(stories()));
    share_out("file", jobs, |desk, (story, line)| {
        let at = story.at(line, "the file is full");
        let file = tempfile::tempfile().expect("a file");
        let mut command = desk.workshop(&story.args());
        // Numbers are not as long in every run; what is written as the limit is reached may be the line before.
        let mut session = Session::start(limited(command.stdout(file), story.offset(line) + 1));
        assert_eq!(session.end(), 4, "{at}");
        nothing_is_left(desk, &session, &at);
    });
}

/// A mount namespace with a disk of 64 KiB that has room for so many more bytes; `$@` writes there.
const FULL_DISK: &str = r#"mount -t tmpfs -o size=64k tmpfs "$0" && head -c "$ROOM" /dev/zero > "$0/out" &&
    unset ROOM && exec "$@" >> "$0/out""#;

#[test]
fn a_disk_that_is_full_leaves_nothing_behind() {
    if !am_root() {
        return skip("an ordinary user has no disk to fill", "Run the tests as root");
    }
    if !have("unshare", "util-linux") || !have("mount", "mount") {
        return;
    }
    let jobs = moments(short(stories()).into_iter().filter(|story| story.who == Who::Root).collect());
    share_out("disk", jobs, |desk, (story, line)| {
        let at = story.at(line, "the disk is full");
        let place = tempfile::tempdir().expect("a directory");
        let program = &common::place().program;
        let mut command = desk.terminal("unshare");
        command.args(["--mount", "sh", "-c", FULL_DISK]).arg(place.path()).arg(program).args(story.args());
        command.env("ROOM", ((64 << 10) - story.offset(line) - 1).to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut session = Session::start(&mut command);
        assert_eq!(session.end(), 4, "{at}");
        nothing_is_left(desk, &session, &at);
    });
}

#[test]
fn a_device_that_is_full_leaves_nothing_behind() {
    let jobs = stories().into_iter().map(|story| (story.who, story)).collect();
    share_out("device", jobs, |desk, story: Story| {
        let full = File::options().write(true).open("/dev/full").expect("open /dev/full");
        let mut session = Session::start(desk.workshop(&story.args()).stdout(full));
        assert_eq!(session.end(), 4, "{:?}", story.args);
        nothing_is_left(desk, &session, "/dev/full");
    });
}

#[test]
fn a_ledger_that_takes_no_more_names_all_that_is_left() {
    for who in who().into_iter().filter(|who| common::has_limits(*who)) {
        let desk = Desk::new(who, "ledger");
        desk.must(&["run", "--", "true"]);
        // From no room at all to room for all of the page.
        let jobs = (0..1200).step_by(if is_full() { 1 } else { 60 }).map(|room| (who, room)).collect();
        share_out("ledger", jobs, |desk, room| {
            let mut session = Session::start(limited(&mut desk.workshop(&["step", "4"]), room));
            let status = session.end();
            assert!([0, 4].contains(&status), "status {status} with {room} bytes");
            nothing_is_left(desk, &session, &format!("a ledger of {room} bytes"));
        });
    }
}

#[test]
fn a_reader_that_stands_still_keeps_no_signal_from_us() {
    let jobs = moments(short(stories()));
    share_out("still", jobs, |desk, (story, line)| {
        let at = story.at(line, "the reader stands still, SIGTERM");
        let (mut reader, writer) = Reader::pipe();
        let mut session = Session::start(desk.workshop(&story.args()).stdout(writer));
        reader.reach(line, &mut session);
        let begun = Instant::now();
        session.signal(Signal::SIGTERM);
        assert_eq!(session.end(), 128 + libc::SIGTERM, "{at}");
        assert!(begun.elapsed() < AT_ONCE, "{:?}: {at}", begun.elapsed());
        nothing_is_left(desk, &session, &at);
    });
}

#[test]
fn killed_while_the_reader_stands_still_the_ledger_names_what_is_left() {
    let jobs = moments(short(stories()));
    share_out("killed", jobs, |desk, (story, line)| {
        let at = story.at(line, "the reader stands still, SIGKILL");
        let (mut reader, writer) = Reader::pipe();
        let mut session = Session::start(desk.workshop(&story.args()).stdout(writer));
        reader.reach(line, &mut session);
        session.signal(Signal::SIGKILL);
        assert_eq!(session.end(), 128 + libc::SIGKILL, "{at}");
        session.gone();
        let (left, known) = (groups_of(session.pid()), recorded(&desk.state));
        assert!(left.is_subset(&known), "no page names {left:?} after {at}");
        desk.must(&["clean"]);
        nothing_is_left(desk, &session, &at);
    });
}

#[test]
fn every_reader_of_standard_error_may_go_away_too() {
    for who in who() {
        let desk = Desk::new(who, "errors");
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC).expect("make a pipe");
        drop(reader);
        let mut command = desk.workshop(&["step", "3", "--rootfs", "/nowhere"]);
        let mut session = Session::start(command.stderr(writer));
        assert_eq!(session.end(), 2);
        nothing_is_left(&desk, &session, "an error that nobody hears");
    }
}
