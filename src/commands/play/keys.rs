//! The keys of a player.

use crate::commands::keyboard::{CTRL_C, CTRL_D, Pressed};

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

/// What a pressed key asks for, if anything. Where the keyboard is set to Hangul, the key of `q` sends a letter of that.
pub fn key(pressed: &Pressed) -> Option<Key> {
    match pressed {
        Pressed::Character(' ') => Some(Key::Play),
        Pressed::Character('q' | 'Q' | 'ㅂ' | CTRL_C | CTRL_D) => Some(Key::Quit),
        Pressed::Character(_) => None,
        // A terminal has two modes for its arrows.
        Pressed::Sequence(sequence) => match sequence.as_str() {
            "" => Some(Key::Quit),
            "[C" | "OC" => Some(Key::Forward),
            "[D" | "OD" => Some(Key::Back),
            "[H" | "OH" => Some(Key::First),
            "[F" | "OF" => Some(Key::Last),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_step_and_a_letter_is_the_same_in_hangul() {
        let sent = |text: &str| key(&Pressed::Sequence(text.into()));
        assert_eq!(
            [sent("[C"), sent("OC"), sent("[D")],
            [Some(Key::Forward), Some(Key::Forward), Some(Key::Back)]
        );
        assert_eq!([sent("[H"), sent("OF"), sent("")], [Some(Key::First), Some(Key::Last), Some(Key::Quit)]);
        // Up and page down, with Ctrl too, are no keys of ours.
        assert_eq!([sent("[A"), sent("[6~"), sent("[1;5B")], [None; 3]);
        let typed = |c: char| key(&Pressed::Character(c));
        assert_eq!(
            [typed('q'), typed('ㅂ'), typed(' '), typed('x')],
            [Some(Key::Quit), Some(Key::Quit), Some(Key::Play), None]
        );
    }
}
