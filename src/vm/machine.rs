//! A machine from its start to its end, as the host sees it: one process, QEMU.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use serde::de::DeserializeOwned;

use super::kernel::Kernel;
use super::qemu::{self, Accelerator, Order};
use super::timeline::{Booted, Stage, Timeline};
use super::voice::Voice;
use super::wire::{self, Frames, FromGuest, Question, ToGuest};
use fault::{Doing, Fault};
use kernel::caller::Caller;
use kernel::signals::Signals;
use kernel::told::{Actor, Listener, Silence};
use kernel::wait::Wait;

/// What to boot.
pub struct Plan<'p> {
    pub qemu: &'p Path,
    pub kernel: &'p Kernel,
    /// See `pack`.
    pub initramfs: &'p OwnedFd,
    /// MiB.
    pub memory: u64,
    /// All of it, from QEMU's start on, may take so long; else only the boot is limited.
    pub timeout: Option<Duration>,
    /// Where the kernel's messages go as they come, besides being kept.
    pub console: Option<Box<dyn Write>>,
    /// In whose name the calls are told.
    pub step: &'static str,
}

/// A boot that takes longer than this hangs: software emulation on a slow host takes a tenth of it.
const BOOT: Duration = Duration::from_secs(90);
/// Under KVM a kernel is unpacked and speaks within a second. Where it doesn't, it will not.
const KVM_PATIENCE: Duration = Duration::from_secs(5);
/// How a kernel's messages begin, once it is unpacked and has found its console: with the time, or with its name.
const MESSAGE: [&str; 2] = ["[", "Linux version "];
/// How long a guest may take to switch itself off.
const SWITCH_OFF: Duration = Duration::from_secs(10);
/// How many of the console's last lines an error quotes.
const QUOTED: usize = 12;

/// A machine that runs.
pub struct Machine {
    /// QEMU, the one process that the host sees of it.
    pub pid: Pid,
    accelerator: Accelerator,
    release: String,
    memory: u64,
    pub timeline: Timeline,
    wire: File,
    frames: Frames,
    /// What the wire has not taken yet of what was said to the guest.
    unsaid: VecDeque<u8>,
    console: Voice,
    monitor: Voice,
    /// QEMU's own complaints.
    errors: Voice,
    echo: Option<Box<dyn Write>>,
    until: Option<Instant>,
    /// What is given more time on a busy machine: all but a time that somebody has asked for.
    patience: Option<Wait>,
    /// The wire's other end was closed: QEMU has ended.
    over: bool,
}

/// What came to pass.
pub enum Event {
    Word(FromGuest),
    /// One of the descriptors that the caller waits for is ready, or a signal has come.
    Yours,
}

impl Machine {
    /// Starts a machine and returns when its init has set up the guest.
    pub fn boot(
        plan: Plan,
        accelerator: Option<Accelerator>,
        signals: &Signals,
        listener: &mut dyn Listener,
    ) -> Result<Machine, Fault> {
        let accelerator = match accelerator {
            Some(accelerator) => accelerator,
            None if qemu::kvm_makes_machines() && shows_life(&plan)? => Accelerator::Kvm,
            None => Accelerator::Tcg,
        };
        let mut machine = Machine::start(&plan, accelerator, listener)?;
        machine.echo = plan.console;
        loop {
            match machine.next(&[PollFd::new(signals.as_fd(), PollFlags::POLLIN)])? {
                Event::Word(FromGuest::Ready) => break,
                Event::Word(FromGuest::Failed(fault)) => return Err(fault),
                Event::Word(_) => {}
                Event::Yours => {
                    signals.end_asked().map_or(Ok(()), |signal| Err(Fault::Interrupted(signal)))?;
                }
            }
        }
        if plan.timeout.is_none() {
            machine.until = None;
        }
        Ok(machine)
    }

