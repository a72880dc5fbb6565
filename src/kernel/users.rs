//! User namespaces: which ids of the outside stand for those inside (user_namespaces(7)), and to which of them another
//! namespace belongs (ioctl_nsfs(2)).

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, pipe2, setgroups, setresgid, setresuid};

use super::child::guarded;
use fault::{Doing, Fault};

/// `NS_GET_USERNS` of `linux/nsfs.h`: `_IO(0xb7, 0x1)`.
const NS_GET_USERNS: libc::Ioctl = 0xb701;

/// One line of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    pub inside: u32,
    pub outside: u32,
    pub count: u32,
}

/// The lines of `/proc/PID/uid_map` or `gid_map`, as its reader sees the outside.
pub fn map(pid: &str, file: &str) -> Vec<Line> {
    parse(&fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default())
}

fn parse(text: &str) -> Vec<Line> {
    let line = |line: &str| {
        let mut fields = line.split_whitespace().map(|field| field.parse().ok());
        Some(Line { inside: fields.next()??, outside: fields.next()??, count: fields.next()?? })
    };
    text.lines().filter_map(line).collect()
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{} {} {}", self.inside, self.outside, self.count)
    }
}

/// The user namespace that a namespace of a process belongs to, by its inode: a capability over the one counts in it or
/// above it. `None` where that lies outside of our own.
pub fn owner(pid: &str, kind: &str) -> Option<u64> {
    let namespace = File::open(format!("/proc/{pid}/ns/{kind}")).ok()?;
    // SAFETY: the request takes no argument.
    let owner = unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_USERNS) };
    // SAFETY: a descriptor that the kernel has just given us.
    let owner = Errno::result(owner).ok().map(|fd| unsafe { File::from_raw_fd(fd) })?;
    owner.metadata().ok().map(|found| found.ino())
}

/// A user namespace with these maps and nobody in it, for id-mapped mounts: as long as it is open, it is there.
pub fn with_maps(uids: &str, gids: &str) -> Result<OwnedFd, Fault> {
    const DOING: &str = "make a user namespace for its maps";
    let ((made, tell), (wait, hold)) = (pipe()?, pipe()?);
    // SAFETY: the workshop has one thread.
    match unsafe { fork() }.doing(DOING)? {
        ForkResult::Child => guarded(|| {
            drop(hold);
            let came_of_it = unshare(CloneFlags::CLONE_NEWUSER).err().map_or(0, |errno| errno as i32);
            let told = File::from(tell).write_all(&came_of_it.to_ne_bytes());
            let waited = File::from(wait).read(&mut [0; 1]);
            i32::from(told.is_err() || waited.is_err())
        }),
        ForkResult::Parent { child } => {
            drop(tell);
            let namespace = mapped(child, made, uids, gids);
            drop(hold);
            let _ = waitpid(child, None);
            namespace.doing(DOING)
        }
    }
}

fn mapped(child: Pid, made: OwnedFd, uids: &str, gids: &str) -> std::io::Result<OwnedFd> {
    let mut errno = [0; 4];
    File::from(made).read_exact(&mut errno)?;
    match i32::from_ne_bytes(errno) {
        0 => {}
        errno => return Err(std::io::Error::from_raw_os_error(errno)),
    }
    fs::write(format!("/proc/{child}/uid_map"), uids)?;
    fs::write(format!("/proc/{child}/gid_map"), gids)?;
    File::open(format!("/proc/{child}/ns/user")).map(OwnedFd::from)
}

fn pipe() -> Result<(OwnedFd, OwnedFd), Fault> {
    pipe2(OFlag::O_CLOEXEC).doing("make a pipe")
}

/// In a user namespace that was entered by setns(2): becomes its root, where it has one. Who has only entered it is still
/// who he was, and what he makes belongs to nobody there.
pub fn become_root() {
    // Refused where setgroups(2) was given up, and where id 0 stands for nobody.
    let _ = setgroups(&[]);
    let _ = setresgid(0.into(), 0.into(), 0.into());
    let _ = setresuid(0.into(), 0.into(), 0.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_read_as_the_kernel_writes_it() {
        let text = "         0       1000          1\n         1     524288      65536\n";
        let lines = parse(text);
        assert_eq!(lines.iter().map(Line::to_string).collect::<Vec<_>>(), ["0 1000 1", "1 524288 65536"]);
        assert_eq!(parse("0 0 4294967295").first().map(|line| line.count), Some(u32::MAX));
    }

    #[test]
    fn our_own_namespaces_belong_to_somebody_or_to_one_above_us() {
        let own = fs::metadata("/proc/self/ns/user").unwrap().ino();
        assert!(owner("self", "mnt").is_none_or(|inode| inode == own || inode != 0));
        assert_eq!(owner("self", "no-such-kind"), None);
    }
}
