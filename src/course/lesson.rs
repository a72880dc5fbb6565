//! The text of one step, read from `lessons/NN-slug/LANG.md`.
//!
//! The same file is a page of the book. Here only its structure matters: headings with ids, and below each of them
//! paragraphs, code, lists and tables. Text that is looked up and missing never stops a run: the key stands in for
//! it, and a test makes sure that it does not come to that.

use std::path::PathBuf;

use super::language::Lang;
use super::markdown::{self, Block, Section, Table};
use super::{Step, embedded};

/// One lesson in one language.
///
/// Text comes without markdown, but for backticks around code: they tell code apart where there is no colour.
#[derive(Debug)]
pub struct Lesson {
    sections: Vec<Section>,
}

/// A question with choices, one of them right.
#[derive(Debug, PartialEq, Eq)]
pub struct Question {
    pub ask: String,
    pub choices: Vec<String>,
    /// Index of the right choice in `choices`.
    pub right: usize,
    /// Why it is the right one.
    pub because: String,
}

impl Lesson {
    /// The lesson of a step; in English where it has not been translated.
    pub fn load(step: &Step, lang: Lang) -> Lesson {
        let text = text_of(step, lang).or_else(|| text_of(step, Lang::En));
        Lesson::parse(text.unwrap_or_default())
    }

    /// Why those calls are made that options of `run` ask for, and no step.
    pub fn of_options(lang: Lang) -> Lesson {
        let name = if lang == Lang::Ko { "ko" } else { "en" };
        Lesson::parse(file(&format!("00-run/options/{name}.md")).unwrap_or_default())
    }

    /// The beginning of a step's lesson, its title and what the step adds, without reading the rest.
    pub fn beginning(step: &Step, lang: Lang) -> Lesson {
        let text = beginning_of(step, lang).or_else(|| beginning_of(step, Lang::En));
        Lesson::parse(text.unwrap_or_default())
    }

    /// Reads the markdown of a lesson. Any text is a lesson; what it lacks is found missing when it is looked up.
    pub fn parse(source: &str) -> Lesson {
        Lesson { sections: markdown::read(source) }
    }

    /// The lesson's title, e.g. `A root of its own`.
    pub fn title(&self) -> &str {
        self.sections.first().map_or("", |section| &section.heading)
    }

    /// One line that says what the step adds to the container.
    pub fn adds(&self) -> &str {
        self.sections.first().and_then(Section::paragraph).unwrap_or_default()
    }

    /// The one idea of the step, a paragraph.
    pub fn idea(&self) -> &str {
        self.text("idea").unwrap_or_default()
    }

    /// What to ask before the run.
    pub fn predict(&self) -> Option<Question> {
        let section = self.section("predict")?;
        let items = section.blocks.iter().find_map(|block| match block {
            Block::List(items) => Some(items),
            _ => None,
        })?;
        let mut paragraphs = section.paragraphs();
        Some(Question {
            ask: paragraphs.next()?.to_string(),
            choices: items.iter().map(|item| item.text.clone()).collect(),
            right: items.iter().position(|item| item.ticked == Some(true))?,
            because: paragraphs.next().unwrap_or_default().to_string(),
        })
    }

    /// Why a call is made, in a sentence or two; `key` is the call's `why`.
    pub fn why<'a>(&'a self, key: &'a str) -> &'a str {
        self.text(&format!("call-{key}")).unwrap_or(key)
    }

    /// The short label of a fact in the table of outside and inside.
    pub fn fact_label<'a>(&'a self, key: &'a str) -> &'a str {
        self.heading(&format!("fact-{key}")).unwrap_or(key)
    }

    /// What a check claims, e.g. `The old root is in no line of mountinfo`.
    pub fn check_claim<'a>(&'a self, key: &'a str) -> &'a str {
        self.heading(&format!("check-{key}")).unwrap_or(key)
    }

    /// What to do or to look at when a check failed.
    pub fn check_help(&self, key: &str) -> &str {
        self.text(&format!("check-{key}")).unwrap_or_default()
    }

    /// What is still open after this step and leads to the next.
    pub fn open(&self) -> &str {
        self.text("open").unwrap_or_default()
    }

    /// The same thing as shell commands, and what to watch when typing them.
    pub fn by_hand(&self) -> (&str, &str) {
        let code = self.section("by-hand").and_then(|section| {
            section.blocks.iter().find_map(|block| match block {
                Block::Code(code) => Some(code.as_str()),
                _ => None,
            })
        });
        (code.unwrap_or_default(), self.text("by-hand").unwrap_or_default())
    }

    /// The same thing in Docker, the first sentence of it.
    pub fn docker(&self) -> &str {
        first_sentence(self.text("docker").unwrap_or_default())
    }

