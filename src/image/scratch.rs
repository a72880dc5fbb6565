//! A directory that a build works in, and that tells whose it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{At, ImageError};
use kernel::process::Owner;
use kernel::tree;

/// What the name of each scratch directory starts with.
const PREFIX: &str = "tmp-";

/// A directory named `tmp-PID-START-NAMESPACE-N` after the process that works in it, removed when dropped.
///
/// A process id alone may have gone to somebody else by the time anyone asks; with the time its process started, and
/// the PID namespace that it is a number of, it says who it was ([`Owner`]).
pub(super) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes a scratch directory in STORE.
    pub(super) fn new(store: &Path) -> Result<Scratch, ImageError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let me = Owner::me().at(Path::new("/proc/self/stat"), "read")?;
        let path = store.join(format!("{PREFIX}{}-{}-{}-{count}", me.pid, me.started, me.namespace));
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
        let _ = tree::remove(&self.path);
    }
}

/// Removes the scratch directories in STORE whose process is gone.
///
/// Does what it can: what stays is in nobody's way.
pub(super) fn sweep(store: &Path) {
    for entry in fs::read_dir(store).into_iter().flatten().flatten() {
        let owner = entry.file_name().to_str().and_then(owner);
        if owner.is_some_and(|owner| owner.is_gone()) {
            let _ = tree::remove(&entry.path());
        }
    }
}

/// Whose a scratch directory is, by its name.
fn owner(name: &str) -> Option<Owner> {
    let mut numbers = name.strip_prefix(PREFIX)?.split('-');
    let pid = numbers.next()?.parse().ok()?;
    let mut number = || numbers.next()?.parse().ok();
    let (started, namespace, _count) = (number()?, number()?, number()?);
    Some(Owner { pid, started, namespace })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_directories_of_the_dead_are_swept() {
        let store = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(store.path()).unwrap();
        let me = Owner::me().unwrap();
        let dead = store.path().join(format!("tmp-{}-1-{}-0", me.pid, me.namespace));
        fs::create_dir_all(dead.join("half/made")).unwrap();
        // Of a container that shares our home: whether its process lives can't be told from here.
        let elsewhere = store.path().join(format!("tmp-{}-1-1-0", me.pid));
        let other = store.path().join("tmp-notes");
        for dir in [&elsewhere, &other] {
            fs::create_dir(dir).unwrap();
        }

        sweep(store.path());
        assert!(scratch.path().exists() && elsewhere.exists() && other.exists() && !dead.exists());
        let path = scratch.path().to_path_buf();
        drop(scratch);
        assert!(!path.exists());
    }
}
