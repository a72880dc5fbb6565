//! What the learner has done: a small file that a person can read, in the state folder.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use fault::{Doing, Fault};

/// The format's number. A file with a later one is left alone.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Page {
    version: u32,
    /// Slugs of the steps whose checks all held.
    done: BTreeSet<String>,
}

/// The steps that are done.
pub struct Progress {
    file: PathBuf,
    page: Page,
    /// The file could not be understood, so it isn't written over either.
    strange: bool,
}

impl Progress {
    /// Reads `progress.toml` of the state folder; nothing is done yet where there is none.
    pub fn read(state: &Path) -> Progress {
        let file = state.join("progress.toml");
        let text = fs::read_to_string(&file).ok();
        let page = text.as_deref().map(toml::from_str::<Page>);
        let strange = matches!(&page, Some(Err(_))) || matches!(&page, Some(Ok(p)) if p.version > VERSION);
        let page = page.and_then(Result::ok).unwrap_or(Page { version: VERSION, done: BTreeSet::new() });
        Progress { file, page, strange }
    }

    pub fn is_done(&self, slug: &str) -> bool {
        self.page.done.contains(slug)
    }

    /// Notes that a step's checks all held. Written beside and renamed, so that the file is whole at
    /// every moment.
    pub fn note(&mut self, slug: &str) -> Result<(), Fault> {
        if self.strange || !self.page.done.insert(slug.into()) {
            return Ok(());
        }
        let text = toml::to_string(&self.page).doing("write down the progress")?;
        let beside = self.file.with_extension(format!("toml.{}", std::process::id()));
        let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, &self.file));
        written.doing(format!("write {}", self.file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_stays_done() {
        let dir = tempfile::tempdir().unwrap();
        let mut progress = Progress::read(dir.path());
        assert!(!progress.is_done("overlay"));
        progress.note("overlay").unwrap();
        assert!(Progress::read(dir.path()).is_done("overlay"));
    }

    #[test]
    fn a_file_from_a_later_version_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let text = "version = 2\ndone = []\nstars = 7\n";
        fs::write(dir.path().join("progress.toml"), text).unwrap();
        Progress::read(dir.path()).note("overlay").unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("progress.toml")).unwrap(), text);
    }
}
