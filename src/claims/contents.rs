//! What is in a root filesystem, and whether a container has it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Files of the judge's in each root filesystem: what tells it from all others, and two to be written to.
pub const NONCE: &str = "etc/workshop-nonce";
pub const DELETED: &str = "etc/workshop-delete-me";
pub const CHANGED: &str = "etc/workshop-change-me";
const MARKS: [&str; 3] = [NONCE, DELETED, CHANGED];
/// The file that a writer adds.
pub const ADDED: &str = "workshop-was-here";

/// Directories whose place is another filesystem's.
const PLACES: [&str; 5] = ["proc", "sys", "dev", "run", "tmp"];

/// File type bits of a mode (inode(7)).
const KIND: u32 = libc::S_IFMT;

/// A file or a directory of one.
#[derive(Debug)]
struct Entry {
    path: PathBuf,
    kind: u32,
    owners: (u32, u32),
}

/// The contents of a root filesystem.
#[derive(Debug, Default)]
pub struct Contents {
    /// Each file and directory, by its path in it, with its type and its owners.
    names: Vec<Entry>,
    /// Some of the files, with their inode numbers.
    marks: Vec<(PathBuf, u64)>,
}

impl Contents {
    /// Of a directory with the judge's files in it.
    pub fn of(dir: &Path) -> io::Result<Contents> {
        let mut names = Vec::new();
        walk(dir, Path::new(""), &mut names)?;
        Ok(Contents { names, marks: MARKS.map(|mark| (mark.into(), inode(&dir.join(mark)))).into() })
    }

    /// Of directories that lie upon each other, the lowest first, from which nothing has been deleted.
    pub fn of_layers(layers: &[PathBuf]) -> io::Result<Contents> {
        let mut names = Vec::new();
        layers.iter().try_for_each(|layer| walk(layer, Path::new(""), &mut names))?;
        let is_file = |entry: &&Entry| entry.kind == libc::S_IFREG;
        let files = names.iter().filter(is_file).take(MARKS.len());
        // The highest layer that has a file is the one that it is from.
        let highest =
            |name: &PathBuf| layers.iter().rev().map(|layer| inode(&layer.join(name))).find(|i| *i != 0);
        let marks = files.map(|file| (file.path.clone(), highest(&file.path).unwrap_or(0))).collect();
        Ok(Contents { names, marks })
    }

    /// Whether some of them are below `/`, as the same files. A file that lies in a lower layer keeps its inode number,
    /// at least the lower half (overlayfs.rst, "Inode properties").
    pub fn are_here(&self) -> bool {
        let low = |inode: u64| inode as u32;
        self.marks.iter().all(|(name, number)| low(inode(&Path::new("/").join(name))) == low(*number))
    }

    /// Those that are not below `/`, or are something else there.
    pub fn missing(&self) -> Vec<String> {
        let is_missing = |entry: &&Entry| {
            let found = fs::symlink_metadata(Path::new("/").join(&entry.path));
            found.map_or(true, |m| m.mode() & KIND != entry.kind)
        };
        self.names.iter().filter(is_missing).map(|entry| format!("/{}", entry.path.display())).collect()
    }

    /// Each file and directory with its user and its group, but for those that something else is mounted on. Of one that
    /// is in several layers, as it is in the highest.
    pub fn owners(&self) -> impl Iterator<Item = (&Path, (u32, u32))> {
        let is_place = |path: &Path| PLACES.map(Path::new).contains(&path);
        let all: BTreeMap<&Path, (u32, u32)> =
            self.names.iter().map(|entry| (entry.path.as_path(), entry.owners)).collect();
        all.into_iter().filter(move |(path, _)| !is_place(path))
    }
}

/// The inode number of a file, 0 for one that is not there.
fn inode(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |m| m.ino())
}

fn walk(top: &Path, name: &Path, names: &mut Vec<Entry>) -> io::Result<()> {
    for entry in fs::read_dir(top.join(name))? {
        let path = name.join(entry?.file_name());
        let found = fs::symlink_metadata(top.join(&path))?;
        let kind = found.mode() & KIND;
        if kind == libc::S_IFDIR && !PLACES.map(Path::new).contains(&path.as_path()) {
            walk(top, &path, names)?;
        }
        names.push(Entry { path, kind, owners: (found.uid(), found.gid()) });
    }
    Ok(())
}
