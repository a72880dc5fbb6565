//! What of the outside is mounted inside. A filesystem of the container's own is one that the outside has not mounted;
//! of those that it has, a container may show DIR, device nodes, what PROGRAM itself has just made, and what the kernel
//! has one of.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::surroundings::Surroundings;
use fault::Fault;
use kernel::mounts::{self, Mount};

/// Filesystems of which each mount shows the same: whose mount it is can't be seen. What may be done by them is asked
/// elsewhere.
const SINGLE: [&str; 3] = ["sysfs", "cgroup", "cgroup2"];

/// Places that every system has for anybody to write to (hier(7)); in a cell they are empty.
pub const OPEN: [&str; 4] = ["/tmp", "/run", "/var/tmp", "/dev/shm"];

/// The outside, as it was before anything ran there.
pub struct Foreign<'f> {
    pub outside: &'f [Mount],
    /// The root filesystem that PROGRAM was given, if it was.
    pub given: Option<&'f Path>,
}

/// How a mount inside may be looked at.
enum Kind {
    /// The container's own, or one that it may have.
    Fine,
    /// It shows a file of the outside, which may be a device node.
    File(PathBuf),
    Foreign,
}

impl Foreign<'_> {
    /// Where mounts stand inside that are none of the container's business.
    pub fn standing(&self, inside: &[Mount], around: &impl Surroundings) -> Result<Vec<String>, Fault> {
        let kinds: Vec<(&Mount, Kind)> = inside.iter().map(|m| (m, self.kind(m, inside))).collect();
        let is_device = |file: &PathBuf| fs::metadata(file).is_ok_and(|m| m.file_type().is_char_device());
        let devices: Vec<bool> = around.look(|| {
            kinds.iter().map(|(_, kind)| matches!(kind, Kind::File(file) if is_device(file))).collect()
        })?;
        let foreign = kinds.iter().zip(devices).filter(|((_, kind), device)| match kind {
            Kind::Fine => false,
            Kind::File(_) => !device,
            Kind::Foreign => true,
        });
        Ok(foreign.map(|((m, _), _)| m.target.clone()).collect())
    }

    fn kind(&self, mount: &Mount, inside: &[Mount]) -> Kind {
        let same: Vec<&Mount> = self.outside.iter().filter(|o| o.device == mount.device).collect();
        let is_own = same.is_empty() || SINGLE.contains(&mount.fstype.as_str());
        if is_own
            || self.is_given(mount, &same)
            || is_kernels(mount, inside, &same)
            || is_just_made(mount, &same)
        {
            return Kind::Fine;
        }
        let shown = same.iter().find_map(|outside| shown(mount, outside));
        shown.map_or(Kind::Foreign, Kind::File)
    }

    /// Whether it shows DIR, or what is in it.
    fn is_given(&self, mount: &Mount, same: &[&Mount]) -> bool {
        let Some(given) = self.given else { return false };
        same.iter().filter_map(|outside| shown(mount, outside)).any(|shown| shown.starts_with(given))
    }
}

/// Whether it is a filesystem of the kernel's, of which there is one for all or one for each namespace, in its usual
/// place. That /proc is that of the right namespace is asked elsewhere.
fn is_kernels(mount: &Mount, inside: &[Mount], outside: &[&Mount]) -> bool {
    let below = |mount: &Mount, dir: &str| Path::new(&mount.target).starts_with(dir);
    match mount.fstype.as_str() {
        "devtmpfs" => mount.target == "/dev" && mount.root == "/",
        "proc" => {
            let proc = mounts::at(inside, "/proc");
            below(mount, "/proc") && proc.is_some_and(|proc| proc.device == mount.device)
        }
        _ => below(mount, "/sys") && outside.iter().all(|outside| below(outside, "/sys")),
    }
}

/// Whether it is something in a place that was empty when PROGRAM was started, so that PROGRAM has made it.
fn is_just_made(mount: &Mount, outside: &[&Mount]) -> bool {
    let is_open = |outside: &&Mount| outside.fstype == "tmpfs" && OPEN.contains(&outside.target.as_str());
    mount.root != "/" && outside.iter().any(is_open)
}

/// What a mount shows, as a path of the outside's.
fn shown(mount: &Mount, outside: &Mount) -> Option<PathBuf> {
    let (root, top) = (mounts::unescape(&mount.root), mounts::unescape(&outside.root));
    let rest = root.strip_prefix(top).ok()?;
    Some(mounts::unescape(&outside.target).join(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTSIDE: &str = "\
1 0 8:1 / / rw - ext4 /dev/sda1 rw
2 1 0:5 / /dev rw - devtmpfs udev rw
3 1 0:22 / /proc rw - proc proc rw
4 1 0:23 / /sys rw - sysfs sysfs rw
5 4 0:7 / /sys/kernel/security rw - securityfs securityfs rw
6 1 0:30 / /run rw - tmpfs tmpfs rw
7 1 8:1 /var/lab/judged /tmp/dir rw - ext4 /dev/sda1 rw
";

    /// Whether a mount that is made inside is taken for the outside's: `root`, `target`, and the rest of its line.
    fn is_foreign(device: &str, root: &str, target: &str, fstype: &str) -> bool {
        let outside = mounts::parse(OUTSIDE);
        let line =
            format!("9 8 {device} {root} {target} rw - {fstype} x rw\n8 8 0:99 / /proc rw - proc proc rw");
        let inside = mounts::parse(&line);
        let foreign = Foreign { outside: &outside, given: Some(Path::new("/tmp/dir")) };
        !matches!(foreign.kind(&inside[0], &inside), Kind::Fine)
    }

    #[test]
    fn what_a_container_may_show_of_the_outside_is_dir_and_what_there_is_one_of() {
        for (device, root, target, fstype) in [
            ("8:1", "/var/lab/judged", "/", "ext4"),
            ("8:1", "/var/lab/judged/etc", "/etc", "ext4"),
            ("0:99", "/", "/proc", "proc"),
            ("0:23", "/", "/sys", "sysfs"),
            ("0:7", "/", "/sys/kernel/security", "securityfs"),
            ("0:5", "/", "/dev", "devtmpfs"),
            ("0:30", "/made/resolv.conf", "/etc/resolv.conf", "tmpfs"),
            ("0:88", "/", "/tmp", "tmpfs"),
        ] {
            assert!(!is_foreign(device, root, target, fstype), "{fstype} {root} on {target}");
        }
        for (device, root, target, fstype) in [
            ("8:1", "/", "/dev/old", "ext4"),
            ("8:1", "/etc", "/dev/.etc", "ext4"),
            ("8:1", "/var/lab/judged-too", "/mnt", "ext4"),
            ("0:22", "/", "/mnt", "proc"),
            ("0:22", "/", "/proc/old", "proc"),
            ("0:5", "/", "/mnt/dev", "devtmpfs"),
            ("0:30", "/", "/dev/.run", "tmpfs"),
            ("8:1", "/", "/sys/old", "ext4"),
        ] {
            assert!(is_foreign(device, root, target, fstype), "{fstype} {root} on {target}");
        }
    }
}
