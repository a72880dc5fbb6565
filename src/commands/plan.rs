//! `workshop plan N`: what would be done to make a container, in order, without doing any of it.

use std::ffi::OsString;
use std::path::Path;

use crate::course::lesson::Lesson;
use crate::course::{Step, wanted};
use crate::engine::op::Op;
use crate::engine::template::{self, Files, Wanted};
use crate::engine::{Plan, Site, Spec};
use crate::fault::Fault;
use crate::folders::Folders;
use crate::lab;

use super::{LIMITS, Output, files};

/// The number of the container that is planned.
const NUMBER: u32 = 1;

/// What `workshop plan` was asked.
pub struct Asked<'a> {
    pub rootfs: Option<&'a Path>,
    /// Those operations too that are not told when they are carried out.
    pub verbose: bool,
    pub program: Vec<OsString>,
}

/// Prints the operations of the container of steps 1 to N.
pub fn run(out: &mut Output, step: &'static Step, asked: Asked) -> Result<i32, Fault> {
    step.must_make_a_container()?;
    let folders = Folders::find()?;
    let mut steps: Vec<&Step> = step.with_all_below().collect();
    loop {
        let from = || files(&folders, asked.rootfs);
        let drawn = draw(&folders, wanted(steps.iter().copied(), LIMITS), from, &asked.program);
        match drawn {
            Ok(plan) => return print(out, &plan, asked.verbose),
            // What this host can't do is left out, as when the step is run.
            Err(Fault::Unable { step: Some(slug), key, with })
                if slug != step.slug && steps.iter().any(|below| below.slug == slug) =>
            {
                let (missing, kept): (Vec<&Step>, Vec<&Step>) =
                    steps.iter().partition(|below| below.slug == slug);
                steps = kept;
                let fault = Fault::Unable { step: None, key, with };
                missing.into_iter().try_for_each(|missing| out.left_out(missing, &fault))?;
            }
            Err(fault) => return Err(fault),
        }
    }
}

/// The plan of a container in the lab that would be made here.
pub fn draw(
    folders: &Folders,
    wanted: Wanted,
    files: impl FnOnce() -> Result<Files, Fault>,
    program: &[OsString],
) -> Result<Plan, Fault> {
    let spec = template::planned(folders, wanted, files)?;
    let argv = if program.is_empty() { template::waiting() } else { program.to_vec() };
    let spec = Spec { command: Some(template::command(&spec, argv)), ..spec };
    let site = Site::planned(folders, lab::takes_a_user_namespace(), NUMBER, &spec)?;
    let plan = Plan::new(&spec, &site)?;
    plan.check().map(|()| plan)
}

/// Prints a plan, one operation after the other.
pub fn print(out: &mut Output, plan: &Plan, verbose: bool) -> Result<i32, Fault> {
    let all = out.json || verbose;
    for (op, seq) in plan.ops.iter().filter(|op: &&Op| all || op.told).zip(1..) {
        // What options of `run` add belongs to no step.
        let step = Step::find(op.step);
        let lesson = step.map_or_else(|| Lesson::of_options(out.lang), |step| Lesson::load(step, out.lang));
        out.show.op(seq, op, &lesson).map_err(Fault::output)?;
    }
    Ok(0)
}
