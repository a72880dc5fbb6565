//! How text looks: its width, its colours, the signs it is drawn with.

use colored::{Color, Colorize};

use course::language::Lang;

/// When to use colour (`--color`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum When {
    /// On a terminal, unless the environment says otherwise.
    #[default]
    Auto,
    Always,
    Never,
}

/// How text is laid out and painted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Columns of a line, 40 to 100.
    pub width: usize,
    pub colour: bool,
    pub lang: Lang,
    /// Whether the terminal shows more than ASCII; else boxes and signs are made of that.
    pub unicode: bool,
}

impl Default for Style {
    fn default() -> Style {
        Style { width: 80, colour: false, lang: Lang::En, unicode: true }
    }
}

impl Style {
    /// The style that fits where the output goes and what the environment says.
    pub fn detect(lang: Lang, when: When, terminal: &console::Term) -> Style {
        let variable = |name: &str| std::env::var(name).ok();
        let columns = terminal.size_checked().map(|(_, columns)| usize::from(columns));
        Style {
            width: columns.unwrap_or(80).clamp(40, 100),
            colour: wants_colour(when, terminal.is_term(), variable),
            lang,
            unicode: speaks_unicode(variable),
        }
    }

    /// The signs to draw with.
    pub fn signs(&self) -> &'static Signs {
        if self.unicode { &UNICODE } else { &ASCII }
    }

    /// The text as this role is painted.
    pub fn paint(&self, role: Role, text: &str) -> String {
        if !self.colour || text.is_empty() {
            return text.to_string();
        }
        // Whether to use colour was decided above; the crate must not guess a second time.
        colored::control::set_override(true);
        let painted = match role {
            Role::Plain => text.normal(),
            Role::Dim => text.dimmed(),
            Role::Strong => text.bold(),
            Role::Host => text.color(Color::BrightBlue),
            Role::Container => text.color(Color::Magenta),
            Role::Good => text.color(Color::Green),
            Role::Bad => text.color(Color::Red),
        };
        painted.to_string()
    }
}

/// What a piece of text is, which decides how it is painted. Colour carries no meaning that a word or sign
/// does not carry too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Plain,
    /// Context that can be skipped.
    Dim,
    /// Names and headings.
    Strong,
    Host,
    Container,
    Good,
    Bad,
}

/// The signs and lines that text is drawn with.
#[derive(Debug)]
pub struct Signs {
    pub passed: &'static str,
    pub failed: &'static str,
    pub skipped: &'static str,
    /// A part that the container has as its own, and one that it does not have yet.
    pub own: &'static str,
    pub open: &'static str,
    /// Between two short pieces on one line.
    pub dot: &'static str,
    /// In place of what was left out.
    pub ellipsis: &'static str,
    /// In place of an empty value.
    pub none: &'static str,
    /// The lines of the host, thin, and of the container, thick.
    pub host: Lines,
    pub container: Lines,
}

/// A kind of line, straight and around four corners.
#[derive(Debug)]
pub struct Lines {
    pub across: &'static str,
    pub down: &'static str,
    pub top_left: &'static str,
    pub top_right: &'static str,
    pub bottom_left: &'static str,
    pub bottom_right: &'static str,
}

static UNICODE: Signs = Signs {
    passed: "✓",
    failed: "✗",
    skipped: "–",
    own: "■",
    open: "□",
    dot: "·",
    ellipsis: "…",
    none: "–",
    host: Lines {
        across: "─",
        down: "│",
        top_left: "┌",
        top_right: "┐",
        bottom_left: "└",
        bottom_right: "┘",
    },
    container: Lines {
        across: "━",
        down: "┃",
        top_left: "┏",
        top_right: "┓",
        bottom_left: "┗",
        bottom_right: "┛",
    },
};

static ASCII: Signs = Signs {
    passed: "ok",
    failed: "NO",
    skipped: "--",
    own: "*",
    open: "o",
    dot: "-",
    ellipsis: "...",
    none: "-",
    host: Lines {
        across: "-",
        down: "|",
        top_left: "+",
        top_right: "+",
        bottom_left: "+",
        bottom_right: "+",
    },
    container: Lines {
        across: "=",
        down: "#",
        top_left: "+",
        top_right: "+",
        bottom_left: "+",
        bottom_right: "+",
    },
};

/// Whether to use colour: what was asked for, then `NO_COLOR`, then `CLICOLOR_FORCE`, then the terminal.
fn wants_colour(when: When, terminal: bool, variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto if set("NO_COLOR") => false,
        When::Auto if set("CLICOLOR_FORCE") && variable("CLICOLOR_FORCE").as_deref() != Some("0") => true,
        When::Auto => terminal && variable("TERM").as_deref() != Some("dumb"),
    }
}

/// Whether the locale's character set is UTF-8 (locale(7): `LC_ALL`, `LC_CTYPE`, `LANG`). Where no locale is
/// set at all, as in many containers and CI jobs, it is taken to be.
fn speaks_unicode(variable: impl Fn(&str) -> Option<String>) -> bool {
    let mut locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(&variable);
    let Some(locale) = locale.find(|value| !value.is_empty()) else { return true };
    let set = locale.to_lowercase();
    set.contains("utf-8") || set.contains("utf8") || !(set.contains('.') || set == "c" || set == "posix")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<'a>(set: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string())
    }

    #[test]
    fn colour_follows_option_environment_terminal_in_that_order() {
        let (force, no) = (("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1"));
        assert!(wants_colour(When::Auto, true, with(&[])));
        assert!(!wants_colour(When::Auto, false, with(&[])));
        assert!(!wants_colour(When::Auto, true, with(&[no, force])));
        assert!(wants_colour(When::Auto, true, with(&[("NO_COLOR", "")])));
        assert!(wants_colour(When::Auto, false, with(&[force])));
        assert!(!wants_colour(When::Auto, false, with(&[("CLICOLOR_FORCE", "0")])));
        assert!(!wants_colour(When::Auto, true, with(&[("TERM", "dumb")])));
        assert!(wants_colour(When::Always, false, with(&[no])));
        assert!(!wants_colour(When::Never, true, with(&[force])));
    }

    #[test]
    fn the_locale_says_whether_more_than_ascii_is_shown() {
        for (locale, unicode) in [
            ("en_US.UTF-8", true),
            ("ko_KR.utf8", true),
            ("ko_KR", true),
            ("C", false),
            ("ko_KR.EUC-KR", false),
        ] {
            assert_eq!(speaks_unicode(with(&[("LANG", locale)])), unicode, "{locale}");
        }
        assert!(speaks_unicode(with(&[])));
        assert!(speaks_unicode(with(&[("LC_ALL", "C.UTF-8"), ("LANG", "C")])));
    }

    #[test]
    fn without_colour_nothing_is_painted() {
        let style = Style::default();
        assert_eq!(style.paint(Role::Bad, "refused"), "refused");
        let style = Style { colour: true, ..style };
        assert_eq!(style.paint(Role::Bad, "refused"), "\u{1b}[31mrefused\u{1b}[0m");
    }
}
