//! Lines of a given width. All widths are columns of a terminal: a Hangul syllable takes two.

use console::{AnsiCodeIterator, measure_text_width};
use textwrap::core::Word;
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

/// Stands in for a space that no line may break at. Unicode has it for just that, and it never reaches the output.
const KEEP: &str = "\u{a0}";

/// Stands between the parts of a long list: a space of no width, where a line may break. It never reaches the output.
const JOINT: &str = "\u{200b}";

/// What the parts of a list end with: flags, and options of a mount.
const LIST: [char; 2] = ['|', ','];

/// In place of a tab: where its line begins can't be known here.
const TAB: &str = "    ";

/// Code longer than this, in columns, may be broken at its spaces.
const LONGEST_CODE: usize = 30;

/// The columns that a text takes.
pub fn width(text: &str) -> usize {
    // Most text is such, and what may be in any other takes a hundred times as long to find out.
    let plain = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if plain { text.len() } else { measure_text_width(text) }
}

/// The text with spaces after it, up to a width.
pub fn pad(text: &str, to: usize) -> String {
    let spaces = to.saturating_sub(width(text));
    format!("{text}{}", " ".repeat(spaces))
}

/// The text with spaces before it, up to a width.
pub fn pad_left(text: &str, to: usize) -> String {
    let spaces = to.saturating_sub(width(text));
    format!("{}{text}", " ".repeat(spaces))
}

/// Breaks prose at spaces into lines of at most `to` columns. Code between backticks stays on one line where
/// it can, and the last line is no single short word where a narrower paragraph of as many lines avoids that.
pub fn prose(text: &str, to: usize) -> Vec<String> {
    if width(text) <= to && !text.contains('\n') {
        return vec![text.trim_end_matches(' ').to_owned()];
    }
    let text = bind_code(text);
    let mut lines = break_lines(&text, to);
    let ragged = |lines: &[String]| lines.last().is_some_and(|last| width(last) < to / 4);
    if lines.len() > 1 && ragged(&lines) {
        // A narrower line must not break what this one keeps whole.
        let better = ((to * 3 / 4).max(widest(&text, to))..to)
            .rev()
            .map(|narrower| break_lines(&text, narrower))
            .take_while(|candidate| candidate.len() == lines.len())
            .find(|candidate| !ragged(candidate));
        lines = better.unwrap_or(lines);
    }
    lines.into_iter().map(|line| line.replace(KEEP, " ")).collect()
}

/// The width of the widest piece that lines of `to` columns keep whole.
fn widest(text: &str, to: usize) -> usize {
    let pieces = |word| str::split_inclusive(word, LIST);
    let words = text.split(' ').flat_map(|word| match width(word) > to {
        true => pieces(word).collect::<Vec<_>>(),
        false => vec![word],
    });
    words.map(width).filter(|width| *width <= to).max().unwrap_or(0)
}

/// A word that is longer than a line is broken, but for a path: it stays whole for whoever copies it, and the
/// terminal folds it. A list of flags or options is broken between two of them.
fn break_lines(text: &str, to: usize) -> Vec<String> {
    let long_list = |word: &str| width(word) > to && word.contains(LIST);
    let words = text.split(' ').map(|word| match long_list(word) {
        true => word.split_inclusive(LIST).collect::<Vec<_>>().join(JOINT),
        false => word.to_owned(),
    });
    let text = words.collect::<Vec<_>>().join(" ");
    let long_path = |word: &str| word.contains('/') && width(word) > to;
    let options = Options::new(to.max(1))
        .word_separator(WordSeparator::Custom(parts))
        .word_splitter(WordSplitter::NoHyphenation)
        .break_words(!text.split([' ', '\u{200b}']).any(long_path))
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    textwrap::wrap(&text, options).into_iter().map(|line| line.replace(JOINT, "")).collect()
}

/// Where a line may end: behind a space, and at a joint of a list.
fn parts(line: &str) -> Box<dyn Iterator<Item = Word<'_>> + '_> {
    let joints = |word| str::split_inclusive(word, JOINT);
    Box::new(line.split_inclusive(' ').flat_map(joints).map(Word::from))
}

