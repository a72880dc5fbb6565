//! Keys as they are pressed, and the terminal as it was when we are done.

use std::io::{self, Read};

use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Hint,
    Next,
    List,
    Solution,
    Again,
    Reset,
    Quit,
    /// Away from what was asked for by key.
    Back,
    /// By so many lines, or pages, down.
    Move(isize),
    MovePage(isize),
}

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
        tcsetattr(io::stdin(), SetArg::TCSADRAIN, &modes)
    }

    /// Gives the terminal back as it was.
    pub fn back(&self) {
        let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.before);
    }

    /// What was typed, as the terminal sends it.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = [0; 256];
        let count = io::stdin().lock().read(&mut bytes).unwrap_or_default();
        bytes.get(..count).unwrap_or_default().to_vec()
    }

    /// The keys that were pressed. A terminal that has gone is one that quits.
    pub fn pressed(&self) -> Vec<Key> {
        let mut bytes = [0; 256];
        match io::stdin().lock().read(&mut bytes) {
            Ok(count) => keys(bytes.get(..count).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Vec::new(),
            Err(_) => vec![Key::Quit],
        }
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        self.back();
    }
}

/// What bytes from a terminal ask for. Keys without a character send escape sequences (console_codes(4)).
fn keys(bytes: &[u8]) -> Vec<Key> {
    let text = String::from_utf8_lossy(bytes);
    let mut pieces = text.split('\u{1b}');
    let mut keys: Vec<Key> = pieces.next().unwrap_or_default().chars().filter_map(key).collect();
    for piece in pieces {
        let (sequence, typed) = piece.split_at(sequence_length(piece));
        keys.extend(special(sequence));
        keys.extend(typed.chars().filter_map(key));
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

/// The key that sends this sequence, without the Escape that it begins with. Nothing behind that is the key itself.
fn special(sequence: &str) -> Option<Key> {
    match sequence {
        "" => Some(Key::Back),
        "[A" | "OA" => Some(Key::Move(-1)),
        "[B" | "OB" => Some(Key::Move(1)),
        "[5~" => Some(Key::MovePage(-1)),
        "[6~" => Some(Key::MovePage(1)),
        _ => None,
    }
}

/// The key of a character. Where the keyboard is set to Hangul, the same key sends a letter of that.
fn key(c: char) -> Option<Key> {
    match c.to_ascii_lowercase() {
        'h' | 'ㅗ' => Some(Key::Hint),
        'n' | 'ㅜ' => Some(Key::Next),
        'l' | 'ㅣ' => Some(Key::List),
        's' | 'ㄴ' => Some(Key::Solution),
        'r' | 'ㄱ' => Some(Key::Again),
        'x' | 'ㅌ' => Some(Key::Reset),
        'q' | 'ㅂ' => Some(Key::Quit),
        ' ' => Some(Key::MovePage(1)),
        // Ctrl-C and Ctrl-D, where the terminal does not make a signal of them.
        '\u{3}' | '\u{4}' => Some(Key::Quit),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_in_hangul_and_others_are_none() {
        assert_eq!(keys("hㅗH".as_bytes()), [Key::Hint; 3]);
        assert_eq!(keys(b"q"), [Key::Quit]);
        assert_eq!(keys(b"\x1b[H"), []);
        assert_eq!(keys(b"zy1"), []);
    }

    #[test]
    fn arrows_and_pages_move_and_escape_goes_back() {
        assert_eq!(keys(b"\x1b[A\x1b[B"), [Key::Move(-1), Key::Move(1)]);
        assert_eq!(keys(b"\x1b[6~ \x1bOA"), [Key::MovePage(1), Key::MovePage(1), Key::Move(-1)]);
        assert_eq!(keys(b"\x1b"), [Key::Back]);
        assert_eq!(keys(b"\x1b[5~h\x1b[1;5Cn"), [Key::MovePage(-1), Key::Hint, Key::Next]);
    }
}
