//! The other side: our program as the guest's init, its PID 1.
//!
//! The guest's kernel unpacks the initramfs, finds nothing in it but us, and executes us. From then on it is as
//! on any Linux: nobody has mounted /proc, loaded a driver or set the host name, unless we do.

mod pivot;
mod program;
mod setup;
mod survey;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

pub use pivot::Pulled;
pub use setup::MODULES;
pub use survey::Survey;

use super::wire::{self, Frames, FromGuest, Job, Question, Reading, Stream, ToGuest};
use engine::Exit;
use fault::{Doing, Fault};
use kernel::page_cache;
use program::Running;

/// The wire's end in the guest: the second serial line.
const LINE: &str = "/dev/ttyS1";
/// As much as is taken from a program at once.
const CHUNK: usize = 4096;

/// The whole life of the guest's init. Returns only if we aren't one.
/// Whether we are in a virtual machine of the workshop's: its PID 1 is our own program.
pub fn is_here() -> bool {
    std::fs::read_link("/proc/1/exe").is_ok_and(|init| init.ends_with("workshop")) && std::process::id() != 1
}

pub fn run() -> Result<i32, Fault> {
    if std::process::id() != 1 || !Path::new(setup::MODULES).exists() {
        return Err(Fault::usage("guest-only", &[]));
    }
    // Without devices there is no wire to say anything over; the kernel's console has to do.
    let mut line = match setup::devices().and_then(|()| setup::serial_line(Path::new(LINE))) {
        Ok(line) => line,
        Err(fault) => {
            eprintln!("workshop: {fault}");
            power_off()
        }
    };
    if let Err(fault) = serve(&mut line) {
        let _ = wire::send(&mut line, &FromGuest::Failed(fault));
    }
    // Whatever is still on its way out of the serial line must not be cut off.
    let _ = nix::sys::termios::tcdrain(&line);
    power_off()
}

/// Ends the guest. The kernel was told to restart by a triple fault (`reboot=t`), and QEMU not to (`-no-reboot`).
fn power_off() -> ! {
    let _ = reboot(RebootMode::RB_AUTOBOOT);
    // SAFETY: _exit(2) ends the process at once. The end of PID 1 is a panic, and that a restart (`panic=-1`).
    unsafe { libc::_exit(1) }
}

