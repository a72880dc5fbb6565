//! A failure, for people.

use std::io::{self, Write};

use super::Failure;
use super::prose;
use super::style::{Role, Style};
use super::words::Words;

/// What failed, what usually causes it, what to do.
pub fn write(out: &mut impl Write, style: &Style, failure: &Failure) -> io::Result<()> {
    let word = Words::of(style.lang).error;
    let message = format!("{word}: {}", failure.message);
    let room = style.width.saturating_sub(2);
    for (place, text) in [&message, &failure.cause, &failure.hint].into_iter().enumerate() {
        if place == 1 {
            let bar = style.paint(Role::Dim, style.signs().host.down);
            failure.quote.iter().try_for_each(|line| writeln!(out, "   {bar} {}", printable(line)))?;
        }
        for (line, text) in prose::lines(style, Role::Plain, text, room).iter().enumerate() {
            let prefix = text.strip_prefix(word).filter(|_| place == 0 && line == 0);
            match prefix {
                Some(rest) => writeln!(out, " {}{rest}", style.paint(Role::Bad, word))?,
                None => writeln!(out, " {text}")?,
            }
        }
    }
    out.flush()
}

/// A line of somebody else's without what would move the cursor or change colours.
fn printable(line: &str) -> String {
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
