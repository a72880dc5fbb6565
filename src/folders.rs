//! The two folders that the workshop keeps on the real host: a cache (the image made from the
//! host's programs) and its state (the undo ledger, what the learner has done).

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use crate::fault::Fault;

/// Where they are, made if need be.
#[derive(Clone, Debug)]
pub struct Folders {
    pub cache: PathBuf,
    pub state: PathBuf,
}

impl Folders {
    /// The XDG base directories, or a private folder in /tmp for a user whose home can't be written.
    pub fn find() -> Result<Folders, Fault> {
        let xdg = etcetera::base_strategy::Xdg::new().ok();
        // Someone else's home (`sudo` keeps HOME on some systems) must not get folders that its owner can't use.
        let at_home = xdg.as_ref().is_some_and(|x| is_ours(fs::metadata(x.home_dir())));
        let named =
            |variable: &str| std::env::var_os(variable).is_some_and(|value| Path::new(&value).is_absolute());
        let fallback = std::env::temp_dir().join(format!("workshop-{}", nix::unistd::geteuid()));
        let cache = xdg
            .as_ref()
            .map(|x| x.cache_dir().join("workshop"))
            .filter(|_| at_home || named("XDG_CACHE_HOME"));
        let state = xdg
            .as_ref()
            .and_then(|x| x.state_dir())
            .map(|d| d.join("workshop"))
            .filter(|_| at_home || named("XDG_STATE_HOME"));
        Ok(Folders { cache: usable(cache, &fallback, "cache")?, state: usable(state, &fallback, "state")? })
    }

    /// The undo ledger's pages.
    pub fn ledger(&self) -> PathBuf {
        self.state.join("ledger")
    }
}

fn usable(wanted: Option<PathBuf>, fallback: &Path, name: &str) -> Result<PathBuf, Fault> {
    // The ledger and what we tell are UTF-8, and so must be the names in them.
    if let Some(dir) = wanted.filter(|dir| dir.to_str().is_some() && private_dir(dir)) {
        return Ok(dir);
    }
    let dir = fallback.join(name);
    // Anyone may write to /tmp: a folder there must be ours before anything in it is trusted.
    if private_dir(fallback) && private_dir(&dir) {
        return Ok(dir);
    }
    let path = fallback.display().to_string();
    Err(Fault::unable("no-folder", &[("path", &path)]))
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
