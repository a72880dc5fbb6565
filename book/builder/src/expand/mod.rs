//! What the pages leave to the builder: `{{#…}}` lines, task lists that are questions, and the minutes.
//!
//! | in a page | becomes |
//! |---|---|
//! | `{{#figure NAME}}` | `book/LANG/figures/NAME.svg`, inlined, so that it takes the theme's colours; on a phone what `NAME.narrow` describes ([`narrow`]) |
//! | `{{#play NAME}}` | the recording `book/LANG/runs/NAME.json`, to step through |
//! | `{{#race NAME}}` | the stages of a comparison, `book/LANG/runs/NAME.txt`, as two clocks |
//! | `{{#run NAME}}` | the recorded run `book/LANG/runs/NAME.txt` with its colours and its command |
//! | a fence of `sh` | the same with what it needs above it, and what it prints below ([`commands`]) |
//! | `{{#lesson SLUG SECTION…}}` | sections of `lessons/NN-SLUG/LANG.md`, each call with the Rust that makes it |
//! | `{{#exercise NN-SLUG PART}}` | the `task`, `hints`, `checks` or `solution` of an exercise, the last three in folds |
//! | `{{#include PATH:ANCHOR}}` | a file, or the part of it between `ANCHOR: …` and `ANCHOR_END: …` |
//! | `{{#plan NAME}}` | the pages of a plan in `book/plans.toml` and their minutes, summed up |
//! | `{{#checkout}}` | how the reader comes to a checkout: by the address in Cargo.toml, if there is one |
//! | `<!-- minutes: 12 -->` | a line that says so |
//! | a task list | a question with choices ([`quiz`]) |

mod commands;
mod cover;
mod cut;
mod exercise;
mod folds;
mod lesson;
mod minutes;
mod narrow;
mod player;
mod quiz;
mod race;
mod terminal;

pub use terminal::escaped;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use mdbook_driver::book::{Book, Chapter};
use mdbook_preprocessor::{Preprocessor, PreprocessorContext};

use crate::book::Edition;
use minutes::Minutes;

/// The preprocessor.
pub struct Expand {
    edition: Edition,
}

impl Expand {
    pub fn new(edition: Edition) -> Expand {
        Expand { edition }
    }
}

impl Preprocessor for Expand {
    fn name(&self) -> &str {
        "workshop"
    }

    fn run(&self, _: &PreprocessorContext, mut book: Book) -> Result<Book> {
        let minutes = Minutes::of(&book);
        let mut outcome = Ok(());
        book.for_each_chapter_mut(|chapter| {
            if outcome.is_ok() {
                outcome = expand(&self.edition, &minutes, chapter);
            }
        });
        outcome.map(|()| book)
    }
}

fn expand(edition: &Edition, minutes: &Minutes, chapter: &mut Chapter) -> Result<()> {
    let Some(path) = chapter.path.clone() else { return Ok(()) };
    let page = Page { edition, minutes, path: &path };
    let key = path.with_extension("").display().to_string();
    let told = commands::told(edition, &key, &chapter.content).with_context(|| key.clone())?;
    let text = page.expand(&told).with_context(|| key.clone())?;
    let text = if key == "index" { cover::below_title(edition, &text)? } else { text };
    chapter.content = quiz::ask(&page, &titled(&chapter.name, &text))?;
    Ok(())
}

/// The page under its name in the contents, if that says which step it is: "Step 3 · A root of its own".
fn titled(name: &str, text: &str) -> String {
    let Some((title, rest)) = text.split_once('\n').filter(|_| name.contains(" · ")) else {
        return text.to_owned();
    };
    let id = title.rsplit_once(" {#").map_or("", |(_, id)| id);
    format!("# {name} {{#{id}\n{rest}")
}

/// The page that is being expanded.
struct Page<'a> {
    edition: &'a Edition,
    minutes: &'a Minutes,
    /// Below `src`: `machines/01-virtual-machine.md`.
    path: &'a Path,
}

