//! How long a page takes, and the sum over several of them.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
use mdbook_driver::book::{Book, BookItem};

use crate::words::Words;

/// The minutes of every page, in the order of the book.
pub struct Minutes {
    pages: Vec<Timed>,
}

struct Timed {
    path: PathBuf,
    title: String,
    minutes: u32,
}

impl Minutes {
    pub fn of(book: &Book) -> Result<Minutes> {
        let mut pages = Vec::new();
        for item in book.iter() {
            let BookItem::Chapter(chapter) = item else { continue };
            let Some(path) = chapter.path.clone() else { continue };
            if let Some(minutes) = chapter.content.lines().find_map(of_line) {
                pages.push(Timed { path, title: chapter.name.clone(), minutes });
            }
        }
        Ok(Minutes { pages })
    }

    /// A table of all pages with minutes, or of those in `wanted` (paths below `src` without `.md`), with the sum.
    pub fn table(&self, words: &Words, from: &Path, wanted: &str) -> Result<String> {
        let known: BTreeMap<_, _> =
            self.pages.iter().map(|page| (page.path.with_extension(""), page)).collect();
        let mut chosen: Vec<&Timed> = Vec::new();
        for name in wanted.split_whitespace() {
            chosen.push(known.get(Path::new(name)).with_context(|| format!("no page {name} with minutes"))?);
        }
        if wanted.is_empty() {
            chosen.extend(&self.pages);
        }
        if chosen.is_empty() {
            bail!("no page has minutes");
        }
        let mut out = format!("| {} | {} |\n|---|---:|\n", words.plan.page, words.plan.minutes);
        for page in &chosen {
            out.push_str(&format!("| [{}]({}) | {} |\n", page.title, link(from, &page.path), page.minutes));
        }
        let sum: u32 = chosen.iter().map(|page| page.minutes).sum();
        out.push_str(&format!("| **{}** | **{}** |\n", words.plan.sum, sum));
        Ok(out)
    }
}

/// The minutes in `<!-- minutes: 12 -->`.
pub fn of_line(line: &str) -> Option<u32> {
    line.trim().strip_prefix("<!-- minutes:")?.strip_suffix("-->")?.trim().parse().ok()
}

/// What the reader sees of it.
pub fn line(words: &Words, minutes: u32) -> String {
    format!("<p class=\"minutes\">{}</p>\n", words.minutes.replace("{n}", &minutes.to_string()))
}

/// The way from one page to another.
fn link(from: &Path, to: &Path) -> String {
    let up = from
        .parent()
        .map_or(0, |folder| folder.components().filter(|c| matches!(c, Component::Normal(_))).count());
    format!("{}{}", "../".repeat(up), to.display())
}
