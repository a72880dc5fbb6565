//! Proof that a visitor stands on what was made for the container. Without it no check writes anything: what a
//! check is wrong about would happen to the system that the learner works on.
//!
//! The proof is looked up in the kernel's own tables, directly before the write, by the visitor that will write.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, fchmod, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use fault::{Doing, Fault};
use kernel::mounts::{self, Mount};
use kernel::root::Spot;

/// What a container's `/` was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// A directory of the lab's: its device and its inode.
    Directory((u32, u32), u64),
    /// An overlay that writes into this directory of the lab's.
    Overlay(PathBuf),
}

impl Root {
    /// Of a directory, as it is now.
    pub fn of_directory(dir: &Path) -> Result<Root, Fault> {
        let opened = File::open(dir).doing(format!("open {}", dir.display()))?;
        let spot = Spot::of(opened).doing(format!("look at {}", dir.display()))?;
        Ok(Root::Directory(spot.device, spot.inode))
    }
}

/// What is known outside, before the visit.
pub struct Known {
    /// Our own /proc, which goes on telling of visitors whatever they find in theirs.
    proc: OwnedFd,
    /// Our mount namespace, and the mounts in it.
    namespace: PathBuf,
    mounts: Vec<Mount>,
    root: Option<Root>,
}

impl Known {
    pub fn gather(root: Option<Root>) -> Result<Known, Fault> {
        let proc = File::open("/proc").doing("open /proc")?.into();
        let namespace = std::fs::read_link(OWN_NAMESPACE).doing(format!("read {OWN_NAMESPACE}"))?;
        Ok(Known { proc, namespace, mounts: mounts::mine().doing("read our mount table")?, root })
    }
}

const OWN_NAMESPACE: &str = "/proc/self/ns/mnt";

/// A kind of proof. None can be made but by proving it.
pub trait Proof: Sized {
    fn prove(known: &Known) -> Result<Self, String>;
}

/// The visitor is in a mount namespace that is not ours, and from which no mount travels: it may mount.
pub struct OwnMounts {
    /// Where its root is, and what is mounted in the namespace.
    root: Spot,
    table: Vec<Mount>,
}

/// Besides, the visitor's `/` is what the container's was made of: it may write to files in it.
pub struct OwnFiles {
    mounts: OwnMounts,
    /// Devices of the filesystems that are mounted in our namespace.
    others: Vec<String>,
    root: OwnedFd,
}

/// A filesystem that nobody has but the container.
pub struct OwnDirectory(OwnedFd);

impl Proof for OwnMounts {
    fn prove(known: &Known) -> Result<OwnMounts, String> {
        let namespace = nix::fcntl::readlinkat(&known.proc, "self/ns/mnt").map_err(|e| e.to_string())?;
        if Path::new(&namespace) == known.namespace {
            return Err("it has our own mount namespace".into());
        }
        let mut text = Vec::new();
        let table = openat(&known.proc, "self/mountinfo", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty());
        let read = table.map(File::from).map(|mut file| file.read_to_end(&mut text));
        read.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
        let table = mounts::parse(&String::from_utf8_lossy(&text));
        let root = Spot::root().map_err(|e| e.to_string())?;
        if known.mounts.iter().any(|mount| mount.id == root.mount) {
            return Err("its root is on a mount of ours".into());
        }
        if let Some(shared) = table.iter().find(|mount| mount.propagation.contains("shared:")) {
            return Err(format!("mounts travel from its {}", shared.target));
        }
        Ok(OwnMounts { root, table })
    }
}

impl Proof for OwnFiles {
    fn prove(known: &Known) -> Result<OwnFiles, String> {
        let mounts = OwnMounts::prove(known)?;
        let here = mounts.root;
        let line = mounts.table.iter().find(|mount| mount.id == here.mount && mount.target == "/");
        let line = line.ok_or("nothing is mounted on its root")?;
        let is_it = match &known.root {
            None => return Err("it has no root of its own".into()),
            Some(Root::Directory(device, inode)) => here.device == *device && here.inode == *inode,
            Some(Root::Overlay(upper)) => line.fstype == "overlay" && writes_into(line, upper),
        };
        if !is_it {
            let Mount { root, fstype, device, .. } = line;
            return Err(format!("its root is {root} of {fstype} {device}, and not what was made for it"));
        }
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = openat(AT_FDCWD, "/", flags, Mode::empty()).map_err(|e| e.to_string())?;
        if Spot::of(&root) != Ok(here) {
            return Err("its root has changed".into());
        }
        let others = known.mounts.iter().map(|mount| mount.device.clone()).collect();
        Ok(OwnFiles { mounts, others, root })
    }
}

