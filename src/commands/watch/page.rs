//! What fits a terminal: the head and the foot of a page stay where they are, and what is between them can be moved.

use crate::render::wrap::fold;

/// A page, as lines of any width.
#[derive(Debug, Default)]
pub struct Page {
    pub head: Vec<String>,
    pub body: Vec<String>,
    pub foot: Vec<String>,
}

/// Which lines of the body are to be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    pub top: usize,
    pub rows: usize,
    pub all: usize,
}

impl Page {
    /// The lines that are to be seen on a terminal of so many rows and columns, if the body is moved up by `top` lines,
    /// or by as many as there are. `position` tells where that is, on one line, if not all of the body is to be seen.
    pub fn fit(
        &self,
        (rows, columns): (u16, u16),
        top: usize,
        position: impl Fn(Window) -> String,
    ) -> (Vec<String>, Window) {
        let folded = |lines: &[String]| -> Vec<String> {
            lines.iter().flat_map(|line| fold(line, columns.into())).collect()
        };
        let (mut lines, body, foot) = (folded(&self.head), folded(&self.body), folded(&self.foot));
        let room = usize::from(rows).saturating_sub(lines.len() + foot.len());
        if body.len() <= room {
            let window = Window { top: 0, rows: body.len(), all: body.len() };
            lines.extend(body.into_iter().chain(foot));
            return (lines, window);
        }
        let room = room.saturating_sub(1).max(1);
        let window = Window { top: top.min(body.len() - room), rows: room, all: body.len() };
        lines.extend(body.into_iter().skip(window.top).take(room));
        lines.extend(fold(&position(window), columns.into()).into_iter().take(1));
        lines.extend(foot);
        (lines, window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(body: usize) -> Page {
        let lines = |name: &str, count| (1..=count).map(|number| format!("{name} {number}")).collect();
        Page { head: lines("head", 1), body: lines("body", body), foot: lines("foot", 2) }
    }

    fn position(window: Window) -> String {
        format!("{}-{}/{}", window.top + 1, window.top + window.rows, window.all)
    }

    #[test]
    fn what_fits_is_shown_as_it_is() {
        let (lines, window) = page(3).fit((6, 80), 7, position);
        assert_eq!(lines, ["head 1", "body 1", "body 2", "body 3", "foot 1", "foot 2"]);
        assert_eq!(window, Window { top: 0, rows: 3, all: 3 });
    }

    #[test]
    fn what_does_not_fit_is_moved_between_head_and_foot() {
        let (lines, _) = page(9).fit((7, 80), 0, position);
        assert_eq!(lines, ["head 1", "body 1", "body 2", "body 3", "1-3/9", "foot 1", "foot 2"]);
        let (lines, window) = page(9).fit((7, 80), usize::MAX, position);
        assert_eq!(lines[1..5], ["body 7", "body 8", "body 9", "7-9/9"]);
        assert_eq!(window.top, 6);
    }

    #[test]
    fn a_line_that_is_too_wide_takes_several_rows() {
        let (lines, _) = page(3).fit((9, 4), 0, position);
        assert_eq!(lines, ["head", " 1", "body", " 1", "1-2/", "foot", " 1", "foot", " 2"]);
    }
}
