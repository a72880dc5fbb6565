//! The book's files, and its pages as a reader of Markdown sees them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

pub const LANGS: [&str; 2] = ["en", "ko"];

/// A file or folder of the repository.
pub fn path(inside: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(inside)
}

pub fn read(inside: &str) -> String {
    std::fs::read_to_string(path(inside)).unwrap_or_else(|error| panic!("{inside}: {error}"))
}

/// The names of all files below a folder, without `.ending`: `machines/01-virtual-machine`.
pub fn names(folder: &str, ending: &str) -> BTreeSet<String> {
    let (top, mut found, mut folders) = (path(folder), BTreeSet::new(), vec![path(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == ending) {
                let below = path.strip_prefix(&top).expect("below").with_extension("");
                found.insert(below.display().to_string());
            }
        }
    }
    found
}

/// What a page consists of, besides its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Heading {
        level: usize,
        id: String,
    },
    /// The info string of a fence, and the text in it.
    Fence {
        kind: String,
        text: String,
    },
    /// A fold or any other tag, as it stands there, with the words taken out.
    Html(String),
    /// `<!-- fact: … -->` and its like.
    Comment(String),
    /// `{{#figure …}}` and its like, outside of fences.
    Directive(String),
    /// The boxes of a task list: ticked or not.
    Choices(Vec<bool>),
    /// Columns of each row.
    Table(Vec<usize>),
    /// `> [!NOTE]` and its like.
    Note(String),
    /// Where the links of one section lead; languages may have them in another order.
    Links(BTreeSet<String>),
}

/// One page or lesson in one language.
pub struct Page {
    pub text: String,
    pub parts: Vec<Part>,
}

/// The page `machines/01-virtual-machine`.
pub fn page(lang: &str, name: &str) -> Page {
    Page::of(read(&format!("book/{lang}/src/{name}.md")))
}

impl Page {
    pub fn of(text: String) -> Page {
        let parts = parts(&text);
        Page { text, parts }
    }

    pub fn ids(&self) -> Vec<&str> {
        let ids = self.parts.iter().filter_map(|part| match part {
            Part::Heading { id, .. } => Some(id.as_str()),
            _ => None,
        });
        ids.collect()
    }

    /// What `<!-- NAME: … -->` comments say, in order.
    pub fn comments(&self, name: &str) -> Vec<&str> {
        let said = self.parts.iter().filter_map(|part| match part {
            Part::Comment(said) => said.split_once(':').filter(|(key, _)| *key == name),
            _ => None,
        });
        said.map(|(_, said)| said.trim()).collect()
    }

    /// The arguments of `{{#NAME …}}`, in fences too.
    pub fn directives(&self, name: &str) -> Vec<&str> {
        let start = format!("{{{{#{name} ");
        let inside = |line: &'_ str| line.trim().strip_prefix(&start).map(|rest| rest.len());
        let lines = self.text.lines().map(str::trim);
        lines.filter_map(|line| inside(line).map(|n| line[line.len() - n..].trim_end_matches("}}"))).collect()
    }
}

fn parts(text: &str) -> Vec<Part> {
    let options = Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_TABLES
        | Options::ENABLE_GFM;
    let mut reader = Reader::default();
    for event in Parser::new_ext(text, options) {
        reader.take(event);
    }
    reader.end_of_section();
    reader.parts
}

#[derive(Default)]
struct Reader {
    parts: Vec<Part>,
    links: BTreeSet<String>,
    fence: Option<(String, String)>,
    rows: Vec<usize>,
    paragraph: String,
    choices: Vec<bool>,
}

impl Reader {
    fn take(&mut self, event: Event) {
        match event {
            Event::Start(Tag::Heading { level, id, .. }) => {
                self.end_of_section();
                let id = id.map(|id| id.to_string()).unwrap_or_default();
                self.parts.push(Part::Heading { level: level as usize, id });
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                let kind = match kind {
                    CodeBlockKind::Fenced(info) => info.to_string(),
                    CodeBlockKind::Indented => "indented".into(),
                };
                self.fence = Some((kind, String::new()));
            }
            Event::End(TagEnd::CodeBlock) => {
                let (kind, text) = self.fence.take().unwrap_or_default();
                self.parts.push(Part::Fence { kind, text });
            }
            Event::Text(more) => match &mut self.fence {
                Some((_, text)) => text.push_str(&more),
                None => self.paragraph.push_str(&more),
            },
            Event::Html(html) | Event::InlineHtml(html) => self.html(&html),
            Event::Start(Tag::Paragraph) => self.paragraph.clear(),
            Event::End(TagEnd::Paragraph) if self.paragraph.starts_with("{{#") => {
                self.parts.push(Part::Directive(self.paragraph.clone()));
            }
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                self.links.insert(dest_url.to_string());
            }
            Event::TaskListMarker(ticked) => self.choices.push(ticked),
            Event::End(TagEnd::List(_)) if !self.choices.is_empty() => {
                self.parts.push(Part::Choices(std::mem::take(&mut self.choices)));
            }
            Event::Start(Tag::BlockQuote(kind)) => self.parts.push(Part::Note(format!("{kind:?}"))),
            event => self.table(&event),
        }
    }

    fn table(&mut self, event: &Event) {
        match event {
            Event::Start(Tag::TableHead | Tag::TableRow) => self.rows.push(0),
            Event::Start(Tag::TableCell) => {
                if let Some(row) = self.rows.last_mut() {
                    *row += 1;
                }
            }
            Event::End(TagEnd::Table) => self.parts.push(Part::Table(std::mem::take(&mut self.rows))),
            _ => {}
        }
    }

    /// Comments by what they say, tags without the words between them.
    fn html(&mut self, html: &str) {
        for line in html.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let comment = line.strip_prefix("<!--").and_then(|rest| rest.strip_suffix("-->"));
            match comment {
                Some(said) => self.parts.push(Part::Comment(said.trim().into())),
                None => {
                    let tags = line.split('<').skip(1).filter_map(|rest| rest.split_once('>'));
                    self.parts.push(Part::Html(tags.map(|(tag, _)| format!("<{tag}>")).collect()));
                }
            }
        }
    }

    fn end_of_section(&mut self) {
        if !self.links.is_empty() {
            self.parts.push(Part::Links(std::mem::take(&mut self.links)));
        }
    }
}
