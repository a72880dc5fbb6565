//! Directory trees that are removed whole: never into another filesystem that somebody has mounted in one.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use nix::errno::Errno;

use super::root::Spot;

/// Removes a directory and all that is in it; with EXDEV nothing, if something is mounted on it or in it.
pub fn remove(dir: &Path) -> io::Result<()> {
    keep_out_of_mounts(dir)?;
    fs::remove_dir_all(dir)
}

/// Fails if something is mounted on a directory.
pub fn not_a_mount(dir: &Path) -> io::Result<()> {
    match Spot::of(File::open(dir)?)?.tops_mount {
        Some(true) => Err(Errno::EXDEV.into()),
        _ => Ok(()),
    }
}

fn keep_out_of_mounts(dir: &Path) -> io::Result<()> {
    not_a_mount(dir)?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            keep_out_of_mounts(&entry.path())?;
        }
    }
    Ok(())
}
