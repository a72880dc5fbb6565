//! Paths that somebody else's files have a say in: an image's. Each is looked up below `/` in one call, openat2(2) with
//! `RESOLVE_IN_ROOT` and `RESOLVE_NO_MAGICLINKS`: neither `..` nor a link leads out of it, nor one of /proc to what another
//! process holds open. What was found is used by its descriptor, so that nothing can take its place afterwards.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open as open_at, openat, openat2};
use nix::sys::stat::{Mode, mkdirat};
use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, PROC_SUPER_MAGIC, SYSFS_MAGIC, fstatfs};

use super::root::Spot;

/// How often a path is looked up whose directories are being renamed meanwhile (`EAGAIN`).
const TRIES: usize = 64;

/// How an openat2(2) of ours is shown.
pub const RESOLVE: &str = "RESOLVE_NO_MAGICLINKS|RESOLVE_IN_ROOT";

/// Opens what is at a path.
pub fn open(path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
    let root = open_at("/", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    let stay = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(stay);
    let mut tries = (0..TRIES).map(|_| openat2(&root, path, how));
    tries.find(|opened| !matches!(opened, Err(Errno::EAGAIN))).unwrap_or(Err(Errno::EAGAIN))
}

/// Makes a directory, and those above it, or an empty file, where there is nothing yet.
pub fn make(path: &Path, directory: bool) -> nix::Result<()> {
    match open(path, OFlag::O_PATH) {
        Err(Errno::ENOENT) => {}
        found => return found.map(drop),
    }
    let (Some(above), Some(name)) = (path.parent(), path.file_name()) else { return Err(Errno::ENOENT) };
    make(above, true)?;
    let above = open(above, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
    let made = match directory {
        true => mkdirat(&above, name, Mode::from_bits_truncate(0o755)),
        false => {
            let flags =
                OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            openat(&above, name, flags, Mode::from_bits_truncate(0o644)).map(drop)
        }
    };
    // A link that leads nowhere is something too.
    made.and_then(|()| open(path, OFlag::O_PATH).map(drop))
}

/// What may not be mounted on: `/` itself, under whatever name, and files by which the kernel tells of itself. A volume over
/// /proc could answer in its place (CVE-2019-19921, CVE-2023-27561).
pub fn is_the_kernels(target: &OwnedFd) -> nix::Result<bool> {
    let kind = fstatfs(target)?.filesystem_type();
    let own = [PROC_SUPER_MAGIC, SYSFS_MAGIC, CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC].contains(&kind);
    Ok(own || Spot::of(target)? == Spot::root()?)
}

/// The text of a file, up to so many bytes. Neither a FIFO nor a device is waited for.
pub fn read(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    let file = File::from(open(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)?);
    if !file.metadata()?.is_file() {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    let mut text = Vec::new();
    file.take(most).read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::symlink;

    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};

    use super::*;
    use crate::lacks::aside;

    /// What a lookup in a new root comes to, by the kernel's usual way and by ours (CVE-2024-21626).
    #[test]
    fn a_link_to_what_is_held_open_leads_out_of_a_root_and_not_by_us() {
        let dir = tempfile::tempdir().unwrap();
        let [outside, root] = ["outside", "root"].map(|name| dir.path().join(name));
        fs::create_dir_all(root.join("proc")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("secret"), "").unwrap();
        let held = File::open(&outside).unwrap();
        symlink(format!("/proc/self/fd/{}", held.as_raw_fd()), root.join("leak")).unwrap();
        symlink("../../../..", root.join("up")).unwrap();
        fs::write(root.join("mark"), "").unwrap();
        let looked = aside(|| -> Result<(bool, [String; 4]), String> {
            let none: Option<&str> = None;
            let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            let set_up = unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)
                .and_then(|()| mount(none, "/", none, private, none))
                .and_then(|()| {
                    let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
                    mount(Some("/proc"), &root.join("proc"), none, bind, none)
                })
                .and_then(|()| nix::unistd::chroot(&root))
                .and_then(|()| nix::unistd::chdir("/"));
            set_up.map_err(|errno| errno.to_string())?;
            let ours = |path: &str| match open(Path::new(path), OFlag::O_PATH) {
                Ok(found) if is_the_kernels(&found) == Ok(true) => "the kernel's".into(),
                Ok(_) => "found".into(),
                Err(errno) => format!("{errno:?}"),
            };
            let usual = fs::metadata("/leak/secret").is_ok();
            Ok((usual, ["/leak/secret", "/up/mark", "/up/proc", "/.."].map(ours)))
        });
        match looked.unwrap() {
            Ok((usual, ours)) => {
                assert!(usual, "the usual way leads out");
                assert_eq!(ours, ["ELOOP", "found", "the kernel's", "the kernel's"]);
            }
            Err(problem) => testing::skip(&problem, "Run it where user namespaces are made"),
        }
    }
}