/// Sets the guest up and does what the host asks for, until it asks for the end.
fn serve(line: &mut File) -> Result<(), Fault> {
    wire::send(line, &FromGuest::Init { uptime: survey::uptime() }).doing("speak to the host")?;
    let mut children = SigSet::empty();
    children.add(Signal::SIGCHLD);
    children.thread_block().doing("block SIGCHLD")?;
    let children = SignalFd::with_flags(&children, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .doing("open an inbox for signals")?;
    setup::whole()?;
    wire::send(line, &FromGuest::Ready).doing("speak to the host")?;

    let mut frames = Frames::default();
    let mut running: Option<Running> = None;
    loop {
        let ready = wait(line, &children, running.as_ref())?;
        if ready.child {
            while let Ok(Some(_)) = children.read_signal() {}
            reap(running.as_mut());
        }
        if ready.line {
            frames.push(&read_some(line).doing("hear the host")?);
        }
        while let Some(word) = frames.take::<ToGuest>().doing("hear the host")? {
            if let ToGuest::PowerOff = word {
                return Ok(());
            }
            obey(word, line, &mut running)?;
        }
        if let Some(program) = &mut running
            && let Some(exit) = serve_program(program, &ready, line)?
        {
            running = None;
            wire::send(line, &FromGuest::Ended(exit)).doing("speak to the host")?;
        }
    }
}

/// Does one thing that the host asks for.
fn obey(word: ToGuest, line: &mut File, running: &mut Option<Running>) -> Result<(), Fault> {
    let say = |line: &mut File, word: FromGuest| wire::send(line, &word).doing("speak to the host");
    match (word, running) {
        (ToGuest::Run(job), running @ None) => match start(&job) {
            Ok(program) => {
                *running = Some(program);
                say(line, FromGuest::Started)
            }
            Err(fault) => say(line, FromGuest::Failed(fault)),
        },
        (ToGuest::Input(bytes), Some(program)) => {
            program.input(bytes);
            Ok(())
        }
        (ToGuest::InputEnds, Some(program)) => {
            program.input_ends();
            Ok(())
        }
        (ToGuest::Resize(size), Some(program)) => {
            program.resize(size);
            Ok(())
        }
        (ToGuest::Ask(question), _) => say(line, answer(question).unwrap_or_else(FromGuest::Failed)),
        // A word for a program that has just ended.
        _ => Ok(()),
    }
}

/// What the guest's kernel says to a question of the host's.
fn answer(question: Question) -> Result<FromGuest, Fault> {
    let answer = match question {
        Question::Survey => serde_json::to_value(Survey::make()),
        Question::Read(path) => serde_json::to_value(read(&path).doing("read a file")?),
        Question::PullRoot => serde_json::to_value(pivot::pull_root()?),
    };
    answer.map(FromGuest::Answer).doing("answer the host")
}

fn read(path: &Path) -> std::io::Result<Reading> {
    let path = path.canonicalize()?;
    std::fs::read(&path)?;
    let cached = page_cache::cached(&path)?;
    Ok(Reading { path, cached })
}

fn start(job: &Job) -> Result<Running, Fault> {
    if let Some(user) = job.user {
        setup::delegate(user)?;
    }
    Running::start(job)
}

/// What there is to do.
struct Ready {
    line: bool,
    child: bool,
    out: bool,
    error: bool,
    input: bool,
}

/// Waits for something to do.
fn wait(line: &File, children: &SignalFd, running: Option<&Running>) -> Result<Ready, Fault> {
    let (out, error, input) = running.map_or((None, None, None), Running::ends);
    let both = [(out, PollFlags::POLLIN), (error, PollFlags::POLLIN), (input, PollFlags::POLLOUT)];
    let mut all =
        vec![PollFd::new(line.as_fd(), PollFlags::POLLIN), PollFd::new(children.as_fd(), PollFlags::POLLIN)];
    all.extend(both.iter().filter_map(|(fd, flags)| Some(PollFd::new(fd.as_ref()?.as_fd(), *flags))));
    loop {
        match poll(&mut all, PollTimeout::NONE) {
            Ok(_) => break,
            Err(Errno::EINTR) => {}
            Err(e) => return Err(Fault::broken("wait for something to do", e)),
        }
    }
    let mut found = all.iter().map(|fd| fd.any() == Some(true));
    let (line, child) = (found.next() == Some(true), found.next() == Some(true));
    let mut of = |end: &Option<&OwnedFd>| end.is_some() && found.next() == Some(true);
    Ok(Ready { line, child, out: of(&out), error: of(&error), input: of(&input) })
}

/// Passes on what a program says and hears. Returns how it ended, once all that it said is passed on.
fn serve_program(program: &mut Running, ready: &Ready, line: &mut File) -> Result<Option<Exit>, Fault> {
    for (wanted, stream) in [(ready.out, Stream::Out), (ready.error, Stream::Error)] {
        if wanted && let Some(bytes) = program.said(stream, CHUNK) {
            wire::send(line, &FromGuest::Output(stream, bytes)).doing("speak to the host")?;
        }
    }
    if ready.input
        && let taken @ 1.. = program.feed()
    {
        wire::send(line, &FromGuest::Taken(taken)).doing("speak to the host")?;
    }
    Ok(program.over())
}

/// PID 1's duty: whoever has ended is waited for, ours and orphans.
fn reap(mut running: Option<&mut Running>) {
    loop {
        let (pid, exit) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => (pid, Exit::Code(code)),
            Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, Exit::Signal(signal as i32)),
            Ok(WaitStatus::StillAlive) | Err(_) => return,
            Ok(_) => continue,
        };
        if let Some(program) = running.as_deref_mut().filter(|program| program.pid == pid) {
            program.ended(exit);
        }
    }
}

fn read_some(line: &mut File) -> std::io::Result<Vec<u8>> {
    let mut chunk = [0; CHUNK];
    let n = line.read(&mut chunk)?;
    line.flush()?;
    Ok(chunk.get(..n).unwrap_or_default().to_vec())
}
