//! Lessons as they stand in their files, read without the program's own reader.

use std::path::PathBuf;

use crate::common::steps;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// A heading, and what stands below it up to the next one.
#[derive(Debug, Default)]
pub struct Section {
    pub id: String,
    pub heading: String,
    /// Its first paragraph: text without markdown, but for backticks around code.
    pub first: Option<String>,
    pub code: Vec<String>,
    /// The boxes of its task list: ticked or not.
    pub choices: Vec<bool>,
}

/// A lesson in one language.
pub struct Lesson {
    pub source: String,
    pub sections: Vec<Section>,
}

/// The lesson of a step.
pub fn lesson(slug: &str, lang: &str) -> Lesson {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("lessons");
    let file = dir.join(format!("{}/{lang}.md", steps::named(slug).folder()));
    let source = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let sections = sections(&source);
    Lesson { source, sections }
}

impl Lesson {
    pub fn section(&self, id: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.id == id)
    }

    /// The keys of one kind, `call`, `fact` or `check`: what follows it in the headings' ids.
    pub fn keys(&self, kind: &str) -> Vec<&str> {
        let prefix = format!("{kind}-");
        self.sections.iter().filter_map(|section| section.id.strip_prefix(&prefix)).collect()
    }

    /// The curriculum's numbers: `N6` of `<!-- fact: N6 -->`.
    pub fn taught(&self) -> Vec<&str> {
        let comments = self.source.split("<!-- fact:").skip(1);
        comments.filter_map(|rest| Some(rest.split_once("-->")?.0.trim())).collect()
    }
}

fn sections(source: &str) -> Vec<Section> {
    let options = Options::ENABLE_HEADING_ATTRIBUTES | Options::ENABLE_TASKLISTS | Options::ENABLE_TABLES;
    let mut sections = vec![Section::default()];
    let (mut text, mut in_list) = (String::new(), 0);
    for event in Parser::new_ext(source, options) {
        let Some(section) = sections.last_mut() else { continue };
        match event {
            Event::Start(Tag::Heading { id, .. }) => {
                let id = id.map(|id| id.to_string()).unwrap_or_default();
                sections.push(Section { id, ..Section::default() });
                text.clear();
            }
            Event::Start(Tag::Paragraph | Tag::CodeBlock(_)) => text.clear(),
            Event::Start(Tag::List(_)) => in_list += 1,
            Event::End(TagEnd::List(_)) => in_list -= 1,
            Event::End(TagEnd::Heading(_)) => section.heading = text.clone(),
            Event::End(TagEnd::Paragraph) if in_list == 0 && section.first.is_none() => {
                section.first = Some(text.clone());
            }
            Event::End(TagEnd::CodeBlock) => section.code.push(text.clone()),
            Event::TaskListMarker(ticked) => section.choices.push(ticked),
            Event::Text(more) => text.push_str(&more),
            Event::Code(code) => text.push_str(&format!("`{code}`")),
            Event::SoftBreak | Event::HardBreak => text.push(' '),
            _ => {}
        }
    }
    sections.remove(0);
    sections
}
