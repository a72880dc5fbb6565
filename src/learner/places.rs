//! The places that compilers keep things in. They give up without a home, or where what they keep can't be written, as
//! for a user that has no home, in a container, or on a full or read-only disk. They then get a place in the project.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{AccessFlags, eaccess, geteuid};

use super::owner::acting;
use super::users::User;
use super::{Language, Project, snapshot};

/// Gives a build the home that its user has, and a cache where it has none that it may write to.
pub fn provide(project: &Project, command: &mut Command) {
    let home = variable(command, "HOME").map(PathBuf::from).or_else(|| {
        // By passwd(5), as Cargo finds it for itself and Go doesn't.
        let dir = User::of(geteuid()).map(|user| user.dir)?;
        Some(dir).filter(|dir| project.owner.is_none() && dir.is_dir())
    });
    if let Some(home) = &home {
        command.env("HOME", home);
    }
    let below_home = |path: &str| home.as_ref().map(|home| home.join(path));
    match project.language {
        Language::Go => {
            let cache = variable(command, "XDG_CACHE_HOME").map(|dir| PathBuf::from(dir).join("go-build"));
            let cache = variable(command, "GOCACHE").map(PathBuf::from).or(cache);
            provide_one(project, command, "GOCACHE", cache.or_else(|| below_home(".cache/go-build")));
            // Several may be listed; the first is written to.
            let path = variable(command, "GOPATH");
            let path = path.and_then(|path| std::env::split_paths(&path).next()).or_else(|| below_home("go"));
            provide_one(project, command, "GOPATH", path);
        }
        Language::Rust => {
            let own = variable(command, "CARGO_HOME").map(PathBuf::from).or_else(|| below_home(".cargo"));
            // One that is there has what was downloaded, and Cargo makes do with reading that.
            if !own.as_ref().is_some_and(|dir| dir.is_dir()) {
                provide_one(project, command, "CARGO_HOME", own);
            }
        }
        Language::Python | Language::C | Language::Sh => {}
    }
}

/// Puts a place of the project's own into a variable, if the usual one can't be written to.
fn provide_one(project: &Project, command: &mut Command, name: &str, usual: Option<PathBuf>) {
    let can = || usual.as_ref().is_some_and(|dir| dir.is_absolute() && can_write(dir));
    if !acting(project.owner.as_ref(), can) {
        let own = project.dir.join(snapshot::FOLDER).join(name.to_lowercase());
        command.env(name, own);
    }
}

/// Whether a folder can be written to, or made, by whom we act for.
fn can_write(dir: &Path) -> bool {
    let there = dir.ancestors().find(|dir| dir.symlink_metadata().is_ok());
    there.is_some_and(|there| {
        let made = eaccess(there, AccessFlags::W_OK | AccessFlags::X_OK).is_ok();
        made && fs::metadata(there).is_ok_and(|found| found.is_dir())
    })
}

/// A variable as the command will have it, unless it is empty.
fn variable(command: &Command, name: &str) -> Option<OsString> {
    let own = command.get_envs().find(|(key, _)| *key == OsStr::new(name));
    let value = own.map_or_else(|| std::env::var_os(name), |(_, value)| value.map(OsStr::to_owned));
    value.filter(|value| !value.as_bytes().is_empty())
}
