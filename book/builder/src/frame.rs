//! The frame around a page, after mdBook has written it: the link to the same page in the other language, the
//! words in the reader's language, the button for searching.
//!
//! The template stays mdBook's own. If an update changes what is looked for here, building fails and says so.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::book::Edition;
use crate::expand::escaped;

/// The buttons at the right of the bar, where the links to other languages go.
const RIGHT: &str = "<div class=\"right-buttons\">";
/// What the buttons at the left end with.
const LEFT_END: &str = "</ul>";
/// Before this, the words for the script go.
const HEAD_END: &str = "</head>";

/// Finishes every page below `out`.
pub fn finish(edition: &Edition, others: &[&Edition], out: &Path) -> Result<()> {
    let mut words = edition.words.frame.clone();
    if edition.repository.url()?.is_some() {
        words.extend(edition.words.frame_source.clone());
    }
    let mut used = vec![false; words.len()];
    for page in pages(out)? {
        let path = page.strip_prefix(out).unwrap_or(&page).display().to_string();
        // The contents for readers without a script stand in a frame of their own.
        if path == "toc.html" {
            continue;
        }
        let html = fs::read_to_string(&page).with_context(|| format!("read {path}"))?;
        let html = with_additions(edition, others, &path, &html).with_context(|| path.clone())?;
        let html = translated(&words, &html, &mut used);
        fs::write(&page, html).with_context(|| format!("write {path}"))?;
    }
    let unused = words.keys().zip(used).find(|(_, used)| !used);
    if let Some((word, _)) = unused {
        bail!("mdBook's frame does not say \"{word}\" any more");
    }
    Ok(())
}

/// The HTML files below a folder.
pub fn pages(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "html") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn with_additions(edition: &Edition, others: &[&Edition], path: &str, html: &str) -> Result<String> {
    let up = "../".repeat(path.matches('/').count());
    let words = &edition.words;
    let script = format!(
        "<script>window.bookWords = {};</script>\n",
        serde_json::to_string(&words.script)?.replace("</", "<\\/")
    );
    let search = format!(
        "<button id=\"book-search-open\" class=\"icon-button\" type=\"button\" title=\"{0} (/)\" aria-label=\"{0}\" aria-keyshortcuts=\"/ s\">{1}</button>",
        escaped(&words.script.search),
        MAGNIFIER
    );
    let mut html = once(html, HEAD_END, &format!("{script}{HEAD_END}"))?;
    html = first(&html, LEFT_END, &format!("{LEFT_END}\n{search}"))?;
    let links: String = others.iter().map(|other| language_link(other, &up, path)).collect();
    once(&html, RIGHT, &format!("{RIGHT}\n{links}"))
}

const MAGNIFIER: &str = "<svg viewBox=\"0 0 16 16\" width=\"18\" height=\"18\" aria-hidden=\"true\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.8\"><circle cx=\"6.5\" cy=\"6.5\" r=\"4.5\"/><path d=\"M10 10l4.5 4.5\"/></svg>";

fn language_link(other: &Edition, up: &str, path: &str) -> String {
    let (code, words) = (other.language, &other.words);
    format!(
        "<a class=\"book-language\" rel=\"alternate\" hreflang=\"{code}\" lang=\"{code}\" href=\"{up}../{code}/{path}\" title=\"{}\">{}</a>\n",
        escaped(&words.switch),
        escaped(&words.name)
    )
}

fn once(html: &str, what: &str, with: &str) -> Result<String> {
    ensure!(html.matches(what).count() == 1, "mdBook's page has not one {what}");
    Ok(html.replace(what, with))
}

fn first(html: &str, what: &str, with: &str) -> Result<String> {
    ensure!(html.contains(what), "mdBook's page has no {what}");
    Ok(html.replacen(what, with, 1))
}

/// mdBook's words, in attributes and as text, outside of what the page itself says; and the titles of its notes.
fn translated(words: &BTreeMap<String, String>, html: &str, used: &mut [bool]) -> String {
    let (before, rest) = html.split_at(html.find("<main>").unwrap_or(0));
    let (main, after) = rest.split_at(rest.rfind("</main>").unwrap_or(rest.len()));
    let (mut before, mut main, mut after) = (before.to_owned(), main.to_owned(), after.to_owned());
    for ((word, own), used) in words.iter().zip(used) {
        for (left, right) in [("=\"", "\""), (">", "<")] {
            let (old, new) = (format!("{left}{word}{right}"), format!("{left}{own}{right}"));
            *used |= before.contains(&old) || after.contains(&old);
            before = before.replace(&old, &new);
            after = after.replace(&old, &new);
        }
        let (old, new) = (format!("</svg>{word}</p>"), format!("</svg>{own}</p>"));
        *used |= main.contains(&old);
        main = main.replace(&old, &new);
    }
    before + &main + &after
}

/// The page above the languages: links, and with a script straight on to the reader's own language.
pub fn first_page(editions: &[Edition]) -> String {
    let links: String = editions
        .iter()
        .map(|e| {
            format!(
                "<p lang=\"{0}\"><a href=\"{0}/index.html\" hreflang=\"{0}\">{1}: {2}</a></p>\n",
                e.language,
                escaped(&e.words.name),
                escaped(&e.words.title)
            )
        })
        .collect();
    let codes: Vec<_> = editions.iter().map(|e| format!("\"{}\"", e.language)).collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n<style>body {{ font: 1.2rem/1.6 sans-serif; margin: 4rem auto; max-width: 32rem; padding: 0 1rem; color-scheme: light dark }}</style>\n<script>\nconst known = [{}];\nconst own = navigator.languages.map((l) => l.slice(0, 2)).find((l) => known.includes(l)) || known[0];\nlocation.replace(own + \"/index.html\");\n</script>\n</head>\n<body>\n{links}</body>\n</html>\n",
        escaped(&editions.first().map_or(String::new(), |e| e.words.title.clone())),
        codes.join(", ")
    )
}
