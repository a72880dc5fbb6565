//! The first root filesystem of a kernel: a cpio archive that it unpacks into memory before it starts
//! /init (kernel: Documentation/driver-api/early-userspace/buffer-format.rst).
//!
//! An archive is a list of entries: a header of hexadecimal digits, the path, the content. A device
//! node is a header too, so an ordinary user can write an archive that has some.

use std::collections::BTreeSet;
use std::fs::{self, DirEntry, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use cpio::newc;

use fault::{Doing, Fault};

/// The time of every file, in seconds since 1970: the same input makes the same archive.
const MTIME: u32 = 0;

/// An initramfs while it is written, in cpio's `newc` format.
///
/// Paths are those in the guest; whether they begin with `/` makes no difference. Directories above
/// are made as they are needed, with mode 0755. All belongs to root.
pub struct Initramfs<W: Write> {
    writer: W,
    /// Inode numbers only have to differ, or the kernel would take two files for one.
    entries: u32,
    directories: BTreeSet<PathBuf>,
    /// How many bytes of files there is room for.
    room: u64,
}

impl<W: Write> Initramfs<W> {
    /// An empty archive that goes to WRITER.
    pub fn new(writer: W) -> Initramfs<W> {
        Initramfs { writer, entries: 0, directories: BTreeSet::new(), room: u64::MAX }
    }

    /// With room for so many bytes of files. It lies in memory, and a directory may hold a whole disk.
    pub fn within(self, room: u64) -> Initramfs<W> {
        Initramfs { room, ..self }
    }

    /// Adds a directory with the permission bits MODE. For one that is there already, sets the mode.
    pub fn directory(&mut self, path: impl AsRef<Path>, mode: u32) -> Result<(), Fault> {
        let path = in_guest(path.as_ref());
        self.parents(&path)?;
        if path.as_os_str().is_empty() {
            // The root itself is there, and goes by this name.
            return self.entry(Path::new("."), libc::S_IFDIR | mode, 0, 0, io::empty());
        }
        self.directories.insert(path.clone());
        self.entry(&path, libc::S_IFDIR | mode, 0, 0, io::empty())
    }

    /// Adds a file with the permission bits MODE and the content BYTES.
    pub fn file(&mut self, path: impl AsRef<Path>, mode: u32, bytes: &[u8]) -> Result<(), Fault> {
        self.below_parents(path.as_ref(), libc::S_IFREG | mode, 0, bytes.len() as u64, bytes)
    }

    /// Adds a file with the permission bits MODE and the content of the host's file SOURCE.
    pub fn file_from(&mut self, path: impl AsRef<Path>, mode: u32, source: &Path) -> Result<(), Fault> {
        let opened = File::open(source).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (size, file) = opened.doing(format!("read {}", source.display()))?;
        self.below_parents(path.as_ref(), libc::S_IFREG | mode, 0, size, file)
    }

    /// Adds a symbolic link that leads to TARGET.
    pub fn symlink(&mut self, path: impl AsRef<Path>, target: impl AsRef<Path>) -> Result<(), Fault> {
        let target = target.as_ref().as_os_str().as_bytes();
        self.below_parents(path.as_ref(), libc::S_IFLNK | 0o777, 0, target.len() as u64, target)
    }

    /// Adds a device node, FIFO or socket; MODE has type and permissions, as for mknod(2), and DEVICE
    /// is made by makedev(3), 0 for what is no device.
    pub fn node(&mut self, path: impl AsRef<Path>, mode: u32, device: u64) -> Result<(), Fault> {
        self.below_parents(path.as_ref(), mode, device, 0, io::empty())
    }

    /// Adds the host's directory tree SOURCE as the directory INTO, in the order of names. Everything
    /// keeps its type and permission bits, and belongs to root.
    ///
    /// # Errors
    /// `Broken` for a directory or file that can't be read.
    pub fn tree(&mut self, source: &Path, into: impl AsRef<Path>) -> Result<(), Fault> {
        let doing = || format!("read {}", source.display());
        let metadata = fs::metadata(source).doing(doing())?;
        self.directory(into.as_ref(), permissions(&metadata))?;
        let entries: io::Result<Vec<DirEntry>> = fs::read_dir(source).and_then(Iterator::collect);
        let mut entries = entries.doing(doing())?;
        entries.sort_by_key(DirEntry::file_name);
        for entry in entries {
            self.copy(&entry.path(), &into.as_ref().join(entry.file_name()))?;
        }
        Ok(())
    }

    /// Whether PATH is a directory in it.
    pub fn has_directory(&self, path: &Path) -> bool {
        let path = in_guest(path);
        path.as_os_str().is_empty() || self.directories.contains(&path)
    }

    /// Ends the archive and gives its writer back.
    pub fn finish(mut self) -> Result<W, Fault> {
        newc::trailer(&mut self.writer).and_then(Write::flush).doing("write the initramfs")?;
        Ok(self.writer)
    }

    /// Adds what the host has at SOURCE, with what is below it, at PATH.
    pub fn copy(&mut self, source: &Path, path: &Path) -> Result<(), Fault> {
        let metadata = fs::symlink_metadata(source).doing(format!("read {}", source.display()))?;
        let kind = metadata.file_type();
        if kind.is_dir() {
            self.tree(source, path)
        } else if kind.is_symlink() {
            let target = fs::read_link(source).doing(format!("read the link {}", source.display()))?;
            self.symlink(path, target)
        } else if kind.is_file() {
            self.file_from(path, permissions(&metadata), source)
        } else {
            self.node(path, metadata.mode(), metadata.rdev())
        }
    }

    /// Adds an entry, and the directories above it that are not there yet.
    fn below_parents(
        &mut self,
        path: &Path,
        mode: u32,
        device: u64,
        size: u64,
        content: impl Read,
    ) -> Result<(), Fault> {
        let path = in_guest(path);
        self.parents(&path)?;
        self.entry(&path, mode, device, size, content)
    }

    /// Adds the directories above PATH that are not there yet: the kernel makes none by itself.
    fn parents(&mut self, path: &Path) -> Result<(), Fault> {
        let above: Vec<&Path> = path.ancestors().skip(1).filter(|dir| !dir.as_os_str().is_empty()).collect();
        for dir in above.into_iter().rev() {
            if self.directories.insert(dir.to_path_buf()) {
                self.entry(dir, libc::S_IFDIR | 0o755, 0, 0, io::empty())?;
            }
        }
        Ok(())
    }

    /// Writes one entry: SIZE bytes of CONTENT.
    ///
    /// # Errors
    /// `Usage` if there is no room for it.
    fn entry(
        &mut self,
        path: &Path,
        mode: u32,
        device: u64,
        size: u64,
        content: impl Read,
    ) -> Result<(), Fault> {
        let Some(room) = self.room.checked_sub(size) else {
            return Err(Fault::usage("initramfs-too-large", &[("path", &path.display().to_string())]));
        };
        self.room = room;
        let doing = format!("put {} into the initramfs", path.display());
        let name = path.to_str().ok_or("its name is not UTF-8").doing(&doing)?;
        let length = u32::try_from(size).map_err(|_| "a file in it is smaller than 4 GiB").doing(&doing)?;
        self.entries += 1;
        let header = newc::Builder::new(name)
            .ino(self.entries)
            .mode(mode)
            .mtime(MTIME)
            .rdev_major(libc::major(device))
            .rdev_minor(libc::minor(device));
        let mut entry = header.write(&mut self.writer, length);
        let copied = io::copy(&mut content.take(size), &mut entry).doing(&doing)?;
        if copied != size {
            return Err(Fault::broken(doing, "it became shorter while it was read"));
        }
        entry.finish().doing(&doing)?;
        Ok(())
    }
}

/// A path as it stands in the archive: relative to the root.
fn in_guest(path: &Path) -> PathBuf {
    path.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

/// The permission bits of a file, setuid and sticky among them.
fn permissions(metadata: &Metadata) -> u32 {
    metadata.mode() & 0o7777
}