/// Whether an overlay's line of mountinfo names this upper directory. Bytes that would end an option are written as octal
/// numbers there, and the mount call had backslashes before some.
fn writes_into(line: &Mount, upper: &Path) -> bool {
    let plain = |text: String| text.replace('\\', "");
    let named = line.data.split(',').find_map(|option| option.strip_prefix("upperdir="));
    let named = named.map(|named| mounts::unescape(named).to_string_lossy().into_owned());
    named.is_some_and(|named| plain(named) == plain(upper.to_string_lossy().into_owned()))
}

impl OwnMounts {
    /// Mounts an empty filesystem.
    pub fn mount_tmpfs(&self, source: &str, target: &Path) -> nix::Result<()> {
        mount(Some(source), target, Some("tmpfs"), MsFlags::empty(), None::<&str>)
    }
}

impl OwnFiles {
    /// A filesystem that the container has mounted there, if none of ours is the same.
    pub fn directory(&self, path: &str) -> Result<OwnDirectory, String> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = openat(AT_FDCWD, path, flags, Mode::empty()).map_err(|e| e.to_string())?;
        let here = Spot::of(&dir).map_err(|e| e.to_string())?;
        let line = self.mounts.table.iter().find(|mount| mount.id == here.mount && mount.target == path);
        match line {
            Some(mount) if !self.others.contains(&mount.device) => Ok(OwnDirectory(dir)),
            _ => Err(format!("{path} is not the container's own")),
        }
    }

    /// Removes a file or a link.
    pub fn remove(&self, path: &Path) -> nix::Result<()> {
        let (dir, name) = self.find(path)?;
        unlinkat(dir, name, UnlinkatFlags::NoRemoveDir)
    }

    /// Adds to a file that is there.
    pub fn append(&self, path: &Path, text: &str) -> nix::Result<()> {
        self.write_to(path, OFlag::O_APPEND, text)
    }

    /// Makes a file, or overwrites it.
    pub fn write(&self, path: &Path, text: &str) -> nix::Result<()> {
        self.write_to(path, OFlag::O_CREAT | OFlag::O_TRUNC, text)
    }

    /// Changes a file's mode.
    pub fn set_mode(&self, path: &Path, mode: Mode) -> nix::Result<()> {
        fchmod(self.open(path, OFlag::O_RDONLY, Mode::empty())?, mode)
    }

    fn write_to(&self, path: &Path, flags: OFlag, text: &str) -> nix::Result<()> {
        let mode =
            if flags.contains(OFlag::O_CREAT) { Mode::from_bits_truncate(0o644) } else { Mode::empty() };
        let mut file = File::from(self.open(path, OFlag::O_WRONLY | flags, mode)?);
        file.write_all(text.as_bytes()).map_err(|e| Errno::from_raw(e.raw_os_error().unwrap_or(libc::EIO)))
    }

    /// The directory that a name is in, and the name.
    fn find<'p>(&self, path: &'p Path) -> nix::Result<(OwnedFd, &'p OsStr)> {
        let name = path.file_name().ok_or(Errno::EINVAL)?;
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok((self.open(dir, OFlag::O_PATH | OFlag::O_DIRECTORY, Mode::empty())?, name))
    }

    /// Opens what lies on the proven mount; no link and no other mount leads away from it (openat2(2)).
    fn open(&self, path: &Path, flags: OFlag, mode: Mode) -> nix::Result<OwnedFd> {
        let stay =
            ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_XDEV | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).mode(mode).resolve(stay);
        openat2(&self.root, path, how)
    }
}

impl OwnDirectory {
    /// Makes a directory in it, if it isn't there.
    pub fn make(&self, name: &str) -> nix::Result<()> {
        match mkdirat(&self.0, name, Mode::from_bits_truncate(0o755)) {
            Err(Errno::EEXIST) => Ok(()),
            made => made,
        }
    }

