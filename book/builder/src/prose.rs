//! What a page's text needs so that it is read well: by a screen reader, on a narrow screen, in Korean.
//!
//! - Korean words on a page of another language are marked as Korean, so that they are spoken so.
//! - A bracket and the Korean particle after it stay together, and so do the letters of a flag.
//! - A table's cells know their column's name: where it is narrow a row is a card.
//! - What scrolls sideways can be reached by keyboard.

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// Between two characters that must not be parted at a line's end.
const WORD_JOINER: char = '\u{2060}';

static HANGUL: LazyLock<Regex> = LazyLock::new(|| pattern(r"[가-힣]+(?:[ ·]+[가-힣]+)*"));
static BRACKET: LazyLock<Regex> = LazyLock::new(|| pattern(r"([)\]”’»%/])([가-힣])"));
/// Where a long path or an explanation in brackets may go on in the next line.
static SLASH: LazyLock<Regex> = LazyLock::new(|| pattern(r"([\w.])/"));
static LONG_BRACKET: LazyLock<Regex> = LazyLock::new(|| pattern(r"([\w])(\([^()\s]{14,}\))"));
static FLAG: LazyLock<Regex> = LazyLock::new(|| pattern(r"(^|[\s\[(|])(--?[A-Za-z0-9][\w-]*)"));

fn pattern(text: &str) -> Regex {
    #[expect(clippy::unwrap_used, reason = "a constant")]
    Regex::new(text).unwrap()
}

/// The text of a page in `language` with all that added.
pub fn readable(language: &str, html: &str) -> String {
    let mut prose = Prose { language, ..Prose::default() };
    // The corner of a table names no column.
    let html = html.replace("<th></th>", "<td class=\"corner\"></td>");
    let mut rest = html.as_str();
    while let Some(at) = rest.find('<') {
        prose.text(&rest[..at]);
        // A comment may hold tags.
        let end = match rest[at..].starts_with("<!--") {
            true => rest[at..].find("-->").map(|end| at + end + 3),
            false => rest[at..].find('>').map(|end| at + end + 1),
        };
        let Some(end) = end else { break };
        prose.tag(&rest[at..end]);
        rest = &rest[end..];
    }
    prose.text(rest);
    prose.out
}

#[derive(Default)]
struct Prose<'a> {
    language: &'a str,
    out: String,
    /// How deep in elements whose text is left as it is, or is a picture's or a listing's.
    verbatim: usize,
    svg: usize,
    pre: usize,
    code: usize,
    /// The columns of the table, and which of them is next.
    columns: Vec<String>,
    column: usize,
    in_header: bool,
}

