//! Notices when a file of the learner's is saved (inotify(7), by way of the crate notify).

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use notify::event::{EventKind, ModifyKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};

use crate::learner::Language;

/// Folders that are full of what builds leave.
const SKIPPED: [&str; 3] = ["target", "vendor", "__pycache__"];

/// Files that say how something is built.
const BUILD_FILES: [&str; 4] = ["Cargo.toml", "go.mod", "Makefile", "makefile"];

/// Watches a project's folder and those below it.
pub struct Saves {
    root: PathBuf,
    watcher: RecommendedWatcher,
    watched: BTreeSet<PathBuf>,
    news: UnixStream,
}

impl Saves {
    /// Begins to watch. The thread that notify starts for it only writes a byte for us to find.
    pub fn of(root: &Path) -> notify::Result<Saves> {
        let (news, teller) = UnixStream::pair()?;
        news.set_nonblocking(true)?;
        teller.set_nonblocking(true)?;
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.as_ref().is_ok_and(is_save) {
                // When it is full, there is news enough.
                let _ = (&teller).write(&[1]);
            }
        })?;
        let mut saves = Saves { root: root.into(), watcher, watched: BTreeSet::new(), news };
        saves.watch_all()?;
        Ok(saves)
    }

    /// Watches the folders that are not watched yet.
    fn watch_all(&mut self) -> notify::Result<()> {
        // A folder that was removed is forgotten: one may be made again under its name.
        self.watched.retain(|dir| dir.is_dir());
        let mut open = vec![self.root.clone()];
        while let Some(dir) = open.pop() {
            if self.watched.insert(dir.clone()) {
                self.watcher.watch(&dir, RecursiveMode::NonRecursive)?;
            }
            let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten();
            let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            open.extend(folders.map(|entry| entry.path()).filter(|path| !is_skipped(path)));
        }
        Ok(())
    }

    /// Takes note of all news so far. Says whether there were any.
    pub fn heard(&mut self) -> bool {
        let mut bytes = [0; 64];
        let mut any = false;
        while (&self.news).read(&mut bytes).is_ok_and(|count| count > 0) {
            any = true;
        }
        if any {
            // What can't be watched is built by key.
            let _ = self.watch_all();
        }
        any
    }
}

impl AsFd for Saves {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.news.as_fd()
    }
}

/// Whether something happened that a build should follow: to a source file or one that says how to build, and not
/// to what a build makes, or an editor for itself. A new folder counts too.
fn is_save(event: &Event) -> bool {
    let happened = match event.kind {
        EventKind::Create(_) | EventKind::Remove(_) | EventKind::Any => true,
        EventKind::Modify(kind) => !matches!(kind, ModifyKind::Metadata(_)),
        EventKind::Access(_) | EventKind::Other => false,
    };
    let is_new_folder = |path: &Path| event.kind.is_create() && path.is_dir() && !is_skipped(path);
    happened && event.paths.iter().any(|path| is_source(path) || is_new_folder(path))
}

fn is_source(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let hidden = name.starts_with('.');
    let source = Language::ALL.into_iter().any(|language| language.is_source(path));
    !hidden && (source || BUILD_FILES.contains(&name.as_ref()))
}

fn is_skipped(dir: &Path) -> bool {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') || SKIPPED.contains(&name.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::time::{Duration, Instant};

    fn soon(saves: &mut Saves) -> bool {
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until {
            if saves.heard() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    #[test]
    fn saves_are_noticed_and_what_builds_and_editors_leave_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("target")).unwrap();
        fs::create_dir(at("src")).unwrap();
        let mut saves = Saves::of(dir.path()).unwrap();
        for quiet in
            ["target/x.rs", "workshop.toml", "src/.main.rs.swp", "src/main.rs~", "box", "src/main.rs.~1~"]
        {
            fs::write(at(quiet), "x").unwrap();
        }
        std::thread::sleep(Duration::from_millis(200));
        assert!(!saves.heard());
        fs::write(at("src/main.rs"), "x").unwrap();
        assert!(soon(&mut saves));
        // As editors save that write beside and rename.
        fs::write(at(".tmp"), "y").unwrap();
        fs::rename(at(".tmp"), at("src/main.rs")).unwrap();
        assert!(soon(&mut saves));
        // A folder that came later.
        fs::create_dir(at("src/more")).unwrap();
        assert!(soon(&mut saves));
        std::thread::sleep(Duration::from_millis(100));
        saves.heard();
        fs::write(at("src/more/mod.rs"), "x").unwrap();
        assert!(soon(&mut saves));
    }
}
