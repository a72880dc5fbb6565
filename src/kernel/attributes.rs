//! Mounts by descriptor: open_tree(2), move_mount(2), fsopen(2), fsconfig(2) and fsmount(2), Linux 5.2, and their
//! attributes, mount_setattr(2), Linux 5.12.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
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

/// Another mount of what is at a path, and with `below` of all that is mounted below it, which is mounted nowhere yet: it
/// lasts as long as its descriptor.
pub fn open_tree(path: &Path, below: bool) -> nix::Result<OwnedFd> {
    let path = c_path(path)?;
    let recursive = if below { libc::AT_RECURSIVE as u32 } else { 0 };
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | recursive;
    // SAFETY: the path ends in NUL and outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) };
    let fd = Errno::result(fd)?;
    // SAFETY: a descriptor that the kernel has just given us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Mounts one that is mounted nowhere.
pub fn move_mount(tree: &impl AsFd, target: &Path) -> nix::Result<()> {
    let (target, fd) = (c_path(target)?, tree.as_fd().as_raw_fd());
    let flags = libc::MOVE_MOUNT_F_EMPTY_PATH;
    // SAFETY: both paths end in NUL and outlive the call.
    let done = unsafe {
        libc::syscall(libc::SYS_move_mount, fd, c"".as_ptr(), libc::AT_FDCWD, target.as_ptr(), flags)
    };
    Errno::result(done).map(drop)
}

/// The same on what is open there, by no path: nobody can put another directory in its place meanwhile.
pub fn attach(tree: &impl AsFd, target: &impl AsFd) -> nix::Result<()> {
    let (tree, target) = (tree.as_fd().as_raw_fd(), target.as_fd().as_raw_fd());
    let flags = libc::MOVE_MOUNT_F_EMPTY_PATH | libc::MOVE_MOUNT_T_EMPTY_PATH;
    // SAFETY: both paths are empty, end in NUL and outlive the call.
    let done =
        unsafe { libc::syscall(libc::SYS_move_mount, tree, c"".as_ptr(), target, c"".as_ptr(), flags) };
    Errno::result(done).map(drop)
}

/// Gives attributes (`MOUNT_ATTR_…`) to an open mount, and with `below` to all below it.
pub fn restrict(mount: &impl AsFd, attributes: u64, below: bool) -> nix::Result<()> {
    let recursive = if below { libc::AT_RECURSIVE } else { 0 };
    let attributes = libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: 0, userns_fd: 0 };
    set_at(mount.as_fd().as_raw_fd(), c"", libc::AT_EMPTY_PATH | recursive, attributes)
}

/// A new tmpfs with these options (tmpfs(5)) and attributes, mounted nowhere yet.
pub fn tmpfs(options: &[(String, String)], attributes: u64) -> nix::Result<OwnedFd> {
    // SAFETY: the name ends in NUL.
    let context = unsafe { libc::syscall(libc::SYS_fsopen, c"tmpfs".as_ptr(), libc::FSOPEN_CLOEXEC) };
    // SAFETY: a descriptor that the kernel has just given us.
    let context = unsafe { OwnedFd::from_raw_fd(Errno::result(context)? as i32) };
    let configure = |command: u32, key: Option<&CStr>, value: Option<&CStr>| {
        let pointer = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
        // SAFETY: key and value end in NUL and outlive the call, or are NULL where the command takes none.
        let done = unsafe {
            let fd = context.as_raw_fd();
            libc::syscall(libc::SYS_fsconfig, fd, command, pointer(key), pointer(value), 0)
        };
        Errno::result(done).map(drop)
    };
    for (key, value) in options {
        let [key, value] = [key, value].map(|text| CString::new(text.as_str()).unwrap_or_default());
        configure(libc::FSCONFIG_SET_STRING, Some(&key), Some(&value))?;
    }
    configure(libc::FSCONFIG_CMD_CREATE, None, None)?;
    let (fd, flags) = (context.as_raw_fd(), libc::FSMOUNT_CLOEXEC);
    // SAFETY: three numbers.
    let mount = unsafe { libc::syscall(libc::SYS_fsmount, fd, flags, attributes) };
    // SAFETY: a descriptor that the kernel has just given us.
    Ok(unsafe { OwnedFd::from_raw_fd(Errno::result(mount)? as i32) })
}

/// Has one that is mounted nowhere show its files' owners by the maps of a user namespace.
pub fn map_ids(tree: &impl AsFd, users: &impl AsFd) -> nix::Result<()> {
    let userns_fd = users.as_fd().as_raw_fd() as u64;
    let attributes =
        libc::mount_attr { attr_set: libc::MOUNT_ATTR_IDMAP, attr_clr: 0, propagation: 0, userns_fd };
    set_at(tree.as_fd().as_raw_fd(), c"", libc::AT_EMPTY_PATH, attributes)
}

fn set(dir: &Path, flags: i32, attributes: libc::mount_attr) -> nix::Result<()> {
    set_at(libc::AT_FDCWD, &c_path(dir)?, flags, attributes)
}

fn c_path(path: &Path) -> nix::Result<std::ffi::CString> {
    std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| Errno::EINVAL)
}

fn set_at(dir: i32, path: &std::ffi::CStr, flags: i32, attributes: libc::mount_attr) -> nix::Result<()> {
    // SAFETY: the path and the structure are live, and the structure's own size is given.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            dir,
            path.as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    Errno::result(done).map(drop)
}
