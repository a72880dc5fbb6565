//! `workshop clean`: undoes what a killed run left behind, and nothing else.

use crate::checks::Fact;
use crate::course::Step;
use crate::course::lesson::Lesson;
use crate::fault::Fault;
use crate::folders::Folders;
use crate::kernel::ledger::{elsewhere, leftovers};
use crate::kernel::process::need_own_proc;
use crate::kernel::undo::Undo;
use crate::lab::names;

use super::Output;

/// Goes through the ledger's pages whose owners are gone.
pub fn run(out: &mut Output, dry_run: bool) -> Result<i32, Fault> {
    // Who is gone is told by /proc.
    need_own_proc()?;
    let folders = Folders::find()?;
    let found = leftovers(&folders.ledger);
    let words = out.words;
    // A page whose things have gone by themselves is of no interest.
    let (empty, found): (Vec<_>, Vec<_>) = found.into_iter().partition(|leftover| leftover.undo.is_empty());
    if !dry_run {
        names::sweep(&folders);
        empty.into_iter().try_for_each(|leftover| leftover.undo())?;
    }
    if found.is_empty() {
        out.note(words.say("clean-nothing"))?;
    }
    for owner in elsewhere(&folders.ledger) {
        out.note(&words.fill("clean-elsewhere", &[("pid", &owner.pid.to_string())]))?;
    }
    for leftover in found {
        let pid = leftover.owner.pid.to_string();
        let things: Vec<Undo> = leftover.undo.iter().rev().cloned().collect();
        out.note(&words.fill("clean-owner", &[("pid", &pid)]))?;
        if !dry_run {
            leftover.undo()?;
        }
        for thing in things {
            tell(out, &thing, &pid, dry_run)?;
        }
    }
    if out.json { out.done() } else { Ok(0) }
}

/// One thing that was, or would be, undone. In JSON it is a fact: what was left, and what is there now.
fn tell(out: &mut Output, thing: &Undo, pid: &str, dry_run: bool) -> Result<(), Fault> {
    let path = thing.what();
    let (would, did, now) = match thing {
        Undo::RemoveGroup { .. } | Undo::RemoveBox { .. } => ("clean-would", "clean-removed", "removed"),
        Undo::Disable { .. } => ("clean-would-restore", "clean-restored", "restored"),
        Undo::EndProcess { .. } => ("clean-would-end", "clean-ended", "ended"),
        Undo::Retract => return Ok(()),
    };
    let (key, now) = if dry_run { (would, "still there") } else { (did, now) };
    if !out.json {
        return out.note(&out.words.fill(key, &[("path", &path)]));
    }
    // Its group is what can be left behind.
    let step = Step::that_wants(|wanted| wanted.spec.limits.is_some());
    let lesson = step.map(|step| Lesson::load(step, out.lang));
    let fact = Fact { key: path, outside: format!("left by process {pid}"), inside: now.into() };
    lesson.map_or(Ok(()), |lesson| out.show.facts(&[fact], &lesson).map_err(Fault::output))
}
