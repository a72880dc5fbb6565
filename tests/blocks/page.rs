//! The `sh` blocks of the book's pages, its lessons and its exercises, and of the README.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::ways::{self, Way};
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// What the word in a fence says; `book/blocks.toml` has the reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    None,
    /// It can't be run by a test.
    Needs(String),
    /// It is run, but what it prints is not kept.
    Prints(String),
}

impl Mark {
    fn of(word: Option<&str>) -> Mark {
        match word.map(|word| word.split_once('=').expect("sh WORD=WORD")) {
            None => Mark::None,
            Some(("needs", what)) => Mark::Needs(what.to_owned()),
            Some(("prints", what)) => Mark::Prints(what.to_owned()),
            Some((word, _)) => panic!("sh {word}=: needs= or prints= is known"),
        }
    }

    /// As the fence has it.
    pub fn word(&self) -> Option<String> {
        match self {
            Mark::None => None,
            Mark::Needs(what) => Some(format!("needs={what}")),
            Mark::Prints(what) => Some(format!("prints={what}")),
        }
    }
}

/// A fence of commands.
#[derive(Clone, Debug)]
pub struct Block {
    /// Where it stands: the page, the heading's id, and a number from the second one on below the same heading.
    pub key: String,
    pub mark: Mark,
    pub text: String,
}

impl Block {
    /// Where its output is recorded.
    pub fn record(&self) -> PathBuf {
        root().join("book/blocks").join(format!("{}.out", self.key))
    }

    /// The ways that it is tried in. Booting a machine takes too long to do it in each.
    pub fn ways(&self) -> Vec<Way> {
        let makes = |way: &Way| match way {
            Way::Refused => self.text.contains("unshare"),
            Way::InsideAlone => ways::inside(&self.text).is_some(),
            _ => true,
        };
        if self.boots() { vec![Way::Pasted] } else { Way::ALL.into_iter().filter(makes).collect() }
    }

    /// Whether it boots a machine.
    pub fn boots(&self) -> bool {
        self.text.contains("qemu-system")
    }

    /// The exercise's solution, which is PROGRAM in its block.
    pub fn solution(&self) -> String {
        match self.key.strip_prefix("lessons/").and_then(|key| key.split_once('/')) {
            Some(("00-run", _)) => "lessons/00-run/starter/sh/box.sh".into(),
            Some((lesson, _)) => format!("lessons/{lesson}/solution/box.sh"),
            None => String::new(),
        }
    }
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every block in English. In Korean they are the same, byte for byte: tests/book and tests/lessons see to that.
pub fn blocks() -> Vec<Block> {
    let mut pages = vec![("README".to_owned(), root().join("README.md"))];
    pages
        .extend(files(&root().join("book/en/src")).into_iter().map(|path| (key(&path, "book/en/src"), path)));
    for lesson in fs::read_dir(root().join("lessons")).expect("lessons").flatten().map(|entry| entry.path()) {
        for path in [lesson.join("en.md"), lesson.join("exercise/en.md")].into_iter().filter(|p| p.is_file())
        {
            pages.push((key(path.parent().expect("a folder"), ""), path));
        }
    }
    pages.sort();
    pages.iter().flat_map(|(page, file)| of_page(page, &fs::read_to_string(file).expect("a page"))).collect()
}

/// All files below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

fn key(file: &Path, below: &str) -> String {
    let path = file.strip_prefix(root().join(below)).expect("below");
    path.with_extension("").display().to_string()
}

fn of_page(page: &str, text: &str) -> Vec<Block> {
    let (mut found, mut id, mut open) = (Vec::new(), String::new(), None::<(String, String)>);
    let mut counts = BTreeMap::<String, u32>::new();
    for event in Parser::new_ext(text, Options::ENABLE_HEADING_ATTRIBUTES | Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Heading { id: Some(new), .. }) => id = new.to_string(),
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                open = Some((info.to_string(), String::new()))
            }
            Event::Text(more) => open.iter_mut().for_each(|(_, text)| text.push_str(&more)),
            Event::End(TagEnd::CodeBlock) => {
                let Some((info, text)) = open.take() else { continue };
                let mut words = info.split_whitespace();
                if words.next() != Some("sh") {
                    continue;
                }
                let count = counts.entry(id.clone()).or_default();
                *count += 1;
                let number = if *count > 1 { format!("-{count}") } else { String::new() };
                found.push(Block { key: format!("{page}/{id}{number}"), mark: Mark::of(words.next()), text });
            }
            _ => {}
        }
    }
    found
}
