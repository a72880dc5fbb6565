//! What must hold for the built sites: every link leads somewhere, nothing comes from elsewhere, pages stay small.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::frame;
use crate::html::{Piece, pieces};
use crate::search::main_part;
use crate::shown::{MOST, Shown};

/// Bytes of a page with all that it loads before anybody asks for more: what it takes to read it far from a fast network.
const LARGEST: u64 = 250_000;

/// Attributes by which a page loads something.
const LOADS: [(&str, &str); 8] = [
    ("script", "src"),
    ("link", "href"),
    ("img", "src"),
    ("iframe", "src"),
    ("source", "src"),
    ("video", "src"),
    ("image", "href"),
    ("use", "href"),
];

/// What one page has and wants.
struct Page {
    ids: BTreeSet<String>,
    repeated: Vec<String>,
    links: Vec<String>,
    loads: Vec<String>,
    size: u64,
    shown: Shown,
}

/// Reads every page below `out` and fails with all that is wrong. `words`: prints how many each page shows.
pub fn check(out: &Path, words: bool) -> Result<()> {
    let mut pages = BTreeMap::new();
    for path in frame::pages(out)? {
        let html = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        pages.insert(normal(&path), read(&html));
    }
    let mut faults = Vec::new();
    let mut links = 0;
    let mut lengths = Vec::new();
    for (path, page) in &pages {
        let name = path.strip_prefix(normal(out)).unwrap_or(path).display().to_string();
        faults.extend(page.repeated.iter().map(|id| format!("{name}: two elements are called #{id}")));
        let weight = weight(path, page);
        if weight > LARGEST && !name.ends_with("print.html") {
            faults.push(format!("{name}: {weight} bytes, more than {LARGEST}"));
        }
        if !name.ends_with("print.html") {
            lengths.push((page.shown.words(), name.clone()));
            faults.extend(too_much(&page.shown).map(|what| format!("{name}: {what}")));
        }
        faults.extend(page.loads.iter().filter(|l| is_elsewhere(l)).map(|l| format!("{name}: loads {l}")));
        for link in page.links.iter().chain(&page.loads).filter(|link| !is_elsewhere(link)) {
            links += 1;
            faults.extend(dead_end(&pages, path, link).map(|why| format!("{name}: {link}: {why}")));
        }
    }
    lengths.sort_by(|one, other| other.cmp(one));
    if words {
        lengths.iter().for_each(|(count, name)| println!("{count:5}  {name}"));
    }
    if !faults.is_empty() {
        bail!("{}\n{} faults", faults.join("\n"), faults.len());
    }
    println!("{} pages, {links} links: all lead somewhere, nothing is loaded from elsewhere", pages.len());
    let longest = lengths.first().map_or(0, |(count, _)| *count);
    println!(
        "no page shows more than {longest} of {MOST} words while its folds are closed, or says anything twice"
    );
    Ok(())
}

/// What of a page's text should be in a fold, or on another page.
fn too_much(shown: &Shown) -> impl Iterator<Item = String> {
    let words = shown.words();
    let long =
        (words > MOST).then(|| format!("shows {words} words, more than {MOST}; fold what is reference"));
    let twice = shown.repeated().into_iter().map(|sentence| format!("says twice: {sentence}"));
    long.into_iter().chain(twice)
}

fn read(html: &str) -> Page {
    let mut page = Page {
        ids: BTreeSet::new(),
        repeated: Vec::new(),
        links: Vec::new(),
        loads: Vec::new(),
        size: html.len() as u64,
        shown: Shown::of(main_part(html)),
    };
    for piece in pieces(html) {
        let Piece::Open { name, .. } = &piece else { continue };
        if let Some(id) = piece.attribute("id")
            && !page.ids.insert(id.to_owned())
        {
            page.repeated.push(id.to_owned());
        }
        if let Some(link) = piece.attribute("href").filter(|_| name == "a") {
            page.links.push(link.to_owned());
        }
        for (_, attribute) in LOADS.iter().filter(|(element, _)| element == name) {
            page.loads.extend(piece.attribute(attribute).map(str::to_owned));
        }
    }
    page
}

/// The bytes of a page and of what it loads.
fn weight(path: &Path, page: &Page) -> u64 {
    let folder = path.parent().unwrap_or(Path::new(""));
    let size = |load: &String| fs::metadata(normal(&folder.join(load))).map_or(0, |file| file.len());
    page.size + page.loads.iter().map(size).sum::<u64>()
}

fn is_elsewhere(link: &str) -> bool {
    let scheme = link.split_once(':').map(|(scheme, _)| scheme);
    link.starts_with("//")
        || scheme.is_some_and(|s| !s.is_empty() && s.chars().all(|c| c.is_ascii_alphabetic()))
}

/// Why a link leads nowhere.
fn dead_end(pages: &BTreeMap<PathBuf, Page>, from: &Path, link: &str) -> Option<String> {
    let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
    let target = match path {
        "" => from.to_path_buf(),
        path => normal(&from.parent().unwrap_or(Path::new("")).join(path)),
    };
    match pages.get(&target) {
        Some(page) if fragment.is_empty() || page.ids.contains(fragment) => None,
        Some(_) => Some("nothing there is called so".into()),
        None if target.is_file() => None,
        None => Some("there is no such file".into()),
    }
}

/// The path without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            part => out.push(part),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_link_is_found_and_a_live_one_is_not() {
        let pages = BTreeMap::from([
            (PathBuf::from("/a/x.html"), read("<a href=\"../b.html#here\">")),
            (PathBuf::from("/b.html"), read("<h2 id=\"here\">")),
        ]);
        let from = Path::new("/a/x.html");
        assert_eq!(dead_end(&pages, from, "../b.html#here"), None);
        assert!(dead_end(&pages, from, "../b.html#there").is_some());
        assert!(dead_end(&pages, from, "b.html").is_some());
        assert!(dead_end(&pages, from, "#here").is_some());
    }

    #[test]
    fn what_is_elsewhere_has_a_scheme() {
        assert!(is_elsewhere("https://docs.kernel.org/"));
        assert!(is_elsewhere("//docs.kernel.org/"));
        assert!(!is_elsewhere("a.html#b:c/d"));
    }
}
