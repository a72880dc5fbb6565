//! `workshop.toml`, the small file at the top of a learner's folder: how their program is built and run, which step
//! they work on, which are done. It is theirs to edit; what we change in it leaves the rest as it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use serde::Deserialize;
use toml_edit::{Array, DocumentMut, Item, Value, value};

use course::command_line::shell_word;
use course::exercise;
use fault::{Doing, Fault};

use super::owner::{Owner, acting, name_of};
use super::{Language, snapshot};

/// The file's name.
pub const FILE: &str = "workshop.toml";

/// The format's number. A file with a later one is left alone.
const VERSION: i64 = 1;

/// The keys that steps are listed below.
const DONE: &str = "done";
const LEFT_OUT: &str = "left_out";

/// How many hints a step has.
pub const HINTS: usize = 3;

/// A learner's folder.
#[derive(Debug)]
pub struct Project {
    /// The folder that `workshop.toml` lies in; builds and programs run here.
    pub dir: PathBuf,
    pub language: Language,
    /// Whose folder it is, where we are root and they are not.
    pub owner: Option<Owner>,
    /// The name of whoever works in it: theirs, or ours as it is outside the lab.
    user: String,
    page: Page,
}

/// The file as it is read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    #[serde(rename = "version")]
    _version: i64,
    language: Name,
    #[serde(default)]
    build: Vec<String>,
    run: Run,
    step: Number,
    #[serde(default)]
    progress: Progress,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Progress {
    #[serde(default)]
    done: BTreeSet<Number>,
    /// The steps that were gone on from without having been judged, since this host can't.
    #[serde(default)]
    left_out: BTreeSet<Number>,
    #[serde(default)]
    hints: BTreeMap<String, usize>,
}

/// A step's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "u32")]
struct Number(u32);

impl TryFrom<u32> for Number {
    type Error = String;

    fn try_from(number: u32) -> Result<Number, String> {
        let known = exercise::all().any(|entry| entry.number == number);
        let (first, last) = (exercise::START, exercise::last());
        if known { Ok(Number(number)) } else { Err(format!("the steps are {first} to {last}")) }
    }
}

/// A language's name.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Name(Language);

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(name: String) -> Result<Name, String> {
        let names = Language::ALL.map(Language::name).join(", ");
        Language::named(&name).map(Name).ok_or(format!("the languages are {names}"))
    }
}

/// A program and its arguments.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Vec<String>")]
struct Run(Vec<String>);

impl TryFrom<Vec<String>> for Run {
    type Error = &'static str;

    fn try_from(words: Vec<String>) -> Result<Run, &'static str> {
        if words.is_empty() { Err("the program to run is missing") } else { Ok(Run(words)) }
    }
}

impl Project {
    /// The project that the current directory lies in, if it does.
    pub fn find() -> Result<Option<Project>, Fault> {
        let here = lab::folders::here()?;
        let dir = here.ancestors().find(|dir| dir.join(FILE).is_file());
        dir.map(Project::read).transpose()
    }

    /// The project that the current directory lies in. Without one, the command was used in the wrong place.
    pub fn here() -> Result<Project, Fault> {
        Project::find()?.ok_or_else(|| Fault::usage("no-project", &[]))
    }

    /// Reads the project in this folder. A file that is not understood is left as it is.
    pub fn read(dir: &Path) -> Result<Project, Fault> {
        let page = parse(&dir.join(FILE), &text(dir)?)?;
        let owner = Owner::of(dir);
        let user = owner.as_ref().map_or_else(|| name_of(geteuid()), Owner::name);
        Ok(Project { dir: dir.into(), language: page.language.0, owner, user, page })
    }

    /// The command that builds the program, to be run in the folder; `None` where nothing is built.
    pub fn build(&self) -> Option<&[String]> {
        Some(self.page.build.as_slice()).filter(|words| !words.is_empty())
    }

    /// The program and its first arguments, to be run in the folder. A path is made a whole one.
    pub fn program(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = self.page.run.0.iter().map(OsString::from).collect();
        if let Some(program) = words.first_mut().filter(|word| word.as_encoded_bytes().contains(&b'/')) {
            *program = self.dir.join(&program).components().collect::<PathBuf>().into();
        }
        words
    }

    /// The step that is worked on.
    pub fn step(&self) -> u32 {
        self.page.step.0
    }

    /// Whether all of a step's checks have held.
    pub fn is_done(&self, step: u32) -> bool {
        self.page.progress.done.contains(&Number(step))
    }

    /// Whether the learner went on from a step that can't be judged here.
    pub fn is_left_out(&self, step: u32) -> bool {
        self.page.progress.left_out.contains(&Number(step))
    }

    /// How many of the step's hints were shown.
    pub fn hints(&self, step: u32) -> usize {
        self.page.progress.hints.get(&step.to_string()).copied().unwrap_or(0).min(HINTS)
    }

    /// Notes that all checks of a step have held. Its source is where the next step begins.
    pub fn note_done(&mut self, step: u32) -> Result<(), Fault> {
        if let Some(next) = exercise::next(step).filter(|_| self.step() <= step) {
            snapshot::save(self, next)?;
        }
        if self.is_done(step) {
            return Ok(());
        }
        self.change(|page| {
            set_numbers(page, DONE, numbers(page, DONE).chain([step]).collect());
            set_numbers(
                page,
                LEFT_OUT,
                numbers(page, LEFT_OUT).filter(|left_out| *left_out != step).collect(),
            );
        })
    }

    /// Notes that a step can't be judged here, and is gone on from. Its source is where the next step begins, too.
    pub fn leave_out(&mut self, step: u32) -> Result<(), Fault> {
        if let Some(next) = exercise::next(step) {
            snapshot::save(self, next)?;
        }
        self.change(|page| {
            set_numbers(page, LEFT_OUT, numbers(page, LEFT_OUT).chain([step]).collect());
        })
    }

