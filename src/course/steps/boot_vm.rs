//! Step 7: a virtual machine beside the container. Another kernel runs, all that it runs is one process here, and
//! what is done to its files stays in it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{Pid, getsid};

use crate::{Build, Step, VirtualMachine};
use checks::Fact;
use claims::machine::{self, Cached};
use claims::{Need, claim};
use engine::Exit;
use fault::{Doing, Fault};
use kernel::page_cache::{cached, forget};
use kernel::process;
use vm::guest::Survey;
use vm::timeline::Stage;
use vm::wire::{Question, Reading};
use vm::{self, Kernel, Machine};

/// Why nobody else's is judged.
const NO_EXERCISE: &str = "the step has no exercise: nobody is asked to build a machine";

pub const STEP: Step = Step {
    number: 7,
    slug: "boot-vm",
    builds: Build::Machine(VirtualMachine { facts, look, source: "src/vm/machine.rs" }),
    permit: Some(|_| vm::permitted()),
    claims: &[
        claim("given-kernel", Need::Machine, machine::given_kernel).ours(NO_EXERCISE),
        claim("other-kernel", Need::Machine, machine::other_kernel).ours(NO_EXERCISE),
        claim("first-namespace", Need::Machine, machine::first_namespace).ours(NO_EXERCISE),
        claim("pid-1", Need::Machine, machine::init).ours(NO_EXERCISE),
        claim("one-process", Need::Machine, machine::one_process).ours(NO_EXERCISE),
        claim("own-cache", Need::Machine, machine::own_cache).ours(NO_EXERCISE),
        claim("boot-chain", Need::Machine, machine::boot_chain).ours(NO_EXERCISE),
        claim("exit-status", Need::Machine, machine::exit_status).ours(NO_EXERCISE),
        claim("pivot", Need::Machine, machine::pivot).ours(NO_EXERCISE),
        claim("gone", Need::MachineLeft, machine::gone).ours(NO_EXERCISE),
    ],
    exercise: None,
};

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

/// What the claims are judged by, but for the end.
fn look(boot: &mut Boot) -> Result<machine::Machine, Fault> {
    let host = Survey::make();
    let guest: Survey = boot.machine.ask(Question::Survey)?;
    Ok(machine::Machine {
        given: boot.kernel.release.clone(),
        processes: in_session(boot.machine.pid),
        cached: own_cache(boot)?,
        stages: stages(boot, &guest),
        exit: boot.exit,
        pulled: boot.machine.ask(Question::PullRoot)?,
        left: None,
        host,
        guest,
    })
}

/// How many processes there are in QEMU's session (setsid(2)), where all of its descendants would be.
pub fn in_session(qemu: Pid) -> usize {
    let pids = process::pids(Path::new("/proc")).into_iter();
    pids.filter(|pid| getsid(Some(Pid::from_raw(*pid))) == Ok(qemu)).count()
}

/// A file of the root filesystem is read in the guest, after the host was asked to forget it.
fn own_cache(boot: &mut Boot) -> Result<Cached, Fault> {
    let found: Reading = boot.machine.ask(Question::Read(FILE.into()))?;
    let inside = found.path.strip_prefix("/").unwrap_or(&found.path);
    // The highest layer that has it is the one that counts.
    let file = boot.layers.iter().rev().map(|layer| layer.join(inside)).find(|file| file.is_file());
    let file =
        file.ok_or_else(|| Fault::broken(format!("find {} in the image", inside.display()), "none"))?;
    let look = || cached(&file).doing(format!("look for {} in the page cache", file.display()));
    let mut attempts = 0;
    // Another program of the host's may read it meanwhile, as a workshop does that makes a root filesystem of it.
    loop {
        attempts += 1;
        forget(&file).doing("drop a file's pages")?;
        let before = look()?.resident;
        let again: Reading = boot.machine.ask(Question::Read(found.path.clone()))?;
        let (after, guest) = (look()?.resident, again.cached);
        let cached = Cached { pages: guest.pages, inside: guest.resident, before, after };
        if cached.is_in_the_guest_only() || attempts == ATTEMPTS {
            return Ok(cached);
        }
    }
}

/// When each stage was heard of by the host's clock; that of the kernel counts only if that clock has run for longer than
/// the guest's kernel says that it has been counting when init said that it runs. (Later, an answer may have been under
/// way for longer than the kernel took to boot.)
fn stages(boot: &Boot, guest: &Survey) -> [(&'static str, Option<Duration>); 4] {
    let timeline = &boot.machine.timeline;
    let fits = timeline.elapsed() > Duration::from_secs_f64(guest.uptime);
    [
        ("hypervisor", Some(Duration::ZERO)),
        ("kernel", timeline.at(Stage::Kernel).filter(|_| fits)),
        ("init", timeline.at(Stage::Init)),
        ("program", timeline.at(Stage::Program)),
    ]
}
