//! A learner's own runtime: the folder that it is written in, and how far it has come.

pub mod build;
mod cargo;
pub mod language;
pub mod owner;
mod places;
pub mod project;
pub mod snapshot;
pub mod solution;
pub mod starter;
mod users;

pub use language::Language;
pub use project::Project;
