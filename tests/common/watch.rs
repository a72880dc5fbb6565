//! Sees what a run does to the host: its processes, its groups, its pages in the undo ledger.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{NOBODY, Who, am_root, command_as, home, run};

/// How long anything that must happen may take: as long as a machine takes to boot on a host that is very busy. It is
/// lost only where a test fails.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// The longest that "at once" may take on a busy machine.
pub const AT_ONCE: Duration = Duration::from_secs(60);

/// Waits for something that must happen.
pub fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !happened() {
        assert!(Instant::now() < until, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A program in a session of its own (setsid(2)): whatever comes of it is in that session too, in which
/// namespace and below which parent ever.
pub struct Session {
    pub child: Child,
}

impl Session {
    pub fn start(command: &mut Command) -> Session {
        let own_session = || nix::unistd::setsid().map(drop).map_err(std::io::Error::from);
        // SAFETY: setsid(2) may be called between fork and exec.
        let child = unsafe { command.pre_exec(own_session) }.spawn().expect("start the program");
        Session { child }
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// What is alive of it, the first process included. Only its guards are in sessions of their own.
    pub fn processes(&self) -> Vec<Process> {
        let mine = |p: &Process| p.session == self.pid() || self.is_guard(p);
        processes().into_iter().filter(mine).collect()
    }

    /// The guards of its containers. They are named for whom they watch.
    pub fn guards(&self) -> Vec<Process> {
        processes().into_iter().filter(|p| self.is_guard(p)).collect()
    }

    fn is_guard(&self, process: &Process) -> bool {
        process.name.strip_prefix("guard-").is_some_and(|whose| whose.parse() == Ok(self.pid()))
    }

    /// Waits until nothing of it is alive.
    pub fn gone(&self) {
        wait_until("the end of all processes", || self.processes().is_empty());
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("send a signal");
    }

    /// Waits for its end and returns its status as a shell gives it.
    pub fn end(&mut self) -> i32 {
        use std::os::unix::process::ExitStatusExt;
        let mut status = None;
        wait_until("the end of the workshop", || {
            status = self.child.try_wait().expect("wait for the program");
            status.is_some()
        });
        let status = status.expect("it has ended");
        status.code().or(status.signal().map(|n| 128 + n)).unwrap_or(-1)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for process in self.processes() {
            let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}

/// A process that is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    pub name: String,
    /// As ps(1) shows it: `S` sleeps, `T` is stopped.
    pub state: char,
    pub session: i32,
    /// The innermost of its PIDs, and in how many PID namespaces it has one.
    pub inner: i32,
    pub depth: usize,
}

/// The processes of a session that are alive.
pub fn in_session(session: i32) -> Vec<Process> {
    processes().into_iter().filter(|p| p.session == session).collect()
}

fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("list /proc").flatten();
    entries.filter_map(|e| process(e.file_name().to_str()?.parse().ok()?)).collect()
}

/// The process with this PID, unless it has ended (a zombie has).
fn process(pid: i32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, tail) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = tail.split(' ').collect();
    if ["Z", "X"].contains(&fields[0]) {
        return None;
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let numbers = status.lines().find_map(|l| l.strip_prefix("NSpid:"))?;
    let numbers: Vec<&str> = numbers.split_whitespace().collect();
    Some(Process {
        pid,
        name: head.split_once('(')?.1.to_owned(),
        state: fields[0].chars().next()?,
        session: fields[3].parse().ok()?,
        inner: numbers.last()?.parse().ok()?,
        depth: numbers.len(),
    })
}

/// The groups that the workshop with this PID has on the host now, wherever they are.
pub fn groups_of(workshop: i32) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    find_groups(Path::new("/sys/fs/cgroup"), &format!("workshop-{workshop}-"), &mut found);
    found
}

fn find_groups(dir: &Path, prefix: &str, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                found.insert(entry.path());
            }
            find_groups(&entry.path(), prefix, found);
        }
    }
}

/// The undo ledger of a state directory (XDG_STATE_HOME): every group that it names.
pub fn recorded(state: &Path) -> BTreeSet<PathBuf> {
    let pages = pages(state);
    let text: String = pages.iter().map(|page| fs::read_to_string(page).unwrap_or_default()).collect();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    lines.filter_map(|line| Some(line["path"].as_str()?.into())).collect()
}

/// The ledger's pages.
pub fn pages(state: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(state.join("workshop/ledger")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// A state directory of a test's own, so that its ledger is nobody else's.
pub struct Desk {
    pub who: Who,
    pub state: PathBuf,
}

impl Desk {
    pub fn new(who: Who, name: &str) -> Desk {
        let state = home(who).join(format!("state-{name}"));
        fs::create_dir_all(&state).expect("make a state directory");
        give_to(who, &state);
        Desk { who, state }
    }

    /// The program with this state, and with nobody who reads what it says.
    pub fn workshop(&self, args: &[&str]) -> Command {
        let mut command = super::workshop(self.who);
        command.args(args).env("XDG_STATE_HOME", &self.state).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Any program with this state and this user, on a terminal.
    pub fn terminal(&self, program: &str) -> Command {
        let mut command = command_as(self.who, Path::new(program));
        command.env("XDG_STATE_HOME", &self.state).env("TERM", "xterm-256color").stdin(Stdio::inherit());
        command
    }

    /// Runs a command that must work, and returns what it said.
    pub fn must(&self, args: &[&str]) -> String {
        let ran = run(self.workshop(args).stdout(Stdio::piped()).stderr(Stdio::piped()));
        assert_eq!(ran.status, 0, "{args:?}: {}{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// A shell's script in a container; returns when it has said `it runs`. Its input is a pipe.
    pub fn script(&self, args: &[&str], script: &str) -> Session {
        let mut command = self.workshop(args);
        command.args(["--", "sh", "-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut session = Session::start(&mut command);
        let mut lines = BufReader::new(session.child.stdout.as_mut().expect("a pipe")).lines();
        assert!(lines.any(|l| l.is_ok_and(|l| l == "it runs")), "{args:?}: the program never ran");
        session
    }

    /// A container that is held still until its input is closed.
    pub fn held(&self, args: &[&str]) -> Session {
        self.script(args, "echo it runs; read _; exit 0")
    }
}

/// Gives a file to the user who plays that part.
pub fn give_to(who: Who, path: &Path) {
    if am_root() && who == Who::User {
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).expect("give it away");
    }
}