impl Page<'_> {
    /// Every line that asks for something is replaced by it.
    fn expand(&self, text: &str) -> Result<String> {
        let mut out = Vec::new();
        for line in unfenced(text) {
            match directive(line) {
                Some((name, rest)) => {
                    out.push(self.replacement(name, rest).with_context(|| line.to_owned())?)
                }
                None => match minutes::of_line(line) {
                    Some(count) => out.push(minutes::line(&self.edition.words, count)),
                    None => out.push(highlighted(line).to_owned()),
                },
            }
        }
        Ok(out.join("\n") + "\n")
    }

    fn replacement(&self, name: &str, rest: &str) -> Result<String> {
        match name {
            "figure" => self.figure(rest),
            "play" => player::player(self.edition, rest),
            "race" => race::race(self.edition, rest),
            "run" => terminal::shown(self.edition, rest),
            "lesson" => self.expand(&lesson::sections(self.edition, rest)?),
            "exercise" => exercise::part(self.edition, rest),
            "checkout" => self.checkout(),
            "include" => cut::include(&self.folder(), rest),
            "plan" => self.minutes.table(self.edition, self.path, rest),
            _ => bail!("nothing is known by this name"),
        }
    }

    /// The sentence before the first command that is given in a checkout.
    fn checkout(&self) -> Result<String> {
        let words = &self.edition.words.checkout;
        Ok(match self.edition.repository.url()? {
            Some(url) => {
                let folder = url.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
                let folder = folder.trim_end_matches(".git");
                format!("{}\n\n```sh\ngit clone {url}\ncd {folder}\n```\n\n{}\n", words.fetch, words.then)
            }
            None => format!("{}\n", words.here),
        })
    }

    /// The folder that the page's relative paths start at.
    fn folder(&self) -> std::path::PathBuf {
        self.edition.path("src").join(self.path.parent().unwrap_or(Path::new("")))
    }

    /// A picture. A blank line would end the HTML in the Markdown, so it has none.
    fn figure(&self, name: &str) -> Result<String> {
        let file = self.edition.path("figures").join(name).with_extension("svg");
        let svg = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let start = svg.find("<svg").context("there is no <svg> in it")?;
        let lines: Vec<_> = svg[start..].lines().filter(|line| !line.trim().is_empty()).collect();
        let svg = lines.join("\n");
        let narrow = match fs::read_to_string(file.with_extension("narrow")) {
            Ok(description) => narrow::html(name, &description).with_context(|| format!("{name}.narrow"))?,
            Err(_) => halves(name, &svg)?,
        };
        Ok(format!("<figure id=\"figure-{name}\">\n{svg}\n{narrow}</figure>\n"))
    }
}

/// A figure whose two halves can stand one above the other says where each of them is:
/// `data-halves="6 0 344 304, 374 0 344 304"`. They are views of the whole one, which stays the one that is read aloud.
fn halves(name: &str, svg: &str) -> Result<String> {
    let (_, rest) = svg.split_once("data-halves=\"").with_context(|| {
        format!("{name} has no data-halves, and no {name}.narrow: nobody can read it on a phone")
    })?;
    let (halves, _) = rest.split_once('"').context("data-halves does not end")?;
    let view = |half: &str| {
        format!(
            "<svg class=\"half\" viewBox=\"{}\" aria-hidden=\"true\"><use href=\"#{name}-drawing\"/></svg>\n",
            half.trim()
        )
    };
    ensure!(
        svg.contains(&format!("<g id=\"{name}-drawing\"")),
        "there is no group {name}-drawing to be shown in halves"
    );
    Ok(halves.split(',').map(view).collect())
}

/// mdBook's highlighter complains of a language that it does not know.
fn highlighted(line: &str) -> &str {
    if line == "```dockerfile" { "```text" } else { line }
}

/// `{{#NAME REST}}` alone on a line.
fn directive(line: &str) -> Option<(&str, &str)> {
    let inside = line.trim().strip_prefix("{{#")?.strip_suffix("}}")?.trim();
    let (name, rest) = inside.split_once(' ').unwrap_or((inside, ""));
    Some((name, rest.trim()))
}

/// The lines, but a fence around a recorded run is left out: it becomes HTML, which brings its own.
fn unfenced(text: &str) -> impl Iterator<Item = &str> {
    let lines: Vec<_> = text.lines().collect();
    let is_run =
        |n: usize| directive(lines.get(n).copied().unwrap_or("")).is_some_and(|(name, _)| name == "run");
    let is_fence = |n: usize| lines.get(n).is_some_and(|line| line.starts_with("```"));
    let fences: Vec<bool> = (0..lines.len())
        .map(|n| {
            is_fence(n)
                && ((is_run(n + 1) && is_fence(n + 2)) || (n >= 2 && is_run(n - 1) && is_fence(n - 2)))
        })
        .collect();
    lines.into_iter().zip(fences).filter(|(_, fence)| !fence).map(|(line, _)| line)
}