    /// Removes one, wherever our own root is by then.
    pub fn remove(&self, name: &str) -> nix::Result<()> {
        unlinkat(self.0.as_fd(), name, UnlinkatFlags::RemoveDir)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nix::sched::{CloneFlags, unshare};
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, chroot, fork};

    use super::*;
    use kernel::child::guarded;

    /// Runs a part in a child with mounts of its own, which go nowhere else, and says whether it came to its end.
    fn in_own_mounts(part: impl FnOnce()) -> bool {
        // SAFETY: the child makes system calls, and ends by _exit(2).
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => guarded(|| {
                let user = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS;
                unshare(CloneFlags::CLONE_NEWNS).or_else(|_| unshare(user)).unwrap();
                mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
                    .unwrap();
                part();
                0
            }),
            ForkResult::Parent { child } => matches!(waitpid(child, None), Ok(WaitStatus::Exited(_, 0))),
        }
    }

    fn tmpfs(dir: &Path) {
        mount(Some("own"), dir, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    }

    #[test]
    fn where_our_own_mounts_are_nothing_is_proved() {
        let here = Spot::root().unwrap();
        let known = Known::gather(Some(Root::Directory(here.device, here.inode))).unwrap();
        assert!(OwnMounts::prove(&known).is_err_and(|why| why.contains("our own mount namespace")));
        assert!(OwnFiles::prove(&known).is_err());
    }

    #[test]
    fn mounts_of_its_own_are_not_yet_files_of_its_own() {
        for root in [None, Some(Root::Directory((0, 0), 1)), Some(Root::Overlay("/upper".into()))] {
            let known = Known::gather(root).unwrap();
            assert!(in_own_mounts(|| {
                assert!(OwnMounts::prove(&known).is_ok());
                assert!(OwnFiles::prove(&known).is_err());
            }));
        }
    }

    #[test]
    fn mounts_that_travel_prove_nothing() {
        let known = Known::gather(None).unwrap();
        assert!(in_own_mounts(|| {
            let shared = MsFlags::MS_REC | MsFlags::MS_SHARED;
            mount(None::<&str>, "/", None::<&str>, shared, None::<&str>).unwrap();
            assert!(OwnMounts::prove(&known).is_err_and(|why| why.contains("mounts travel")));
        }));
    }

    #[test]
    fn what_is_written_stays_on_the_root_that_was_made() {
        let dir = tempfile::tempdir().unwrap();
        let mut known = Known::gather(None).unwrap();
        assert!(in_own_mounts(|| {
            tmpfs(dir.path());
            std::env::set_current_dir(dir.path()).unwrap();
            chroot(".").unwrap();
            let here = Spot::root().unwrap();
            known.root = Some(Root::Directory(here.device, here.inode));
            let own = OwnFiles::prove(&known).map_err(|why| panic!("{why}")).unwrap();
            own.write(Path::new("file"), "one\n").unwrap();
            own.append(Path::new("file"), "two\n").unwrap();
            assert_eq!(fs::read_to_string("/file").unwrap(), "one\ntwo\n");
            std::os::unix::fs::symlink("../../../../file", "/link").unwrap();
            own.append(Path::new("link"), "three\n").unwrap();
            assert!(fs::read_to_string("/file").unwrap().ends_with("three\n"), "up ends at the root");
            fs::create_dir("/sub").unwrap();
            tmpfs(Path::new("/sub"));
            assert_eq!(own.write(Path::new("sub/file"), ""), Err(Errno::EXDEV), "another mount");
            assert!(own.directory("/sub").is_err(), "it was mounted after the proof");
            let own = OwnFiles::prove(&known).map_err(|why| panic!("{why}")).unwrap();
            let sub = own.directory("/sub").unwrap();
            sub.make("jail").unwrap();
            sub.remove("jail").unwrap();
            own.remove(Path::new("file")).unwrap();
            assert!(!Path::new("/file").exists());
        }));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_overlay_is_known_by_where_it_writes() {
        let line =
            "40 30 0:50 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/a\\134:b\\040c/upper,workdir=/w";
        let mount = &mounts::parse(line)[0];
        assert!(writes_into(mount, Path::new("/a:b c/upper")));
        assert!(!writes_into(mount, Path::new("/a:b/upper")) && !writes_into(mount, Path::new("/l")));
    }
}
