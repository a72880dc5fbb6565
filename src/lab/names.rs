//! Names that containers go by. Whose container runs holds a file of that name (flock(2)), which the kernel lets go of
//! whatever becomes of us: a name can't stay taken.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use nix::fcntl::{Flock, FlockArg};

use crate::folders::Folders;
use fault::{Doing, Fault};

/// The longest name.
const LONGEST: usize = 128;

/// A name that is ours until this is dropped.
pub struct Name {
    path: PathBuf,
    _held: Flock<File>,
}

impl Drop for Name {
    fn drop(&mut self) {
        // It is still held, so that nobody else has it yet.
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes the files of names whose holders were killed.
pub fn sweep(folders: &Folders) {
    for entry in fs::read_dir(folders.state.join("names")).into_iter().flatten().flatten() {
        let file = entry.file_name().into_string().ok();
        drop(file.and_then(|name| take(folders, &name).ok()));
    }
}

/// Takes a name, as Docker knows them: letters, digits, `_`, `.` and `-`, of which the first is a letter or a digit.
pub fn take(folders: &Folders, name: &str) -> Result<Name, Fault> {
    let fault = |key| Fault::usage(key, &[("name", name)]);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let begins = name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
    if !begins || !name.bytes().all(is_plain) || !(2..=LONGEST).contains(&name.len()) {
        return Err(fault("bad-name"));
    }
    let dir = folders.state.join("names");
    DirBuilder::new().recursive(true).mode(0o700).create(&dir).doing(format!("make {}", dir.display()))?;
    let path = dir.join(name);
    let mut options = File::options();
    options.create(true).truncate(false).write(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    loop {
        let file = options.open(&path).doing(format!("open {}", path.display()))?;
        let held = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| fault("name-taken"))?;
        // Whoever had it may have removed what we have opened.
        let ours = held.metadata().map(|found| found.ino()).ok();
        if fs::symlink_metadata(&path).ok().map(|found| found.ino()) == ours {
            return Ok(Name { path, _held: held });
        }
    }
}
