//! `workshop break N [NAME]`: experiments, and what came of them.

use std::process::Command;

use crate::course::{Step, command_line, wanted};
use crate::engine::experiment::{EXPERIMENTS, Expected, Experiment, Place, Variant};
use crate::fault::{Doing, Fault};
use crate::lab::Lab;
use crate::render::Experimented;
use crate::vm::guest;

use super::{LIMITS, Output, enter_lab, files, find_step};

/// What `workshop break` was asked.
pub struct Asked<'a> {
    pub step: Option<&'a str>,
    pub experiment: Option<&'a str>,
    pub list: bool,
    /// In a virtual machine, whatever the experiment says.
    pub vm: bool,
}

/// Lists the experiments that are asked for, or makes them.
pub fn run(out: &mut Output, asked: &Asked) -> Result<i32, Fault> {
    let experiments = chosen(asked)?;
    if asked.list || asked.step.is_none() {
        return list(out, &experiments);
    }
    let may_be_here = |place| !asked.vm && (place == Place::SealedLab || guest::is_here());
    let (here, there): (Vec<_>, Vec<_>) =
        experiments.into_iter().partition(|experiment| may_be_here(experiment.place));
    let mut failed = 0;
    for experiment in there {
        failed += i32::from(in_a_machine(out, experiment)? != 0);
    }
    if !here.is_empty() {
        let lab = enter_lab(true)?;
        here.into_iter().try_for_each(|experiment| make(out, &lab, experiment))?;
    }
    out.done().map(|status| if failed > 0 { 1 } else { status })
}

/// The experiments that are meant.
fn chosen(asked: &Asked) -> Result<Vec<&'static Experiment>, Fault> {
    let Some(name) = asked.step else { return Ok(EXPERIMENTS.iter().collect()) };
    let step = find_step(name)?;
    let of_step: Vec<_> = EXPERIMENTS.iter().filter(|experiment| experiment.step == step.slug).collect();
    let names = of_step.iter().map(|experiment| experiment.name).collect::<Vec<_>>().join(", ");
    let number = step.number.to_string();
    if of_step.is_empty() {
        return Err(Fault::usage("step-has-no-experiment", &[("step", &number), ("slug", step.slug)]));
    }
    let Some(wanted) = asked.experiment else { return Ok(of_step) };
    let found = of_step.into_iter().find(|experiment| experiment.name == wanted);
    let unknown =
        || Fault::usage("experiment-unknown", &[("name", wanted), ("step", &number), ("names", &names)]);
    found.map(|experiment| vec![experiment]).ok_or_else(unknown)
}

fn list(out: &mut Output, experiments: &[&Experiment]) -> Result<i32, Fault> {
    let words = out.words;
    let row = |experiment: &&Experiment| {
        let number = Step::find(experiment.step).map(|step| step.number.to_string()).unwrap_or_default();
        vec![number, experiment.name.to_owned(), words.experiment(experiment.name, "title").to_owned()]
    };
    let rows: Vec<_> = experiments.iter().map(row).collect();
    let head = ["list-number", "break-name", "break-title"].map(|key| words.say(key));
    out.show.table(words.say("break-list"), &head, &rows).map_err(Fault::output)?;
    out.note(words.say("break-hint"))?;
    Ok(0)
}

/// Makes both containers of an experiment, and says what was expected and what happened.
fn make(out: &mut Output, lab: &Lab, experiment: &'static Experiment) -> Result<(), Fault> {
    let Some(step) = Step::find(experiment.step) else { return Ok(()) };
    let words = out.words;
    // Put together now if need be: a sealed lab can't write to the cache.
    drop(files(&lab.folders, None)?);
    let mut rows = Vec::new();
    for variant in Variant::BOTH {
        let answer = experiment
            .make(variant, lab, wanted(step.with_all_below(), LIMITS), || files(&lab.folders, None))
            .map_err(|fault| fault.again(&command_line::own()))?;
        let ok = experiment.holds(variant, answer.as_deref());
        match ok {
            true => out.tally.passed += 1,
            false => out.tally.failed += 1,
        }
        let happened = answer.unwrap_or_else(|| words.say("break-nothing").into());
        let expected = match experiment.expects(variant) {
            Expected::Is(text) => text,
            Expected::Nothing => words.say("break-nothing"),
            Expected::Something => words.say("break-something"),
        };
        let told = Experimented { experiment, variant, expected, happened: &happened, ok };
        out.show.experimented(&told).map_err(Fault::output)?;
        let says = words.experiment(experiment.name, variant.name());
        rows.push([words.say(sign(ok)), says, expected, &happened].map(String::from).to_vec());
    }
    let title = format!("{}: {}", experiment.name, words.experiment(experiment.name, "title"));
    let head = ["", "break-says", "break-expected", "break-happened"];
    let head = head.map(|key| if key.is_empty() { "" } else { words.say(key) });
    out.show.table(&title, &head, &rows).map_err(Fault::output)
}

fn sign(ok: bool) -> &'static str {
    if ok { "break-held" } else { "break-failed" }
}

/// Makes an experiment with the same program in a virtual machine.
fn in_a_machine(out: &Output, experiment: &Experiment) -> Result<i32, Fault> {
    let lang = out.lang.code();
    let format = if out.json { "json" } else { "text" };
    let inner = ["workshop", "break", experiment.step, experiment.name, "--lang", lang, "--format", format];
    let mut command = Command::new("/proc/self/exe");
    command.args(["vm", "--lang", lang, "--"]).args(inner);
    let status = command.status().doing("start a virtual machine")?;
    Ok(status.code().unwrap_or(1))
}
