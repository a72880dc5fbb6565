//! The two folders that the workshop keeps on the real host: a cache (the image made from the
//! host's programs) and its state (the undo ledger, what the learner has done).

use std::env;
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use std::rc::Rc;

use nix::fcntl::{Flock, FlockArg};

use fault::Fault;

/// Where they are, made if need be.
#[derive(Clone, Debug)]
pub struct Folders {
    pub cache: PathBuf,
    pub state: PathBuf,
    /// The undo ledger's pages: a part of the state.
    pub ledger: PathBuf,
    /// The private folder in /tmp, where one of them is there: held (flock(2)) as long as anybody uses it.
    stopgap: Option<(PathBuf, Rc<Flock<File>>)>,
}

impl Folders {
    /// The XDG base directories, or a private folder in /tmp for a user whose home can't be written.
    pub fn find() -> Result<Folders, Fault> {
        let cache = base("XDG_CACHE_HOME", ".cache").map(|dir| dir.join("workshop"));
        let state = base("XDG_STATE_HOME", ".local/state").map(|dir| dir.join("workshop"));
        // The ledger and what we tell are UTF-8, and so must be the names in them.
        let usable = |dir: &PathBuf| dir.to_str().is_some() && private_dir(dir);
        let (cache, state) = (cache.filter(usable), state.filter(usable));
        if let (Some(cache), Some(state)) = (&cache, &state) {
            return Ok(Folders::of(cache.clone(), state.clone(), None));
        }
        let fallback = stopgap();
        let refused = || Fault::unable("no-folder", &[("path", &fallback.display().to_string())]);
        let held = hold(&fallback).ok_or_else(refused)?;
        let below = |name| Some(fallback.join(name)).filter(|dir| private_dir(dir)).ok_or_else(refused);
        let cache = cache.map_or_else(|| below("cache"), Ok)?;
        let state = state.map_or_else(|| below("state"), Ok)?;
        Ok(Folders::of(cache, state, Some((fallback.clone(), Rc::new(held)))))
    }

    fn of(cache: PathBuf, state: PathBuf, stopgap: Option<(PathBuf, Rc<Flock<File>>)>) -> Folders {
        Folders { ledger: state.join("ledger"), cache, state, stopgap }
    }

    /// Whether one of them is in the private folder in /tmp.
    pub fn has_stopgap(&self) -> bool {
        self.stopgap.is_some()
    }

    /// Removes the private folder in /tmp, unless something is kept in it, or another workshop is at work there.
    pub fn leave_no_stopgap(&self) {
        // By the name that it had outside the lab, where we may be another user.
        let Some((dir, held)) = &self.stopgap else { return };
        if held.relock(FlockArg::LockExclusiveNonblock).is_err() {
            return;
        }
        for name in ["cache/lab", "cache", "state/ledger", "state/names", "state", ""] {
            // Only empty ones go.
            let _ = fs::remove_dir(dir.join(name));
        }
    }

    /// Two folders in a directory of a test's own.
    pub fn at(dir: &Path) -> Folders {
        let (cache, state) = (dir.join("cache"), dir.join("state"));
        assert!(private_dir(&cache) && private_dir(&state));
        Folders::of(cache, state, None)
    }

    /// The same, with another place for state.
    pub fn with_state(&self, state: PathBuf) -> Folders {
        Folders::of(self.cache.clone(), state, self.stopgap.clone())
    }

    /// Where the lab's own filesystem is mounted.
    pub fn lab(&self) -> PathBuf {
        self.cache.join("lab")
    }
}

/// Where temporary files go: `$TMPDIR`, or /tmp if that is empty or depends on where one is.
pub fn temp_dir() -> PathBuf {
    let named = std::env::temp_dir();
    if named.is_absolute() { named } else { "/tmp".into() }
}

/// The working directory, which may be gone, or out of reach.
pub fn here() -> Result<PathBuf, Fault> {
    let here = std::env::current_dir().ok().filter(|here| here.is_absolute());
    here.ok_or_else(|| Fault::usage("cwd-gone", &[]))
}

/// Fails where a path begins at the working directory, and there is none.
pub fn reachable(path: &Path) -> Result<(), Fault> {
    if path.is_relative() { here().map(drop) } else { Ok(()) }
}

/// A base directory of the XDG Base Directory Specification: what the variable says, else its usual place at home.
/// Home is what HOME says and nothing else: to look it up by UID (getpwuid(3)) loads the host's name services into us
/// (nsswitch.conf(5)), and a static program dies of those.
fn base(variable: &str, usual: &str) -> Option<PathBuf> {
    let named = |variable: &str| Some(PathBuf::from(env::var_os(variable)?)).filter(|dir| dir.is_absolute());
    // Someone else's home (`sudo` keeps HOME on some systems) must not get folders that its owner can't use.
    let at_home = || named("HOME").filter(|home| is_ours(fs::metadata(home))).map(|home| home.join(usual));
    named(variable).or_else(at_home)
}

/// In place of a home: a folder of our own in /tmp.
fn stopgap() -> PathBuf {
    temp_dir().join(format!("workshop-{}", nix::unistd::geteuid()))
}

/// Makes a private directory that others must not remove before we let go of it. Anyone may write to /tmp: it must
/// be ours before anything in it is trusted.
fn hold(dir: &Path) -> Option<Flock<File>> {
    // Whoever removed it while we waited has let us hold what is gone.
    for _ in 0..16 {
        // Whoever owns the place could put another in its place, but where it is sticky (unlink(2)).
        let safe = |m: &fs::Metadata| {
            m.mode() & libc::S_ISVTX != 0 || [0, nix::unistd::geteuid().as_raw()].contains(&m.uid())
        };
        if !dir.parent().and_then(|place| fs::metadata(place).ok()).is_none_or(|m| safe(&m))
            || !private_dir(dir)
        {
            return None;
        }
        let held = Flock::lock(File::open(dir).ok()?, FlockArg::LockShared).ok()?;
        let inode = held.metadata().ok()?.ino();
        if fs::symlink_metadata(dir).is_ok_and(|now| now.ino() == inode) {
            return Some(held);
        }
    }
    None
}

/// Makes a directory (mode 0700) or finds one that belongs to us and can be written.
fn private_dir(dir: &Path) -> bool {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir).is_ok();
    made && is_ours(fs::symlink_metadata(dir))
        && nix::unistd::access(dir, nix::unistd::AccessFlags::W_OK).is_ok()
}

/// Whether it is a directory, and belongs to us.
fn is_ours(found: std::io::Result<fs::Metadata>) -> bool {
    found.is_ok_and(|m| m.is_dir() && m.uid() == nix::unistd::geteuid().as_raw())
}
