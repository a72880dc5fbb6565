//! The program's own words, in the learner's language: `lessons/words/LANG.toml`.

use memchr::memmem;

use super::embedded;
use super::language::Lang;
use claims::finding::{Finding, Seen};
use fault::{Fault, Refused, With, errno_name};

/// Where the workshop is to be had: the one value in Cargo.toml. Empty while it is nowhere.
pub const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

/// The words of one language: the text of their file, in which each is looked up when it is said. To parse all of it
/// would take longer than to start a program.
///
/// The file is TOML of the plainest form, which a test holds it to: a line is a table's name or a key with its text, and
/// no text has an escape in it. What is said of faults is packed (see build.rs).
pub struct Words {
    lang: Lang,
    plain: &'static str,
}

/// A failure in words: what failed, what usually causes it, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit status.
    pub code: i32,
    pub message: String,
    /// Somebody else's words on it, line by line: a program's or a kernel's.
    pub quote: Vec<String>,
    pub cause: String,
    pub hint: String,
}

/// A finding in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub held: bool,
    pub expected: String,
    pub actual: String,
}

/// How many of several things are named: enough to know what is meant.
const NAMED: usize = 4;

impl Words {
    /// The words of `lang`, which are part of the program.
    pub fn of(lang: Lang) -> &'static Words {
        static EN: Words =
            Words { lang: Lang::En, plain: include_str!(concat!(env!("OUT_DIR"), "/words/en.toml")) };
        static KO: Words =
            Words { lang: Lang::Ko, plain: include_str!(concat!(env!("OUT_DIR"), "/words/ko.toml")) };
        match lang {
            Lang::En => &EN,
            Lang::Ko => &KO,
        }
    }

    /// The text at `[table] key`, or at `[table.key] part`.
    fn get(&self, table: &str, key: &str, part: Option<&str>) -> Option<&'static str> {
        let text = self.text(table);
        let Some(part) = part else { return text_in(table_in(text, table)?, key) };
        // A key with a dot in it stands in quotes.
        let header = if key.contains('.') { format!("{table}.\"{key}\"") } else { format!("{table}.{key}") };
        text_in(table_in(text, &header)?, part)
    }

    /// The text that has the tables below this name.
    fn text(&self, table: &str) -> &'static str {
        match table {
            "fault" | "errno" => {
                embedded::text(&format!("words/{}.toml", self.lang.code())).unwrap_or_default()
            }
            _ => self.plain,
        }
    }

    /// The words `[say] key`, or the key itself.
    pub fn say(&self, key: &'static str) -> &str {
        self.get("say", key, None).unwrap_or(key)
    }

    /// A fact's or a check's value in this language, if it is a word and not the kernel's own.
    pub fn value<'a>(&'a self, value: &'a str) -> &'a str {
        self.get("value", value, None).unwrap_or(value)
    }

    /// What an experiment is about, or says of one of its containers.
    pub fn experiment<'a>(&'a self, name: &'a str, what: &str) -> &'a str {
        self.get("experiment", name, Some(what)).unwrap_or(name)
    }

    /// How far something is isolated, in words.
    pub fn explained(&self, key: &str, with: &[(&'static str, String)]) -> String {
        let text = self.get("posture", key, None).unwrap_or(key);
        fill(text, with.iter().map(|(name, value)| (*name, value.as_str())))
    }

    /// The words `[say] key` with its placeholders filled.
    pub fn fill(&self, key: &'static str, with: &[(&str, &str)]) -> String {
        fill(self.say(key), with.iter().copied())
    }

    /// A finding in words.
    pub fn finding(&self, finding: &Finding) -> Found {
        let Finding { held, expected, actual, .. } = finding;
        Found { held: *held, expected: self.seen(expected), actual: self.seen(actual) }
    }

    fn seen(&self, seen: &Seen) -> String {
        match seen {
            Seen::Fact(fact) => fact.clone(),
            Seen::Words(key, with) => {
                let with: Vec<_> = with.iter().map(|(name, seen)| (*name, self.seen(seen))).collect();
                let text = self.get("found", key, None).unwrap_or(key);
                fill(text, with.iter().map(|(name, words)| (*name, words.as_str())))
            }
            Seen::List(all) => {
                let named: Vec<String> = all.iter().take(NAMED).map(|one| self.seen(one)).collect();
                let (named, more) = (named.join(", "), all.len().saturating_sub(NAMED));
                match more {
                    0 => named,
                    _ => self.seen(&Seen::found("and-more", [("names", &named), ("count", &more)])),
                }
            }
        }
    }

    /// A fault in words. A closed pipe has none.
    pub fn failure(&self, fault: &Fault) -> Option<Failure> {
        let code = fault.status();
        let (message, cause, hint) = match fault {
            Fault::ClosedPipe => return None,
            Fault::Refused(refused) => self.refused(refused),
            Fault::Unable { key, with, .. }
            | Fault::Usage { key, with }
            | Fault::Program { key, with, .. } => self.known(key, with),
            Fault::Interrupted(signal) => {
                self.known("interrupted", &vec![("signal".into(), signal.to_string())])
            }
            Fault::Broken { doing, problem } => {
                let message = self.fill("broken", &[("doing", doing), ("problem", problem)]);
                let known = |part| errno_in(problem).and_then(|errno| self.get("errno", &errno, Some(part)));
                let cause = known("cause").unwrap_or(self.say("broken-cause"));
                (message, cause.into(), known("hint").unwrap_or(self.say("broken-hint")).into())
            }
        };
        Some(Failure { code, message, quote: quote(fault), cause, hint })
    }

    fn known(&self, key: &str, with: &With) -> (String, String, String) {
        let part = |part| {
            let text = self.get("fault", key, Some(part)).unwrap_or(key);
            let again = [("again", "workshop step 4")];
            fill(text, with.iter().map(|(k, v)| (k.as_str(), v.as_str())).chain(again))
        };
        let mut hint = part("hint");
        if let Some((_, key)) = with.iter().find(|(name, _)| name == "way-on") {
            let text = self.get("say", key, None).unwrap_or(key);
            hint += " ";
            hint += &fill(text, with.iter().map(|(k, v)| (k.as_str(), v.as_str())));
        }
        (part("message"), part("cause"), hint)
    }

    /// The call itself is the message; cause and hint by the most particular entry there is.
    fn refused(&self, refused: &Refused) -> (String, String, String) {
        let errno = errno_name(&refused.errno);
        let keys = [
            format!("{}.{}.{errno}", refused.name, refused.why),
            format!("{}.{errno}", refused.name),
            errno,
            "other".into(),
        ];
        let found = |part| keys.iter().find_map(|key| self.get("errno", key, Some(part))).unwrap_or_default();
        let said = refused.said.as_ref().map(|words| format!(" ({words})")).unwrap_or_default();
        (format!("{refused}{said}"), found("cause").into(), found("hint").into())
    }
}

/// The lines of the table with this name, up to the next one.
fn table_in(text: &'static str, name: &str) -> Option<&'static str> {
    let header = format!("[{name}]\n");
    let starts = memmem::find_iter(text.as_bytes(), header.as_bytes());
    let mut starts = starts.filter(|at| *at == 0 || text.as_bytes().get(at - 1) == Some(&b'\n'));
    let below = text.get(starts.next()? + header.len()..)?;
    memmem::find(below.as_bytes(), b"\n[").map_or(Some(below), |end| below.get(..end))
}

/// The text of a key in a table's lines.
fn text_in(lines: &'static str, key: &str) -> Option<&'static str> {
    lines.lines().find_map(|line| {
        let (name, text) = line.split_once(" = ")?;
        if name != key && name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) != Some(key) {
            return None;
        }
        let mark = ["\'\'\'", "'", "\""].into_iter().find(|mark| text.starts_with(mark))?;
        text.strip_prefix(mark)?.strip_suffix(mark)
    })
}

/// Lines that somebody else said, under the key `quote`.
fn quote(fault: &Fault) -> Vec<String> {
    let (Fault::Unable { with, .. } | Fault::Usage { with, .. } | Fault::Program { with, .. }) = fault else {
        return Vec::new();
    };
    let said = with.iter().filter(|(name, _)| name == "quote").flat_map(|(_, text)| text.lines());
    said.map(String::from).collect()
}

/// The error's name in what the standard library or nix say of it: `… (os error 28)`, `ENOSPC: …`.
fn errno_in(problem: &str) -> Option<String> {
    if let Some((_, rest)) = problem.split_once("(os error ") {
        return rest.split(')').next()?.parse().ok().map(|errno| errno_name(&errno));
    }
    problem.split([':', ' ']).find(|word| word.len() > 2 && word.starts_with('E')).map(String::from)
}

/// Fills the placeholders. In code, which is there to be copied, the learner's own names are words of a shell.
fn fill<'a>(text: &str, with: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let with: Vec<_> = with.collect();
    let pieces = text.split('`').enumerate().map(|(place, piece)| {
        let code = place % 2 == 1;
        with.iter().fold(piece.to_owned(), |piece, (name, value)| match *name {
            "path" | "program" if code => piece.replace(&format!("{{{name}}}"), &shell_word(value)),
            _ => piece.replace(&format!("{{{name}}}"), value),
        })
    });
    pieces.collect::<Vec<_>>().join("`")
}

/// Text as one word of a shell, in quotes where it must be (sh(1), "Quoting").
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use toml::{Table, Value};

    /// The words as any reader of TOML has them.
    fn parsed(lang: Lang) -> Table {
        let words = Words::of(lang);
        format!("{}{}", words.plain, words.text("fault")).parse().unwrap()
    }

    /// Every key with the placeholders in its text.
    fn shape(words: Table) -> BTreeMap<String, Vec<String>> {
        fn walk(at: String, value: &Value, found: &mut BTreeMap<String, Vec<String>>) {
            match value {
                Value::Table(table) => table.iter().for_each(|(k, v)| walk(format!("{at}/{k}"), v, found)),
                Value::String(text) => {
                    let mut names: Vec<_> = text
                        .split('{')
                        .skip(1)
                        .filter_map(|p| Some(p.split_once('}')?.0.to_owned()))
                        .collect();
                    names.sort();
                    found.insert(at, names);
                }
                other => panic!("{at}: {other:?} is no text"),
            }
        }
        let mut found = BTreeMap::new();
        walk(String::new(), &Value::Table(words), &mut found);
        found
    }

    #[test]
    fn both_languages_say_the_same_things() {
        let (en, ko) = (shape(parsed(Lang::En)), shape(parsed(Lang::Ko)));
        assert!(en.len() > 100, "the words were not read");
        assert_eq!(en, ko);
    }

    #[test]
    fn what_is_looked_up_is_what_a_reader_of_toml_finds() {
        for lang in [Lang::En, Lang::Ko] {
            let words = Words::of(lang);
            let mut found = 0;
            for (table, entries) in parsed(lang) {
                for (key, entry) in entries.as_table().unwrap() {
                    let parts = entry.as_table().into_iter().flatten();
                    let parts = parts.map(|(part, text)| (Some(part.as_str()), text));
                    for (part, text) in parts.chain(entry.as_str().map(|_| (None, entry))) {
                        assert_eq!(words.get(&table, key, part), text.as_str(), "{table} {key} {part:?}");
                        found += 1;
                    }
                }
            }
            assert!(found > 500, "{found}");
            assert_eq!(words.get("say", "no such key", None), None);
            assert_eq!(words.get("fault", "no-folder", Some("no such part")), None);
            assert_eq!(words.get("no such table", "key", Some("part")), None);
        }
    }

    #[test]
    fn names_in_commands_are_words_of_a_shell() {
        let filled = |path| fill("{path}: `cd {path}`, `ls {path}/x`", [("path", path)].into_iter());
        assert_eq!(filled("/tmp/가"), "/tmp/가: `cd /tmp/가`, `ls /tmp/가/x`");
        assert_eq!(filled("a b"), "a b: `cd 'a b'`, `ls 'a b'/x`");
        assert_eq!(filled("it's"), r"it's: `cd 'it'\''s'`, `ls 'it'\''s'/x`");
    }

    #[test]
    fn the_most_particular_cause_is_told() {
        let refused = |name: &str, why: &str, errno| {
            let fault = Fault::Refused(Box::new(Refused {
                step: "mount-proc".into(),
                name: name.into(),
                why: why.into(),
                args: vec!["\"proc\"".into()],
                brief: None,
                errno,
                said: None,
            }));
            Words::of(Lang::En).failure(&fault).unwrap()
        };
        let masked = refused("mount", "proc", libc::EPERM);
        assert_eq!(masked.message, "mount-proc: mount(\"proc\") = EPERM");
        assert!(masked.cause.contains("masked"));
        assert!(refused("mount", "dev", libc::EPERM).cause.contains("privilege"));
        assert!(refused("mount", "dev", libc::ELOOP).hint.contains("doctor"));
    }
}
