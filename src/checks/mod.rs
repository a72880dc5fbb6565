//! What the claims of the course's steps are made with. Every claim is about kernel state (an inode, a line of
//! mountinfo, a counter, a packet that arrives), never about printed words.

mod devices;
mod scene;
mod summary;
#[cfg(test)]
mod thinned;

pub use devices::broken_devices;
pub use scene::{LabState, Memory, Scene};
pub use summary::{ASPECTS, Aspect};

use crate::fault::Fault;
use crate::lab::{Host, Lab};

/// The same question, answered on both sides of the container's wall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Key of the label in the lesson.
    pub key: String,
    pub outside: String,
    pub inside: String,
}

impl Fact {
    pub fn new(key: &str, outside: impl ToString, inside: impl ToString) -> Fact {
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
    pub fn equal(&mut self, name: &str, expected: impl ToString, actual: impl ToString) -> Result<(), Fault> {
        let (expected, actual) = (expected.to_string(), actual.to_string());
        self.tell(name, expected == actual, expected, actual)
    }

    /// Reports a claim that was judged already.
    pub fn tell(
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

/// For a step that claims nothing of its own about what is left.
pub fn nothing_after(_: &Memory, _: &LabState, _: &mut Report) -> Result<(), Fault> {
    Ok(())
}

/// Every step's last claim: the real host is as it was before the lab.
pub fn host_same(lab: &Lab, report: &mut Report) -> Result<(), Fault> {
    let (before, now) = lab.compare_host()?;
    let count =
        |h: &Host| format!("{} mounts, {} links, {} routes", h.mounts.len(), h.links.len(), h.routes.len());
    report.tell("host-same", before == now, count(&before), count(&now))
}
