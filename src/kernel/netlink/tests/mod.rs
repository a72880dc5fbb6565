//! Real messages to the real kernel, in network namespaces made for each test.

use std::env;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getgid, getuid};

use testing::{command, skip};

use super::route::{LinkChange, link_set};
use super::{Device, Family, Name, NetlinkSocket};

mod effect;
mod text;

/// Set in the process that a test runs itself again in.
const INSIDE: &str = "WORKSHOP_TEST_NETNS";

/// Runs `body` in a process that is alone in a new network namespace and may do everything there: the test named
/// `test` of this module starts itself again. Where that is not permitted, the test is skipped, aloud.
fn in_new_netns(test: &str, body: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        return body();
    }
    let mut again = command(env::current_exe().unwrap());
    run_inside(&mut again, test);
}

/// Runs `command`, this test program or something that runs it, with the arguments that select `test`.
fn run_inside(command: &mut Command, test: &str) {
    let (_, module) = module_path!().split_once("::").unwrap();
    command.args(["--exact", &format!("{module}::{test}"), "--nocapture"]).env(INSIDE, "1");
    let (uid, gid) = (getuid(), getgid());
    let enter = move || enter_new_netns(uid.as_raw(), gid.as_raw());
    // SAFETY: between fork and exec, `enter` makes system calls and formats three short strings.
    let output = unsafe { command.pre_exec(enter) }.output();
    match output {
        Err(error) if error.raw_os_error() == Some(Errno::EPERM as i32) => {
            skip("network namespaces are not permitted here", "Run the tests as root");
        }
        Err(error) => panic!("{command:?}: {error}"),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{test}: {}\n{said}", output.status);
            assert!(said.contains("1 passed"), "{test} did not run:\n{said}");
            print!("{said}");
        }
    }
}

/// A network namespace for this process; without the privilege, in a user namespace where this user is root.
fn enter_new_netns(uid: u32, gid: u32) -> io::Result<()> {
    match unshare(CloneFlags::CLONE_NEWNET) {
        Err(Errno::EPERM) => {}
        other => return Ok(other?),
    }
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
}

type Job = Box<dyn FnOnce() + Send>;

/// One more network namespace: a thread that lives in it and does there what it is given.
struct Room {
    jobs: mpsc::Sender<Job>,
    netns: OwnedFd,
}

impl Room {
    #[expect(clippy::disallowed_methods, reason = "a thread of a test's own has a namespace of its own")]
    fn new() -> Self {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let (made, netns) = mpsc::channel();
        thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            let netns = fs::File::open("/proc/thread-self/ns/net").unwrap();
            made.send(OwnedFd::from(netns)).unwrap();
            for job in inbox {
                job();
            }
        });
        Self { jobs, netns: netns.recv().unwrap() }
    }

    fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = mpsc::channel();
        self.jobs
            .send(Box::new(move || {
                // Nobody waits any more only if the test has failed already.
                let _ = done.send(job());
            }))
            .unwrap();
        result.recv().unwrap()
    }
}

impl AsFd for Room {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.netns.as_fd()
    }
}

fn name(name: &str) -> Name {
    Name::new(name).unwrap()
}

fn device(device: &str) -> Device {
    Device::find(&name(device)).unwrap()
}

fn route_socket() -> NetlinkSocket {
    NetlinkSocket::open(Family::Route).unwrap()
}

/// Switches a link on.
fn up(socket: &mut NetlinkSocket, device: &Device) {
    let change = LinkChange { up: Some(true), ..LinkChange::default() };
    let request = link_set(&mut socket.sequence, device, &change);
    socket.send(&request).unwrap();
}