/// Makes the spaces inside short code unbreakable.
fn bind_code(text: &str) -> String {
    let pieces = text.split('`').enumerate().map(|(place, piece)| {
        let code = place % 2 == 1;
        if code && width(piece) <= LONGEST_CODE { piece.replace(' ', KEEP) } else { piece.to_string() }
    });
    pieces.collect::<Vec<_>>().join("`")
}

/// The text in at most `to` columns. A path keeps its end, which tells it apart from others; anything else
/// keeps both ends.
pub fn shorten(text: &str, to: usize, ellipsis: &str) -> String {
    if width(text) <= to {
        return text.to_string();
    }
    let room = to.saturating_sub(width(ellipsis));
    if text.contains('/') && !text.contains(' ') {
        return format!("{ellipsis}{}", last_columns(text, room));
    }
    let tail = room / 2;
    format!("{}{ellipsis}{}", first_columns(text, room - tail), last_columns(text, tail))
}

/// Breaks a line wherever it is `to` columns wide, as a terminal does. Colours stay; what else a line tells a terminal to
/// do, to move for example, would spoil what stands around it and is left out.
pub fn fold(line: &str, to: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut taken = 0;
    for (piece, is_escape) in AnsiCodeIterator::new(line) {
        if is_escape {
            let colour = if piece.ends_with('m') { piece } else { "" };
            lines.last_mut().into_iter().for_each(|line| line.push_str(colour));
            continue;
        }
        for c in piece.replace('\t', TAB).chars().filter(|c| !c.is_control()) {
            let columns = width(c.encode_utf8(&mut [0; 4]));
            if taken + columns > to && taken > 0 {
                lines.push(String::new());
                taken = 0;
            }
            taken += columns;
            lines.last_mut().into_iter().for_each(|line| line.push(c));
        }
    }
    lines
}

fn first_columns(text: &str, columns: usize) -> &str {
    let mut taken = 0;
    for (at, c) in text.char_indices() {
        taken += width(c.encode_utf8(&mut [0; 4]));
        if taken > columns {
            return &text[..at];
        }
    }
    text
}

fn last_columns(text: &str, columns: usize) -> &str {
    let mut taken = 0;
    for (at, c) in text.char_indices().rev() {
        taken += width(c.encode_utf8(&mut [0; 4]));
        if taken > columns {
            return &text[at + c.len_utf8()..];
        }
    }
    text
}

/// Breaks the arguments of a call into at most `most` lines. Arguments stay whole where they can; a list of
/// flags or options that is longer than a line breaks after `|` or `,`, and what is longer still is shortened.
pub fn arguments(text: &str, to: usize, most: usize, ellipsis: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut add = |piece: &str, apart: &str| match lines.last_mut() {
        Some(line) if width(line) + width(apart) + width(piece) <= to => {
            line.push_str(apart);
            line.push_str(piece);
        }
        _ => lines.push(piece.to_string()),
    };
    for argument in text.split(' ').filter(|argument| !argument.is_empty()) {
        if width(argument) <= to {
            add(argument, " ");
            continue;
        }
        let mut apart = " ";
        for piece in argument.split_inclusive(['|', ',']) {
            add(&shorten_value(piece, to, ellipsis), apart);
            apart = "";
        }
    }
    if lines.len() > most {
        let rest = lines.split_off(most.saturating_sub(1));
        lines.push(shorten(&rest.join(" "), to, ellipsis));
    }
    lines
}

