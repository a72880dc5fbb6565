//! How a call is laid out: who made it, its number, name, arguments and result, and below them why.

use super::prose;
use super::style::{Role, Style};
use super::words::Words;
use super::wrap::{self, pad, pad_left, width};
use kernel::told::{Actor, Call};

/// Columns of a name; all but the longest system calls fit.
const NAME: usize = 11;

/// Columns of a result, enough for `= 4194304`, the highest PID there is.
const RESULT: usize = 9;

/// Lines that the arguments of one call may take.
const ARGUMENT_LINES: usize = 4;

/// Below this width the actor stands on a line of its own, and below the next the arguments do.
const WIDE: usize = 72;
const MIDDLE: usize = 56;

/// Lays out calls for one style.
pub struct Layout<'a> {
    pub style: &'a Style,
}

impl Layout<'_> {
    /// The start of a line: a bar on the side of the wall that the call is made from, named on its first line.
    pub fn gutter(&self, actor: Actor, named: bool) -> String {
        let (role, bar, name) = self.side(actor);
        let bar = self.style.paint(role, bar);
        if self.style.width < WIDE {
            return format!(" {bar} ");
        }
        let words = Words::of(self.style.lang);
        let column = width(words.host).max(width(words.container));
        let name = if named { self.style.paint(role, name) } else { String::new() };
        format!(" {} {bar} ", pad(&name, column))
    }

    /// The line that names who acts from here on, where the width has no column for it.
    pub fn heading(&self, actor: Actor) -> Option<String> {
        let (role, _, name) = self.side(actor);
        (self.style.width < WIDE).then(|| format!(" {}", self.style.paint(role, name)))
    }

    fn side(&self, actor: Actor) -> (Role, &'static str, &'static str) {
        let (signs, words) = (self.style.signs(), Words::of(self.style.lang));
        match actor {
            Actor::Host => (Role::Host, signs.host.down, words.host),
            Actor::Container => (Role::Container, signs.container.down, words.container),
        }
    }

    /// The lines of a call without their gutter. Without `seq` it has not been made and has no result.
    pub fn call(&self, seq: Option<u32>, call: &Call) -> Vec<String> {
        let style = self.style;
        let number = self.number(seq);
        let name = style.paint(Role::Strong, &call.name);
        let result = if seq.is_some() { self.result(call) } else { String::new() };
        let room = self.room();
        let stacked = style.width < MIDDLE;
        let after = if stacked { 0 } else { width(&result).max(RESULT) + 2 };
        let beside = if stacked { 0 } else { NAME.max(width(&call.name)) + 2 };
        let columns = room.saturating_sub(beside + after).max(8);
        let text = arguments(call);
        let mut rest = wrap::arguments(&text, columns, ARGUMENT_LINES, style.signs().ellipsis).into_iter();
        let first = if stacked { None } else { rest.next() };
        let head = match first {
            Some(first) => format!("{} {first}", pad(&name, beside - 1)),
            None => name,
        };
        let mut lines = vec![self.with_result(&format!("{number}  {head}"), &result)];
        lines.extend(rest.map(|line| format!("{}{line}", self.indent(beside))));
        lines
    }

    /// What came of a call whose other lines are printed already.
    pub fn result_alone(&self, seq: u32, call: &Call) -> String {
        format!("{}  {}", self.number(Some(seq)), self.result(call))
    }

    /// Below a refused call: the error in words.
    pub fn refusal(&self, call: &Call) -> Option<String> {
        let words = call.result.split_once(" (")?.1.trim_end_matches(')');
        let sign = self.style.signs().failed;
        (!call.ok)
            .then(|| format!("{}{}", self.indent(0), self.style.paint(Role::Bad, &format!("{sign} {words}"))))
    }

    /// Below a call: why it is made.
    pub fn why(&self, text: &str) -> Vec<String> {
        let lines = prose::lines(self.style, Role::Dim, text, self.room());
        lines.into_iter().map(|line| format!("{}{line}", self.indent(0))).collect()
    }

    /// A line of context among the calls.
    pub fn remark(&self, text: &str) -> String {
        format!("{}{}", self.indent(0), self.style.paint(Role::Dim, text))
    }

    fn number(&self, seq: Option<u32>) -> String {
        let number = seq.map(|seq| seq.to_string()).unwrap_or_default();
        self.style.paint(Role::Dim, &pad_left(&number, 2))
    }

    /// `= 4711`, or of an error its name: `= EPERM`. That it comes with -1 goes without saying.
    fn result(&self, call: &Call) -> String {
        // A call that never returns when it succeeds, told as it is made.
        if call.result.is_empty() {
            return String::new();
        }
        let short = call.result.split(" (").next().unwrap_or_default();
        let short = short.strip_prefix("-1 ").unwrap_or(short);
        let role = if call.ok { Role::Plain } else { Role::Bad };
        format!("{} {}", self.style.paint(Role::Dim, "="), self.style.paint(role, short))
    }

    /// Puts the result where results stand, or further left where it is long.
    fn with_result(&self, line: &str, result: &str) -> String {
        if result.is_empty() {
            return line.to_string();
        }
        let start = (self.room() + 4).saturating_sub(width(result).max(RESULT));
        format!("{}{result}", pad(line, start))
    }

    /// Columns right of the number, up to the margin.
    fn room(&self) -> usize {
        self.style.width.saturating_sub(width(&self.gutter(Actor::Host, false)) + 5)
    }

    /// The spaces below the number, and `more`.
    fn indent(&self, more: usize) -> String {
        " ".repeat(4 + more)
    }
}

