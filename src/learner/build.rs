//! How a learner's program is built, and which program came of it: what the build has made is what is judged, not what
//! lies where it used to put it.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use course::command_line::shell_line;
use fault::Fault;
use kernel::signals::reset_in;

use super::{Project, cargo, places, snapshot};

/// The command that builds the program, in its folder, as the folder's owner; `None` where nothing is built.
pub fn command(project: &Project) -> Option<Command> {
    command_of(project, project.build()?)
}

/// Another command that belongs to the build; `None` if it has no words.
pub(super) fn command_of(project: &Project, words: &[String]) -> Option<Command> {
    let (program, arguments) = words.split_first()?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(&project.dir);
    if let Some(owner) = &project.owner {
        owner.run(&mut command);
    }
    places::provide(project, &mut command);
    reset_in(&mut command);
    Some(command)
}

/// Why a build did not start.
pub fn not_started(project: &Project, problem: &std::io::Error) -> Fault {
    let (command, problem) = (typed(project), problem.to_string());
    let with = [("command", command.as_str()), ("problem", &problem)];
    match &project.owner {
        Some(owner) => {
            Fault::unable("build-not-started-as", &[&with[..], &[("user", &owner.name())]].concat())
        }
        None => Fault::unable("build-not-started", &with),
    }
}

/// The line `build` of workshop.toml as it is typed.
pub fn typed(project: &Project) -> String {
    shell_line(&project.build().unwrap_or_default().iter().map(OsString::from).collect::<Vec<_>>())
}

/// What tells a file from another one in its place, and from what it was before it was written to: its inode, its size,
/// and when it was last changed, which no program can set (inode(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

/// The program as it was before a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before(Option<Stamp>);

impl Before {
    /// To be asked before the build is started.
    pub fn of(project: &Project) -> Before {
        Before(stamp(&named(project).1))
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    let found = fs::metadata(file).ok()?;
    Some(Stamp { inode: found.ino(), size: found.size(), changed: (found.ctime(), found.ctime_nsec()) })
}

/// As a word on a command line: `watch` builds, and its check judges.
impl fmt::Display for Before {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.0 {
            Some(Stamp { inode, size, changed: (seconds, nanoseconds) }) => {
                write!(f, "{inode}:{size}:{seconds}:{nanoseconds}")
            }
            None => write!(f, "none"),
        }
    }
}

impl FromStr for Before {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Before, &'static str> {
        if word == "none" {
            return Ok(Before(None));
        }
        let numbers: Vec<i64> = word.split(':').filter_map(|number| number.parse().ok()).collect();
        match numbers[..] {
            [inode, size, seconds, nanoseconds] => Ok(Before(Some(Stamp {
                inode: inode as u64,
                size: size as u64,
                changed: (seconds, nanoseconds),
            }))),
            _ => Err("no stamp of a file"),
        }
    }
}

/// What came of a build.
#[derive(Debug)]
pub struct Made {
    /// The program to judge, with its own first arguments.
    pub program: Vec<OsString>,
    /// Where it is, if that is not where the line `run` of workshop.toml says.
    pub elsewhere: Option<PathBuf>,
}

/// The program that a build which has succeeded made. It is an error if it can only be an older one.
pub fn made(project: &Project, before: Before) -> Result<Made, Fault> {
    let mut words = project.program();
    let (place, named) = named(project);
    if project.build().is_none() || is_script(&named) {
        return Ok(Made { program: words, elsewhere: None });
    }
    if let Some(built) = cargo::executable(project, &named)? {
        let elsewhere = Some(built.clone()).filter(|built| !same_file(built, &named));
        if let Some(word) = words.get_mut(place) {
            *word = built.into();
        }
        return Ok(Made { program: words, elsewhere });
    }
    if !named.starts_with(&project.dir) {
        return Ok(Made { program: words, elsewhere: None });
    }
    let (command, path) = (typed(project), named.display().to_string());
    let with = [("command", command.as_str()), ("program", &path)];
    let Some(now) = stamp(&named) else {
        return Err(Fault::usage("build-made-another", &with));
    };
    match newer_source(project, &named) {
        Some(source) if before.0 == Some(now) => {
            let source = source.display().to_string();
            Err(Fault::usage("build-changed-nothing", &[&with[..], &[("source", &source)]].concat()))
        }
        _ => Ok(Made { program: words, elsewhere: None }),
    }
}