/// The text in at most `to` columns; of `key=/a/path` the key is kept.
fn shorten_value(text: &str, to: usize, ellipsis: &str) -> String {
    match text.split_once('=') {
        Some((key, value)) if value.starts_with('/') && width(key) + 8 < to => {
            format!("{key}={}", shorten(value, to - width(key) - 1, ellipsis))
        }
        _ => shorten(text, to, ellipsis),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hangul_takes_two_columns() {
        assert_eq!(width("루트 a"), 6);
        assert_eq!(pad("루트", 6), "루트  ");
        assert_eq!(pad_left("루트", 6), "  루트");
        assert_eq!(prose("가나 다라 마바 사아", 9), ["가나 다라", "마바 사아"]);
    }

    #[test]
    fn a_folded_line_keeps_its_colours_and_moves_nothing() {
        assert_eq!(fold("", 4), [""]);
        assert_eq!(fold("abcde루트", 4), ["abcd", "e루", "트"]);
        assert_eq!(fold("\u{1b}[31mabcde\u{1b}[0m\u{1b}[2K\u{7}", 4), ["\u{1b}[31mabcd", "e\u{1b}[0m"]);
        assert_eq!(fold("\tx", 80), ["    x"]);
    }

    #[test]
    fn code_stays_on_one_line() {
        assert_eq!(prose("then `ls -l /` again", 12), ["then", "`ls -l /`", "again"]);
    }

    #[test]
    fn no_short_word_is_left_alone() {
        let text = "The old root is detached and no path leads back to it.";
        assert_eq!(prose(text, 50), ["The old root is detached and no path", "leads back to it."]);
    }

    #[test]
    fn a_path_stays_whole() {
        let path = "/sys/fs/cgroup/pids/workshop-4711-1";
        assert_eq!(prose(&format!("removed {path} at once"), 20), ["removed", path, "at once"]);
        assert_eq!(prose("0123456789", 5), ["01234", "56789"]);
    }

    #[test]
    fn a_list_breaks_between_its_parts() {
        let flags = "clone3({flags=CLONE_NEWNS|CLONE_NEWCGROUP|CLONE_NEWUTS, exit_signal=SIGCHLD}) = EPERM";
        for to in [28, 40, 60] {
            let lines = prose(flags, to);
            assert_eq!(lines.join("").replace(' ', ""), flags.replace(' ', ""));
            for flag in ["flags=CLONE_NEWNS", "CLONE_NEWCGROUP", "CLONE_NEWUTS", "exit_signal=SIGCHLD"] {
                assert!(to < flag.len() || lines.iter().any(|line| line.contains(flag)), "{to}: {lines:?}");
            }
        }
    }

    #[test]
    fn a_path_keeps_its_end_and_other_text_both_ends() {
        assert_eq!(shorten("/tmp/workshop/rootfs/dev/null", 16, "…"), "…rootfs/dev/null");
        assert_eq!(shorten("abcdefghij", 7, "…"), "abc…hij");
        assert_eq!(shorten("abcdefghij", 7, "..."), "ab...ij");
        assert_eq!(shorten("컨테이너", 5, "…"), "컨…너");
        assert_eq!(shorten("fits", 4, "…"), "fits");
    }

    #[test]
    fn arguments_break_where_their_parts_end() {
        let flags = "CLONE_NEWNS|CLONE_NEWCGROUP|CLONE_NEWUTS|CLONE_NEWIPC";
        assert_eq!(
            arguments(flags, 30, 3, "…"),
            ["CLONE_NEWNS|CLONE_NEWCGROUP|", "CLONE_NEWUTS|CLONE_NEWIPC"]
        );
        assert_eq!(
            arguments("devpts dev/pts devpts MS_NOSUID|MS_NOEXEC mode=620", 30, 3, "…"),
            ["devpts dev/pts devpts", "MS_NOSUID|MS_NOEXEC mode=620"]
        );
        assert_eq!(
            arguments("/a/very/long/path/to/a/root lowerdir=/tmp/workshop/image,upperdir=/u", 22, 3, "…"),
            ["…y/long/path/to/a/root", "lowerdir=…kshop/image,", "upperdir=/u"].map(|line| line.to_string())
        );
        assert_eq!(arguments("aaaa bbbb cccc", 5, 2, "…"), ["aaaa", "bb…cc"]);
        assert_eq!(arguments("", 10, 2, "…"), [""; 0]);
    }
}
