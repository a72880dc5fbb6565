//! Command lines that are printed to be typed again.

use std::ffi::OsString;

pub use fault::shell::{shell_line, shell_word};

/// The line that this very program was started with, without what asks for another form of its output.
pub fn own() -> String {
    let mut words = vec![OsString::from("workshop")];
    let mut rest = std::env::args_os().skip(1);
    while let Some(word) = rest.next() {
        match word.to_str() {
            Some("--") => {
                words.push(word);
                words.extend(rest);
                break;
            }
            Some("--format") => drop(rest.next()),
            Some(word) if word.starts_with("--format=") => {}
            _ => words.push(word),
        }
    }
    shell_line(&words)
}
