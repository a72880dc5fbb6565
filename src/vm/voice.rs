//! What somebody says into a pipe: the guest's kernel on its console, QEMU when it complains.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;

use fault::{Doing, Fault};

/// How many lines are kept, and how many bytes of one that has no end.
const KEPT: usize = 200;
const LONGEST: usize = 4096;

/// A pipe that somebody speaks into, and the last that was said.
pub(super) struct Voice {
    /// Until the other end is closed.
    pub pipe: Option<File>,
    lines: VecDeque<String>,
    /// A line without an end so far.
    partial: String,
}

impl Voice {
    /// A pipe to be spoken into, and the end that is spoken into.
    pub fn new() -> Result<(Voice, OwnedFd), Fault> {
        let (hear, speak) = pipe2(OFlag::O_CLOEXEC).doing("make a pipe")?;
        fcntl(&hear, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).doing("fcntl")?;
        Ok((Voice { pipe: Some(File::from(hear)), lines: VecDeque::new(), partial: String::new() }, speak))
    }

    /// What was said since the last time.
    pub fn hear(&mut self) -> Vec<u8> {
        let mut heard = Vec::new();
        let Some(pipe) = &mut self.pipe else { return heard };
        // Nothing more just now, or at all.
        match pipe.read_to_end(&mut heard) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            _ => self.pipe = None,
        }
        self.keep(&String::from_utf8_lossy(&heard));
        heard
    }

    fn keep(&mut self, heard: &str) {
        let said = std::mem::take(&mut self.partial) + heard;
        let (whole, rest) = said.rsplit_once('\n').unwrap_or(("", &said));
        self.lines.extend(whole.lines().map(|line| line.trim_end().to_owned()));
        match rest.len() {
            ..LONGEST => self.partial = rest.to_owned(),
            _ => self.lines.push_back(rest.to_owned()),
        }
        self.lines.drain(..self.lines.len().saturating_sub(KEPT));
    }

    /// The last lines that say something.
    pub fn last(&self, count: usize) -> String {
        let all = self.lines.iter().map(String::as_str).chain([self.partial.trim_end()]);
        let all: Vec<&str> = all.filter(|line| !line.is_empty()).collect();
        all.get(all.len().saturating_sub(count)..).unwrap_or_default().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_in_whatever_pieces_they_come() {
        let (mut voice, _speak) = Voice::new().unwrap();
        for piece in ["one\r\ntw", "o\n\n", "thr", "ee"] {
            voice.keep(piece);
        }
        assert_eq!(voice.last(2), "two\nthree");
        (0..2 * KEPT).for_each(|n| voice.keep(&format!("{n}\n")));
        assert_eq!((voice.lines.len(), voice.last(1)), (KEPT, (2 * KEPT - 1).to_string()));
    }

    #[test]
    fn a_line_without_an_end_takes_no_end_of_memory() {
        let (mut voice, _speak) = Voice::new().unwrap();
        (0..10_000).for_each(|_| voice.keep(&"x".repeat(LONGEST / 2)));
        assert!(voice.lines.len() <= KEPT && voice.partial.len() < LONGEST);
        assert!(voice.lines.iter().all(|line| line.len() < 2 * LONGEST));
    }
}
