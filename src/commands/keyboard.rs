//! Keys as they are pressed, and the terminal as it was when we are done.

use std::io::{self, Read};

use crate::fault::Fault;
use crate::kernel::breakable::let_stops_wait;
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};

/// A key, as the terminal tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pressed {
    Character(char),
    /// What came behind an Escape (console_codes(4)): `[A`. Nothing is the key Escape itself.
    Sequence(String),
}

/// Ctrl-C and Ctrl-D, where the terminal does not make a signal of them.
pub const CTRL_C: char = '\u{3}';
pub const CTRL_D: char = '\u{4}';

/// The terminal without line editing and echo. Ctrl-C and Ctrl-Z go on sending signals.
pub struct Keyboard {
    before: Termios,
}

impl Keyboard {
    /// Takes the terminal on standard input.
    pub fn take() -> nix::Result<Keyboard> {
        let keyboard = Keyboard { before: tcgetattr(io::stdin())? };
        keyboard.again()?;
        Ok(keyboard)
    }

    /// Takes it again after it was given [`back`](Keyboard::back).
    pub fn again(&self) -> nix::Result<()> {
        let mut modes = self.before.clone();
        modes.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
        // A read returns what there is, if anything.
        for which in [SpecialCharacterIndices::VMIN, SpecialCharacterIndices::VTIME] {
            if let Some(value) = modes.control_chars.get_mut(which as usize) {
                *value = 0;
            }
        }
        // Ctrl-Z while a page is written would leave the terminal like this to the shell.
        let_stops_wait(true);
        tcsetattr(io::stdin(), SetArg::TCSADRAIN, &modes)
    }

    /// Gives the terminal back as it was.
    pub fn back(&self) {
        let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.before);
        let_stops_wait(false);
    }

    /// The keys that were pressed. A terminal that has gone has come to the end of what it types.
    pub fn pressed(&self) -> Vec<Pressed> {
        let mut bytes = [0; 256];
        match io::stdin().lock().read(&mut bytes) {
            Ok(count) => keys(bytes.get(..count).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Vec::new(),
            Err(_) => vec![Pressed::Character(CTRL_D)],
        }
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        self.back();
    }
}

/// The status of a command that goes on until somebody has seen enough. Ctrl-C says so too, also where it comes while
/// something is written.
pub fn ended(outcome: Result<(), Fault>) -> Result<i32, Fault> {
    match outcome {
        Ok(()) | Err(Fault::Interrupted(libc::SIGINT)) => Ok(0),
        Err(fault) => Err(fault),
    }
}

fn keys(bytes: &[u8]) -> Vec<Pressed> {
    let text = String::from_utf8_lossy(bytes);
    let mut pieces = text.split('\u{1b}');
    let mut keys: Vec<Pressed> = pieces.next().unwrap_or_default().chars().map(Pressed::Character).collect();
    for piece in pieces {
        let (sequence, typed) = piece.split_at(sequence_length(piece));
        keys.push(Pressed::Sequence(sequence.into()));
        keys.extend(typed.chars().map(Pressed::Character));
    }
    keys
}

/// How many bytes of a text belong to the escape sequence that it begins with: `O` and a letter, or `[` and all up to
/// the first letter or `~` behind it.
fn sequence_length(text: &str) -> usize {
    let end = |c: char| c.is_ascii_alphabetic() || c == '~';
    match text.as_bytes().first() {
        Some(b'O') => text.char_indices().nth(2).map_or(text.len(), |(at, _)| at),
        Some(b'[') => text.find(end).map_or(text.len(), |at| at + 1),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_end_where_the_next_key_begins() {
        let sequence = |text: &str| Pressed::Sequence(text.into());
        let character = Pressed::Character;
        assert_eq!(keys("hㅗ".as_bytes()), [character('h'), character('ㅗ')]);
        assert_eq!(keys(b"\x1b[6~ \x1bOA"), [sequence("[6~"), character(' '), sequence("OA")]);
        assert_eq!(keys(b"\x1b[1;5Cn"), [sequence("[1;5C"), character('n')]);
        assert_eq!(keys(b"\x1b"), [sequence("")]);
    }
}
