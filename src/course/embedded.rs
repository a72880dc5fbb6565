//! The files below `lessons/` that are part of the program. They are packed (see build.rs), and unpacked when they are
//! asked for.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use flate2::read::DeflateDecoder;
use include_dir::{Dir, File, include_dir};

static PACKED: Dir<'_> = include_dir!("$OUT_DIR/lessons");

/// What has been unpacked stays: a text is asked for again and again, and the whole of them is half a megabyte.
static UNPACKED: Mutex<BTreeMap<&Path, &str>> = Mutex::new(BTreeMap::new());

/// The text of a file, by its path below `lessons/`: `03-pivot-root/en.md`.
pub(super) fn text(path: &str) -> Option<&'static str> {
    unpacked(find(path)?)
}

/// A lesson's text above its first section.
pub(super) fn beginning(lesson: &str) -> Option<&'static str> {
    find(&format!("{}.beginning", lesson.strip_suffix(".md")?))?.contents_utf8()
}

/// All files below a folder of `lessons/`, with their paths below that folder.
pub(super) fn below(folder: &str) -> Vec<(PathBuf, &'static str)> {
    let mut files = Vec::new();
    if let Some(dir) = PACKED.get_dir(folder) {
        collect(dir, Path::new(folder), &mut files);
    }
    files
}

fn collect(dir: &'static Dir, root: &Path, files: &mut Vec<(PathBuf, &'static str)>) {
    for file in dir.files() {
        let path = file.path().strip_prefix(root).unwrap_or(file.path());
        files.extend(unpacked(file).map(|text| (path.to_path_buf(), text)));
    }
    dir.dirs().for_each(|dir| collect(dir, root, files));
}

/// Names are compared as they are, folder by folder: [`Dir::get_file`] would take every path of all folders apart.
fn find(path: &str) -> Option<&'static File<'static>> {
    let mut dir = &PACKED;
    let ends = path.match_indices('/').filter_map(|(end, _)| path.get(..end));
    for folder in ends {
        dir = dir.dirs().find(|dir| dir.path().as_os_str() == folder)?;
    }
    dir.files().find(|file| file.path().as_os_str() == path)
}

fn unpacked(file: &'static File) -> Option<&'static str> {
    let mut texts = UNPACKED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(text) = texts.get(file.path()) {
        return Some(text);
    }
    let mut text = String::new();
    DeflateDecoder::new(file.contents()).read_to_string(&mut text).ok()?;
    let text: &'static str = text.leak();
    texts.insert(file.path(), text);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::STEPS;

    #[test]
    fn each_file_is_as_it_stands_in_the_lessons() {
        let lessons = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lessons");
        let mut seen = 0;
        let folders = PACKED.dirs().filter_map(|dir| dir.path().to_str());
        for folder in folders.filter(|folder| *folder != "words") {
            for (path, text) in below(folder) {
                if path.extension().is_some_and(|extension| extension == "beginning") {
                    continue;
                }
                let file = lessons.join(folder).join(&path);
                assert!(
                    std::fs::read_to_string(&file).is_ok_and(|whole| whole == text),
                    "{}",
                    file.display()
                );
                let path = format!("{folder}/{}", path.display());
                assert_eq!(super::text(&path), Some(text), "{path}");
                seen += 1;
            }
        }
        assert!(seen > STEPS.len() * 4, "{seen} files");
        assert_eq!(text("03-pivot-root/fr.md"), None);
    }

    #[test]
    fn a_lesson_begins_with_its_beginning() {
        for step in STEPS {
            let path = format!("{}/ko.md", step.folder());
            let (beginning, whole) = (beginning(&path).unwrap(), text(&path).unwrap());
            assert!(whole.starts_with(beginning) && whole[beginning.len()..].starts_with("\n## "), "{path}");
        }
    }
}
