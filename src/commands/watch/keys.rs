//! The keys of `watch`.

use crate::commands::keyboard::{CTRL_C, CTRL_D, Pressed};

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

/// What a pressed key asks for, if anything. Where the keyboard is set to Hangul, the same key sends a letter of that.
pub fn key(pressed: &Pressed) -> Option<Key> {
    match pressed {
        Pressed::Sequence(sequence) => special(sequence),
        Pressed::Character(c) => match c.to_ascii_lowercase() {
            'h' | 'ㅗ' => Some(Key::Hint),
            'n' | 'ㅜ' => Some(Key::Next),
            'l' | 'ㅣ' => Some(Key::List),
            's' | 'ㄴ' => Some(Key::Solution),
            'r' | 'ㄱ' => Some(Key::Again),
            'x' | 'ㅌ' => Some(Key::Reset),
            'q' | 'ㅂ' | CTRL_C | CTRL_D => Some(Key::Quit),
            ' ' => Some(Key::MovePage(1)),
            _ => None,
        },
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_in_hangul_and_others_are_none() {
        let typed = |text: &str| text.chars().map(Pressed::Character).map(|c| key(&c)).collect::<Vec<_>>();
        assert_eq!(typed("hㅗH"), [Some(Key::Hint); 3]);
        assert_eq!(typed("q\u{3}\u{4}"), [Some(Key::Quit); 3]);
        assert_eq!(typed("zy1"), [None; 3]);
    }

    #[test]
    fn arrows_and_pages_move_and_escape_goes_back() {
        let sent = |text: &str| key(&Pressed::Sequence(text.into()));
        assert_eq!([sent("[A"), sent("OB")], [Some(Key::Move(-1)), Some(Key::Move(1))]);
        assert_eq!([sent("[5~"), sent("[6~")], [Some(Key::MovePage(-1)), Some(Key::MovePage(1))]);
        assert_eq!([sent(""), sent("[H")], [Some(Key::Back), None]);
    }
}
