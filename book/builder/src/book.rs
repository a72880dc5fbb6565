//! Where things are, and how one language's site is made of them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use mdbook_driver::MDBook;
use mdbook_driver::builtin_preprocessors::LinkPreprocessor;
use mdbook_driver::config::Config;

use crate::contents::Contents;
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

    /// The one in this folder.
    pub fn at(root: &Path) -> Repository {
        Repository { root: root.into() }
    }

    pub fn path(&self, inside: &str) -> PathBuf {
        self.root.join(inside)
    }

    /// Where the program is to be had, as Cargo.toml says; nothing while that is empty.
    pub fn url(&self) -> Result<Option<String>> {
        let file = self.path("Cargo.toml");
        let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let manifest: toml::Table = toml::from_str(&text)?;
        let package = manifest.get("workspace").and_then(|workspace| workspace.get("package"));
        let url = package.and_then(|package| package.get("repository")?.as_str());
        Ok(url.filter(|url| !url.is_empty()).map(str::to_owned))
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
    search::write_index(edition, &book.book, out)?;
    frame::finish(edition, others, &Contents::of(&book.book), out)
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
    if let Some(url) = edition.repository.url()? {
        // mdBook adds the page's path, from the book's folder on.
        config.set("output.html.edit-url-template", format!("{url}/edit/main/book/{{path}}"))?;
        config.set("output.html.git-repository-url", url)?;
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// The sentence on where to begin while there is no address.
    const IN_A_CHECKOUT: [&str; 2] = ["in a checkout of this repository", "이 저장소를 받은 디렉터리에서"];

    /// The page `start/setup` in each language, of a checkout with no other page, whose Cargo.toml has this address.
    fn set_up(url: &str) -> [String; 2] {
        let here = Repository::here();
        let copy = std::env::temp_dir().join(format!("workshop-book-{}-{}", std::process::id(), url.len()));
        for language in LANGUAGES {
            let book = copy.join("book").join(language);
            fs::create_dir_all(book.join("src/start")).unwrap();
            fs::write(
                book.join("src/SUMMARY.md"),
                "# Summary\n\n- [A](a.md)\n- [B](start/setup.md)\n- [C](c.md)\n",
            )
            .unwrap();
            for other in ["a.md", "c.md"] {
                fs::write(book.join("src").join(other), "# Another\n").unwrap();
            }
            for name in ["words.toml", "synonyms.toml", "figures", "src/start/setup.md"] {
                symlink(here.book().join(language).join(name), book.join(name)).unwrap();
            }
        }
        for name in ["book.toml", "theme", "blocks", "blocks.toml", "examples"] {
            symlink(here.book().join(name), copy.join("book").join(name)).unwrap();
        }
        let manifest = fs::read_to_string(here.path("Cargo.toml")).unwrap();
        let lines = manifest.lines().map(|line| match line.starts_with("repository = ") {
            true => format!("repository = \"{url}\"\n"),
            false => format!("{line}\n"),
        });
        fs::write(copy.join("Cargo.toml"), lines.collect::<String>()).unwrap();
        let out = copy.join("site");
        build(&Repository { root: copy.clone() }, &out).unwrap();
        let pages = LANGUAGES
            .map(|language| fs::read_to_string(out.join(language).join("start/setup.html")).unwrap());
        fs::remove_dir_all(&copy).unwrap();
        pages
    }

    #[test]
    fn the_pages_say_where_the_program_is_to_be_had_once_it_is_anywhere() {
        for (page, words) in set_up("").iter().zip(IN_A_CHECKOUT) {
            assert!(page.contains(words), "{page}");
            assert!(!page.contains("git clone") && !page.contains("/edit/"), "{page}");
        }
        let url = "https://git.example/you/workshop";
        for ((page, words), language) in set_up(url).iter().zip(IN_A_CHECKOUT).zip(LANGUAGES) {
            assert!(!page.contains(words), "{page}");
            assert!(page.contains(&format!("git clone {url}")), "{page}");
            assert!(page.contains(&format!("href=\"{url}\"")), "{page}");
            let edit = format!("href=\"{url}/edit/main/book/{language}/src/start/setup.md\"");
            assert!(page.contains(&edit), "{page}");
        }
    }
}
