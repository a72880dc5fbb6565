//! Sections of a step's lesson, and the source code of its calls.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::commands;
use super::cut;
use super::folds;
use super::quiz::heading_id;
use crate::book::Edition;
use crate::words::FoldWords;

/// `SLUG SECTION…`: these sections, in this order, each with its heading.
pub fn sections(edition: &Edition, what: &str) -> Result<String> {
    let mut words = what.split_whitespace();
    let slug = words.next().context("which lesson?")?;
    let file = file(edition, slug)?;
    let folder = file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let text = commands::told(edition, &format!("lessons/{folder}"), &fs::read_to_string(&file)?)?;
    let code = Code::read(&edition.repository.path("src"))?;
    let mut out = String::new();
    for wanted in words {
        let section =
            section(&text, wanted).with_context(|| format!("the lesson has no section {wanted}"))?;
        let words = &edition.words.fold;
        let blocks = with_code(&section, slug, &code)?;
        let written: String = blocks.iter().map(|block| block.written(words)).collect();
        out.push_str(&folds::told(wanted, &written, words));
    }
    Ok(out)
}

/// What a section consists of.
enum Block<'a> {
    Line(&'a str),
    Code(Part),
}

impl Block<'_> {
    fn written(&self, words: &FoldWords) -> String {
        match self {
            Block::Line(line) => format!("{line}\n"),
            Block::Code(part) => folds::code(&part.path, &part.text, words),
        }
    }
}

/// The section with each call's code after the call's first paragraph, which the program prints below it.
fn with_code<'a>(section: &[&'a str], slug: &str, code: &Code) -> Result<Vec<Block<'a>>> {
    let mut blocks = Vec::new();
    let mut waiting = None;
    let mut paragraph = false;
    for line in section {
        if paragraph && line.is_empty() {
            blocks.extend(waiting.take().map(Block::Code));
        }
        paragraph = !line.is_empty() && !line.starts_with('#');
        if let Some(key) = heading_id(line).and_then(|id| id.strip_prefix("call-")) {
            waiting = code.of_call(slug, key)?;
        }
        blocks.push(Block::Line(line));
    }
    blocks.extend(waiting.map(Block::Code));
    Ok(blocks)
}

/// `lessons/NN-SLUG/LANG.md`.
fn file(edition: &Edition, slug: &str) -> Result<PathBuf> {
    let folder = edition.repository.path("lessons");
    for entry in fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.split_once('-').is_some_and(|(_, rest)| rest == slug) {
            return Ok(folder.join(name).join(edition.language).with_extension("md"));
        }
    }
    bail!("there is no lesson {slug}")
}

/// The lines of `## … {#id}` up to the next heading of its kind.
pub(super) fn section<'a>(text: &'a str, id: &str) -> Option<Vec<&'a str>> {
    let mut fenced = false;
    let mut inside = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        fenced ^= line.starts_with("```");
        if !fenced && line.starts_with("## ") {
            inside = heading_id(line) == Some(id);
        }
        if inside {
            lines.push(line);
        }
    }
    (!lines.is_empty()).then_some(lines)
}

/// The marked parts of the program's source.
struct Code {
    /// Path below the repository, and text.
    files: Vec<(String, String)>,
}

struct Part {
    path: String,
    text: String,
}

impl Code {
    fn read(src: &Path) -> Result<Code> {
        let mut files = Vec::new();
        let mut folders = vec![src.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|e| e == "rs") {
                    let below = path.strip_prefix(src).unwrap_or(&path);
                    files.push((format!("src/{}", below.display()), fs::read_to_string(&path)?));
                }
            }
        }
        Ok(Code { files })
    }

    /// The part marked `SLUG-KEY`; a call without one is in the part of a call above it.
    fn of_call(&self, slug: &str, key: &str) -> Result<Option<Part>> {
        let name = format!("{slug}-{key}");
        for (path, text) in &self.files {
            if cut::anchors(text).contains(&name.as_str()) {
                return Ok(Some(Part { path: path.clone(), text: cut::part(text, &name)? }));
            }
        }
        Ok(None)
    }
}
