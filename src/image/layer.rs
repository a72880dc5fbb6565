//! A layer: a tree of files, planned first and written in one go.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use super::{At, ImageError};

/// One thing in a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    /// A directory with its permission bits.
    Directory(u32),
    /// A copy of a host file, mode 0755 or 0644.
    Copy { source: PathBuf, executable: bool },
    /// A text file of ours, mode 0644.
    Text(String),
    /// A symbolic link with its target.
    Link(PathBuf),
}

/// What a layer holds, by path relative to its root. The order of a `BTreeMap` puts each directory
/// before what is in it.
#[derive(Debug, Default)]
pub(super) struct Layer {
    nodes: BTreeMap<PathBuf, Node>,
    /// The path of the copy of each host file (device, inode): one file is copied once.
    copies: HashMap<(u64, u64), PathBuf>,
}

/// Program directories that are links to /bin in the image.
pub(super) const LINKS_TO_BIN: [&str; 3] = ["sbin", "usr/bin", "usr/sbin"];

impl Layer {
    /// Plans the directory PLACE with MODE, and the ones above it with 0755.
    pub(super) fn directory(&mut self, place: impl AsRef<Path>, mode: u32) {
        let place = in_image(place.as_ref());
        self.parents(&place);
        self.nodes.insert(place, Node::Directory(mode));
    }

    /// Plans a text file.
    pub(super) fn text(&mut self, place: impl AsRef<Path>, text: impl Into<String>) {
        let place = in_image(place.as_ref());
        self.parents(&place);
        self.nodes.insert(place, Node::Text(text.into()));
    }

    /// Plans a symbolic link at PLACE to TARGET, both relative to the root.
    pub(super) fn link(&mut self, place: impl AsRef<Path>, target: impl AsRef<Path>) {
        let place = place.as_ref();
        self.parents(place);
        let target = relative(place, target.as_ref());
        self.nodes.entry(place.to_path_buf()).or_insert(Node::Link(target));
    }

    /// Plans a copy of SOURCE (a file, no link) at PLACE. A file that is already in the layer gets
    /// a link to its first copy instead, and a place that is taken stays as it is.
    pub(super) fn copy(&mut self, source: &Path, place: impl AsRef<Path>) -> Result<(), ImageError> {
        let place = in_image(place.as_ref());
        if self.nodes.contains_key(&place) {
            return Ok(());
        }
        let metadata = fs::metadata(source).at(source, "look at")?;
        let identity = (metadata.dev(), metadata.ino());
        if let Some(first) = self.copies.get(&identity).cloned() {
            self.link(place, first);
            return Ok(());
        }
        self.parents(&place);
        let executable = metadata.mode() & 0o111 != 0;
        let source = source.to_path_buf();
        self.nodes.insert(place.clone(), Node::Copy { source, executable });
        self.copies.insert(identity, place);
        Ok(())
    }

    /// The host files that the layer has copies of.
    pub(super) fn sources(&self) -> impl Iterator<Item = &Path> {
        self.nodes.values().filter_map(|node| match node {
            Node::Copy { source, .. } => Some(source.as_path()),
            _ => None,
        })
    }

    /// Makes the layer in ROOT, an empty directory, which gets mode 0755 itself.
    pub(super) fn write(&self, root: &Path) -> Result<(), ImageError> {
        fs::set_permissions(root, Permissions::from_mode(0o755)).at(root, "set the mode of")?;
        for (place, node) in &self.nodes {
            let path = root.join(place);
            match node {
                Node::Directory(mode) => make_directory(&path, *mode).at(&path, "make")?,
                Node::Copy { source, executable } => copy_file(source, &path, *executable)?,
                Node::Text(text) => write_text(&path, text).at(&path, "write")?,
                Node::Link(target) => symlink(target, &path).at(&path, "make the link")?,
            }
        }
        Ok(())
    }

