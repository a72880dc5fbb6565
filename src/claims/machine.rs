//! Claims about a virtual machine (step 7).

use std::time::Duration;

use super::evidence::Evidence;
use super::finding::{Finding, Seen};
use super::processes::ended;
use engine::Exit;
use vm::guest::{Pulled, Survey};

/// The inode of each kernel's first PID namespace (`PROC_PID_INIT_INO`, include/linux/proc_ns.h).
const FIRST_NAMESPACE: &str = "pid:[4026531836]";
/// What the first program that runs in the machine ends with.
pub const STATUS: i32 = 42;

/// A machine that runs, beside its host.
pub struct Machine {
    /// The release of the kernel that it was given.
    pub given: String,
    pub host: Survey,
    pub guest: Survey,
    /// How many processes the host sees of it: in QEMU's session (setsid(2)), where all of its descendants would be.
    pub processes: usize,
    /// The pages of a file that was read in it.
    pub cached: Cached,
    /// When each stage of its boot was heard of.
    pub stages: [(&'static str, Option<Duration>); 4],
    /// How its first program ended.
    pub exit: Exit,
    pub pulled: Pulled,
    /// How many processes there still were when it had ended.
    pub left: Option<usize>,
}

/// Pages of a file in two page caches.
#[derive(Clone, Copy)]
pub struct Cached {
    /// All of them, and how many are in the guest's cache.
    pub pages: usize,
    pub inside: usize,
    /// How many were in the host's before the guest read the file, and after.
    pub before: usize,
    pub after: usize,
}

impl Cached {
    /// Whether it is cached in the guest, and not one page more in the host.
    pub fn is_in_the_guest_only(&self) -> bool {
        self.inside == self.pages && self.pages > 0 && self.after <= self.before
    }
}

fn machine(evidence: &Evidence) -> Option<&Machine> {
    evidence.machine.as_ref()
}

pub fn given_kernel(evidence: &Evidence) -> Option<Finding> {
    let machine = machine(evidence)?;
    Some(Finding::same(Seen::fact(&machine.given), Seen::fact(&machine.guest.kernel)))
}

pub fn other_kernel(evidence: &Evidence) -> Option<Finding> {
    let Machine { host, guest, .. } = machine(evidence)?;
    let held = host.boot_id != guest.boot_id && !guest.boot_id.is_empty();
    let (expected, actual) = (Seen::found("not", [("what", &host.boot_id)]), Seen::fact(&guest.boot_id));
    Some(Finding { held, expected, actual, signs: Vec::new() })
}

pub fn first_namespace(evidence: &Evidence) -> Option<Finding> {
    let guest = &machine(evidence)?.guest;
    Some(Finding::same(Seen::fact(FIRST_NAMESPACE), Seen::fact(&guest.pid_namespace)))
}

pub fn init(evidence: &Evidence) -> Option<Finding> {
    let guest = &machine(evidence)?.guest;
    let child = |program: &str, parent: &str| {
        Seen::found("program-and-parent", [("program", &program), ("parent", &parent)])
    };
    Some(Finding::same(child("/bin/workshop", "0"), child(&guest.first_program, &guest.first_parent)))
}

pub fn one_process(evidence: &Evidence) -> Option<Finding> {
    let machine = machine(evidence)?;
    let (outside, inside) = (machine.processes, machine.guest.processes);
    let counts = Seen::found("outside-and-inside", [("outside", &outside), ("inside", &inside)]);
    Some(Finding::holds(outside == 1 && inside > 1, Seen::words("more-inside"), counts))
}

pub fn own_cache(evidence: &Evidence) -> Option<Finding> {
    let cached = machine(evidence)?.cached;
    let pages = |inside: usize, outside: usize| {
        Seen::found("pages-on-both-sides", [("inside", &inside), ("outside", &outside)])
    };
    let (expected, actual) = (pages(cached.pages, cached.before), pages(cached.inside, cached.after));
    Some(Finding { held: cached.is_in_the_guest_only(), expected, actual, signs: Vec::new() })
}

pub fn boot_chain(evidence: &Evidence) -> Option<Finding> {
    let stages = &machine(evidence)?.stages;
    let in_order = stages.windows(2).all(|pair| match pair {
        [(_, earlier), (_, later)] => earlier.is_some() && earlier < later,
        _ => true,
    });
    let at = stages.iter().map(|(name, at)| match at {
        Some(at) => Seen::found("stage-at", [("stage", name), ("ms", &at.as_millis())]),
        None => Seen::found("stage-never", [("stage", name)]),
    });
    Some(Finding::holds(in_order, Seen::words("in-order"), Seen::List(at.collect())))
}

pub fn exit_status(evidence: &Evidence) -> Option<Finding> {
    Some(Finding::same(ended(Exit::Code(STATUS)), ended(machine(evidence)?.exit)))
}

pub fn pivot(evidence: &Evidence) -> Option<Finding> {
    let pulled = &machine(evidence)?.pulled;
    let held = pulled.after.iter().all(|root| *root == pulled.new) && !pulled.before.contains(&pulled.new);
    let expected = Seen::facts([&pulled.new, &pulled.new]);
    Some(Finding { held, expected, actual: Seen::facts(&pulled.after), signs: Vec::new() })
}

pub fn gone(evidence: &Evidence) -> Option<Finding> {
    let processes = |number: usize| Seen::found("processes", [("processes", &number)]);
    Some(Finding::same(processes(0), processes(machine(evidence)?.left?)))
}
