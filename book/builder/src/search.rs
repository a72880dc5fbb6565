//! The index that `theme/search.js` asks for: each page in pieces, one for each heading and one for each fold.
//!
//! It is a script, not JSON: pages opened from a local disk may not read other files. It brings along what searches in
//! it, MiniSearch and `theme/search/rank.js`, so that a page which nobody searches in has none of that to carry.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use mdbook_driver::book::Book;
use serde::{Deserialize, Serialize};

use crate::book::{Edition, LANGUAGES};
use crate::html::{Piece, pieces};

/// What can be found.
#[derive(Clone, Debug, Serialize)]
struct Entry {
    /// Path below the site's root, with the heading's fragment.
    url: String,
    page: String,
    heading: String,
    /// What the fold is called that the text is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    fold: Option<String>,
    /// What is explained: the first cells of a table's rows, and what stands out in the text.
    keys: String,
    text: String,
}

/// `book/LANG/synonyms.toml`: groups of ways to write one thing.
#[derive(Deserialize)]
struct Synonyms {
    groups: Vec<Vec<String>>,
}

#[derive(Serialize)]
struct Index {
    entries: Vec<Entry>,
    synonyms: Vec<Vec<String>>,
}

pub fn write_index(edition: &Edition, book: &Book, out: &Path) -> Result<()> {
    let mut entries = Vec::new();
    for chapter in book.chapters() {
        let Some(path) = &chapter.path else { continue };
        let path = path.with_extension("html");
        let html = fs::read_to_string(out.join(&path)).with_context(|| format!("read {}", path.display()))?;
        entries.extend(of_page(&path.display().to_string(), &chapter.name, main_part(&html)));
    }
    let folder = edition.repository.book();
    let mut synonyms = Vec::new();
    // A reader of one language types words of the other.
    for language in LANGUAGES {
        let file = folder.join(language).join("synonyms.toml");
        let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let list: Synonyms = toml::from_str(&text).with_context(|| file.display().to_string())?;
        synonyms.extend(list.groups);
    }
    let read = |name: &str| {
        let file = folder.join("theme/search").join(name);
        fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))
    };
    // The licence wants to be with every copy.
    let mut script = format!("/*!\n{}*/\n", read("minisearch.LICENSE.txt")?);
    script += &read("minisearch.js")?;
    script += &read("rank.js")?;
    let index = serde_json::to_string(&Index { entries, synonyms })?;
    script += &format!("\nwindow.bookSearch = bookSearch(MiniSearch, {index});\n");
    fs::write(out.join("search-index.js"), script).context("write the search index")
}

/// What is between `<main>` and `</main>`.
pub fn main_part(html: &str) -> &str {
    let start = html.find("<main").map_or(0, |at| at + html[at..].find('>').map_or(0, |end| end + 1));
    let end = html.rfind("</main>").unwrap_or(html.len());
    html.get(start..end).unwrap_or("")
}

/// A page on its way into entries.
struct Reader<'a> {
    path: &'a str,
    title: &'a str,
    entries: Vec<Entry>,
    /// The entries that text goes to: that of the section, and those of the folds that are open.
    open: Vec<usize>,
    into: Into,
    /// In the first cell of a row, or in what stands out.
    key: bool,
    /// The element that is passed over, and how many of its kind deep. Nobody should find an answer before the question.
    hidden: Option<(String, usize)>,
}

/// What text is part of.
#[derive(PartialEq)]
enum Into {
    Heading,
    Fold,
    Text,
}

fn of_page(path: &str, title: &str, html: &str) -> Vec<Entry> {
    let mut reader = Reader {
        path,
        title,
        entries: Vec::new(),
        open: Vec::new(),
        into: Into::Text,
        key: false,
        hidden: None,
    };
    for piece in pieces(html) {
        reader.take(&piece);
    }
    let mut entries = reader.entries;
    for entry in &mut entries {
        for text in [&mut entry.text, &mut entry.heading, &mut entry.keys].into_iter().chain(&mut entry.fold)
        {
            *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        }
    }
    entries.retain(|entry| entry.fold.is_none() || !entry.text.is_empty());
    entries
}

