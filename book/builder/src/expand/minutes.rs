//! How long a page takes, and the plans of `book/plans.toml`: which pages for how much time.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use mdbook_driver::book::Book;

use crate::book::Edition;
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
    pub fn of(book: &Book) -> Minutes {
        let timed = book.chapters().filter_map(|chapter| {
            let minutes = chapter.content.lines().find_map(of_line)?;
            Some(Timed { path: chapter.path.clone()?, title: chapter.name.clone(), minutes })
        });
        Minutes { pages: timed.collect() }
    }

    /// The pages of a plan with their minutes, summed up.
    pub fn table(&self, edition: &Edition, from: &Path, plan: &str) -> Result<String> {
        let file = edition.repository.book().join("plans.toml");
        let plans: BTreeMap<String, Vec<String>> = toml::from_str(&fs::read_to_string(file)?)?;
        let wanted = plans.get(plan).with_context(|| format!("book/plans.toml has no plan {plan}"))?;
        let words = &edition.words.plan;
        let mut out = format!("| {} | {} |\n|---|---:|\n", words.page, words.minutes);
        let mut sum = 0;
        for name in wanted {
            let page = self.pages.iter().find(|page| page.path.with_extension("") == Path::new(name));
            let page = page.with_context(|| format!("no page {name} with minutes"))?;
            out.push_str(&format!("| [{}]({}) | {} |\n", page.title, link(from, &page.path), page.minutes));
            sum += page.minutes;
        }
        out.push_str(&format!("| **{}** | **{sum}** |\n", words.sum));
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
    let up = from.parent().map_or(0, |folder| folder.components().count());
    format!("{}{}", "../".repeat(up), to.display())
}
