//! `workshop new`: a folder with the start of a learner's own runtime.

use std::path::Path;

use crate::cli::Tongue;
use crate::fault::Fault;
use crate::folders::reachable;
use crate::learner::language::Tool;
use crate::learner::{Language, starter};

use super::{Output, menu};

/// Writes the starter, and says what is still to be installed and how to go on.
pub fn run(out: &mut Output, dir: &Path, asked: &[Tongue]) -> Result<i32, Fault> {
    let language = match Tongue::program(asked) {
        Some(language) => language,
        None if menu::can_ask(out) => match choose(out)? {
            Some(language) => language,
            None => return Ok(0),
        },
        None => return Err(Fault::usage("new-needs-language", &[])),
    };
    reachable(dir)?;
    starter::write(dir, language, out.lang)?;
    let words = out.words;
    let path = dir.display().to_string();
    out.note(&words.fill("new-written", &[("path", &path), ("language", language.title())]))?;
    for tool in language.missing() {
        out.note(&missing(out, tool))?;
    }
    // A name that begins with a dash would be an option of cd.
    let to = if path.starts_with('-') { format!("./{path}") } else { path };
    out.note(&words.fill("new-next", &[("path", &to)]))?;
    if out.json { out.done() } else { Ok(0) }
}

fn choose(out: &Output) -> Result<Option<Language>, Fault> {
    let names = Language::ALL.map(|language| language.title().to_owned());
    let chosen = menu::ask(out.words.say("new-choose"), &names, 0)?;
    Ok(chosen.and_then(|place| Language::ALL.get(place).copied()))
}

/// Which package has what the language takes.
fn missing(out: &Output, tool: &Tool) -> String {
    let [debian, fedora, arch] = tool.packages;
    let with = [("program", tool.program), ("debian", debian), ("fedora", fedora), ("arch", arch)];
    match tool.program {
        // Most distributions' own is too old.
        "cargo" => out.words.say("new-no-cargo").to_owned(),
        _ => out.words.fill("new-no-tool", &with),
    }
}