    /// Turns to a step.
    pub fn work_on(&mut self, step: u32) -> Result<(), Fault> {
        if self.step() == step {
            return Ok(());
        }
        self.change(|page| set(page.entry("step").or_insert(Item::None), i64::from(step).into()))
    }

    /// Notes that so many of the step's hints were shown.
    pub fn note_hints(&mut self, step: u32, count: usize) -> Result<(), Fault> {
        self.change(|page| {
            let Some(hints) = progress(page, "hints") else { return };
            hints.get_mut(step.to_string()).into_iter().for_each(|shown| *shown = value(count as i64));
            if let Some(hints) = hints.as_inline_table_mut() {
                hints.fmt();
            }
        })
    }

    /// Starts a step again: neither it nor any later one is done, and their hints were not shown.
    pub fn start_again(&mut self, step: u32) -> Result<(), Fault> {
        self.change(|page| {
            for key in [DONE, LEFT_OUT] {
                set_numbers(page, key, numbers(page, key).filter(|before| *before < step).collect());
            }
            if let Some(hints) = progress(page, "hints").and_then(Item::as_table_like_mut) {
                exercise::from(step).for_each(|entry| drop(hints.remove(&entry.number.to_string())));
            }
            set(page.entry("step").or_insert(Item::None), i64::from(step).into());
        })
    }

    /// Reads the file again, changes it and writes it as a whole: somebody else may have written it meanwhile.
    fn change(&mut self, change: impl FnOnce(&mut DocumentMut)) -> Result<(), Fault> {
        let owner = self.owner.clone();
        acting(owner.as_ref(), || self.rewrite(change))
    }

    fn rewrite(&mut self, change: impl FnOnce(&mut DocumentMut)) -> Result<(), Fault> {
        // Where it is a link, what it leads to is written.
        let file = self.dir.join(FILE).canonicalize().doing(format!("find {FILE}"))?;
        let before = text(&self.dir)?;
        parse(&file, &before)?;
        let mut page: DocumentMut = before.parse().doing(format!("read {FILE}"))?;
        change(&mut page);
        let after = page.to_string();
        self.page = parse(&file, &after)?;
        let beside = file.with_extension(format!("toml.{}", std::process::id()));
        let written = File::create_new(&beside)
            .and_then(|mut new| new.write_all(after.as_bytes()))
            .and_then(|()| fs::set_permissions(&beside, fs::metadata(&file)?.permissions()))
            .and_then(|()| fs::rename(&beside, &file));
        if written.is_err() {
            let _ = fs::remove_file(&beside);
        }
        written.map_err(|e| self.not_written(&file, &e))
    }

    /// Why something in the folder can't be written. What belongs to somebody else is given back.
    pub(super) fn not_written(&self, path: &Path, problem: &io::Error) -> Fault {
        let name = path.display().to_string();
        if problem.kind() != io::ErrorKind::PermissionDenied {
            return Fault::broken(format!("write {name}"), problem);
        }
        let dir = shell_word(self.dir.as_os_str());
        Fault::usage("project-not-yours", &[("path", &name), ("user", &self.user), ("dir", &dir)])
    }
}

fn text(dir: &Path) -> Result<String, Fault> {
    let file = dir.join(FILE);
    fs::read_to_string(&file).doing(format!("read {}", file.display()))
}

/// The steps that the file has below one of its keys.
fn numbers(page: &DocumentMut, key: &str) -> impl Iterator<Item = u32> + use<> {
    let steps = page.get("progress").and_then(|progress| progress.get(key)).and_then(Item::as_array);
    let numbers = steps.into_iter().flatten().filter_map(Value::as_integer);
    numbers.filter_map(|number| number.try_into().ok()).collect::<Vec<_>>().into_iter()
}

/// Sets them. A key that is not there is not made for nothing.
fn set_numbers(page: &mut DocumentMut, key: &str, steps: BTreeSet<u32>) {
    if steps.is_empty() && page.get("progress").and_then(|progress| progress.get(key)).is_none() {
        return;
    }
    let steps = steps.into_iter().map(i64::from).collect::<Array>();
    if let Some(item) = progress(page, key) {
        set(item, steps.into());
    }
}

/// What the file has below a key of its progress; it is made where it is missing. `None` if the progress is no table, and
/// [`parse`] says so before.
fn progress<'p>(page: &'p mut DocumentMut, key: &str) -> Option<&'p mut Item> {
    page.entry("progress").or_insert(Item::None).get_mut(key)
}

/// Sets a value and keeps the comment that stands behind it.
fn set(item: &mut Item, mut to: Value) {
    if let Some(before) = item.as_value() {
        *to.decor_mut() = before.decor().clone();
    }
    *item = Item::Value(to);
}

/// Understands the file, or says which line is in the way.
fn parse(file: &Path, text: &str) -> Result<Page, Fault> {
    #[derive(Deserialize)]
    struct Version {
        version: i64,
    }
    let path = file.display().to_string();
    let broken = |error: toml::de::Error| {
        let at = error.span().map_or(0, |span| span.start);
        let line = text[..at.min(text.len())].matches('\n').count() + 1;
        let said = error.message().to_string();
        Fault::usage("project-broken", &[("path", &path), ("line", &line.to_string()), ("quote", &said)])
    };
    let Version { version } = toml::from_str(text).map_err(broken)?;
    if version > VERSION {
        return Err(Fault::usage("project-newer", &[("path", &path), ("version", &version.to_string())]));
    }
    toml::from_str(text).map_err(broken)
}

#[cfg(test)]
mod tests;
