//! One program, run as a plain process, in a container and in a virtual machine: what each costs, measured here.
//!
//! All three run the same executable, our own as a [`probe`], from the same root filesystem. They take turns, so
//! that whatever else the machine does disturbs all alike.
//!
//! | file | idea |
//! |---|---|
//! | `subject` | a way to run a program, and what one run tells |
//! | `process`, `container`, `vm` | the ways |
//! | `probe` | the program |
//! | `listen`, `memory` | how the host hears and sees it |
//! | `turns` | whose turn it is |
//! | `stats`, `figures` | many runs in three numbers, and what they are numbers of |
//! | `host` | what it was measured on |

mod container;
mod figures;
mod host;
mod listen;
mod memory;
pub mod probe;
mod process;
mod stats;
mod subject;
mod turns;
mod vm;

pub use container::Container;
pub use figures::{Comparison, Figure, Measured, Unit};
pub use host::Host;
pub use memory::pss;
pub use process::Process;
pub use stats::Spread;
pub use subject::Kind;
pub use turns::{Contestant, Runs, take_turns};
pub use vm::Vm;

/// Where our own executable lies in the image of all subjects.
pub const PROGRAM: &str = "/bin/workshop";
