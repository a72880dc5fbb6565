//! Asking by doing: a container of some steps is really made, in a lab, and taken back.

use crate::course::{Step, wanted};
use crate::engine::template::Template;
use crate::engine::{Process, Program};
use crate::fault::Fault;
use crate::kernel::told::Silence;
use crate::lab::Lab;

use super::{LIMITS, files};

/// Makes a container of these steps and lets it go again.
///
/// # Errors
/// Whatever this host has against it: of our own making there is nothing wrong with such a container.
pub fn attempt(lab: &Lab, steps: impl Iterator<Item = &'static Step>) -> Result<(), Fault> {
    let template = Template::new(lab, wanted(steps, LIMITS), || files(&lab.folders, None))?;
    let process = Process::new(Program::Call(Box::new(|| 0)));
    let mut container = template.create(&template.spec, process, &mut Silence)?;
    container.start(&mut Silence)?;
    container.end()
}
