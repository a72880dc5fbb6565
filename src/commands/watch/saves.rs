//! Notices when a file of the learner's is saved: by events (inotify(7), by way of the crate notify), and by looking for
//! what has changed each second. Events come at once, but not for all: there are none for what another machine or
//! another mount changes (NFS, a folder of Windows in WSL), or if others have used up what a user may have of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use notify::event::{EventKind, ModifyKind};
use notify::{ErrorKind, Event, RecommendedWatcher, RecursiveMode, Watcher};

use crate::course::words::Words;
use crate::learner::Language;

/// Folders that are full of what builds leave.
const SKIPPED: [&str; 3] = ["target", "vendor", "__pycache__"];

/// Files that say how something is built.
const BUILD_FILES: [&str; 4] = ["Cargo.toml", "go.mod", "Makefile", "makefile"];

/// How often we look, if that costs next to nothing; else so that it takes at most a twentieth of the time.
const PAUSE: Duration = Duration::from_secs(1);
const SHARE: u32 = 20;

/// The source files of a folder: what tells whether one was saved.
type Picture = BTreeMap<PathBuf, (u64, u64, (i64, i64))>;

/// Watches a project's folder and those below it.
pub struct Saves {
    root: PathBuf,
    watcher: notify::Result<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    news: UnixStream,
    picture: Picture,
    next: Instant,
}

impl Saves {
    /// Begins to watch. The thread that notify starts for it only writes a byte for us to find.
    pub fn of(root: &Path) -> io::Result<Saves> {
        let (news, teller) = UnixStream::pair()?;
        news.set_nonblocking(true)?;
        teller.set_nonblocking(true)?;
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.as_ref().is_ok_and(is_save) {
                // When it is full, there is news enough.
                let _ = (&teller).write(&[1]);
            }
        });
        let (watched, picture, next) = (BTreeSet::new(), Picture::new(), Instant::now());
        let mut saves = Saves { root: root.into(), watcher, watched, news, picture, next };
        if let Err(e) = saves.watch_all() {
            saves.watcher = Err(e);
        }
        saves.look();
        Ok(saves)
    }

    /// Watches the folders that are not watched yet.
    fn watch_all(&mut self) -> notify::Result<()> {
        let Ok(watcher) = &mut self.watcher else { return Ok(()) };
        // A folder that was removed is forgotten: one may be made again under its name.
        self.watched.retain(|dir| dir.is_dir());
        for dir in folders(&self.root) {
            if self.watched.insert(dir.clone()) {
                watcher.watch(&dir, RecursiveMode::NonRecursive)?;
            }
        }
        Ok(())
    }

    /// Takes note of all news so far, and looks if it is time to. Says whether something was saved.
    pub fn heard(&mut self) -> bool {
        let mut bytes = [0; 64];
        let mut any = false;
        while (&self.news).read(&mut bytes).is_ok_and(|count| count > 0) {
            any = true;
        }
        if any || self.next <= Instant::now() {
            // What was told of is not to be found a second time.
            any |= self.look();
        }
        if any {
            // What can't be watched is found by looking.
            let _ = self.watch_all();
        }
        any
    }

    /// When it is time to look again.
    pub fn next_look(&self) -> Instant {
        self.next
    }

    /// Looks whether something has changed since the last time.
    fn look(&mut self) -> bool {
        let began = Instant::now();
        let picture = picture(&self.root);
        self.next = Instant::now() + PAUSE.max(began.elapsed() * SHARE);
        std::mem::replace(&mut self.picture, picture) != self.picture
    }

    /// Why no events come, if none do, and how they would.
    pub fn why_blind(&self, words: &Words) -> Option<String> {
        let error = self.watcher.as_ref().err()?;
        let limit = |name: &str| {
            let path = format!("/proc/sys/fs/inotify/{name}");
            let value = fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u64>().ok());
            let more = value.map_or(1024, |value| value.saturating_mul(2)).to_string();
            words.fill("watch-blind-limit", &[("limit", name), ("more", &more)])
        };
        Some(match &error.kind {
            ErrorKind::MaxFilesWatch => limit("max_user_watches"),
            // The process's own limit has the same error number, and would not have let us come so far.
            ErrorKind::Io(e) if e.raw_os_error() == Some(libc::EMFILE) && may_open() => {
                limit("max_user_instances")
            }
            _ => words.fill("watch-blind", &[("problem", &error.to_string())]),
        })
    }
}

/// Whether this process may open one more file.
fn may_open() -> bool {
    fs::File::open("/").is_ok()
}

impl AsFd for Saves {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.news.as_fd()
    }
}

/// A folder and those below it, but for those that builds fill.
fn folders(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![root.to_path_buf()];
    let mut next = 0;
    while let Some(dir) = found.get(next) {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let folders: Vec<PathBuf> =
            folders.map(|entry| entry.path()).filter(|path| !is_skipped(path)).collect();
        found.extend(folders);
        next += 1;
    }
    found
}

fn picture(root: &Path) -> Picture {
    let state = |path: PathBuf| {
        let found = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
        Some((path, (found.ino(), found.size(), (found.mtime(), found.mtime_nsec()))))
    };
    let entries = folders(root).into_iter().flat_map(|dir| fs::read_dir(dir).into_iter().flatten().flatten());
    entries.map(|entry| entry.path()).filter(|path| is_source(path)).filter_map(state).collect()
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
    use crate::course::language::Lang;
    use nix::sys::mman::{MapFlags, MsFlags, ProtFlags, mmap, msync, munmap};

    fn soon(saves: &mut Saves) -> bool {
        let until = Instant::now() + Duration::from_secs(60);
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

    #[test]
    fn what_no_event_tells_of_is_found_by_looking_and_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("box.sh");
        fs::write(&file, "before").unwrap();
        let mut saves = Saves::of(dir.path()).unwrap();
        // Written through a mapping: inotify(7) has no event for that.
        let opened = fs::File::options().read(true).write(true).open(&file).unwrap();
        let (length, shared) = (6.try_into().unwrap(), MapFlags::MAP_SHARED);
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: the mapping is as long as the file and what is written, and is unmapped behind that.
        unsafe {
            let mapped = mmap(None, length, access, shared, &opened, 0).unwrap();
            mapped.cast::<[u8; 6]>().write(*b"behind");
            msync(mapped, 6, MsFlags::MS_SYNC).unwrap();
            munmap(mapped, 6).unwrap();
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "behind");
        assert!((&saves.news).read(&mut [0]).is_err(), "there was an event");
        saves.next = Instant::now() + Duration::from_secs(3600);
        assert!(!saves.heard(), "it is too early to look");
        saves.next = Instant::now();
        assert!(soon(&mut saves));
        fs::write(&file, "again").unwrap();
        assert!(soon(&mut saves));
        // There may be more events of the same save, but nothing more to find.
        assert!(!saves.look(), "it was told of by an event already");
        assert_eq!(saves.why_blind(Words::of(Lang::En)), None);
    }
}
