//! `workshop clean`: undoes what a killed run left behind, and nothing else.

use crate::fault::Fault;
use crate::folders::Folders;
use crate::kernel::ledger::{Undo, leftovers};

use super::Output;

/// Goes through the ledger's pages whose owners are gone.
pub fn run(out: &mut Output, dry_run: bool) -> Result<i32, Fault> {
    let found = leftovers(&Folders::find()?.ledger());
    let words = out.words;
    if found.is_empty() {
        out.note(words.say("clean-nothing"))?;
    }
    for leftover in found {
        out.note(&words.fill("clean-owner", &[("pid", &leftover.owner.pid.to_string())]))?;
        let lines: Vec<String> = leftover.undo.iter().rev().map(|undo| describe(out, undo, dry_run)).collect();
        if !dry_run {
            leftover.undo()?;
        }
        for line in lines {
            out.note(&line)?;
        }
    }
    out.done()
}

fn describe(out: &Output, undo: &Undo, dry_run: bool) -> String {
    let key = match undo {
        _ if dry_run => "clean-would",
        Undo::RemoveGroup { .. } => "clean-removed",
        Undo::Disable { .. } => "clean-restored",
    };
    out.words.fill(key, &[("path", &undo.path().display().to_string())])
}
