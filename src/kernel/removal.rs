//! How each thing that outlives the lab is taken back. All of it may be gone already, and may be somebody else's to
//! take back at the same time.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, statfs};
use nix::unistd::{Pid, geteuid};

use super::cgroup;
use super::child::{pidfd_open, pidfd_send_signal};
use super::process::Owner;
use super::undo::{BOXES, GROUP_PREFIX};

/// Hands controllers on no longer, unless another group of ours still has limits by them: then that one's page
/// says the same, and its end is the time.
pub fn disable(control: &Path, controllers: &[String]) -> io::Result<()> {
    let Some(group) = control.parent().filter(|group| group.is_dir()) else { return Ok(()) };
    let _held = cgroup::hold(group);
    let limited = |name: &str| name.starts_with(GROUP_PREFIX) && !name.ends_with(cgroup::LEAF);
    if fs::read_dir(group)?.flatten().any(|entry| entry.file_name().to_str().is_some_and(limited)) {
        return Ok(());
    }
    let text = controllers.iter().map(|c| format!("-{c}")).collect::<Vec<_>>().join(" ");
    match fs::write(control, text) {
        // Somebody else has come to need the controllers since.
        Err(e) if e.raw_os_error() == Some(Errno::EBUSY as i32) => Ok(()),
        other => other,
    }
}

/// Whether a path is one that only the workshop makes, in a cgroup filesystem.
pub fn is_group_of_ours(path: &Path) -> bool {
    let named = path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with(GROUP_PREFIX));
    let plain = !path.components().any(|c| c == std::path::Component::ParentDir);
    let mounted = statfs(path).map(|found| found.filesystem_type());
    named && plain && matches!(mounted, Ok(CGROUP_SUPER_MAGIC | CGROUP2_SUPER_MAGIC))
}

/// Whether a path is one that only the workshop makes, in a cache of the caller's own: a directory that is named for a
/// process and the number of its container.
pub fn is_box_of_ours(path: &Path) -> bool {
    let named = path.file_name().and_then(|name| name.to_str());
    let numbers = named.is_some_and(|name| name.split('-').all(|n| n.parse::<u64>().is_ok()));
    let plain = !path.components().any(|c| c == std::path::Component::ParentDir);
    let ours = fs::symlink_metadata(path).is_ok_and(|m| m.is_dir() && m.uid() == geteuid().as_raw());
    numbers && plain && ours && path.parent().is_some_and(|dir| dir.ends_with(BOXES))
}

/// SIGKILL to a process that still is the one that is meant, and its end. Held by its descriptor, it can't become another
/// meanwhile. One that the kernel can't end yet, since it waits for a device, stays on the page.
pub fn end(process: &Owner) -> nix::Result<()> {
    let pidfd = match pidfd_open(Pid::from_raw(process.pid)) {
        Err(Errno::ESRCH) => return Ok(()),
        pidfd => pidfd?,
    };
    let until = Instant::now() + Duration::from_secs(5);
    while process.is_alive() {
        pidfd_send_signal(&pidfd, libc::SIGKILL)?;
        if Instant::now() > until {
            return Err(Errno::ETIMEDOUT);
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}

/// Whether it can't be told from here that a group is gone: nothing is at its path, but nothing of a cgroup
/// filesystem is above it either. It may be mounted elsewhere, or hidden behind another mount. (Where a whole slice
/// went, as systemd's scopes do, the filesystem is still there.)
pub fn is_out_of_sight(path: &Path) -> bool {
    let on_cgroups = |dir: &Path| {
        statfs(dir).is_ok_and(|at| [CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC].contains(&at.filesystem_type()))
    };
    let there = path.ancestors().find(|dir| fs::symlink_metadata(dir).is_ok());
    !path.exists() && !there.is_some_and(on_cgroups)
}

/// rmdir(2) of a group and of groups that a program made below it. A process that was killed leaves
/// its group only once it is gone altogether, so EBUSY is waited out, for 5 seconds at most.
pub fn remove_group(path: &Path) -> io::Result<()> {
    let until = Instant::now() + Duration::from_secs(5);
    let entries = match fs::read_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries.flatten() {
        if entry.file_type()?.is_dir() {
            remove_group(&entry.path())?;
        }
    }
    loop {
        match fs::remove_dir(path) {
            Err(e) if e.raw_os_error() == Some(Errno::EBUSY as i32) && Instant::now() < until => {
                end_members(path);
                std::thread::sleep(Duration::from_micros(200));
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => return other,
        }
    }
}

/// Kills what is left in a group of ours: it was put there by us, or is a child of what was. v2 has a file for
/// that, which no process that forks on and on escapes (cgroup-v2.rst, "cgroup.kill", Linux 5.14).
fn end_members(path: &Path) {
    if fs::write(path.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    let members = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    // 0 is a process that our PID namespace has no number for.
    for pid in members.lines().filter_map(|l| l.parse().ok()).filter(|pid| *pid > 0) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}
