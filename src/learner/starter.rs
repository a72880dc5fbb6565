//! What `workshop new` writes: the start of a runtime, which runs a program and adds nothing.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use course::language::Lang;
use course::lesson;
use course::words::{REPOSITORY, Words};
use fault::Fault;
use kernel::tree;

use super::Language;
use super::owner::{Owner, acting};

/// The starters' folder below `lessons/`.
const STARTERS: &str = "00-run/starter";

/// Behind the names of files that would mean something in this repository too, as Cargo.toml does.
const STORED: &str = ".in";

/// A file of a starter: where it goes, and what is in it.
pub struct File {
    pub path: PathBuf,
    pub text: String,
}

/// All files of a starter, with the README in the learner's language.
pub fn files(language: Language, lang: Lang) -> Vec<File> {
    let stored = lesson::files(&format!("{STARTERS}/{}", language.name()));
    let mut files: Vec<File> =
        stored.into_iter().map(|(path, text)| File { path: unstored(path), text: text.into() }).collect();
    files.push(File { path: "README.md".into(), text: readme(language, lang) });
    files
}

/// The source file of a starter, as it was at the beginning.
pub fn source(language: Language) -> Option<&'static str> {
    lesson::file(&format!("{STARTERS}/{}/{}", language.name(), language.source()))
}

/// The name that a stored file has in a learner's folder.
fn unstored(path: PathBuf) -> PathBuf {
    match path.to_string_lossy().strip_suffix(STORED) {
        Some("gitignore") => ".gitignore".into(),
        Some(name) => name.into(),
        None => path,
    }
}

fn readme(language: Language, lang: Lang) -> String {
    let text = lesson::file(&format!("{STARTERS}/README.{}.md", lang.code())).unwrap_or_default();
    let (build, run) = language.by_hand();
    let commands = build.into_iter().chain([run]).map(|command| match command == run {
        true => format!("    {run} run ls\n"),
        false => format!("    {command}\n"),
    });
    text.replace("{build}", &commands.collect::<String>())
        .replace("{language}", language.title())
        .replace("{source}", language.source())
        .replace("{where}", &whereabouts(lang, REPOSITORY))
}

/// A line on where the workshop is to be had, if it is anywhere.
fn whereabouts(lang: Lang, repository: &str) -> String {
    if repository.is_empty() {
        return String::new();
    }
    format!("\n{}\n", Words::of(lang).fill("new-readme-where", &[("repository", repository)]))
}

/// Writes a starter into `dir`, which must not be there yet or be empty. It is written as a whole or not at all.
/// In somebody's home it is theirs, though root writes it.
pub fn write(dir: &Path, language: Language, lang: Lang) -> Result<(), Fault> {
    acting(Owner::of(dir).as_ref(), || write_as_owner(dir, language, lang))
}

fn write_as_owner(dir: &Path, language: Language, lang: Lang) -> Result<(), Fault> {
    let path = dir.display().to_string();
    let there = fs::read_dir(dir).map(|mut entries| entries.next().is_some());
    let empty = match there {
        Ok(true) => return Err(Fault::usage("new-not-empty", &[("path", &path)])),
        Ok(false) => true,
        Err(e) if e.kind() == io::ErrorKind::NotFound => false,
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => {
            return Err(Fault::usage("new-no-directory", &[("path", &path)]));
        }
        Err(e) => return Err(cannot(&path, &e)),
    };
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = if empty { dir.join(".new") } else { parent.join(format!(".new-{}", std::process::id())) };
    let written = fs::create_dir_all(parent)
        .and_then(|()| fill(&beside, &files(language, lang)))
        .and_then(|()| if empty { move_out(&beside, dir) } else { fs::rename(&beside, dir) });
    written.map_err(|e| {
        // What can't be removed either is hidden, and in nobody's way.
        let _ = tree::remove(&beside);
        cannot(&path, &e)
    })
}

/// Why a folder can't be written, in the words of the system.
fn cannot(path: &str, problem: &io::Error) -> Fault {
    Fault::usage("new-cannot-write", &[("path", path), ("problem", &problem.to_string())])
}

fn fill(dir: &Path, files: &[File]) -> io::Result<()> {
    fs::create_dir(dir)?;
    for file in files {
        let path = dir.join(&file.path);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(&path, &file.text)?;
        if file.text.starts_with("#!") {
            let mode = fs::metadata(&path)?.permissions().mode();
            // Whoever may read a script may run it.
            fs::set_permissions(&path, fs::Permissions::from_mode(mode | ((mode & 0o444) >> 2)))?;
        }
    }
    Ok(())
}

/// Moves what is in `from` one folder up. A folder that a shell stands in can't be replaced by another of its name:
/// the shell would stay in the old one.
fn move_out(from: &Path, to: &Path) -> io::Result<()> {
    let mut moved = Vec::new();
    let result = fs::read_dir(from)?.try_for_each(|entry| {
        let (from, to) = entry.map(|entry| (entry.path(), to.join(entry.file_name())))?;
        fs::rename(&from, &to)?;
        moved.push((to, from));
        Ok(())
    });
    if result.is_err() {
        moved.into_iter().for_each(|(to, from)| drop(fs::rename(to, from)));
    }
    result.and_then(|()| fs::remove_dir(from))
}
