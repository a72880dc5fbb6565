//! Copies of the source as it was when each step began, so that a step can be started again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use course::exercise;
use fault::{Doing, Fault};
use kernel::tree;

use super::owner::acting;
use super::{Project, starter};

/// The copies' folder in the project.
pub const FOLDER: &str = ".workshop";

/// Folders that hold no source of the learner's.
const SKIPPED: [&str; 3] = ["target", "vendor", "__pycache__"];

/// Files and bytes of a copy. More than this is no program of a lesson, and is not copied.
const MOST: (usize, u64) = (200, 1 << 20);

/// Saves the project's source as the start of a step.
pub fn save(project: &Project, step: u32) -> Result<(), Fault> {
    let to = folder(project, step);
    acting(project.owner.as_ref(), || write(project, &to)).map_err(|e| project.not_written(&to, &e))
}

fn write(project: &Project, to: &Path) -> io::Result<()> {
    let files = sources(project)?;
    let size: u64 =
        files.iter().filter_map(|file| fs::metadata(project.dir.join(file)).ok()).map(|m| m.len()).sum();
    if files.len() > MOST.0 || size > MOST.1 {
        return Ok(());
    }
    let beside = to.with_extension(std::process::id().to_string());
    let copied = copy(&files, &project.dir, &beside)
        .and_then(|()| if to.exists() { tree::remove(to) } else { Ok(()) })
        .and_then(|()| fs::rename(&beside, to));
    if copied.is_err() {
        let _ = tree::remove(&beside);
    }
    copied
}

/// Whether there is a source to go back to.
pub fn exists(project: &Project, step: u32) -> bool {
    step == exercise::START || folder(project, step).is_dir()
}

/// Puts the source back to how it was when the step began. What it was until now is kept under numbered names, which
/// are returned.
pub fn restore(project: &Project, step: u32) -> Result<Vec<PathBuf>, Fault> {
    acting(project.owner.as_ref(), || restore_as_owner(project, step))
}

fn restore_as_owner(project: &Project, step: u32) -> Result<Vec<PathBuf>, Fault> {
    let saved = folder(project, step);
    let mut wanted: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    if saved.is_dir() {
        let files = walk(&saved, &|_| true).doing("read the saved source")?;
        for file in files {
            let text = fs::read(saved.join(&file)).doing("read the saved source")?;
            wanted.push((file, text));
        }
    } else if let Some(text) = starter::source(project.language).filter(|_| step == exercise::START) {
        wanted.push((project.language.source().into(), text.into()));
    } else {
        return Err(Fault::usage("reset-nothing-saved", &[("step", &step.to_string())]));
    }
    put_back(project, &wanted).map_err(|e| project.not_written(&project.dir, &e))
}

fn put_back(project: &Project, wanted: &[(PathBuf, Vec<u8>)]) -> io::Result<Vec<PathBuf>> {
    let mut kept = Vec::new();
    for file in sources(project)? {
        let same = wanted.iter().find(|(path, _)| *path == file);
        let path = project.dir.join(&file);
        if same.is_some_and(|(_, text)| fs::read(&path).is_ok_and(|now| now == *text)) {
            continue;
        }
        let backup = backup(&path);
        // What stays in place keeps its mode: a script stays executable.
        if same.is_some() {
            fs::copy(&path, &backup).map(drop)?
        } else {
            fs::rename(&path, &backup)?
        };
        kept.push(backup.strip_prefix(&project.dir).unwrap_or(&backup).to_path_buf());
    }
    for (file, text) in wanted {
        let path = project.dir.join(file);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        if !fs::read(&path).is_ok_and(|now| now == *text) {
            fs::write(&path, text)?;
        }
    }
    Ok(kept)
}

/// The first name `main.rs.~1~`, `main.rs.~2~`… that is free, as cp(1) numbers backups.
fn backup(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let numbered = (1..).map(|number| path.with_file_name(format!("{name}.~{number}~")));
    numbered.into_iter().find(|path| path.symlink_metadata().is_err()).unwrap_or_else(|| path.into())
}

fn folder(project: &Project, step: u32) -> PathBuf {
    project.dir.join(FOLDER).join(format!("step-{step}"))
}

/// The project's source files, by their paths in it.
pub(super) fn sources(project: &Project) -> io::Result<Vec<PathBuf>> {
    walk(&project.dir, &|file| project.language.is_source(file))
}

/// The files below a folder that are wanted, in order. Hidden ones are not, and links are not followed.
fn walk(root: &Path, wanted: &dyn Fn(&Path) -> bool) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let (kind, path, name) = (entry.file_type()?, entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if name.starts_with('.') || SKIPPED.contains(&name.as_ref()) {
                continue;
            }
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() && wanted(&path) {
                files.push(path.strip_prefix(root).unwrap_or(&path).to_path_buf());
            }
        }
    }
    files.sort();
    Ok(files)
}

fn copy(files: &[PathBuf], from: &Path, to: &Path) -> io::Result<()> {
    for file in files {
        let copy = to.join(file);
        copy.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::copy(from.join(file), copy)?;
    }
    fs::create_dir_all(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Language;
    use course::language::Lang;

    #[test]
    fn a_step_starts_again_from_its_beginning_and_nothing_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("box");
        starter::write(&dir, Language::Go, Lang::En).unwrap();
        let mut project = Project::read(&dir).unwrap();
        let write = |file: &str, text: &str| fs::write(dir.join(file), text).unwrap();
        let read = |file: &str| fs::read_to_string(dir.join(file)).unwrap();
        write("main.go", "step 0");
        project.note_done(0).unwrap();
        project.work_on(1).unwrap();
        write("main.go", "broken");
        write("more.go", "new");
        let kept = restore(&project, 1).unwrap();
        assert_eq!(kept, [PathBuf::from("main.go.~1~"), "more.go.~1~".into()]);
        assert_eq!(
            (read("main.go"), read("main.go.~1~"), read("more.go.~1~")),
            ("step 0".into(), "broken".into(), "new".into())
        );
        assert!(!dir.join("more.go").exists());
        assert!(restore(&project, 1).unwrap().is_empty());
        write("main.go", "broken again");
        assert_eq!(restore(&project, 1).unwrap(), [PathBuf::from("main.go.~2~")]);
        assert!(matches!(restore(&project, 2), Err(Fault::Usage { .. })));
        restore(&project, 0).unwrap();
        assert_eq!(Some(read("main.go").as_str()), starter::source(Language::Go));
    }
}
