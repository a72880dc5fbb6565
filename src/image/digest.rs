//! One number for a whole tree of files: equal before and after means that nothing was changed.

use std::fs::{self, DirEntry, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use sha2::{Digest, Sha256};

use super::{At, ImageError};

/// The SHA-256 of the tree under DIR, as `sha256:` and 64 hexadecimal digits.
///
/// What counts, in the order of sorted paths: path, file type, permission bits, and a file's
/// content, a link's target or a device's number. Times, owners and hard links do not count; but of what we may not
/// read, in somebody else's tree, the time of its last change stands for the content.
///
/// # Errors
/// `Io` for a directory or file that can't be read for another reason.
pub fn tree_digest(dir: &Path) -> Result<String, ImageError> {
    let mut hash = Hash(Sha256::new());
    add_children(&mut hash, dir, b"")?;
    Ok(hash.finish())
}

/// The SHA-256 of TEXTS, each with its length, so that no two lists give the same input.
pub(super) fn text_digest<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Hash(Sha256::new());
    for text in texts {
        hash.field(text.as_bytes());
    }
    hash.finish()
}

/// Adds each entry of DIR, whose path in the tree is PREFIX, and what is below it.
fn add_children(hash: &mut Hash, dir: &Path, prefix: &[u8]) -> Result<(), ImageError> {
    let entries: io::Result<Vec<DirEntry>> = fs::read_dir(dir).and_then(Iterator::collect);
    let mut entries = entries.at(dir, "read")?;
    entries.sort_by_key(DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let path = [prefix, b"/", name.as_bytes()].concat();
        add(hash, &entry.path(), &path)?;
    }
    Ok(())
}

/// Adds the file FILE under the name PATH.
fn add(hash: &mut Hash, file: &Path, path: &[u8]) -> Result<(), ImageError> {
    let metadata = fs::symlink_metadata(file).at(file, "look at")?;
    let kind = metadata.file_type();
    hash.field(path);
    hash.field(format!("{:o}", metadata.mode()).as_bytes());
    if (kind.is_dir() || kind.is_file()) && access(file, AccessFlags::R_OK) == Err(Errno::EACCES) {
        hash.field(format!("{}.{}", metadata.ctime(), metadata.ctime_nsec()).as_bytes());
    } else if kind.is_dir() {
        add_children(hash, file, path)?;
    } else if kind.is_symlink() {
        let target = fs::read_link(file).at(file, "read the link")?;
        hash.field(target.as_os_str().as_bytes());
    } else if kind.is_file() {
        hash.length(metadata.len());
        let mut content = File::open(file).at(file, "read")?;
        io::copy(&mut content, hash).at(file, "read")?;
    } else if kind.is_block_device() || kind.is_char_device() {
        hash.length(metadata.rdev());
    }
    Ok(())
}

/// A running SHA-256, whose input is cut into fields.
struct Hash(Sha256);

impl Hash {
    fn length(&mut self, length: u64) {
        self.0.update(length.to_le_bytes());
    }

    fn field(&mut self, bytes: &[u8]) {
        self.length(bytes.len() as u64);
        self.0.update(bytes);
    }

    fn finish(self) -> String {
        let digits = self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        format!("sha256:{digits}")
    }
}

impl Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn every_change_but_time_changes_the_digest() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        let mut seen = Vec::new();
        let mut note = || {
            let digest = tree_digest(dir.path()).unwrap();
            assert!(!seen.contains(&digest), "{seen:?} has {digest}");
            seen.push(digest);
        };
        fs::write(&file, "one").unwrap();
        note();
        fs::write(&file, "two").unwrap();
        note();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).unwrap();
        note();
        symlink("file", dir.path().join("link")).unwrap();
        note();
        fs::create_dir(dir.path().join("directory")).unwrap();
        note();
        fs::rename(&file, dir.path().join("directory/file")).unwrap();
        note();

        let before = tree_digest(dir.path()).unwrap();
        let file = File::options().append(true).open(dir.path().join("directory/file")).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(tree_digest(dir.path()).unwrap(), before);
        assert_eq!(before.len(), "sha256:".len() + 64);
    }

    #[test]
    fn a_tree_that_is_not_there_is_an_error_with_its_path() {
        let error = tree_digest(Path::new("/nowhere/at/all")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }
}
