//! Kernels, modules and archives: real ones where the host has a kernel, and files made for the test.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, geteuid, setfsuid};

use super::initramfs::Initramfs;
use super::modules::{Module, modules};
use super::*;
use fault::Fault;
use testing::{command, skip};

mod boot;
mod initramfs;
mod kernel;
mod modules;

/// Where PROGRAM is; skips aloud if it is not installed.
fn program(program: &str, package: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file());
    if found.is_none() {
        skip(&format!("{program} is missing"), &format!("Install {package}"));
    }
    found
}

/// A kernel with its modules; skips aloud if the host has none. One that WORKSHOP_KERNEL names must be good.
fn real_kernel() -> Option<Kernel> {
    match Kernel::find(None) {
        Ok(kernel) if kernel.modules.is_some() => Some(kernel),
        other => {
            assert!(std::env::var_os("WORKSHOP_KERNEL").unwrap_or_default().is_empty(), "{other:?}");
            skip("there is no kernel with its modules here", "Set WORKSHOP_KERNEL to the bzImage of one");
            None
        }
    }
}

/// Runs ACT with the file permissions of an ordinary user: root may read everything.
fn as_ordinary_user<T>(act: impl FnOnce() -> T) -> T {
    if !geteuid().is_root() {
        return act();
    }
    // setfsuid(2) holds for this thread alone, and takes CAP_DAC_OVERRIDE out of effect.
    setfsuid(Uid::from_raw(65534));
    let result = act();
    setfsuid(Uid::from_raw(0));
    result
}

/// The key and the exit status of a fault, and what it says in English; there must be Korean words for it too.
fn told(fault: &Fault) -> (String, i32, String) {
    const WORDS: [&str; 2] =
        [include_str!("../../../lessons/words/ko.toml"), include_str!("../../../lessons/words/en.toml")];
    let (Fault::Unable { key, with, .. } | Fault::Usage { key, with }) = fault else { panic!("{fault:?}") };
    let mut words = String::new();
    for text in WORDS {
        let table: toml::Table = text.parse().unwrap();
        let parts = ["message", "cause", "hint"].map(|part| table["fault"][key][part].as_str().unwrap());
        words = with
            .iter()
            .fold(parts.join("\n"), |text, (name, value)| text.replace(&format!("{{{name}}}"), value));
    }
    (key.clone(), fault.status(), words)
}

/// Writes a file, and the directories above it.
fn put(file: &Path, content: impl AsRef<[u8]>) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, content).unwrap();
}
