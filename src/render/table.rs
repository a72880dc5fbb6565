//! Tables without lines: columns that fit their contents, and the line.

use super::prose;
use super::style::{Role, Style};
use super::wrap;

/// Columns between two columns of a table.
const GAP: usize = 3;

/// No column is made narrower than this to fit the line.
const NARROWEST: usize = 6;

/// A cell and how it is painted.
pub type Cell = (Role, String);

/// The lines of a table. Column `i` is at least `least[i]` columns wide; cells too long for theirs are wrapped.
pub fn lines(style: &Style, rows: &[Vec<Cell>], least: &[usize]) -> Vec<String> {
    let mut widths = natural(rows, least);
    while total(&widths) > room(style) {
        match widths.iter_mut().max() {
            Some(widest) if *widest > NARROWEST => *widest -= 1,
            _ => break,
        }
    }
    rows.iter().flat_map(|row| row_lines(style, row, &widths)).collect()
}

/// Whether a table fits the line without wrapping a cell.
pub fn fits(style: &Style, rows: &[Vec<Cell>], least: &[usize]) -> bool {
    total(&natural(rows, least)) <= room(style)
}

fn room(style: &Style) -> usize {
    style.width.saturating_sub(2)
}

fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
}

/// The widths of the columns if there were no end to the line.
fn natural(rows: &[Vec<Cell>], least: &[usize]) -> Vec<usize> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    (0..columns)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            let widest = cells.map(|(_, text)| wrap::width(text)).max().unwrap_or(0);
            widest.max(least.get(column).copied().unwrap_or(0))
        })
        .collect()
}

fn row_lines(style: &Style, row: &[Cell], widths: &[usize]) -> Vec<String> {
    let cells: Vec<Vec<String>> =
        row.iter().zip(widths).map(|((role, text), width)| cell_lines(style, *role, text, *width)).collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or(0);
    (0..height)
        .map(|line| {
            let cells = cells.iter().zip(widths).map(|(cell, width)| {
                let text = cell.get(line).map_or("", String::as_str);
                wrap::pad(text, *width + GAP)
            });
            format!(" {}", cells.collect::<String>()).trim_end().to_string()
        })
        .collect()
}

fn cell_lines(style: &Style, role: Role, text: &str, width: usize) -> Vec<String> {
    let ellipsis = style.signs().ellipsis;
    let words = text.split(' ').map(|word| wrap::shorten(word, width, ellipsis));
    prose::lines(style, role, &words.collect::<Vec<_>>().join(" "), width)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(rows: &[&[&str]]) -> Vec<Vec<Cell>> {
        rows.iter().map(|row| row.iter().map(|text| (Role::Plain, text.to_string())).collect()).collect()
    }

    #[test]
    fn columns_are_aligned_in_columns_of_the_terminal() {
        let rows = plain(&[&["루트", "a", "b"], &["/proc", "c", "d"]]);
        assert_eq!(lines(&Style::default(), &rows, &[]), [" 루트    a   b", " /proc   c   d"]);
    }

    #[test]
    fn the_widest_column_is_the_one_that_gives_way() {
        let style = Style { width: 40, ..Style::default() };
        let rows = plain(&[&["short", "a cell with many words that needs to be wrapped", "x"]]);
        let lines = lines(&style, &rows, &[]);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| wrap::width(line) < 40), "{lines:?}");
        assert!(lines[0].ends_with('x'), "{lines:?}");
    }
}
