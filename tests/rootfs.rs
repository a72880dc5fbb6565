//! Roots of the learner's own (`--rootfs`), as debootstrap, an image's export or a handful of files make them.

#![cfg(test)]

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use common::{NOBODY, Who, am_root, have, place, run, skip, who, workshop};

/// A root of busybox's that both users can reach, with files in etc: names, contents.
fn busybox_root(etc: &[(&str, &str)]) -> Option<tempfile::TempDir> {
    if !have("busybox", "busybox-static") {
        return None;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let busybox: PathBuf =
        std::env::split_paths(&path).map(|dir| dir.join("busybox")).find(|file| file.is_file())?;
    let dir = tempfile::Builder::new().prefix("rootfs-").tempdir_in(&place().dir).expect("a directory");
    for sub in ["bin", "etc", "tmp"] {
        fs::create_dir(dir.path().join(sub)).expect("make a directory");
    }
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("open it to others");
    fs::copy(busybox, dir.path().join("bin/busybox")).expect("copy busybox");
    symlink("busybox", dir.path().join("bin/sh")).expect("link sh");
    for (name, content) in etc {
        fs::write(dir.path().join("etc").join(name), content).expect("write a file");
    }
    Some(dir)
}

/// Makes a tree that user's; what root's tests make is root's.
fn give(tree: &Path, who: Who) {
    if who == Who::Root || !am_root() {
        return;
    }
    for entry in fs::read_dir(tree).expect("list").flatten() {
        match entry.file_type().expect("its type").is_dir() {
            true => give(&entry.path(), who),
            false => std::os::unix::fs::lchown(entry.path(), Some(NOBODY), Some(NOBODY)).expect("give it"),
        }
    }
    std::os::unix::fs::chown(tree, Some(NOBODY), Some(NOBODY)).expect("give it");
}

/// `step N` holds with it.
#[track_caller]
fn holds(who: Who, step: &str, root: &Path) {
    let ran = run(workshop(who).args(["step", step, "--rootfs"]).arg(root));
    assert_eq!(ran.status, 0, "step {step} as {}\n{}{}", who.name(), ran.stdout, ran.stderr);
}

#[test]
fn a_copy_up_is_shown_with_a_file_that_has_something_in_it() {
    // debootstrap leaves an empty lock, which comes first in etc, and no /etc/hosts.
    let Some(root) = busybox_root(&[(".pwd.lock", ""), ("passwd", "root:x:0:0::/:/bin/sh\n")]) else {
        return;
    };
    for who in who() {
        give(root.path(), who);
        holds(who, "5", root.path());
    }
}

#[test]
fn somebody_elses_root_can_be_looked_at_and_what_it_cannot_do_is_said() {
    if !am_root() {
        return skip("the tests run as an ordinary user", "Run them as root too");
    }
    let settings =
        [("passwd", "root:x:0:0::/:/bin/sh\n"), ("hosts", "::1 localhost\n"), ("shadow", "root:*:::::::\n")];
    let Some(root) = busybox_root(&settings) else { return };
    let shadow = root.path().join("etc/shadow");
    fs::set_permissions(shadow, fs::Permissions::from_mode(0o600)).expect("close it");
    for step in ["3", "5", "6"] {
        holds(Who::User, step, root.path());
    }
    // Without a setting that can be made ours, there is nothing to show a write with.
    fs::remove_file(root.path().join("etc/hosts")).expect("remove it");
    let ran = run(workshop(Who::User).args(["step", "5", "--rootfs"]).arg(root.path()));
    assert_eq!(ran.status, 3, "{}", ran.stderr);
    let message = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(message.contains("belongs to another user"), "{message}");
}
