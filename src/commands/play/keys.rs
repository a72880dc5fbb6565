//! The keys of a player.

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Forward,
    Back,
    First,
    Last,
    /// Begins to play, and pauses.
    Play,
    Quit,
}

/// Sequences that keys send behind an Escape (console_codes(4)), in both modes of a terminal.
const SEQUENCES: [(&str, Key); 8] = [
    ("[C", Key::Forward),
    ("OC", Key::Forward),
    ("[D", Key::Back),
    ("OD", Key::Back),
    ("[H", Key::First),
    ("OH", Key::First),
    ("[F", Key::Last),
    ("OF", Key::Last),
];

/// What bytes from a terminal ask for. Where the keyboard is set to Hangul, the key of `q` sends a letter of that.
pub fn keys(bytes: &[u8]) -> Vec<Key> {
    let text = String::from_utf8_lossy(bytes);
    let mut rest = &*text;
    let mut keys = Vec::new();
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        match c {
            '\u{1b}' if rest.is_empty() => keys.push(Key::Quit),
            '\u{1b}' => {
                let known = SEQUENCES.iter().find(|(sequence, _)| rest.starts_with(sequence));
                keys.extend(known.map(|(_, key)| *key));
                let end = |c: char| c.is_ascii_alphabetic() && c != 'O' || c == '~';
                rest = rest.find(end).and_then(|at| rest.get(at + 1..)).unwrap_or_default();
            }
            ' ' => keys.push(Key::Play),
            // Ctrl-C and Ctrl-D, where the terminal does not make a signal of them.
            'q' | 'Q' | 'ㅂ' | '\u{3}' | '\u{4}' => keys.push(Key::Quit),
            _ => {}
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_step_and_a_letter_is_the_same_in_hangul() {
        assert_eq!(
            keys(b"\x1b[C\x1bOC\x1b[D \x1b[H\x1bOF"),
            [Key::Forward, Key::Forward, Key::Back, Key::Play, Key::First, Key::Last]
        );
        assert_eq!(keys("qㅂ".as_bytes()), [Key::Quit, Key::Quit]);
        assert_eq!(keys(b"\x1b"), [Key::Quit]);
        // Up and page down, with Ctrl too, are no keys of ours.
        assert_eq!(keys(b"\x1b[A\x1b[6~\x1b[1;5Bx "), [Key::Play]);
    }
}
