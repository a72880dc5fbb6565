//! Asking by doing: a container of some steps is really made, in a lab, and taken back.

use crate::container::recipe::{FIRST_SEAT, Recipe};
use crate::container::{Program, create};
use crate::course::{Step, layers};
use crate::fault::Fault;
use crate::kernel::told::Silence;
use crate::lab::Lab;

use super::{LIMITS, files};

/// Makes a container of these steps and lets it go again.
///
/// # Errors
/// Whatever this host has against it: of our own making there is nothing wrong with such a container.
pub fn attempt(lab: &Lab, steps: impl Iterator<Item = &'static Step>) -> Result<(), Fault> {
    let recipe = Recipe::new(lab, layers(steps), LIMITS, || files(&lab.folders, None))?;
    let mut container = create(recipe.plan(Program::Call(Box::new(|| 0)), FIRST_SEAT), lab, &mut Silence)?;
    container.start(&mut Silence)?;
    container.end()
}
