//! Hosts that say no, made in namespaces of the test's own: what the workshop meets there is a kernel that refuses.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::errno::Errno;

use super::child::command;
use super::{Who, am_root, have, home, place, workshop};

/// A user namespace (user_namespaces(7)): its root, or a user who can do what root can until a host is made.
pub const ROOT: [&str; 2] = ["--user", "--map-root-user"];
pub const USER: [&str; 4] = ["--user", "--map-user=1000", "--map-group=1000", "--keep-caps"];
/// What setpriv(1) leaves to that user afterwards.
pub const NOTHING: [&str; 3] = ["--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"];
/// What it makes an ordinary user of where the tests' root is the host's.
const NOBODY: [&str; 5] = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];

/// The workshop on another host: a shell changes it in a mount namespace of its own, with or without a user
/// namespace around it, and becomes the workshop. `None`, and skipped aloud, where the programs for it are missing.
pub fn changed(who: Who, users: bool, change: &str, args: &[&str]) -> Option<Command> {
    let (options, less): (&[&str], &[&str]) = match (who, users) {
        (Who::Root, true) => (&ROOT, &[]),
        (Who::Root, false) => (&[], &[]),
        (Who::User, true) => (&USER, &NOTHING),
        (Who::User, false) => (&[], &NOBODY),
    };
    // In a user namespace files still belong to whoever made it.
    let at_home = if users && am_root() { Who::Root } else { who };
    let mut command = changed_for(options, less, change, &place().program)?;
    command.env("HOME", home(at_home)).args(args);
    Some(command)
}

/// The same for any program, with options of unshare(1), and those of setpriv(1) that take something away.
pub fn changed_for(unshare: &[&str], setpriv: &[&str], change: &str, program: &Path) -> Option<Command> {
    if !have("unshare", "util-linux") || !have("setpriv", "util-linux") {
        return None;
    }
    let mut command = command("unshare");
    command.args(["--mount", "--propagation", "private"]).args(unshare);
    command.args(["--", "sh", "-c", &format!("set -e\n{change}\nexec \"$@\""), "sh"]);
    if !setpriv.is_empty() {
        command.arg("/usr/bin/setpriv").args(setpriv).arg("--");
    }
    command.arg(program);
    let model = workshop(Who::User);
    command.env_clear().envs(model.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir("/").stdin(Stdio::null());
    Some(command)
}

/// A program behind a filter as container runtimes install them: one call fails, always.
pub fn filtered(mut command: Command, call: i64, errno: i32) -> Command {
    // SAFETY: two system calls between fork and exec.
    unsafe { command.pre_exec(move || install_filter(call, errno)) };
    command
}

/// The filter, on the calling thread and whatever it becomes.
pub fn install_filter(call: i64, errno: i32) -> std::io::Result<()> {
    let word = |code: u32, k: u32, jt: u8| libc::sock_filter { code: code as u16, jt, jf: 0, k };
    let filter = [
        // The call's number is the first member of `struct seccomp_data` (seccomp(2)).
        word(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        word(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call as u32, 1),
        word(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0),
        word(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | errno as u32, 0),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    // SAFETY: the filter lives as long as the call.
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            | libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program)
    };
    Errno::result(done).map(drop).map_err(std::io::Error::from)
}
