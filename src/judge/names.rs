//! The names in a root filesystem, and whether a container has them.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Directories whose place is another filesystem's.
const PLACES: [&str; 5] = ["proc", "sys", "dev", "run", "tmp"];

/// File type bits of a mode (inode(7)).
const KIND: u32 = libc::S_IFMT;

/// Each file and directory of a root filesystem, by its path in it and with its type.
#[derive(Debug, Default)]
pub struct Names(Vec<(PathBuf, u32)>);

impl Names {
    pub fn of(dir: &Path) -> io::Result<Names> {
        let mut names = Vec::new();
        walk(dir, Path::new(""), &mut names)?;
        Ok(Names(names))
    }

    /// Those that are not below `/`, or are something else there.
    pub fn missing(&self) -> Vec<String> {
        let is_missing = |(name, kind): &&(PathBuf, u32)| {
            fs::symlink_metadata(Path::new("/").join(name)).map_or(true, |m| m.mode() & KIND != *kind)
        };
        self.0.iter().filter(is_missing).map(|(name, _)| format!("/{}", name.display())).collect()
    }
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
