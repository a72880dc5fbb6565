//! Which pages of a file are in the page cache of the kernel that answers.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

/// A file's pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cached {
    /// How many of them are in the cache.
    pub resident: usize,
    pub pages: usize,
}

/// Counts the pages of a file that are in the cache, by mincore(2), which reads none of them. Of a file that
/// the caller neither owns nor may write to, the kernel says that all are.
pub fn cached(path: &Path) -> io::Result<Cached> {
    let file = File::open(path)?;
    let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    // SAFETY: sysconf(3) has no preconditions.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
    let pages = length.div_ceil(page);
    if pages == 0 {
        return Ok(Cached { resident: 0, pages });
    }
    let mut states = vec![0u8; pages];
    // SAFETY: a new mapping of an open file at an address that the kernel chooses; nobody reads what is in it,
    // and `states` has a byte for each of its pages. It is given back before the function ends.
    let counted = unsafe {
        let address =
            libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), 0);
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let counted = Errno::result(libc::mincore(address, length, states.as_mut_ptr()));
        libc::munmap(address, length);
        counted
    };
    counted?;
    Ok(Cached { resident: states.iter().filter(|state| **state & 1 != 0).count(), pages })
}

/// Asks the kernel to drop a file's pages (posix_fadvise(2), `POSIX_FADV_DONTNEED`). It keeps those that are in
/// use, and those that are not on the disk yet.
pub fn forget(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    // SAFETY: an open descriptor; length 0 means up to the end.
    match unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) } {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_read_is_in_the_cache_and_one_that_is_forgotten_is_not() {
        // On a disk: what lies in a tmpfs is in the cache for good.
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, vec![7; 5 * 4096 + 1]).unwrap();
        File::open(&path).unwrap().sync_all().unwrap();
        assert_eq!(cached(&path).unwrap(), Cached { resident: 6, pages: 6 });
        forget(&path).unwrap();
        assert_eq!(cached(&path).unwrap(), Cached { resident: 0, pages: 6 });
        std::fs::read(&path).unwrap();
        assert_eq!(cached(&path).unwrap().resident, 6);
    }
}