    fn start(plan: &Plan, accelerator: Accelerator, listener: &mut dyn Listener) -> Result<Machine, Fault> {
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)
            .doing("make a socket pair")?;
        let ((console, to_console), (monitor, to_monitor), (errors, to_errors)) =
            (Voice::new()?, Voice::new()?, Voice::new()?);
        let order = Order {
            accelerator,
            memory: plan.memory,
            kernel: &plan.kernel.image,
            initramfs: plan.initramfs.as_raw_fd(),
            console: to_console.as_raw_fd(),
            monitor: to_monitor.as_raw_fd(),
        };
        let inherited = [order.initramfs, order.console, order.monitor];
        let mut calls = Caller::new(Actor::Host, listener);
        calls.speak_for(plan.step);
        let arguments = qemu::arguments(&order);
        let (pid, started) = qemu::start(&mut calls, plan.qemu, &arguments, theirs, to_errors, &inherited)?;
        let machine = Machine {
            pid,
            accelerator,
            release: plan.kernel.release.clone(),
            memory: plan.memory,
            timeline: Timeline::since(started),
            wire: File::from(ours),
            frames: Frames::default(),
            unsaid: VecDeque::new(),
            console,
            monitor,
            errors,
            echo: None,
            until: Some(Instant::now() + plan.timeout.unwrap_or(BOOT)),
            patience: plan.timeout.is_none().then(|| Wait::begin(BOOT)),
            over: false,
        };
        listener.heard().map_err(Fault::output)?;
        fcntl(&machine.wire, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).doing("fcntl")?;
        Ok(machine)
    }

    /// Waits for a word of the guest's, or for one of `yours`.
    pub fn next(&mut self, yours: &[PollFd]) -> Result<Event, Fault> {
        loop {
            if let Some(word) = self.frames.take::<FromGuest>().doing("understand the guest")? {
                self.mark(&word);
                return Ok(Event::Word(word));
            }
            if self.over {
                return Err(self.ended_early());
            }
            if self.wait(yours)? {
                return Ok(Event::Yours);
            }
        }
    }

    /// Waits until somebody has something to say, and hears it. Returns whether it is one of `yours`.
    fn wait(&mut self, yours: &[PollFd]) -> Result<bool, Fault> {
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        // Asked first: there may be something to hear each time, and no end of it.
        if left.is_some_and(|left| left.is_zero()) && self.is_late() {
            return Err(self.hangs());
        }
        let patience =
            left.map_or(PollTimeout::NONE, |l| PollTimeout::try_from(l).unwrap_or(PollTimeout::MAX));
        let speak = if self.unsaid.is_empty() { PollFlags::empty() } else { PollFlags::POLLOUT };
        let mut all = vec![PollFd::new(self.wire.as_fd(), PollFlags::POLLIN | speak)];
        all.extend(yours.iter().cloned());
        let voices = [&self.console, &self.monitor, &self.errors];
        let open = voices.iter().filter_map(|voice| voice.pipe.as_ref());
        all.extend(open.map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)));
        match poll(&mut all, patience) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(Fault::broken("wait for the guest", e)),
        }
        let ready: Vec<bool> = all.iter().map(|fd| fd.any() == Some(true)).collect();
        drop(all);
        self.speak()?;
        self.hear()?;
        Ok(ready.iter().skip(1).take(yours.len()).any(|ready| *ready))
    }

    /// Waits for no longer than that, or a little longer where the machine that we run on is busy.
    fn limit(&mut self, patience: Duration) {
        self.until = Some(Instant::now() + patience);
        self.patience = Some(Wait::begin(patience));
    }

    /// Whether the time is up for good. If not, it is looked again in a second.
    fn is_late(&mut self) -> bool {
        let late = self.patience.as_ref().is_none_or(Wait::is_over);
        if !late {
            self.until = Some(Instant::now() + Duration::from_secs(1));
        }
        late
    }

    /// Takes what the machine has said by all its ways, without waiting for more.
    fn hear(&mut self) -> Result<(), Fault> {
        if !self.monitor.hear().is_empty() {
            self.timeline.begin(Stage::Firmware);
        }
        let console = self.console.hear();
        if !console.is_empty() {
            self.timeline.begin(Stage::Unpacking);
            if let Some(echo) = &mut self.echo {
                let _ = echo.write_all(&console).and_then(|()| echo.flush());
            }
        }
        self.errors.hear();
        let mut chunk = [0; 1 << 16];
        match self.wire.read(&mut chunk) {
            Ok(0) => self.over = true,
            Ok(n) => self.frames.push(chunk.get(..n).unwrap_or_default()),
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(e) if e.raw_os_error() == Some(libc::ECONNRESET) => self.over = true,
            Err(e) => return Err(Fault::broken("hear the guest", e)),
        }
        Ok(())
    }

    fn mark(&mut self, word: &FromGuest) {
        match word {
            FromGuest::Init { uptime } => self.timeline.init(Duration::from_secs_f64(*uptime)),
            FromGuest::Started => self.timeline.begin(Stage::Program),
            FromGuest::Ended(_) => self.timeline.begin(Stage::Ending),
            _ => {}
        }
    }

    /// Says something to the guest. What the wire doesn't take at once follows while we wait for the guest's
    /// words: one that no longer listens keeps us from no signal, and its time runs out all the same.
    pub fn say(&mut self, word: &ToGuest) -> Result<(), Fault> {
        wire::send(&mut self.unsaid, word).doing("speak to the guest")?;
        self.speak()
    }

    fn speak(&mut self) -> Result<(), Fault> {
        while !self.unsaid.is_empty() {
            match self.wire.write(self.unsaid.as_slices().0) {
                Ok(n) => drop(self.unsaid.drain(..n)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                // It is gone: why, comes with the next word that doesn't come.
                Err(e) if e.kind() == ErrorKind::BrokenPipe => self.unsaid.clear(),
                Err(e) => return Err(Fault::broken("speak to the guest", e)),
            }
        }
        Ok(())
    }

    /// Asks the guest's init something and waits for the answer.
    pub fn ask<T: DeserializeOwned>(&mut self, question: Question) -> Result<T, Fault> {
        self.say(&ToGuest::Ask(question))?;
        loop {
            match self.next(&[])? {
                Event::Word(FromGuest::Answer(answer)) => {
                    return serde_json::from_value(answer).doing("understand the guest");
                }
                Event::Word(FromGuest::Failed(fault)) => return Err(fault),
                _ => {}
            }
        }
    }

    /// Whether KVM runs a machine with this kernel here.
    pub fn runs_under_kvm(qemu: &Path, kernel: &Kernel) -> Result<bool, Fault> {
        if !qemu::kvm_makes_machines() {
            return Ok(false);
        }
        let initramfs = Caller::new(Actor::Host, &mut Silence).memfd_create("initramfs", c"empty")?;
        shows_life(&Plan {
            qemu,
            kernel,
            initramfs: &initramfs,
            memory: 128,
            timeout: None,
            console: None,
            step: "",
        })
    }

    /// What there is to tell of it.
    pub fn booted(&self) -> Booted {
        Booted {
            kernel: self.release.clone(),
            accelerator: self.accelerator.name(),
            memory: self.memory,
            stages: self.timeline.reached(),
        }
    }

    /// Switches the machine off and waits for the end of QEMU.
    pub fn end(&mut self) {
        let _ = self.say(&ToGuest::PowerOff);
        self.limit(SWITCH_OFF);
        while !self.over {
            if self.wait(&[]).is_err() {
                break;
            }
            // What a guest says while it goes is nobody's concern.
            while let Ok(Some(_)) = self.frames.take::<FromGuest>() {}
        }
        self.kill();
        self.timeline.end();
    }

    /// As pulling the plug does. Once QEMU has ended, that changes nothing.
    fn kill(&mut self) {
        if self.pid.as_raw() > 0 {
            // It is our child and not waited for, so the PID is its.
            let _ = kill(self.pid, Signal::SIGKILL);
            let _ = waitpid(self.pid, None);
            self.pid = Pid::from_raw(0);
        }
    }

    /// The guest is gone before its time: the kernel panicked, or QEMU did not like something.
    fn ended_early(&mut self) -> Fault {
        self.kill();
        self.console.hear();
        self.errors.hear();
        let complaint = self.errors.last(usize::MAX);
        if self.timeline.at(Stage::Unpacking).is_none() && !complaint.is_empty() {
            return Fault::unable("qemu-failed", &[("quote", &complaint)]);
        }
        Fault::unable("guest-ended", &[("quote", &self.last_words())])
    }

    fn hangs(&mut self) -> Fault {
        let seconds = self.timeline.elapsed().as_secs().to_string();
        let stage = self.timeline.latest().name();
        Fault::unable(
            "guest-hangs",
            &[("seconds", &seconds), ("stage", stage), ("quote", &self.last_words())],
        )
    }

    /// The last lines on the kernel's console.
    fn last_words(&self) -> String {
        self.console.last(QUOTED)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether a kernel begins to run under KVM. That /dev/kvm makes a machine does not mean so: where a cloud's
/// hypervisor only half supports another one inside it, QEMU gives up, or the machine stands still: at once, or when the
/// kernel's loader, which has said a word by then, begins to unpack it.
fn shows_life(plan: &Plan) -> Result<bool, Fault> {
    let mut machine = Machine::start(plan, Accelerator::Kvm, &mut Silence)?;
    machine.limit(KVM_PATIENCE);
    let begun = |said: String| said.lines().any(|line| MESSAGE.iter().any(|start| line.starts_with(start)));
    while !begun(machine.console.last(usize::MAX)) {
        if machine.over || machine.wait(&[]).is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}
