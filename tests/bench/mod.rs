//! The benchmark of starts: what is started, and what is asked of the figures. `tests/bench/start.rs` is the program;
//! tests/book_runs.rs runs a short form of it.
//!
//! | file | idea |
//! |---|---|
//! | `ground` | where containers are started: a root filesystem for all, namespaces and groups of our own |
//! | `subjects` | the commands |
//! | `turns` | a clock outside: each is started in turn, round after round |
//! | `beside` | what waits beside a running container, and many at the same time |
//! | `together` | many of one program, in one lab and on one bridge |
//! | `report` | the table, in each language |

mod beside;
mod ground;
pub mod report;
mod subjects;
mod together;
mod turns;

use std::path::PathBuf;
use std::time::Duration;

use beside::Alive;
use ground::Ground;
pub use report::Measured;
use report::{Claim, Machine, What};
use subjects::Id;
use turns::Times;

/// What is to be measured, and how often.
pub struct Plan {
    pub program: PathBuf,
    pub rounds: usize,
    /// Rounds before them that don't count.
    pub warm: usize,
    /// The pause between two starts.
    pub gap: Duration,
    /// How many containers are alive at the same time in the end.
    pub alive: usize,
    /// How many are alive in one lab.
    pub together: u16,
}

/// Bytes, in the megabytes that claims are made in.
const MB: f64 = 1e6;

/// Measures all that can be measured here, and says on standard error what can't.
///
/// # Errors
/// Says what is missing without which nothing can be measured.
pub fn measure(plan: &Plan) -> Result<Measured, String> {
    let ground = Ground::make(plan.program.clone())?;
    let subjects = subjects::all(&ground)?;
    let times = turns::in_turn(&ground, &subjects, plan)?;
    let alive = beside::alive(&ground, plan.alive)?;
    let together = match together::growth(&ground, plan.together) {
        Ok(growth) => growth,
        Err(problem) => {
            ground.leave_out("one lab", &problem);
            None
        }
    };
    let size = std::fs::metadata(&plan.program).map_err(|error| error.to_string())?.len();
    let claims = claims(&times, &alive, together, size);
    let left_out = ground.left_out.take();
    let subjects =
        subjects.iter().zip(times).map(|(subject, times)| (subject.title.clone(), times)).collect();
    let (rounds, gap, alive, together) = (plan.rounds, plan.gap, plan.alive, plan.together);
    Ok(Measured { machine: Machine::this(), rounds, gap, alive, together, subjects, claims, left_out })
}

/// What the figures may be at most.
fn claims(times: &[Times], alive: &Alive, together: Option<f64>, size: u64) -> Vec<Claim> {
    let of = |id: Id| times.iter().find(|times| times.id == id);
    let ratio = |one: Id, other: Id, most: f64| {
        let found = of(one)?.median() / of(other)?.median();
        Some(Claim { what: What::Ratio(one, other), found, most })
    };
    let peak = [Id::Plain, Id::Limits, Id::Network].into_iter().filter_map(of).filter_map(|t| t.peak).max();
    let bytes =
        |what, bytes: Option<u64>, most| bytes.map(|bytes| Claim { what, found: bytes as f64 / MB, most });
    let all = [
        ratio(Id::Plain, Id::Floor, 1.25),
        ratio(Id::Limits, Id::Floor, 1.4),
        ratio(Id::Network, Id::FloorNetwork, 1.5),
        ratio(Id::Plain, Id::Bwrap, 1.0),
        ratio(Id::Plain, Id::Crun, 0.25),
        ratio(Id::Plain, Id::Runc, 0.12),
        ratio(Id::Version, Id::True, 2.0),
        ratio(Id::Help, Id::True, 2.0),
        ratio(Id::List, Id::True, 2.0),
        bytes(What::Peak, peak, 3.0),
        bytes(What::Idle, alive.memory_of_one(), 0.15),
        alive.growth().map(|found| Claim { what: What::Growth, found, most: 1.5 }),
        together.map(|found| Claim { what: What::Together, found, most: 2.0 }),
        bytes(What::Size, Some(size), 6.0),
    ];
    all.into_iter().flatten().collect()
}