    /// Plans the directories above PLACE, where nothing is planned yet.
    fn parents(&mut self, place: &Path) {
        let above = place.ancestors().skip(1).filter(|dir| !dir.as_os_str().is_empty());
        for dir in above {
            self.nodes.entry(dir.to_path_buf()).or_insert(Node::Directory(0o755));
        }
    }
}

/// An absolute host path as a path in the image: relative to its root, with programs in `bin`.
pub(super) fn in_image(place: &Path) -> PathBuf {
    let names = place.components().filter(|part| matches!(part, Component::Normal(_)));
    let place: PathBuf = names.collect();
    let program = LINKS_TO_BIN.iter().find_map(|dir| place.strip_prefix(dir).ok());
    match program {
        Some(name) if !name.as_os_str().is_empty() => Path::new("bin").join(name),
        _ => place,
    }
}

/// What a link at PLACE has to say to lead to TARGET: a relative link also works while the image
/// isn't anybody's root yet.
fn relative(place: &Path, target: &Path) -> PathBuf {
    let from: Vec<Component> = place.parent().unwrap_or(Path::new("")).components().collect();
    let to: Vec<Component> = target.components().collect();
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = from.iter().skip(shared).map(|_| Component::ParentDir);
    up.chain(to.iter().skip(shared).copied()).collect()
}

/// Makes a directory with exactly MODE, whatever the umask.
fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Copies a file's content only: setuid bits, owner and times stay behind.
///
/// On Linux `io::copy` between files is copy_file_range(2), which shares blocks where the file
/// system can.
fn copy_file(source: &Path, path: &Path, executable: bool) -> Result<(), ImageError> {
    let mut from = File::open(source).at(source, "read")?;
    let mut to = new_file(path).at(path, "make")?;
    io::copy(&mut from, &mut to).at(path, "copy into")?;
    let mode = if executable { 0o755 } else { 0o644 };
    to.set_permissions(Permissions::from_mode(mode)).at(path, "set the mode of")
}

fn write_text(path: &Path, text: &str) -> io::Result<()> {
    let mut file = new_file(path)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    file.set_permissions(Permissions::from_mode(0o644))
}

fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_relative() {
        let say = |place: &str, target: &str| relative(Path::new(place), Path::new(target));
        assert_eq!(say("bin/ls", "bin/busybox"), Path::new("busybox"));
        assert_eq!(say("usr/bin", "bin"), Path::new("../bin"));
        assert_eq!(say("sbin", "bin"), Path::new("bin"));
        assert_eq!(say("lib/a/x.so", "lib/b/x.so"), Path::new("../b/x.so"));
    }

    #[test]
    fn programs_are_in_bin_whatever_directory_they_are_called_in() {
        assert_eq!(in_image(Path::new("/usr/sbin/ip")), Path::new("bin/ip"));
        assert_eq!(in_image(Path::new("/sbin/ip")), Path::new("bin/ip"));
        assert_eq!(in_image(Path::new("usr/bin")), Path::new("usr/bin"));
        assert_eq!(in_image(Path::new("/lib64/ld.so")), Path::new("lib64/ld.so"));
    }

    #[test]
    fn one_file_is_copied_once_and_loses_its_setuid_bit() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("source");
        fs::write(&source, "content").unwrap();
        fs::set_permissions(&source, Permissions::from_mode(0o4711)).unwrap();
        let mut layer = Layer::default();
        layer.copy(&source, "/bin/first").unwrap();
        layer.copy(&source, "/usr/lib/second").unwrap();
        layer.directory("tmp", 0o1777);

        let root = dir.path().join("root");
        fs::create_dir(&root).unwrap();
        layer.write(&root).unwrap();
        assert_eq!(layer.sources().count(), 1);
        let first = fs::metadata(root.join("bin/first")).unwrap();
        assert_eq!(first.mode() & 0o7777, 0o755);
        assert_eq!(fs::read_link(root.join("usr/lib/second")).unwrap(), Path::new("../../bin/first"));
        assert_eq!(fs::metadata(root.join("tmp")).unwrap().mode() & 0o7777, 0o1777);
    }
}
