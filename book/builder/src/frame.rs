//! The frame around a page, `theme/index.hbs`, is filled in after mdBook has written it: the contents, the link to the
//! same page in the other language, the words in the reader's language.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::book::Edition;
use crate::contents::Contents;
use crate::expand::escaped;
use crate::paper;
use crate::prose;
use crate::search::main_part;

/// Where in `theme/index.hbs` the links to other languages, the contents, and the words for the scripts go.
const LANGUAGES: &str = "<!-- languages -->";
const CONTENTS: &str = "<!-- contents -->";
const HEAD_END: &str = "</head>";

/// What mdBook writes for its own frame and no page asks for: how its names begin.
const UNUSED: [&str; 9] = [
    "css",
    "fonts",
    "toc.html",
    "toc-",
    "highlight",
    "tomorrow-night",
    "ayu-highlight",
    "clipboard",
    "book-",
];

/// Finishes every page below `out`.
pub fn finish(edition: &Edition, others: &[&Edition], contents: &Contents, out: &Path) -> Result<()> {
    tidy(out)?;
    let mut words = edition.words.frame.clone();
    if edition.repository.url()?.is_some() {
        words.extend(edition.words.frame_source.clone());
    }
    let mut used = vec![false; words.len()];
    for page in pages(out)? {
        let path = page.strip_prefix(out).unwrap_or(&page).display().to_string();
        let html = fs::read_to_string(&page).with_context(|| format!("read {path}"))?;
        let html = translated(&words, &html, &mut used);
        let html = edition.words.notes.iter().fold(html, |html, (title, own)| {
            html.replace(&format!("</svg>{title}</p>"), &format!("</svg>{own}</p>"))
        });
        let html = with_additions(edition, others, contents, &path, &html).with_context(|| path.clone())?;
        fs::write(&page, html).with_context(|| format!("write {path}"))?;
    }
    let unused = words.keys().zip(used).find(|(_, used)| !used);
    if let Some((word, _)) = unused {
        bail!("the frame does not say \"{word}\" any more");
    }
    Ok(())
}

/// Removes what mdBook writes for its own frame.
fn tidy(out: &Path) -> Result<()> {
    for entry in fs::read_dir(out).with_context(|| format!("read {}", out.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let picture = name.starts_with("favicon") && name.ends_with(".png");
        if !picture && !UNUSED.iter().any(|unused| name.starts_with(unused)) {
            continue;
        }
        if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }
            .with_context(|| format!("remove {}", path.display()))?;
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

fn with_additions(
    edition: &Edition,
    others: &[&Edition],
    contents: &Contents,
    path: &str,
    html: &str,
) -> Result<String> {
    let up = "../".repeat(path.matches('/').count());
    let script = format!(
        "<script>window.bookWords = {};</script>\n",
        serde_json::to_string(&edition.words.script)?.replace("</", "<\\/")
    );
    let links: String = others.iter().map(|other| language_link(other, &up, path)).collect();
    let lists = contents.html(path, &up, main_part(html));
    let html = once(html, HEAD_END, &format!("{script}{HEAD_END}"))?;
    let html = once(&html, LANGUAGES, &links)?;
    let html = once(&html, CONTENTS, &lists)?;
    let (before, rest) = html.split_at(html.find("<main").unwrap_or(0));
    let (main, after) = rest.split_at(rest.rfind("</main>").unwrap_or(rest.len()));
    let mut main = paper::with_answers(&edition.words, main)?;
    if path == "print.html" {
        let (tag, text) = main.split_at(main.find('>').map_or(0, |at| at + 1));
        main = tag.to_owned() + &paper::with_contents(&edition.words, contents, text);
    }
    Ok(before.to_owned() + &prose::readable(edition.language, &main) + after)
}

fn language_link(other: &Edition, up: &str, path: &str) -> String {
    let (code, words) = (other.language, &other.words);
    format!(
        "<a class=\"book-language\" rel=\"alternate\" hreflang=\"{code}\" lang=\"{code}\" href=\"{up}../{code}/{path}\" title=\"{}\">{}</a>\n",
        escaped(&words.switch),
        escaped(&words.name)
    )
}

fn once(html: &str, what: &str, with: &str) -> Result<String> {
    ensure!(html.matches(what).count() == 1, "the frame has not one {what}");
    Ok(html.replace(what, with))
}

/// The frame's words, in attributes and as text, outside of what the page itself says.
fn translated(words: &BTreeMap<String, String>, html: &str, used: &mut [bool]) -> String {
    let (before, rest) = html.split_at(html.find("<main").unwrap_or(0));
    let (main, after) = rest.split_at(rest.rfind("</main>").unwrap_or(rest.len()));
    let (mut before, mut after) = (before.to_owned(), after.to_owned());
    for ((word, own), used) in words.iter().zip(used) {
        for (left, right) in [("=\"", "\""), (">", "<")] {
            let (old, new) = (format!("{left}{word}{right}"), format!("{left}{own}{right}"));
            *used |= before.contains(&old) || after.contains(&old);
            before = before.replace(&old, &new);
            after = after.replace(&old, &new);
        }
    }
    before + main + &after
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
