//! Containers of our own, judged: each step's claims are those of everybody's containers ([`claims`]), and
//! what they are judged by is gathered here, in the lab.

mod inquiry;
mod limits;
mod network;
mod processes;
mod roots;
mod scene;
mod summary;
mod writes;

pub use inquiry::Inquiry;
pub use network::{PATIENCE, PORT, endpoint};
pub use scene::{Scene, group, lab_now, membership, settings};
pub use summary::{ASPECTS, Aspect};
pub use writes::Victims;

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
