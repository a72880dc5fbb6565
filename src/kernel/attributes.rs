//! Attributes of mounts that are there (mount_setattr(2), Linux 5.12).

use std::path::Path;

use nix::errno::Errno;

/// Makes a mount read-only, and with `below` all that are mounted below it.
pub fn make_read_only(dir: &Path, below: bool) -> nix::Result<()> {
    let flags = if below { libc::AT_RECURSIVE } else { 0 };
    let attr_set = libc::MOUNT_ATTR_RDONLY;
    set(dir, flags, libc::mount_attr { attr_set, attr_clr: 0, propagation: 0, userns_fd: 0 })
}

/// Makes one mount writable again.
pub fn make_writable(dir: &Path) -> nix::Result<()> {
    let attr_clr = libc::MOUNT_ATTR_RDONLY;
    set(dir, 0, libc::mount_attr { attr_set: 0, attr_clr, propagation: 0, userns_fd: 0 })
}

fn set(dir: &Path, flags: i32, attributes: libc::mount_attr) -> nix::Result<()> {
    let path = std::ffi::CString::new(dir.as_os_str().as_encoded_bytes()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the path and the structure are live, and the structure's own size is given.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    Errno::result(done).map(drop)
}
