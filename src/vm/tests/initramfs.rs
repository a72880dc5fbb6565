//! Archives, read back.

use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use cpio::newc;

use super::*;

/// One entry of an archive: path, mode, device (major, minor), content.
type Entry = (String, u32, (u32, u32), Vec<u8>);

/// The entries of ARCHIVE. All must belong to root, and have the same time and different inodes.
fn entries(archive: &[u8]) -> Vec<Entry> {
    let mut rest = archive;
    let mut found = Vec::new();
    let mut inodes = std::collections::BTreeSet::new();
    loop {
        let mut reader = newc::Reader::new(rest).unwrap();
        let entry = reader.entry().clone();
        if entry.is_trailer() {
            return found;
        }
        assert_eq!((entry.uid(), entry.gid(), entry.mtime(), entry.nlink()), (0, 0, 0, 1));
        assert!(inodes.insert(entry.ino()), "{}", entry.name());
        let mut content = Vec::new();
        reader.read_to_end(&mut content).unwrap();
        let device = (entry.rdev_major(), entry.rdev_minor());
        found.push((entry.name().to_owned(), entry.mode(), device, content));
        rest = reader.finish().unwrap();
    }
}

fn archive(fill: impl FnOnce(&mut Initramfs<Vec<u8>>) -> Result<(), Fault>) -> Vec<u8> {
    let mut archive = Initramfs::new(Vec::new());
    fill(&mut archive).unwrap();
    archive.finish().unwrap()
}

#[test]
fn everything_is_in_a_directory_that_comes_before_it() {
    let bytes = archive(|archive| {
        archive.file("/init", 0o755, b"#!/bin/sh\n")?;
        archive.directory("/tmp", 0o1777)?;
        archive.symlink("usr/bin/sh", "../../bin/busybox")?;
        archive.node("/dev/console", libc::S_IFCHR | 0o600, libc::makedev(5, 1))?;
        archive.node("/dev/vda", libc::S_IFBLK | 0o660, libc::makedev(254, 300))?;
        archive.file("usr/bin/empty", 0o4711, b"")
    });
    let expected: [Entry; 9] = [
        ("init".into(), 0o100755, (0, 0), b"#!/bin/sh\n".into()),
        ("tmp".into(), 0o041777, (0, 0), Vec::new()),
        ("usr".into(), 0o040755, (0, 0), Vec::new()),
        ("usr/bin".into(), 0o040755, (0, 0), Vec::new()),
        ("usr/bin/sh".into(), 0o120777, (0, 0), b"../../bin/busybox".into()),
        ("dev".into(), 0o040755, (0, 0), Vec::new()),
        ("dev/console".into(), 0o020600, (5, 1), Vec::new()),
        ("dev/vda".into(), 0o060660, (254, 300), Vec::new()),
        ("usr/bin/empty".into(), 0o104711, (0, 0), Vec::new()),
    ];
    assert_eq!(entries(&bytes), expected);
}

#[test]
fn a_tree_is_copied_with_types_and_modes_and_always_alike() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let big: Vec<u8> = (0..3_000_001_u32).map(|number| (number % 251) as u8).collect();
    put(&root.join("b/big"), &big);
    put(&root.join("a"), "content");
    let mode = |path: &str, mode| {
        fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("", 0o750);
    mode("a", 0o6754);
    mode("b", 0o1777);
    mode("b/big", 0o444);
    symlink("/etc/passwd", root.join("b/link")).unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    nix::unistd::mkfifo(&root.join("fifo"), nix::sys::stat::Mode::from_bits_retain(0o600)).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    mode("socket", 0o755);

    let copy = || archive(|archive| archive.tree(&root, "/over/here"));
    let expected: [Entry; 9] = [
        ("over".into(), 0o040755, (0, 0), Vec::new()),
        ("over/here".into(), 0o040750, (0, 0), Vec::new()),
        ("over/here/a".into(), 0o106754, (0, 0), b"content".into()),
        ("over/here/b".into(), 0o041777, (0, 0), Vec::new()),
        ("over/here/b/big".into(), 0o100444, (0, 0), big),
        ("over/here/b/link".into(), 0o120777, (0, 0), b"/etc/passwd".into()),
        ("over/here/dangling".into(), 0o120777, (0, 0), b"nowhere".into()),
        ("over/here/fifo".into(), 0o010600, (0, 0), Vec::new()),
        ("over/here/socket".into(), 0o140755, (0, 0), Vec::new()),
    ];
    let first = copy();
    let found = entries(&first);
    assert!(found == expected, "{:?}", found.iter().map(|entry| &entry.0).collect::<Vec<_>>());
    assert!(first == copy(), "a second archive is another one");
}

#[test]
fn a_tree_can_be_the_root_itself() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("etc/passwd"), "");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let bytes = archive(|archive| archive.tree(dir.path(), "/"));
    let names: Vec<String> = entries(&bytes).into_iter().map(|entry| entry.0).collect();
    assert_eq!(names, [".", "etc", "etc/passwd"]);
}

#[test]
fn what_the_archive_cannot_hold_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let fails = |source: &Path, part: &str| {
        let fault = as_ordinary_user(|| Initramfs::new(Vec::new()).tree(source, "/").unwrap_err());
        assert_eq!(fault.status(), 4);
        assert!(fault.to_string().contains(part), "{fault}");
    };
    fails(&dir.path().join("nowhere"), "nowhere: No such file");

    let secret = dir.path().join("closed/secret");
    put(&secret, "");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    fails(&dir.path().join("closed"), "secret: Permission denied");

    let name = std::ffi::OsStr::from_bytes(b"caf\xe9");
    put(&dir.path().join("latin").join(name), "");
    fails(&dir.path().join("latin"), "not UTF-8");

    let huge = fs::File::create(dir.path().join("huge")).unwrap();
    huge.set_len(1 << 32).unwrap();
    let fault = Initramfs::new(Vec::new()).file_from("/huge", 0o644, &dir.path().join("huge")).unwrap_err();
    assert!(fault.to_string().contains("smaller than 4 GiB"), "{fault}");

    // A file of sysfs says that it has a page, and has less when it is read.
    let shorter = Path::new("/sys/kernel/uevent_seqnum");
    let fault = Initramfs::new(Vec::new()).file_from("/shorter", 0o644, shorter).unwrap_err();
    assert!(fault.to_string().contains("shorter"), "{fault}");
}

#[test]
fn a_disk_that_is_full_is_told() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let fault = Initramfs::new(full).file("/init", 0o755, b"init").unwrap_err();
    assert!(fault.to_string().contains("No space left"), "{fault}");
}