    /// The ids of all headings, in order.
    #[cfg(test)]
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.sections.iter().map(|section| section.id.as_str())
    }

    /// The heading with this id.
    pub fn heading(&self, id: &str) -> Option<&str> {
        self.section(id).map(|section| section.heading.as_str())
    }

    /// The first paragraph below the heading with this id.
    pub fn text(&self, id: &str) -> Option<&str> {
        self.section(id)?.paragraph()
    }

    /// The blocks below the heading with this id, up to the next heading.
    pub fn blocks(&self, id: &str) -> &[Block] {
        self.section(id).map_or(&[], |section| &section.blocks)
    }

    /// The first table below the heading with this id.
    pub fn table(&self, id: &str) -> Option<&Table> {
        self.blocks(id).iter().find_map(|block| match block {
            Block::Table(table) => Some(table),
            _ => None,
        })
    }

    fn section(&self, id: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.id == id)
    }
}

/// The line that says what a step adds, without reading the rest of its lesson: the paragraph below the title.
pub fn adds(step: &Step, lang: Lang) -> &'static str {
    beginning_of(step, lang).and_then(|text| text.split("\n\n").nth(1)).unwrap_or_default().trim()
}

fn text_of(step: &Step, lang: Lang) -> Option<&'static str> {
    embedded::text(&path(step, lang))
}

/// The text above the first section: a start of ours that shows no lesson looks at no more of it.
fn beginning_of(step: &Step, lang: Lang) -> Option<&'static str> {
    embedded::beginning(&path(step, lang))
}

fn path(step: &Step, lang: Lang) -> String {
    format!("{}/{}.md", step.folder(), lang.code())
}

/// All files below a folder of `lessons/`, with their paths below it.
pub fn files(folder: &str) -> Vec<(PathBuf, &'static str)> {
    embedded::below(folder)
}

/// A text below `lessons/`.
pub fn file(path: &str) -> Option<&'static str> {
    embedded::text(path)
}

/// The text up to the first full stop that ends a sentence: not one inside code, nor that of an abbreviation.
fn first_sentence(text: &str) -> &str {
    let mut in_code = false;
    for (at, c) in text.char_indices() {
        match c {
            '`' => in_code = !in_code,
            '.' if !in_code => {
                let (before, after) = (&text[..at], &text[at + 1..]);
                let abbreviated = before.ends_with("e.g") || before.ends_with("i.e");
                if !abbreviated && (after.is_empty() || after.starts_with(' ')) {
                    return &text[..=at];
                }
            }
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::STEPS;

    fn lesson() -> Lesson {
        Lesson::parse(include_str!("fixture/en.md"))
    }

    #[test]
    fn short_texts_are_found_by_key() {
        let lesson = lesson();
        assert_eq!(lesson.title(), "A root of its own");
        assert!(lesson.adds().starts_with("Own root filesystem"));
        assert!(lesson.idea().starts_with("A process finds every file through its root."));
        assert_eq!(lesson.fact_label("home"), "`ls /home`");
        assert_eq!(lesson.check_claim("old-root-gone"), "The old root is in no line of mountinfo");
        assert!(lesson.check_help("old-root-gone").contains("umount2(2)"));
        assert!(!lesson.why("pivot").contains("fact:"), "{}", lesson.why("pivot"));
    }

    #[test]
    fn the_beginning_has_what_a_list_of_steps_shows() {
        for (step, lang) in STEPS.iter().flat_map(|step| [(step, Lang::En), (step, Lang::Ko)]) {
            let (beginning, whole) = (Lesson::beginning(step, lang), Lesson::load(step, lang));
            assert_eq!((beginning.title(), beginning.adds()), (whole.title(), whole.adds()), "{}", step.slug);
            assert_eq!(beginning.text("idea"), None, "{}", step.slug);
        }
    }

    #[test]
    fn the_question_has_one_right_answer() {
        let Some(question) = lesson().predict() else { panic!("a question") };
        assert_eq!(question.ask, "What does `ls /home` show in the container?");
        assert_eq!(question.choices.len(), 3);
        assert_eq!(question.right, 2);
        assert!(question.because.starts_with("The new root"));
    }

    #[test]
    fn code_is_kept_as_it_stands() {
        let lesson = lesson();
        let (code, note) = lesson.by_hand();
        assert!(code.starts_with("unshare -pfmui sh\n"), "{code}");
        assert!(code.ends_with("umount -l ."), "{code}");
        assert!(note.starts_with("The shell keeps"), "{note}");
    }

    #[test]
    fn only_the_first_sentence_of_docker_is_taken() {
        assert_eq!(
            lesson().docker(),
            "Every `docker run` does this; e.g. `--hostname box. 1` sets the name."
        );
        assert_eq!(first_sentence("셸은 남습니다. 다음 문장."), "셸은 남습니다.");
    }

    #[test]
    fn tables_of_other_sections_are_at_hand() {
        let lesson = lesson();
        let table = lesson.table("files").map(|table| (table.head.len(), table.rows.len()));
        assert_eq!(table, Some((3, 2)));
    }

    #[test]
    fn a_missing_text_is_its_key() {
        let lesson = Lesson::parse("");
        assert_eq!(lesson.why("pivot"), "pivot");
        assert_eq!(lesson.fact_label("root"), "root");
        assert_eq!(lesson.check_claim("escape"), "escape");
        assert_eq!(lesson.predict(), None);
        assert_eq!(lesson.by_hand(), ("", ""));
    }
}
