//! Where things are, and how one language's site is made of them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use mdbook_driver::MDBook;
use mdbook_driver::builtin_preprocessors::LinkPreprocessor;
use mdbook_driver::config::Config;

use crate::expand::Expand;
use crate::words::Words;
use crate::{frame, search, warnings};

/// The languages, the first of which is the one that others are compared with.
pub const LANGUAGES: [&str; 2] = ["en", "ko"];

/// The checkout that the book is part of.
#[derive(Clone, Debug)]
pub struct Repository {
    root: PathBuf,
}

impl Repository {
    /// The one that this program was built in.
    pub fn here() -> Repository {
        // book/builder is two folders deep in it.
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new("."));
        Repository { root: root.into() }
    }

    pub fn path(&self, inside: &str) -> PathBuf {
        self.root.join(inside)
    }

    pub fn book(&self) -> PathBuf {
        self.path("book")
    }

    /// Where the sites go unless told otherwise.
    pub fn output(&self) -> PathBuf {
        self.path("target/book")
    }
}

/// One language's part of the book.
#[derive(Clone, Debug)]
pub struct Edition {
    pub repository: Repository,
    pub language: &'static str,
    pub words: Words,
}

impl Edition {
    pub fn read(repository: &Repository, language: &'static str) -> Result<Edition> {
        let words = Words::read(&repository.book().join(language).join("words.toml"))?;
        Ok(Edition { repository: repository.clone(), language, words })
    }

    /// A file or folder of this language: `figures/NAME.svg`, `runs/NAME.txt`, `src`.
    pub fn path(&self, inside: &str) -> PathBuf {
        self.repository.book().join(self.language).join(inside)
    }
}

/// Builds every language below `out`, with a first page that leads to the reader's.
pub fn build(repository: &Repository, out: &Path) -> Result<()> {
    let editions: Vec<_> = LANGUAGES.iter().map(|l| Edition::read(repository, l)).collect::<Result<_>>()?;
    for edition in &editions {
        let others: Vec<_> = editions.iter().filter(|other| other.language != edition.language).collect();
        build_edition(edition, &others, &out.join(edition.language))
            .with_context(|| format!("the book in {} cannot be built", edition.language))?;
    }
    fs::write(out.join("index.html"), frame::first_page(&editions)).context("write the first page")
}

fn build_edition(edition: &Edition, others: &[&Edition], out: &Path) -> Result<()> {
    let mut book = MDBook::load_with_config(edition.repository.book(), config(edition, out)?)?;
    book.with_preprocessor(Expand::new(edition.clone())).with_preprocessor(LinkPreprocessor::new());
    warnings::as_errors(|| book.build())?;
    search::write_index(&book.book, out)?;
    frame::finish(edition, others, out)
}

/// `book/book.toml` with what differs from language to language.
fn config(edition: &Edition, out: &Path) -> Result<Config> {
    let mut config = Config::from_disk(edition.repository.book().join("book.toml"))?;
    config.book.title = Some(edition.words.title.clone());
    config.book.description = Some(edition.words.description.clone());
    config.book.language = Some(edition.language.into());
    config.book.src = Path::new(edition.language).join("src");
    // mdBook takes it from the book's folder on.
    config.build.build_dir = std::path::absolute(out).context("find the output folder")?;
    Ok(config)
}
