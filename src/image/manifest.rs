//! What a built image was made from, so that the next run needs no more than stat(2) to know that
//! it still holds.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::{At, ImageError};

/// The loader's own index of libraries (ldconfig(8)). A library that is installed or removed
/// changes it, and may change which file a program is linked with.
const LOADER_CONFIGURATION: [&str; 2] = ["/etc/ld.so.conf", "/etc/ld.so.cache"];

/// The record of an image, kept as JSON next to the layers.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// The directories of the search path. While they are the same, so is what is found in them, and nothing has to be
    /// looked up. None where that does not follow.
    pub search: Vec<(PathBuf, Option<Stamp>)>,
    /// Each program found in the search path: name and file.
    pub found: Vec<(String, PathBuf)>,
    /// Every host file that the image depends on.
    pub sources: Vec<(PathBuf, Option<Stamp>)>,
    /// The layers, lowest first.
    pub layers: Vec<LayerRecord>,
    /// Bytes in the files of all layers.
    pub bytes: u64,
    /// Required programs that the host lacks.
    pub missing: Vec<String>,
}

/// A layer in the store.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LayerRecord {
    /// The digest of its tree.
    pub digest: String,
    /// Each thing in it, by path relative to its root.
    pub entries: Vec<(PathBuf, Stamp)>,
}

/// What tells that a file is still the same without reading it: size in bytes, modification time
/// in seconds and nanoseconds since 1970, inode number, mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp(u64, i64, i64, u64, u32);

/// A directory that was changed so short a time ago may be changed again without another time of its change: clocks of
/// file systems tick in milliseconds, some in seconds.
const FRESH: Duration = Duration::from_secs(2);

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        let (mtime, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
        Stamp(metadata.size(), mtime, nanoseconds, metadata.ino(), metadata.mode())
    }

    /// The stamp of the file that PATH leads to, if there is one.
    fn of_source(path: &Path) -> Option<Stamp> {
        fs::metadata(path).ok().as_ref().map(Stamp::of)
    }

    /// Whether another change would have changed it.
    fn is_settled(&self) -> bool {
        let changed = UNIX_EPOCH + Duration::from_secs(self.1.try_into().unwrap_or_default());
        SystemTime::now().duration_since(changed).is_ok_and(|ago| ago > FRESH)
    }

    /// The stamp of the thing at PATH itself, link or not.
    fn of_entry(path: &Path) -> io::Result<Stamp> {
        fs::symlink_metadata(path).as_ref().map(Stamp::of).map_err(|error| error.kind().into())
    }
}

/// Stamps the files copied, the names that led to them (a link may come to lead elsewhere), and
/// the loader's configuration.
pub(super) fn stamp_sources<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Vec<(PathBuf, Option<Stamp>)> {
    let loader = LOADER_CONFIGURATION.iter().map(Path::new);
    let paths: BTreeSet<&Path> = paths.into_iter().chain(loader).collect();
    paths.into_iter().map(|path| (path.to_path_buf(), Stamp::of_source(path))).collect()
}

/// Stamps the directories of a search path that are searched at all, those with a name that a manifest can have; none if
/// a change of one might not show.
pub(super) fn stamp_search(search: &[PathBuf]) -> Vec<(PathBuf, Option<Stamp>)> {
    let named = search.iter().filter(|dir| dir.to_str().is_some());
    let stamps: Vec<_> = named.map(|dir| (dir.clone(), Stamp::of_source(dir))).collect();
    let settled = stamps.iter().all(|(_, stamp)| stamp.is_none_or(|stamp| stamp.is_settled()));
    if settled { stamps } else { Vec::new() }
}

impl Manifest {
    /// Whether every directory of the search path has the same names in it as when the image was made.
    pub(super) fn search_unchanged(&self) -> bool {
        !self.search.is_empty() && self.search.iter().all(|(dir, stamp)| Stamp::of_source(dir) == *stamp)
    }

    /// Whether every host file is still the one that was copied.
    pub(super) fn sources_unchanged(&self) -> bool {
        self.sources.iter().all(|(path, stamp)| Stamp::of_source(path) == *stamp)
    }
}

impl LayerRecord {
    /// Records the layer in DIR, and the bytes in its files.
    pub(super) fn of(dir: &Path, digest: String) -> Result<(LayerRecord, u64), ImageError> {
        let mut record = LayerRecord { digest, entries: Vec::new() };
        let mut bytes = 0;
        record.add(dir, Path::new(""), &mut bytes)?;
        Ok((record, bytes))
    }

    /// Adds what is in the directory PREFIX of the layer in DIR.
    fn add(&mut self, dir: &Path, prefix: &Path, bytes: &mut u64) -> Result<(), ImageError> {
        let here = dir.join(prefix);
        for entry in fs::read_dir(&here).at(&here, "read")? {
            let entry = entry.at(&here, "read")?;
            let path = prefix.join(entry.file_name());
            let metadata = entry.metadata().at(&entry.path(), "look at")?;
            self.entries.push((path.clone(), Stamp::of(&metadata)));
            if metadata.is_dir() {
                self.add(dir, &path, bytes)?;
            } else if metadata.is_file() {
                *bytes += metadata.len();
            }
        }
        Ok(())
    }

    /// Whether the layer in DIR is as it was recorded: nothing changed, removed or added.
    pub(super) fn intact(&self, dir: &Path) -> bool {
        let same = |(path, stamp): &(PathBuf, Stamp)| {
            Stamp::of_entry(&dir.join(path)).is_ok_and(|now| now == *stamp)
        };
        // The directory's own time is that of its last use, so what is new in it must be counted.
        let at_the_top = self.entries.iter().filter(|(path, _)| path.parent() == Some(Path::new("")));
        let now_at_the_top = fs::read_dir(dir).map_or(0, Iterator::count);
        at_the_top.count() == now_at_the_top && self.entries.iter().all(same)
    }

    /// The name of its directory among the layers.
    pub(super) fn directory(&self) -> String {
        directory_name(&self.digest)
    }
}

/// The name of a layer's directory: its digest, without the colon, which overlay's `lowerdir=`
/// takes for a separator.
pub(super) fn directory_name(digest: &str) -> String {
    digest.replace(':', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_notices_changes_in_its_layer() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("bin")).unwrap();
        let file = dir.path().join("bin/sh");
        fs::write(&file, "1234").unwrap();
        let (record, bytes) = LayerRecord::of(dir.path(), "sha256:0".to_string()).unwrap();
        assert_eq!((record.entries.len(), bytes), (2, 4));
        assert!(record.intact(dir.path()));
        assert_eq!(record.directory(), "sha256-0");

        fs::write(dir.path().join("bin/added"), "").unwrap();
        assert!(!record.intact(dir.path()));
    }

    #[test]
    fn a_source_that_comes_or_goes_or_changes_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let (here, gone) = (dir.path().join("here"), dir.path().join("gone"));
        fs::write(&here, "1").unwrap();
        let manifest =
            || Manifest { sources: stamp_sources([here.as_path(), gone.as_path()]), ..Manifest::default() };
        let before = manifest();
        assert!(before.sources_unchanged());
        fs::write(&gone, "").unwrap();
        assert!(!before.sources_unchanged());
        let before = manifest();
        fs::write(&here, "12").unwrap();
        assert!(!before.sources_unchanged());
    }
}
