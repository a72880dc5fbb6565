//! How much a page shows while its folds are closed, and what it says twice.
//!
//! Words are what stands between spaces, in Korean too. Those in figures, listings and recorded runs count like all others:
//! whoever reads on a phone has to move past them.

use std::collections::BTreeSet;

use crate::html::{Piece, pieces};

/// Words that a page may show.
pub const MOST: usize = 2_500;

/// From so many words on, a sentence that stands twice in view was read twice.
const SENTENCE: usize = 7;

/// Elements without an end.
const VOID: [&str; 5] = ["br", "img", "input", "hr", "wbr"];

/// Where what stands twice is no sentence of the author's.
const NO_PROSE: [&str; 3] = ["pre", "table", "svg"];

/// Elements that part no words.
const INLINE: [&str; 12] =
    ["a", "b", "code", "em", "i", "kbd", "span", "strong", "tspan", "abbr", "small", "wbr"];

/// What of a page's `<main>` is in view.
#[derive(Debug, Default)]
pub struct Shown {
    /// One for each element that stands for itself: a paragraph, a cell, a line of a figure.
    blocks: Vec<Block>,
}

#[derive(Debug, Default)]
struct Block {
    text: String,
    /// That of a paragraph or an item of a list, not of a table, a listing or a figure.
    is_prose: bool,
}

impl Shown {
    pub fn of(main: &str) -> Shown {
        let mut reader = Reader { shown: Shown { blocks: vec![Block::default()] }, ..Reader::default() };
        for piece in pieces(main) {
            reader.take(&piece);
        }
        reader.shown
    }

    pub fn words(&self) -> usize {
        self.blocks.iter().map(|block| block.text.split_whitespace().count()).sum()
    }

    /// The sentences that stand in view more than once.
    pub fn repeated(&self) -> BTreeSet<String> {
        let mut met = BTreeSet::new();
        let prose = self.blocks.iter().filter(|block| block.is_prose);
        let sentences = prose.flat_map(|block| sentences(&block.text));
        sentences
            .filter(|s| s.split_whitespace().count() >= SENTENCE)
            .filter(|s| !met.insert(s.clone()))
            .collect()
    }
}

/// What ends with a full stop, a question mark or a colon. One inside a name or a path ends no sentence, so a space has to
/// follow it.
fn sentences(prose: &str) -> Vec<String> {
    let words: Vec<_> = prose.split_whitespace().collect();
    let ended = words.split_inclusive(|word| word.ends_with(['.', '?', ':']));
    ended.map(|sentence| sentence.join(" ")).filter(|s| s.ends_with(['.', '?', ':'])).collect()
}

/// A page on its way into what is in view.
#[derive(Default)]
struct Reader {
    shown: Shown,
    /// The elements around this place, and for each whether nobody sees what is in it.
    around: Vec<(String, bool)>,
}

impl Reader {
    fn take(&mut self, piece: &Piece) {
        match piece {
            Piece::Open { name, .. } => {
                if !VOID.contains(&name.as_str()) && !is_shape(name) {
                    let hides = self.hides(name, piece);
                    self.around.push((name.clone(), hides));
                }
                self.part(name);
            }
            Piece::Close(name) => {
                if let Some(at) = self.around.iter().rposition(|(open, _)| open == name) {
                    self.around.truncate(at);
                }
                self.part(name);
            }
            Piece::Text(text) if self.is_seen() => {
                let is_prose = !self.around.iter().any(|(name, _)| NO_PROSE.contains(&name.as_str()));
                if let Some(block) = self.shown.blocks.last_mut() {
                    block.text.push_str(text);
                    block.is_prose = is_prose;
                }
            }
            Piece::Text(_) => {}
        }
    }

    /// What stands in another block is another word.
    fn part(&mut self, name: &str) {
        if !INLINE.contains(&name) && self.shown.blocks.last().is_some_and(|block| !block.text.is_empty()) {
            self.shown.blocks.push(Block::default());
        }
    }

    /// Whether an element's text is out of view: that of a closed fold but for its title, and what is for paper or for a
    /// screen reader.
    fn hides(&self, name: &str, piece: &Piece) -> bool {
        let has = |class: &str| piece.attribute("class").is_some_and(|c| c.split(' ').any(|c| c == class));
        match name {
            "details" => piece.attribute("open").is_none(),
            "script" | "style" | "desc" | "title" => true,
            _ => has("answers") || has("paper-contents") || has("narrow"),
        }
    }

    fn is_seen(&self) -> bool {
        let hidden = |at: usize| match &self.around[at] {
            (name, true) if name == "details" => {
                self.around.get(at + 1).is_none_or(|(inner, _)| inner != "summary")
            }
            (_, hides) => *hides,
        };
        !(0..self.around.len()).any(hidden)
    }
}

/// Parts of a picture that end where they begin.
fn is_shape(name: &str) -> bool {
    matches!(name, "path" | "rect" | "circle" | "ellipse" | "line" | "polyline" | "polygon" | "use")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_fold_shows_its_title_and_an_open_one_all() {
        let fold = |open| {
            format!(
                "<p>one <b>tw</b>o</p><details{open}><summary>three <i>four</i></summary>five<details>six</details></details> seven"
            )
        };
        assert_eq!(Shown::of(&fold("")).words(), 5);
        assert_eq!(Shown::of(&fold(" open")).words(), 6);
    }

    #[test]
    fn what_nobody_sees_is_not_counted() {
        let page = "<script>a b</script><svg><title>c d</title><rect/><text>e</text><text>f</text></svg>\
                    <section class=\"answers\">g</section>";
        assert_eq!(Shown::of(page).words(), 2);
    }

    #[test]
    fn a_sentence_in_view_twice_is_found() {
        let once = "The kernel kills a process of the group.";
        let page = format!("<p>It ends. {once} So.</p><details><p>{once}</p></details>");
        assert!(Shown::of(&page).repeated().is_empty());
        assert_eq!(
            Shown::of(&format!("{page}<ul><li>{once}</li></ul>")).repeated(),
            BTreeSet::from([once.into()])
        );
    }
}
