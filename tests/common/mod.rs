//! What the tests share: the program as root and as an ordinary user, with folders of its own, and a way
//! to skip aloud.
#![allow(dead_code)] // Each test file is a crate of its own and uses a part of this.

pub mod elsewhere;
pub mod filters;
pub mod guest;
pub mod held;
pub mod netlink;
pub mod project;
pub mod refuse;
pub mod stand_ins;
pub mod steps;
pub mod strace;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use nix::unistd::{AccessFlags, access};
use steps::Step;
pub use testing as child;
pub use testing::skip;

/// The user that "an ordinary user" is in the tests when they run as root.
pub const NOBODY: u32 = 65534;

/// Who runs the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Root,
    User,
}

impl Who {
    pub const BOTH: [Who; 2] = [Who::Root, Who::User];

    /// `root` or `user`, for the names of snapshots.
    pub fn name(self) -> &'static str {
        match self {
            Who::Root => "root",
            Who::User => "user",
        }
    }

    /// Whether this host can play that part: only root can be both.
    pub fn possible(self) -> bool {
        self == Who::User || am_root()
    }
}

pub fn am_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Whether a program is installed; skips aloud if not.
pub fn have(program: &str, package: &str) -> bool {
    let found = path_of(program).is_some();
    if !found {
        skip(&format!("{program} is missing"), &format!("Install {package}"));
    }
    found
}

/// Where a program is: a file that may be executed, in a directory of the PATH.
pub fn path_of(program: &str) -> Option<PathBuf> {
    let executable = |file: &PathBuf| file.is_file() && access(file, AccessFlags::X_OK).is_ok();
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(executable)
}

/// Both parts that this host can play; root's is skipped aloud for an ordinary user.
pub fn who() -> Vec<Who> {
    if !am_root() {
        skip("the tests run as an ordinary user", "Run them as root too");
    }
    Who::BOTH.into_iter().filter(|who| who.possible()).collect()
}

/// A place that both users can reach, with the program in it: the build directory may be in a home that
/// is closed to others. It is kept from run to run, so that the image is made only once.
pub struct Place {
    pub dir: PathBuf,
    pub program: PathBuf,
}

/// The place of this test binary.
pub fn place() -> &'static Place {
    static PLACE: OnceLock<Place> = OnceLock::new();
    PLACE.get_or_init(|| {
        let dir =
            tempfile::Builder::new().prefix("workshop-test-").tempdir().expect("a directory in /tmp").keep();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).expect("open it to others");
        let program = dir.join("workshop");
        fs::copy(env!("CARGO_BIN_EXE_workshop"), &program).expect("copy the program");
        for who in Who::BOTH.into_iter().filter(|who| who.possible()) {
            let home = dir.join(who.name());
            fs::create_dir(&home).expect("make a home");
            if am_root() && who == Who::User {
                std::os::unix::fs::chown(&home, Some(NOBODY), Some(NOBODY)).expect("give it away");
            }
        }
        // SAFETY: the handler only removes a directory; tests are over by then.
        unsafe { libc::atexit(remove_place) };
        Place { dir, program }
    })
}

extern "C" fn remove_place() {
    let _ = fs::remove_dir_all(&place().dir);
}

/// The home directory that the program gets.
pub fn home(who: Who) -> PathBuf {
    place().dir.join(who.name())
}

/// The program with a clean environment, its own folders, and a terminal 80 columns wide nowhere near.
pub fn workshop(who: Who) -> Command {
    command_as(who, &place().program)
}

/// Any program as that user, with the same environment.
pub fn command_as(who: Who, program: &Path) -> Command {
    let becomes_nobody = am_root() && who == Who::User;
    let mut command = if becomes_nobody && path_of("setpriv").is_some() {
        // Of this kind, another program can be put around it.
        let mut command = child::command("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]).arg(program);
        command
    } else {
        child::command(program)
    };
    if becomes_nobody && command.get_program() != "setpriv" {
        command.uid(NOBODY).gid(NOBODY);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path).env("HOME", home(who)).env("LANG", "C.UTF-8");
    // The kernel that machines boot, where it is none of the host's own.
    command.envs(std::env::var_os("WORKSHOP_KERNEL").map(|kernel| ("WORKSHOP_KERNEL", kernel)));
    command.current_dir("/").stdin(Stdio::null());
    command
}

/// The same program again, with its arguments and nothing but the variables set for it: another command around it,
/// such as strace(1), goes before its name.
pub fn around(wrapper: &[&OsStr], inner: &Command) -> Command {
    let mut words = wrapper.iter().copied().chain([inner.get_program()]).chain(inner.get_args());
    let mut command = child::command(words.next().unwrap_or_default());
    command.args(words).env_clear().current_dir("/").stdin(Stdio::null());
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

/// Runs and collects, as text.
pub struct Ran {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

pub fn run(command: &mut Command) -> Ran {
    Ran::from(command.output().expect("run the program"))
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        use std::os::unix::process::ExitStatusExt;
        let status = output.status;
        Ran {
            status: status.code().or(status.signal().map(|n| 128 + n)).unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).expect("standard output is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("standard error is UTF-8"),
        }
    }
}

/// The events of a JSON run.
pub fn events(stdout: &str) -> Vec<serde_json::Value> {
    stdout.lines().map(|line| serde_json::from_str(line).expect("every line is JSON")).collect()
}

/// Whether a host may refuse the step to this user: an ordinary user gets limits on few hosts, and a virtual
/// machine takes QEMU and a kernel. Other steps do without such a step then.
pub fn may_be_refused(who: Who, step: &Step) -> bool {
    (step.limits() && who == Who::User) || (!step.is_part && !has_machines(who))
}

/// Whether this host has what a virtual machine takes; skips aloud if not.
pub fn has_machines(who: Who) -> bool {
    static ABLE: [OnceLock<bool>; 2] = [const { OnceLock::new() }; 2];
    *ABLE[who as usize].get_or_init(|| {
        // With a state directory of its own: another test may be watching what is made in the home.
        let desk = watch::Desk::new(who, "doctor");
        let ran = run(desk.workshop(&["doctor", "--format", "json"]).stdout(Stdio::piped()));
        let events = events(&ran.stdout);
        let able = |slug: &str| events.iter().any(|e| e["step"] == slug && e["passed"] == true);
        let able = steps::machines().all(|step| able(step.slug));
        if !able {
            let install =
                "Install qemu-system-x86, and a kernel that may be read or name one: WORKSHOP_KERNEL";
            skip("no virtual machine can be booted here", install);
        }
        able
    })
}

pub mod screen;
pub mod watch;

/// Whether this user gets limits here. An ordinary user often doesn't, which is no gap in the tests where root
/// is tested beside it; elsewhere it is skipped aloud.
pub fn has_limits(who: Who) -> bool {
    let able = gets_limits(who);
    if !able && !am_root() {
        skip("this user gets no limits on this host", "Run as root, or with a delegated cgroup v2");
    }
    able
}

/// The same where nothing is skipped for it.
pub fn gets_limits(who: Who) -> bool {
    run(workshop(who).args(["step", steps::of_limits().slug])).status != 3
}