impl Prose<'_> {
    fn tag(&mut self, tag: &str) {
        let name: String =
            tag.trim_start_matches(['<', '/']).chars().take_while(char::is_ascii_alphanumeric).collect();
        let opens = !tag.starts_with("</");
        let count = |depth: &mut usize| *depth = if opens { *depth + 1 } else { depth.saturating_sub(1) };
        match name.as_str() {
            "script" | "style" | "title" | "desc" => count(&mut self.verbatim),
            "svg" => count(&mut self.svg),
            "pre" => count(&mut self.pre),
            "code" => count(&mut self.code),
            _ => {}
        }
        let with = |what: &str| tag.replacen(&format!("<{name}"), &format!("<{name} {what}"), 1);
        let tag = match (name.as_str(), opens) {
            ("pre", true) if !tag.contains("tabindex") => with("tabindex=\"0\""),
            ("table", true) => {
                self.columns.clear();
                with("role=\"table\"")
            }
            ("thead" | "tbody", true) => with("role=\"rowgroup\""),
            ("tr", true) => {
                self.column = 0;
                with("role=\"row\"")
            }
            ("th", true) => {
                self.columns.push(String::new());
                self.in_header = true;
                with("role=\"columnheader\"")
            }
            ("th", false) => {
                self.in_header = false;
                tag.to_owned()
            }
            ("td", true) => {
                if tag.contains("corner") {
                    self.columns.push(String::new());
                }
                let label = self.columns.get(self.column).map_or("", String::as_str);
                self.column += 1;
                with(&format!("role=\"cell\" data-label=\"{}\"", label.replace('"', "&quot;")))
            }
            ("div", true) if tag.contains("class=\"table-wrapper\"") => with("tabindex=\"0\""),
            _ => tag.to_owned(),
        };
        self.out.push_str(&tag);
    }

    fn text(&mut self, text: &str) {
        if self.in_header
            && let Some(column) = self.columns.last_mut()
        {
            column.push_str(text);
        }
        if self.verbatim > 0 {
            self.out.push_str(text);
        } else if self.language != "ko" {
            let element = if self.svg > 0 { "tspan" } else { "span" };
            let marked = HANGUL
                .replace_all(&self.flags(text), |found: &Captures| {
                    format!("<{element} lang=\"ko\">{}</{element}>", &found[0])
                })
                .into_owned();
            self.out.push_str(&marked);
        } else if self.pre > 0 || self.svg > 0 {
            self.out.push_str(text);
        } else {
            if text.starts_with(|letter| ('가'..='힣').contains(&letter)) && self.ends_with_bracket() {
                self.out.push(WORD_JOINER);
            }
            let joined = BRACKET.replace_all(text, format!("${{1}}{WORD_JOINER}${{2}}"));
            let apart = if self.code > 0 {
                joined
            } else {
                LONG_BRACKET.replace_all(&joined, "${1}<wbr>${2}").into_owned().into()
            };
            let text = self.flags(&apart);
            self.out.push_str(&text);
        }
    }

    /// Inline code with each flag in one piece, while a long path may be parted at its slashes.
    fn flags(&self, text: &str) -> String {
        if self.code == 0 || self.pre > 0 {
            return text.to_owned();
        }
        let text = if text.len() > 20 { SLASH.replace_all(text, "${1}/<wbr>") } else { text.into() };
        FLAG.replace_all(&text, "${1}<span class=\"flag\">${2}</span>").into_owned()
    }

    /// Whether the last visible character is a bracket, whatever elements have ended since.
    fn ends_with_bracket(&self) -> bool {
        let mut out = self.out.as_str();
        while let Some(at) = out.ends_with('>').then(|| out.rfind("</")).flatten() {
            let inline = ["</code>", "</a>", "</strong>", "</em>", "</span>", "</kbd>"].contains(&&out[at..]);
            if !inline {
                return false;
            }
            out = &out[..at];
        }
        out.ends_with([')', ']', '”', '’', '»', '%', '/'])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn korean_words_are_marked_on_an_english_page_only() {
        let page = "<p>is 가상 머신 in</p><svg><title>밖</title><text>밖</text></svg>";
        let marked = "<p>is <span lang=\"ko\">가상 머신</span> in</p><svg><title>밖</title><text><tspan lang=\"ko\">밖</tspan></text></svg>";
        assert_eq!(readable("en", page), marked);
        assert_eq!(readable("ko", page), page);
    }

    #[test]
    fn a_bracket_and_its_particle_stay_together() {
        assert_eq!(
            readable("ko", "<p>VM(가상)은 <code>clone(2)</code>를 (안) 밖</p>"),
            "<p>VM(가상)\u{2060}은 <code>clone(2)</code>\u{2060}를 (안) 밖</p>"
        );
        assert_eq!(readable("ko", "<pre tabindex=\"0\">f()가</pre>"), "<pre tabindex=\"0\">f()가</pre>");
    }

    #[test]
    fn a_flag_is_one_piece() {
        let flag = "<code>unshare <span class=\"flag\">--mount-proc</span> <span class=\"flag\">-f</span> a-b</code>";
        assert_eq!(readable("en", "<code>unshare --mount-proc -f a-b</code>"), flag);
    }

    #[test]
    fn what_is_long_may_go_on_in_the_next_line() {
        let path = "<code>/proc/<wbr>sys/<wbr>net/<wbr>ipv4/<wbr>ip_forward</code>이고";
        assert_eq!(readable("ko", "<code>/proc/sys/net/ipv4/ip_forward</code>이고"), path);
        let bracket = "subreaper<wbr>(PR_SET_CHILD_SUBREAPER)\u{2060}라서";
        assert_eq!(readable("ko", "subreaper(PR_SET_CHILD_SUBREAPER)라서"), bracket);
    }

    #[test]
    fn a_cell_knows_its_column() {
        let head = "<table><thead><tr><th></th><th>a <b>c</b></th></tr></thead>";
        let table = readable("en", &format!("{head}<tbody><tr><td>1</td><td>2</td></tr></tbody></table>"));
        let cells = "<td role=\"cell\" data-label=\"\">1</td><td role=\"cell\" data-label=\"a c\">2</td>";
        assert!(table.contains(cells), "{table}");
    }
}
