//! A directory that a build works in, and that tells whose it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{At, ImageError};

/// What the name of each scratch directory starts with.
const PREFIX: &str = "tmp-";

/// A directory named `tmp-PID-START-N` after the process that works in it, removed when dropped.
///
/// A process id alone may have gone to somebody else by the time anyone asks; with the time its
/// process started (in clock ticks since boot, proc_pid_stat(5)) it says who it was.
pub(super) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes a scratch directory in STORE.
    pub(super) fn new(store: &Path) -> Result<Scratch, ImageError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let pid = std::process::id();
        let start = start_time(pid).unwrap_or(0);
        let path = store.join(format!("{PREFIX}{pid}-{start}-{count}"));
        fs::create_dir_all(store).at(store, "make")?;
        fs::create_dir(&path).at(&path, "make")?;
        Ok(Scratch { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Should it fail, the next build sweeps the directory away.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes the scratch directories in STORE whose process is gone.
///
/// Does what it can: what stays is in nobody's way.
pub(super) fn sweep(store: &Path) {
    // Without /proc nobody can be known to be gone.
    if start_time(std::process::id()).is_none() {
        return;
    }
    for entry in fs::read_dir(store).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(owner);
        if owner.is_some_and(|(pid, start)| start_time(pid) != Some(start)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The process id and start time in the name of a scratch directory.
fn owner(name: &str) -> Option<(u32, u64)> {
    let mut numbers = name.strip_prefix(PREFIX)?.split('-');
    let pid = numbers.next()?.parse().ok()?;
    let start = numbers.next()?.parse().ok()?;
    Some((pid, start))
}

/// When the process PID started, in clock ticks since boot; None if there is none.
fn start_time(pid: u32) -> Option<u64> {
    /// Where `starttime`, field 22 of the line, stands among the fields after the command name.
    const STARTTIME: usize = 22 - 3;
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The command name is in parentheses and may itself hold spaces and parentheses.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(STARTTIME)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_directories_of_the_dead_are_swept() {
        let store = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(store.path()).unwrap();
        let dead = store.path().join(format!("tmp-{}-1-0", std::process::id()));
        let other = store.path().join("tmp-notes");
        fs::create_dir_all(dead.join("half/made")).unwrap();
        fs::create_dir(&other).unwrap();

        sweep(store.path());
        assert!(scratch.path().exists() && other.exists() && !dead.exists());
        let path = scratch.path().to_path_buf();
        drop(scratch);
        assert!(!path.exists());
    }
}