impl Reader<'_> {
    fn take(&mut self, piece: &Piece) {
        if self.passes_over(piece) {
            return;
        }
        match piece {
            Piece::Open { name, .. } if is_heading(name) => self.begin_section(name, piece.attribute("id")),
            Piece::Open { name, .. } if name == "details" => self.begin_fold(),
            Piece::Close(name) if name == "details" && self.open.len() > 1 => {
                self.open.pop();
            }
            Piece::Open { name, .. } if name == "summary" => self.into = Into::Fold,
            Piece::Close(name) if is_heading(name) || name == "summary" => self.into = Into::Text,
            Piece::Open { name, .. } if name == "tr" || name == "strong" => self.key = true,
            Piece::Close(name) if matches!(name.as_str(), "td" | "th" | "strong") => self.key = false,
            Piece::Text(text) => self.add(text),
            // Words of neighbouring blocks must not grow together.
            Piece::Open { name, .. } if breaks(name) => self.add(" "),
            _ => {}
        }
    }

    /// Whether it is part of an answer, or of what a figure says a second time for phones.
    fn passes_over(&mut self, piece: &Piece) -> bool {
        match (&mut self.hidden, piece) {
            (None, Piece::Open { name, .. })
                if matches!(piece.attribute("class"), Some("why" | "narrow")) =>
            {
                self.hidden = Some((name.clone(), 1));
            }
            (None, _) => return false,
            (Some((of, depth)), Piece::Open { name, .. }) if name == of => *depth += 1,
            (Some((of, depth)), Piece::Close(name)) if name == of => {
                *depth -= 1;
                if *depth == 0 {
                    self.hidden = None;
                }
            }
            _ => {}
        }
        true
    }

    fn begin_section(&mut self, name: &str, id: Option<&str>) {
        let url = match id {
            Some(id) if name != "h1" => format!("{}#{id}", self.path),
            _ => self.path.to_owned(),
        };
        // A fold may have sections of its own.
        let fold = self.open.get(1).and_then(|fold| self.entries.get(*fold)?.fold.clone());
        let page = self.title.to_owned();
        self.entries.push(Entry {
            url,
            page,
            heading: String::new(),
            fold,
            keys: String::new(),
            text: String::new(),
        });
        self.open.pop();
        self.open.push(self.entries.len() - 1);
        self.into = Into::Heading;
    }

    fn begin_fold(&mut self) {
        let Some(around) = self.open.last().and_then(|at| self.entries.get(*at)) else { return };
        let fold =
            Entry { fold: Some(String::new()), keys: String::new(), text: String::new(), ..around.clone() };
        self.entries.push(fold);
        self.open.push(self.entries.len() - 1);
    }

    fn add(&mut self, text: &str) {
        let Some(entry) = self.open.last().and_then(|at| self.entries.get_mut(*at)) else { return };
        match self.into {
            Into::Heading => entry.heading.push_str(text),
            Into::Fold => entry.fold.get_or_insert_default().push_str(text),
            Into::Text => {
                entry.text.push_str(text);
                if self.key {
                    entry.keys.push_str(text);
                    entry.keys.push(' ');
                }
            }
        }
    }
}

fn is_heading(name: &str) -> bool {
    matches!(name, "h1" | "h2" | "h3" | "h4")
}

fn breaks(name: &str) -> bool {
    matches!(name, "p" | "li" | "td" | "th" | "pre" | "br" | "text" | "label" | "div" | "title" | "desc")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of each entry its URL, its heading, its fold and its text.
    fn found(html: &str) -> Vec<[String; 4]> {
        let entries = of_page("x/a.html", "A", html).into_iter();
        entries.map(|e| [e.url, e.heading, e.fold.unwrap_or_default(), e.text]).collect()
    }

    #[test]
    fn a_page_is_indexed_by_its_headings() {
        let html = "<h1 id=\"a\"><a href=\"#a\">A <code>b</code></a></h1><p>one</p><p>two</p><h2 id=\"c\">C</h2><td>3</td><td>4</td>";
        assert_eq!(found(html), [["x/a.html", "A b", "", "one two"], ["x/a.html#c", "C", "", "3 4"]]);
    }

    #[test]
    fn a_fold_is_an_entry_of_its_own_and_an_answer_is_none() {
        let html = "<h1>A</h1><h2 id=\"q\">Q</h2>one<details class=\"why\"><summary>Answer</summary>two<details></details></details> three<div class=\"narrow\"><div>x</div></div>\
                    <details><summary>Notes</summary>four</details> five";
        let expected = [
            ["x/a.html", "A", "", ""],
            ["x/a.html#q", "Q", "", "one three five"],
            ["x/a.html#q", "Q", "Notes", "four"],
        ];
        assert_eq!(found(html), expected);
    }
}
