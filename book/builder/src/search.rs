//! The index that `theme/pages.js` searches: each page in pieces, one for each heading.
//!
//! It is a script that sets a variable, not JSON: pages opened from a local disk may not read other files.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use mdbook_driver::book::Book;
use serde::Serialize;

use crate::html::{Piece, pieces};

/// What can be found.
#[derive(Debug, Serialize)]
struct Entry {
    /// Path below the site's root, with the heading's fragment.
    url: String,
    page: String,
    heading: String,
    text: String,
}

pub fn write_index(book: &Book, out: &Path) -> Result<()> {
    let mut entries = Vec::new();
    for chapter in book.chapters() {
        let Some(path) = &chapter.path else { continue };
        let path = path.with_extension("html");
        let html = fs::read_to_string(out.join(&path)).with_context(|| format!("read {}", path.display()))?;
        entries.extend(of_page(&path.display().to_string(), &chapter.name, main_part(&html)));
    }
    let script = format!("window.bookIndex = {};\n", serde_json::to_string(&entries)?);
    fs::write(out.join("search-index.js"), script).context("write the search index")
}

/// What is between `<main>` and `</main>`.
pub fn main_part(html: &str) -> &str {
    let start = html.find("<main>").map_or(0, |at| at + "<main>".len());
    let end = html.rfind("</main>").unwrap_or(html.len());
    html.get(start..end).unwrap_or("")
}

fn of_page(path: &str, title: &str, html: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut heading = false;
    for piece in pieces(html) {
        match &piece {
            Piece::Open { name, .. } if is_heading(name) => {
                let id = piece.attribute("id").unwrap_or_default();
                let url = if name == "h1" { path.to_owned() } else { format!("{path}#{id}") };
                let (page, heading_text, text) = (title.to_owned(), String::new(), String::new());
                entries.push(Entry { url, page, heading: heading_text, text });
                heading = true;
            }
            Piece::Close(name) if is_heading(name) => heading = false,
            Piece::Text(text) => {
                let Some(entry) = entries.last_mut() else { continue };
                if heading { &mut entry.heading } else { &mut entry.text }.push_str(text);
            }
            // Words of neighbouring blocks must not grow together.
            Piece::Open { name, .. } if breaks(name) => {
                if let Some(entry) = entries.last_mut() {
                    entry.text.push(' ');
                }
            }
            _ => {}
        }
    }
    for entry in &mut entries {
        entry.text = entry.text.split_whitespace().collect::<Vec<_>>().join(" ");
        entry.heading = entry.heading.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    entries
}

fn is_heading(name: &str) -> bool {
    matches!(name, "h1" | "h2" | "h3" | "h4")
}

fn breaks(name: &str) -> bool {
    matches!(
        name,
        "p" | "li" | "td" | "th" | "pre" | "br" | "text" | "label" | "summary" | "div" | "title" | "desc"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_indexed_by_its_headings() {
        let html = "<h1 id=\"a\"><a href=\"#a\">A <code>b</code></a></h1><p>one</p><p>two</p><h2 id=\"c\">C</h2><td>3</td><td>4</td>";
        let entries = of_page("x/a.html", "A", html);
        let found: Vec<_> =
            entries.iter().map(|e| (e.url.as_str(), e.heading.as_str(), e.text.as_str())).collect();
        assert_eq!(found, [("x/a.html", "A b", "one two"), ("x/a.html#c", "C", "3 4")]);
    }
}
