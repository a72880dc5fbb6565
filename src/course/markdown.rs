//! Reads markdown into sections: headings with ids, and the blocks below each of them.

use std::ops::Range;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// A heading and what stands below it, up to the next heading of any level.
#[derive(Debug)]
pub struct Section {
    level: HeadingLevel,
    pub id: String,
    pub heading: String,
    pub blocks: Vec<Block>,
    /// Where the markdown below the heading lies in the source, subsections included.
    pub body: Range<usize>,
}

/// A block of a lesson, as far as the command line has a use for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    Paragraph(String),
    Code(String),
    List(Vec<Item>),
    Table(Table),
}

/// An entry of a list; `ticked` is None where the list is not a task list. A comment of HTML in it is a remark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    pub ticked: Option<bool>,
    pub text: String,
    pub remark: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Section {
    /// Its paragraphs, in order.
    pub fn paragraphs(&self) -> impl Iterator<Item = &str> {
        self.blocks.iter().filter_map(|block| match block {
            Block::Paragraph(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// Its first paragraph.
    pub fn paragraph(&self) -> Option<&str> {
        self.paragraphs().next()
    }
}

/// The sections of a page, in order.
pub fn read(source: &str) -> Vec<Section> {
    let options = Options::ENABLE_HEADING_ATTRIBUTES | Options::ENABLE_TASKLISTS | Options::ENABLE_TABLES;
    let mut reader = Reader::default();
    for (event, at) in Parser::new_ext(source, options).into_offset_iter() {
        reader.read(event, at);
    }
    reader.close(HeadingLevel::H1, source.len());
    reader.sections
}

/// What a comment of HTML says.
fn comment(html: &str) -> Option<&str> {
    Some(html.strip_prefix("<!--")?.strip_suffix("-->")?.trim())
}

/// Gathers sections from the parser's events. `text` holds what was read since the current block began.
#[derive(Default)]
struct Reader {
    sections: Vec<Section>,
    text: String,
    items: Vec<Item>,
    /// How many lists, and lists in lists, are open.
    depth: usize,
    table: Table,
    row: Vec<String>,
    /// Level and id of the heading that is being read.
    heading: Option<(HeadingLevel, String)>,
}

impl Reader {
    fn read(&mut self, event: Event, at: Range<usize>) {
        match event {
            Event::Start(tag) => self.start(tag, at),
            Event::End(tag) => self.end(tag, at),
            Event::Text(text) => self.text.push_str(&text),
            Event::Code(code) => {
                self.text.push('`');
                self.text.push_str(&code);
                self.text.push('`');
            }
            Event::SoftBreak | Event::HardBreak => self.text.push(' '),
            Event::TaskListMarker(ticked) => {
                if let Some(item) = self.items.last_mut() {
                    item.ticked = Some(ticked);
                }
            }
            Event::InlineHtml(html) => {
                if let (Some(item), Some(remark)) = (self.items.last_mut(), comment(&html)) {
                    item.remark = remark.into();
                }
            }
            // Other HTML is comments and folded solutions: for the book only.
            _ => {}
        }
    }

    fn start(&mut self, tag: Tag, at: Range<usize>) {
        match tag {
            Tag::Heading { level, id, .. } => {
                self.close(level, at.start);
                self.heading = Some((level, id.map(|id| id.to_string()).unwrap_or_default()));
                self.text.clear();
            }
            Tag::Paragraph | Tag::CodeBlock(_) if self.depth == 0 => self.text.clear(),
            Tag::List(_) => self.depth += 1,
            Tag::Item => {
                self.end_item();
                self.items.push(Item::default());
                self.text.clear();
            }
            Tag::Table(_) => self.table = Table::default(),
            Tag::TableCell => self.text.clear(),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd, at: Range<usize>) {
        match tag {
            TagEnd::Heading(_) => self.end_heading(at.end),
            TagEnd::Paragraph if self.depth == 0 => {
                let text = self.take_text();
                if !text.is_empty() {
                    self.add(Block::Paragraph(text));
                }
            }
            TagEnd::CodeBlock if self.depth == 0 => {
                let code = std::mem::take(&mut self.text);
                self.add(Block::Code(code.trim_end().to_string()));
            }
            TagEnd::Item => self.end_item(),
            TagEnd::List(_) => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 0 {
                    let items = std::mem::take(&mut self.items);
                    self.add(Block::List(items));
                }
            }
            TagEnd::TableCell => {
                let cell = self.take_text();
                self.row.push(cell);
            }
            TagEnd::TableHead => self.table.head = std::mem::take(&mut self.row),
            TagEnd::TableRow => self.table.rows.push(std::mem::take(&mut self.row)),
            TagEnd::Table => {
                let table = std::mem::take(&mut self.table);
                self.add(Block::Table(table));
            }
            _ => {}
        }
    }

    fn end_heading(&mut self, end: usize) {
        let heading = self.take_text();
        if let Some((level, id)) = self.heading.take() {
            self.sections.push(Section { level, id, heading, blocks: Vec::new(), body: end..0 });
        }
    }

    /// Gives an item the text read so far; a list inside the item does not belong to that text.
    fn end_item(&mut self) {
        let text = self.take_text();
        if let Some(item) = self.items.last_mut().filter(|item| item.text.is_empty()) {
            item.text = text;
        }
    }

    /// Ends the sections that a heading of this level, or the end of the file, ends.
    fn close(&mut self, level: HeadingLevel, end: usize) {
        for section in &mut self.sections {
            if section.body.end == 0 && section.level >= level {
                section.body.end = end;
            }
        }
    }

    fn add(&mut self, block: Block) {
        if let Some(section) = self.sections.last_mut() {
            section.blocks.push(block);
        }
    }

    /// What was read since the block began, with one space where the file has any white space.
    fn take_text(&mut self) -> String {
        let text = std::mem::take(&mut self.text);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}
