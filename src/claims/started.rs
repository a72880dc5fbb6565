//! What a program has once it has started, and may not have before: in the last calls before execve(2) and by that one
//! itself things are given up that nobody gets back.

use super::sight::Subject;

/// A program that has started.
#[derive(Default)]
pub struct Started {
    /// Descriptors above standard error, each with what it leads to.
    pub descriptors: Vec<String>,
}

impl Started {
    pub fn of(subject: &Subject) -> Started {
        Started {
            // Of one that has not started, those that it would get.
            descriptors: subject.descriptors(),
        }
    }
}