/// The arguments as people read them: without quotes where nothing is lost, and without those that are NULL.
fn arguments(call: &Call) -> String {
    if let Some(brief) = &call.brief {
        return brief.clone();
    }
    let said = call.args.iter().filter(|arg| *arg != "NULL");
    said.map(|arg| unquoted(arg)).collect::<Vec<_>>().join(" ")
}

fn unquoted(arg: &str) -> &str {
    let inner = arg.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(inner) if !inner.is_empty() && !inner.contains([' ', '"', '\\']) => inner,
        _ => arg,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(args: &[&str], brief: Option<&str>) -> Call {
        Call {
            step: "pivot-root".into(),
            actor: Actor::Container,
            name: "mount".into(),
            args: args.iter().map(|arg| arg.to_string()).collect(),
            result: "0".into(),
            ok: true,
            why: "private".into(),
            source: String::new(),
            brief: brief.map(String::from),
        }
    }

    #[test]
    fn arguments_lose_quotes_and_nulls_but_nothing_else() {
        let args = ["\"none\"", "\"/\"", "NULL", "MS_REC|MS_PRIVATE", "NULL"];
        assert_eq!(arguments(&call(&args, None)), "none / MS_REC|MS_PRIVATE");
        assert_eq!(arguments(&call(&["\"\"", "\"a b\"", "\"a\\n\""], None)), r#""" "a b" "a\n""#);
        assert_eq!(arguments(&call(&args, Some("short"))), "short");
    }

    #[test]
    fn no_line_is_wider_than_the_style() {
        let long = "\"/tmp/workshop/0123456789/a/very/long/path/to/the/new/root/that/goes/on/and/on\"";
        for wide in 40..=100 {
            let style = Style { width: wide, ..Style::default() };
            let layout = Layout { style: &style };
            let mut refused = call(&[long, long, "MS_BIND|MS_REC"], None);
            refused.ok = false;
            refused.result = "-1 EPERM (Operation not permitted)".into();
            for line in layout.call(Some(12), &refused) {
                let line = format!("{}{line}", layout.gutter(Actor::Host, true));
                assert!(width(&line) < wide, "{wide}: {line}");
            }
        }
    }
}
