//! Paths as a process sees them whose root is another directory.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path, PathBuf};

/// How many links the kernel follows before it gives up (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// Why a path leads nowhere. All paths are as seen inside the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unresolved {
    /// Nothing has this name.
    Absent { path: PathBuf },
    /// A link that leads to nothing.
    DanglingLink { link: PathBuf, target: PathBuf },
    /// Links that lead in a circle, or too many of them.
    LinkLoop { link: PathBuf },
    /// A file stands where a directory is needed.
    NotADirectory { path: PathBuf },
    /// A directory can't be searched, or a link not read.
    Unreadable { path: PathBuf, error: io::ErrorKind },
}

/// The host's path of what PATH leads to for a process whose root is ROOT.
///
/// An absolute link starts again at ROOT, and `..` stays in it, so the answer is never outside:
/// what openat2(2) calls RESOLVE_IN_ROOT, done by hand to tell where it ends.
///
/// # Errors
/// See `Unresolved`.
pub fn resolve_inside(root: &Path, path: &Path) -> Result<PathBuf, Unresolved> {
    let mut walk = Walk { root, here: PathBuf::new(), rest: Vec::new(), link: None, links: 0 };
    walk.put(path);
    while let Some(name) = walk.next_name() {
        walk.step(&name)?;
    }
    Ok(root.join(walk.here))
}

/// A walk along a path.
struct Walk<'a> {
    root: &'a Path,
    /// Where it is, relative to the root: no links, no `..`.
    here: PathBuf,
    /// The names still to go, last first.
    rest: Vec<OsString>,
    /// The link being followed, its target, and how many names come after it.
    link: Option<(PathBuf, PathBuf, usize)>,
    /// How many links were followed.
    links: usize,
}

impl Walk<'_> {
    /// Puts the names of PATH before the rest of the way.
    fn put(&mut self, path: &Path) {
        if path.has_root() {
            self.here.clear();
        }
        let names = path.components().rev().filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_os_string()),
            Component::ParentDir => Some(OsString::from("..")),
            _ => None,
        });
        self.rest.extend(names);
    }

    fn next_name(&mut self) -> Option<OsString> {
        let name = self.rest.pop()?;
        // Past the link's own names: what fails from here on isn't its fault.
        self.link.take_if(|(_, _, after)| self.rest.len() < *after);
        Some(name)
    }

    /// Goes to NAME, which is in the directory where the walk is.
    fn step(&mut self, name: &OsStr) -> Result<(), Unresolved> {
        if name == ".." {
            self.here.pop();
            return Ok(());
        }
        let path = self.here.join(name);
        let on_host = self.root.join(&path);
        let kind = match on_host.symlink_metadata() {
            Ok(metadata) => metadata.file_type(),
            Err(error) => return Err(self.failed(&path, error.kind())),
        };
        if kind.is_symlink() {
            self.links += 1;
            if self.links > MOST_LINKS {
                return Err(Unresolved::LinkLoop { link: as_seen(&path) });
            }
            let target = on_host.read_link().map_err(|error| self.failed(&path, error.kind()))?;
            self.link = Some((as_seen(&path), target.clone(), self.rest.len()));
            self.put(&target);
        } else if !kind.is_dir() && !self.rest.is_empty() {
            return Err(Unresolved::NotADirectory { path: as_seen(&path) });
        } else {
            self.here = path;
        }
        Ok(())
    }

    /// What it means that PATH can't be looked at.
    fn failed(&self, path: &Path, error: io::ErrorKind) -> Unresolved {
        match (&self.link, error) {
            (Some((link, target, _)), io::ErrorKind::NotFound) => {
                Unresolved::DanglingLink { link: link.clone(), target: target.clone() }
            }
            (None, io::ErrorKind::NotFound) => Unresolved::Absent { path: as_seen(path) },
            _ => Unresolved::Unreadable { path: as_seen(path), error },
        }
    }
}

/// A path relative to the root, as it is called inside.
fn as_seen(path: &Path) -> PathBuf {
    Path::new("/").join(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_and_dots_never_lead_out_of_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("usr/bin")).unwrap();
        fs::write(root.join("usr/bin/sh"), "").unwrap();
        fs::write(dir.path().join("secret"), "").unwrap();
        symlink("/usr/bin", root.join("bin")).unwrap();
        symlink("../../../../secret", root.join("out")).unwrap();
        symlink("circle", root.join("circle")).unwrap();

        let resolve = |path: &str| resolve_inside(&root, Path::new(path));
        assert_eq!(resolve("/bin/sh"), Ok(root.join("usr/bin/sh")));
        assert_eq!(resolve("bin/../../../bin/./sh"), Ok(root.join("usr/bin/sh")));
        assert_eq!(resolve("/../.."), Ok(root.clone()));
        let (link, target) = (PathBuf::from("/out"), PathBuf::from("../../../../secret"));
        assert_eq!(resolve("/out"), Err(Unresolved::DanglingLink { link, target }));
        let path = PathBuf::from("/usr/bin/ls");
        assert_eq!(resolve("/bin/ls"), Err(Unresolved::Absent { path }));
        let link = PathBuf::from("/circle");
        assert_eq!(resolve("/circle"), Err(Unresolved::LinkLoop { link }));
        let path = PathBuf::from("/usr/bin/sh");
        assert_eq!(resolve("/bin/sh/more"), Err(Unresolved::NotADirectory { path }));
    }
}
