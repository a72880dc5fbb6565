//! Directory trees that are removed whole: never into another filesystem that somebody has mounted in one.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::errno::Errno;

use super::root::Spot;

/// Removes a directory and all that is in it; with EXDEV nothing, if something is mounted on it or in it.
pub fn remove(dir: &Path) -> io::Result<()> {
    keep_out_of_mounts(dir)?;
    fs::remove_dir_all(dir)
}

/// Removes what a container has left. It may have left directories closed even to their owner, as overlayfs does with its
/// `work/work`: in the lab we may pass, outside it they must be opened first. What is gone already is fine.
pub fn remove_closed(dir: &Path) -> io::Result<()> {
    match remove(dir) {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            open_up(dir)?;
            remove(dir)
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// chmod(2) of a directory and all directories below it to 0700, unless something is mounted there.
fn open_up(dir: &Path) -> io::Result<()> {
    not_a_mount(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(dir)?.flatten() {
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

/// Fails if something is mounted on a directory.
fn not_a_mount(dir: &Path) -> io::Result<()> {
    // One may look at a directory that is closed to its owner (`O_PATH`, open(2)).
    let dir = File::options().read(true).custom_flags(libc::O_PATH).open(dir)?;
    match Spot::of(dir)?.tops_mount {
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
