//! `workshop check N -- PROGRAM`: does a program build a container as step N asks?

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::cli::CheckOptions;
use crate::container::find_program;
use crate::course::exercise::{self, Exercise};
use crate::fault::Fault;
use crate::judge::{self, Defendant, Judged};
use crate::kernel::cgroup;
use crate::lab::Lab;

use super::{Output, enter_lab};

/// Steps from here on are given limits, where groups can be made.
const LIMITED: u32 = 4;

/// Judges the program as the step's, or as each step's in turn.
pub fn run(out: &mut Output, options: &CheckOptions) -> Result<i32, Fault> {
    let step = (options.step != "all").then(|| number(&options.step)).transpose()?;
    let (argv, kept) = defendant(&options.program)?;
    let lab = enter_lab(true)?;
    let places = cgroup::places();
    if step == Some(LIMITED) {
        places.as_ref().map_err(Clone::clone)?;
    }
    let defendant = Defendant { argv, kept, grouped: places.is_ok() };
    match step {
        Some(step) => judge_as(out, &lab, &defendant, 0, step)?,
        None => {
            // Each step by its own command line, on its own claims.
            for step in 0..=judge::LAST {
                judge_as(out, &lab, &defendant, step, step)?;
            }
        }
    }
    out.done()
}

fn judge_as(out: &mut Output, lab: &Lab, defendant: &Defendant, first: u32, step: u32) -> Result<(), Fault> {
    let judged = judge::judge(lab, defendant, first, step)?;
    for number in first..=step {
        let exercise = Exercise::load(number, out.lang);
        out.show.exercise(&exercise).map_err(Fault::output)?;
        for Judged { name, finding, .. } in judged.iter().filter(|judged| judged.step == number) {
            match finding {
                Some(finding) if finding.held => out.tally.passed += 1,
                Some(_) => out.tally.failed += 1,
                None => out.tally.skipped += 1,
            }
            out.show.judged(&exercise, name, finding.as_ref()).map_err(Fault::output)?;
        }
    }
    Ok(())
}

fn number(name: &str) -> Result<u32, Fault> {
    let unknown = || Fault::usage("exercise-unknown", &[("name", name), ("last", &judge::LAST.to_string())]);
    exercise::find(name).filter(|number| *number <= judge::LAST).ok_or_else(unknown)
}

/// The program as the cell starts it, and the files that it can't do without: itself, and what its first arguments
/// name (`python3 /tmp/box.py`).
fn defendant(program: &[OsString]) -> Result<(Vec<OsString>, Vec<PathBuf>), Fault> {
    let name = &program[0];
    let environment: Vec<OsString> = std::env::var_os("PATH")
        .map(|path| {
            let mut pair = OsString::from("PATH=");
            pair.push(path);
            pair
        })
        .into_iter()
        .collect();
    let missing = || Fault::usage("judged-not-found", &[("program", &name.to_string_lossy())]);
    // Not where a link leads to: some programs are what they are called.
    let path = find_program(name, &environment).ok().and_then(|path| std::path::absolute(path).ok());
    let path = path.filter(|path| path.is_file()).ok_or_else(missing)?;
    let mut kept: Vec<PathBuf> =
        program[1..].iter().filter_map(|word| Path::new(word).canonicalize().ok()).collect();
    kept.extend(path.canonicalize().ok());
    kept.push(path.clone());
    // What lies beside it may belong to it.
    kept.extend(path.parent().map(Path::to_path_buf));
    let argv = std::iter::once(path.into_os_string()).chain(program[1..].iter().cloned()).collect();
    Ok((argv, kept))
}
