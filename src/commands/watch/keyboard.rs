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
        modes.control_chars[SpecialCharacterIndices::VMIN as usize] = 0;
        modes.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        tcsetattr(io::stdin(), SetArg::TCSADRAIN, &modes)
    }

    /// Gives the terminal back as it was.
    pub fn back(&self) {
        let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.before);
    }

    /// The keys that were pressed. A terminal that has gone is one that quits.
    pub fn pressed(&self) -> Vec<Key> {
        let mut bytes = [0; 256];
        match io::stdin().lock().read(&mut bytes) {
            Ok(count) => keys(&bytes[..count]),
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

/// What bytes from a terminal ask for. Escape sequences, those of arrow keys for example, ask for nothing.
fn keys(bytes: &[u8]) -> Vec<Key> {
    let text = String::from_utf8_lossy(bytes);
    let typed = text.split('\u{1b}').next().unwrap_or_default();
    typed.chars().filter_map(key).collect()
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
        // Ctrl-C and Ctrl-D, where the terminal does not make a signal of them.
        '\u{3}' | '\u{4}' => Some(Key::Quit),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_in_hangul_and_arrows_are_none() {
        assert_eq!(keys("hㅗH".as_bytes()), [Key::Hint; 3]);
        assert_eq!(keys(b"q"), [Key::Quit]);
        assert_eq!(keys(b"\x1b[A"), []);
        assert_eq!(keys(b"zy1 "), []);
    }
}
