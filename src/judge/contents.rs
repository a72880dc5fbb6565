//! What is in a root filesystem, and whether a container has it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::part::MARKS;

/// Directories whose place is another filesystem's.
const PLACES: [&str; 5] = ["proc", "sys", "dev", "run", "tmp"];

/// File type bits of a mode (inode(7)).
const KIND: u32 = libc::S_IFMT;

/// The contents of a root filesystem.
#[derive(Debug, Default)]
pub struct Contents {
    /// Each file and directory, by its path in it and with its type.
    names: Vec<(PathBuf, u32)>,
    /// Inode numbers of the judge's own files.
    pub inodes: Vec<u64>,
}

impl Contents {
    pub fn of(dir: &Path) -> io::Result<Contents> {
        let mut names = Vec::new();
        walk(dir, Path::new(""), &mut names)?;
        Ok(Contents { names, inodes: inodes(dir) })
    }

    /// Those that are not below `/`, or are something else there.
    pub fn missing(&self) -> Vec<String> {
        let is_missing = |(name, kind): &&(PathBuf, u32)| {
            fs::symlink_metadata(Path::new("/").join(name)).map_or(true, |m| m.mode() & KIND != *kind)
        };
        self.names.iter().filter(is_missing).map(|(name, _)| format!("/{}", name.display())).collect()
    }
}

/// Inode numbers of the judge's files in a directory, 0 for one that is not there.
pub fn inodes(dir: &Path) -> Vec<u64> {
    MARKS.map(|mark| fs::metadata(dir.join(mark)).map_or(0, |m| m.ino())).into()
}

fn walk(top: &Path, name: &Path, names: &mut Vec<(PathBuf, u32)>) -> io::Result<()> {
    for entry in fs::read_dir(top.join(name))? {
        let name = name.join(entry?.file_name());
        let kind = fs::symlink_metadata(top.join(&name))?.mode() & KIND;
        if kind == libc::S_IFDIR && !PLACES.map(Path::new).contains(&name.as_path()) {
            walk(top, &name, names)?;
        }
        names.push((name, kind));
    }
    Ok(())
}
