//! Claims about a container, and whether the kernel bears them out. Every claim is about kernel state
//! (an inode, a line of mountinfo, a counter, a packet that arrives), never about printed words.

mod cgroup_limit;
mod mount_proc;
mod overlay;
mod pivot_root;
mod scene;
mod summary;
mod unshare_pid;
mod veth_bridge;

pub use scene::{LabState, Scene};
pub use summary::summary;

use crate::fault::Fault;
use crate::lab::Lab;

/// The same question, answered on both sides of the container's wall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Key of the label in the lesson.
    pub key: String,
    pub outside: String,
    pub inside: String,
}

impl Fact {
    fn new(key: &str, outside: impl ToString, inside: impl ToString) -> Fact {
        Fact { key: key.into(), outside: outside.to_string(), inside: inside.to_string() }
    }
}

/// A claim that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Slug of the step that promises it.
    pub step: String,
    /// Key of the claim in the lesson.
    pub name: String,
    pub passed: bool,
    pub expected: String,
    pub actual: String,
}

/// Receives checks as they are made.
pub struct Report<'r> {
    step: &'static str,
    hear: &'r mut dyn FnMut(Check) -> Result<(), Fault>,
}

impl<'r> Report<'r> {
    pub fn new(step: &'static str, hear: &'r mut dyn FnMut(Check) -> Result<(), Fault>) -> Report<'r> {
        Report { step, hear }
    }

    /// Reports a claim that holds if both sides are equal.
    fn equal(&mut self, name: &str, expected: impl ToString, actual: impl ToString) -> Result<(), Fault> {
        let (expected, actual) = (expected.to_string(), actual.to_string());
        self.tell(name, expected == actual, expected, actual)
    }

    /// Reports a claim that was judged already.
    fn tell(
        &mut self,
        name: &str,
        passed: bool,
        expected: impl ToString,
        actual: impl ToString,
    ) -> Result<(), Fault> {
        (self.hear)(Check {
            step: self.step.into(),
            name: name.into(),
            passed,
            expected: expected.to_string(),
            actual: actual.to_string(),
        })
    }
}

/// What the step's container looks like from both sides.
pub fn facts(scene: &Scene) -> Result<Vec<Fact>, Fault> {
    match scene.step {
        "unshare-pid" => unshare_pid::facts(scene),
        "mount-proc" => mount_proc::facts(scene),
        "pivot-root" => pivot_root::facts(scene),
        "cgroup-limit" => cgroup_limit::facts(scene),
        "overlay" => overlay::facts(scene),
        "veth-bridge" => veth_bridge::facts(scene),
        _ => Ok(Vec::new()),
    }
}

/// The step's claims, while its container is there.
pub fn during(scene: &Scene, report: &mut Report) -> Result<(), Fault> {
    match scene.step {
        "unshare-pid" => unshare_pid::checks(scene, report),
        "mount-proc" => mount_proc::checks(scene, report),
        "pivot-root" => pivot_root::checks(scene, report),
        "cgroup-limit" => cgroup_limit::checks(scene, report),
        "overlay" => overlay::checks(scene, report),
        "veth-bridge" => veth_bridge::checks(scene, report),
        _ => Ok(()),
    }
}

/// Claims about what is left when the container is gone.
pub fn after(step: &str, lab: &Lab, memory: &scene::Memory, report: &mut Report) -> Result<(), Fault> {
    let now = LabState::read()?;
    let steady = memory.before.mounts == memory.during.mounts && memory.before.mounts == now.mounts;
    match step {
        "mount-proc" | "pivot-root" => {
            let counts =
                [&memory.before, &memory.during, &now].map(|s| s.mounts.len().to_string()).join(", ");
            let expected = [&memory.before; 3].map(|s| s.mounts.len().to_string()).join(", ");
            report.tell("host-table", steady, expected, counts)?;
        }
        "cgroup-limit" => {
            let left: Vec<_> = memory.groups.iter().filter(|dir| dir.exists()).collect();
            report.equal("group-gone", 0, left.len())?;
        }
        "veth-bridge" => report.equal("lab-clean", memory.before.network(), now.network())?,
        _ => {}
    }
    let (before, now) = lab.witness.borrow_mut().compare()?;
    let count = |h: &crate::lab::Host| {
        format!("{} mounts, {} links, {} routes", h.mounts.len(), h.links.len(), h.routes.len())
    };
    report.tell("host-same", before == now, count(&before), count(&now))
}
