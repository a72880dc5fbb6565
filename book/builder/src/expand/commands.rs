//! Blocks of commands: what one needs stands above it, and what it prints below it.
//!
//! The outputs are recorded by `tests/blocks.rs`, which runs every block. One whose output is a machine's own, or that
//! can't be run by a test, says so in its fence, by a word that `book/blocks.toml` explains.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::quiz::heading_id;
use super::terminal::{escaped, printed};
use crate::book::Edition;

/// What a word in a fence means to the reader, by language; why it is so is for who maintains the book.
type Words = BTreeMap<String, BTreeMap<String, String>>;

/// `book/blocks.toml`.
#[derive(Deserialize)]
struct Marks {
    needs: Words,
    prints: Words,
}

/// The page or lesson `key` with all that there is to tell about its blocks.
pub fn told(edition: &Edition, key: &str, text: &str) -> Result<String> {
    let file = edition.repository.book().join("blocks.toml");
    let marks: Marks =
        toml::from_str(&fs::read_to_string(&file)?).with_context(|| file.display().to_string())?;
    let outputs = edition.repository.book().join("blocks").join(key);
    let mut out = Vec::new();
    let mut place = Place::default();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else {
            place.pass(line);
            out.push(line.to_owned());
            continue;
        };
        let commands = info == "sh" || info.starts_with("sh ");
        let note = |word: &str, words: &Words| -> Result<String> {
            let words = words.get(word).with_context(|| format!("book/blocks.toml has no {word}"))?;
            let note =
                words.get(edition.language).with_context(|| format!("{word} in {}", edition.language))?;
            Ok(format!("<p class=\"output\">{}</p>\n", escaped(note)))
        };
        let mark = info.strip_prefix("sh ").map(str::trim);
        match mark.and_then(|mark| mark.split_once('=')) {
            Some(("needs", what)) => out.push(note(what, &marks.needs)?),
            Some(("prints", _)) => {}
            Some(_) => bail!("{line}: needs=… or prints=… is known"),
            None => {}
        }
        out.push(if commands { "```sh".into() } else { line.to_owned() });
        out.extend(lines.by_ref().map(str::to_owned).scan(true, |more, line| {
            let this = *more;
            *more &= !line.starts_with("```");
            this.then_some(line)
        }));
        if !commands {
            continue;
        }
        let output = outputs.join(place.next()).with_extension("out");
        match mark {
            None if output.is_file() => {
                out.push(format!("\n{}", printed(edition, &fs::read_to_string(&output)?)?))
            }
            Some(mark) => {
                if let Some(what) = mark.strip_prefix("prints=") {
                    out.push(format!("\n{}", note(what, &marks.prints)?));
                }
            }
            None => {}
        }
    }
    Ok(out.join("\n") + "\n")
}

/// Where a block stands: below which heading, and which one it is there.
#[derive(Default)]
struct Place {
    heading: String,
    count: BTreeMap<String, u32>,
}

impl Place {
    fn pass(&mut self, line: &str) {
        if let Some(id) = line.starts_with('#').then(|| heading_id(line)).flatten() {
            self.heading = id.to_owned();
        }
    }

    /// The name of the next block: its heading's id, with a number from the second one on.
    fn next(&mut self) -> String {
        let count = self.count.entry(self.heading.clone()).or_default();
        *count += 1;
        if *count == 1 { self.heading.clone() } else { format!("{}-{count}", self.heading) }
    }
}
