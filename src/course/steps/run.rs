//! What a learner's own runtime starts as, before the first step: a program that runs another and adds nothing.

use claims::task::{Asked, Task};
use claims::{Need, claim, processes};

pub const NUMBER: u32 = 0;
pub const SLUG: &str = "run";

pub const TASK: Task = Task {
    asks: Asked::NOTHING,
    claims: &[
        claim("starts", Need::Look, processes::starts),
        claim("arguments", Need::Word, processes::arguments),
        claim("by-name", Need::Name, processes::by_name),
        claim("streams", Need::Talk, processes::streams),
        claim("exit-status", Need::End, processes::exit_status),
        claim("death-status", Need::Die, processes::death_status),
        claim("nothing-running", Need::Left, processes::nothing_running),
    ],
};