/// The program in the line `run`, and which word of it that is: the first path into the folder, as in
/// `env VERBOSE=1 target/debug/box`, or else the first word.
fn named(project: &Project) -> (usize, PathBuf) {
    let words = project.program();
    let path = |word: &OsString| -> Option<PathBuf> {
        let is_path = word.as_encoded_bytes().contains(&b'/');
        let path: PathBuf = project.dir.join(word).components().collect();
        Some(path).filter(|path| is_path && path.starts_with(&project.dir))
    };
    let inside = words.iter().enumerate().find_map(|(place, word)| Some((place, path(word)?)));
    inside.unwrap_or_else(|| (0, words.into_iter().next().unwrap_or_default().into()))
}

/// Whether a program is written by hand, and not what a build makes.
fn is_script(program: &Path) -> bool {
    let mut beginning = [0; 2];
    let begun = File::open(program).and_then(|mut file| file.read_exact(&mut beginning));
    begun.is_ok() && beginning == *b"#!"
}

pub(super) fn same_file(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    one == other || identity(one).is_some_and(|one| Some(one) == identity(other))
}

/// A source file that was saved after the program was made.
fn newer_source(project: &Project, program: &Path) -> Option<PathBuf> {
    let made = fs::metadata(program).and_then(|found| found.modified()).ok()?;
    let saved = |file: &PathBuf| fs::metadata(project.dir.join(file)).and_then(|found| found.modified()).ok();
    let sources = snapshot::sources(project).ok()?;
    sources
        .into_iter()
        .filter(|file| !is_test(file))
        .find(|file| saved(file).is_some_and(|saved| saved > made))
}

/// Whether a source file is one of those that test the program, and are no part of it.
fn is_test(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let folders = ["tests", "benches", "examples"];
    name.ends_with("_test.go") || folders.iter().any(|folder| file.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Language, starter};
    use course::language::Lang;

    #[test]
    fn a_stamp_is_read_as_it_was_written() {
        for before in [Before(None), Before(stamp(Path::new("/proc/self/exe")))] {
            assert_eq!(before.to_string().parse(), Ok(before));
        }
        assert!("1:2".parse::<Before>().is_err());
    }

    /// What is found of a C project whose build is this shell script.
    fn outcome(script: &str, run: &str) -> Result<PathBuf, String> {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("box");
        starter::write(&dir, Language::C, Lang::En).unwrap();
        let file = dir.join("workshop.toml");
        let text = fs::read_to_string(&file).unwrap();
        let text = text.replace("[\"make\", \"--quiet\"]", &format!("[\"sh\", \"-c\", {script:?}]"));
        fs::write(&file, text.replace("./box\"", &format!("{run}\""))).unwrap();
        fs::write(dir.join("box"), "an old program").unwrap();
        let old = stamp(&dir.join("box")).unwrap();
        // A file system's clock may stand still for longer than a tick, where a machine is shared.
        while stamp(&dir.join("box.c")).unwrap().changed <= old.changed {
            fs::write(dir.join("box.c"), "int main(void) { return 0; }").unwrap();
        }
        let project = Project::read(&dir).unwrap();
        let before = Before::of(&project);
        assert!(command(&project).unwrap().status().unwrap().success());
        let made = made(&project, before).map(|made| PathBuf::from(&made.program[0]));
        made.map(|path| path.strip_prefix(&dir).unwrap_or(&path).into()).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_build_that_leaves_an_older_program_in_place_is_found_out() {
        let old = || Err("build-changed-nothing".into());
        for (script, run, wanted) in [
            ("cc -o box box.c", "./box", Ok("box".into())),
            // What is written anew is a new one, whatever time it bears, and if it is the same.
            ("cc -o new box.c; touch -d 2001-01-01 new; mv new box", "./box", Ok("box".into())),
            ("printf 'an old program' > box", "./box", Ok("box".into())),
            ("true", "./box", old()),
            ("cc -o other box.c", "./box", old()),
            ("mkdir -p out; cc -o out/box box.c", "./box", old()),
            ("cc -o other box.c", "./gone", Err("build-made-another".into())),
            // Newer than all sources, it needs no other.
            ("touch -d 2001-01-01 box.c", "./box", Ok("box".into())),
            // What lies elsewhere is somebody else's.
            ("true", "/usr/bin/env", Ok("/usr/bin/env".into())),
            ("true", "/usr/bin/env\", \"./box", old()),
            ("printf '#!/bin/sh\\n' > run.sh", "./run.sh", Ok("run.sh".into())),
        ] {
            assert_eq!(outcome(script, run), wanted, "{script}, {run}");
        }
    }
}
