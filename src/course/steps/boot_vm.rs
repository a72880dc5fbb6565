//! Step 7: a virtual machine beside the container. Another kernel runs, all that it runs is one process here, and
//! what is done to its files stays in it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{Pid, getsid};

use crate::checks::{Fact, Report};
use crate::course::{Build, Step, VirtualMachine};
use crate::engine::Exit;
use crate::fault::{Doing, Fault};
use crate::kernel::page_cache::{cached, forget};
use crate::kernel::process;
use crate::vm::guest::{Pulled, Survey};
use crate::vm::timeline::Stage;
use crate::vm::wire::{Question, Reading};
use crate::vm::{self, Kernel, Machine};

pub const STEP: Step = Step {
    number: 7,
    slug: "boot-vm",
    builds: Build::Machine(VirtualMachine { facts, checks, after, source: "src/vm/machine.rs" }),
    permit: Some(|_| vm::permitted()),
    exercise: None,
};

/// The inode of each kernel's first PID namespace (`PROC_PID_INIT_INO`, include/linux/proc_ns.h).
const FIRST_NAMESPACE: &str = "pid:[4026531836]";
/// What the first program that runs in the machine ends with.
pub const STATUS: i32 = 42;
/// A file that every root filesystem with a shell has.
const FILE: &str = "/bin/sh";

/// How often it is tried to find a moment in which nobody else reads that file.
const ATTEMPTS: u32 = 5;

/// A machine that runs, and what it was made of.
pub struct Boot<'b> {
    pub machine: &'b mut Machine,
    /// The kernel that it was given.
    pub kernel: &'b Kernel,
    /// The layers of its root filesystem, as they lie on the host.
    pub layers: &'b [PathBuf],
    /// How its first program ended.
    pub exit: Exit,
}

pub fn facts(boot: &mut Boot) -> Result<Vec<Fact>, Fault> {
    let host = Survey::make();
    let guest: Survey = boot.machine.ask(Question::Survey)?;
    let short = |id: &str| id.chars().take(8).collect::<String>();
    let mib = |kb: u64| format!("{} MiB", kb >> 10);
    let seconds = |uptime: f64| format!("{uptime:.1} s");
    Ok(vec![
        Fact::new("kernel", &host.kernel, &guest.kernel),
        Fact::new("boot-id", short(&host.boot_id), short(&guest.boot_id)),
        Fact::new("first", &host.first, &guest.first),
        Fact::new("processes", in_session(boot.machine.pid), guest.processes),
        // Others' links are closed to an ordinary user; ours is the same, or is what is seen from here.
        Fact::new("namespace", process::namespace("self", "pid"), &guest.pid_namespace),
        Fact::new("memory", mib(host.memory_kb), mib(guest.memory_kb)),
        Fact::new("processor", &host.processor, &guest.processor),
        Fact::new("uptime", seconds(host.uptime), seconds(guest.uptime)),
    ])
}

pub fn checks(boot: &mut Boot, report: &mut Report) -> Result<(), Fault> {
    let host = Survey::make();
    let guest: Survey = boot.machine.ask(Question::Survey)?;
    report.equal("given-kernel", &boot.kernel.release, &guest.kernel)?;
    let other = host.boot_id != guest.boot_id && !guest.boot_id.is_empty();
    report.tell("other-kernel", other, format!("not {}", host.boot_id), &guest.boot_id)?;
    report.equal("first-namespace", FIRST_NAMESPACE, &guest.pid_namespace)?;
    let first = format!("{}, parent {}", guest.first_program, guest.first_parent);
    report.equal("pid-1", "/bin/workshop, parent 0", first)?;

    let seen = in_session(boot.machine.pid);
    let counts = format!("{seen} outside, {} inside", guest.processes);
    report.tell("one-process", seen == 1 && guest.processes > 1, "1 outside, more inside", counts)?;
    own_cache(boot, report)?;
    boot_chain(boot, &guest, report)?;
    report.equal("exit-status", format!("exit {STATUS}"), ended(boot.exit))?;
    let pulled: Pulled = boot.machine.ask(Question::PullRoot)?;
    let moved = pulled.after.iter().all(|root| *root == pulled.new) && !pulled.before.contains(&pulled.new);
    report.tell("pivot", moved, format!("{0}, {0}", pulled.new), pulled.after.join(", "))
}

/// What is claimed when the machine, whose QEMU had this PID, is gone.
pub fn after(qemu: Pid, report: &mut Report) -> Result<(), Fault> {
    report.equal("gone", "0 processes", format!("{} processes", in_session(qemu)))
}

/// How many processes there are in QEMU's session (setsid(2)), where all of its descendants would be.
fn in_session(qemu: Pid) -> usize {
    let pids = process::pids(Path::new("/proc")).into_iter();
    pids.filter(|pid| getsid(Some(Pid::from_raw(*pid))) == Ok(qemu)).count()
}

/// A file of the root filesystem is read in the guest, after the host was asked to forget it.
fn own_cache(boot: &mut Boot, report: &mut Report) -> Result<(), Fault> {
    let found: Reading = boot.machine.ask(Question::Read(FILE.into()))?;
    let inside = found.path.strip_prefix("/").unwrap_or(&found.path);
    // The highest layer that has it is the one that counts.
    let file = boot.layers.iter().rev().map(|layer| layer.join(inside)).find(|file| file.is_file());
    let file =
        file.ok_or_else(|| Fault::broken(format!("find {} in the image", inside.display()), "none"))?;
    let look = || cached(&file).doing(format!("look for {} in the page cache", file.display()));
    let mut attempts = 0;
    // Another program of the host's may read it meanwhile, as a workshop does that makes a root filesystem of it.
    let (passed, guest, before, now) = loop {
        attempts += 1;
        forget(&file).doing("drop a file's pages")?;
        let before = look()?.resident;
        let again: Reading = boot.machine.ask(Question::Read(found.path.clone()))?;
        let (now, guest) = (look()?.resident, again.cached);
        let passed = guest.resident == guest.pages && guest.pages > 0 && now <= before;
        if passed || attempts == ATTEMPTS {
            break (passed, guest, before, now);
        }
    };
    let words = |inside: usize, outside: usize| format!("{inside} pages inside, {outside} outside");
    report.tell("own-cache", passed, words(guest.pages, before), words(guest.resident, now))
}

/// The host's clock says when each stage was heard of, the guest's how long its kernel had been counting when init
/// said that it runs. (Later, an answer may have been under way for longer than the kernel took to boot.)
fn boot_chain(boot: &Boot, guest: &Survey, report: &mut Report) -> Result<(), Fault> {
    let timeline = &boot.machine.timeline;
    let fits = timeline.elapsed() > Duration::from_secs_f64(guest.uptime);
    let counting = timeline.at(Stage::Kernel).filter(|_| fits);
    let times = [
        Some(Duration::ZERO),
        counting,
        timeline.at(Stage::Init),
        timeline.at(Stage::Program),
        Some(timeline.elapsed()),
    ];
    let in_order = times.windows(2).all(|pair| pair[0].is_some() && pair[0] < pair[1]);
    let at = |time: Option<Duration>| time.map_or("never".into(), |time| format!("{} ms", time.as_millis()));
    let names = ["hypervisor", "kernel", "init", "program"];
    let said: Vec<_> = names.iter().zip(times).map(|(name, time)| format!("{name} {}", at(time))).collect();
    report.tell("boot-chain", in_order, "one after the other", said.join(", "))
}

fn ended(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exit {code}"),
        Exit::Signal(signal) => format!("signal {signal}"),
    }
}
