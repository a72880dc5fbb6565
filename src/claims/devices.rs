//! Whether devices do what they are there for.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};

use nix::errno::Errno;
use nix::sys::stat::makedev;

use kernel::mounts;

/// Devices that don't do what their manual page says (null(4), full(4), random(4), tty(4), pts(4)).
pub fn broken_devices() -> Vec<String> {
    let mut byte = [1; 1];
    let reads = |name: &str, byte: &mut [u8; 1]| {
        File::open(format!("/dev/{name}")).and_then(|mut f| f.read(byte)).ok()
    };
    // Into nothing but what is that device: where one is missing, a file may have its name.
    let write = |name: &str, minor: u64| {
        let open = File::options().write(true).custom_flags(libc::O_NONBLOCK).open(format!("/dev/{name}"));
        let mut file = open.map_err(|e| e.raw_os_error())?;
        let found = file.metadata().map_err(|e| e.raw_os_error())?;
        let is_it = found.file_type().is_char_device() && found.rdev() == makedev(1, minor);
        if is_it { file.write(b"x").map_err(|e| e.raw_os_error()) } else { Err(None) }
    };
    // The numbers of each are the same everywhere (devices.rst of the kernel's documentation).
    let device = |name: &str, major: u64, minor: u64| {
        fs::metadata(format!("/dev/{name}"))
            .is_ok_and(|m| m.file_type().is_char_device() && m.rdev() == makedev(major, minor))
    };
    // Whoever has no controlling terminal is told so by the device itself (ENXIO, tty(4)).
    let opens = |name: &str| match File::options()
        .read(true)
        .custom_flags(libc::O_NOCTTY)
        .open(format!("/dev/{name}"))
    {
        Ok(_) => true,
        Err(e) => e.raw_os_error() == Some(libc::ENXIO),
    };
    let mounted = |path: &str, fstype: &str| {
        mounts::mine().is_ok_and(|table| mounts::at(&table, path).is_some_and(|m| m.fstype == fstype))
    };
    let checks = [
        ("null", device("null", 1, 3) && reads("null", &mut byte) == Some(0) && write("null", 3) == Ok(1)),
        ("zero", device("zero", 1, 5) && reads("zero", &mut byte) == Some(1) && byte == [0]),
        ("full", device("full", 1, 7) && write("full", 7) == Err(Some(Errno::ENOSPC as i32))),
        ("random", device("random", 1, 8) && opens("random")),
        ("urandom", device("urandom", 1, 9) && reads("urandom", &mut byte) == Some(1)),
        ("tty", device("tty", 5, 0) && opens("tty")),
        ("ptmx", File::options().read(true).write(true).open("/dev/ptmx").is_ok()),
        ("pts", mounted("/dev/pts", "devpts")),
        ("shm", mounted("/dev/shm", "tmpfs")),
    ];
    checks.iter().filter(|(_, works)| !works).map(|(name, _)| name.to_string()).collect()
}
