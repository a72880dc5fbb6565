//! Words and lines that are printed to be typed into a shell.

use std::ffi::{OsStr, OsString};

/// A word as a POSIX shell takes it for one, whatever is in it.
pub fn shell_word(word: &OsStr) -> String {
    let text = word.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A whole line of them.
pub fn shell_line(words: &[OsString]) -> String {
    words.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_shell_reads_each_word_as_it_was() {
        let words = ["a b", "", "it's", "$HOME", "한글/box.sh", "*", "-x", "a\\b", "plain", "~", "x;y", "#"];
        let words = words.map(OsString::from);
        let script = format!("printf '%s|' {}", shell_line(&words));
        let said = Command::new("sh").args(["-c", &script]).output().unwrap().stdout;
        let wanted: String = words.iter().map(|word| format!("{}|", word.to_string_lossy())).collect();
        assert_eq!(String::from_utf8(said).unwrap(), wanted);
        assert_eq!(shell_word("한글/box.sh".as_ref()), "한글/box.sh");
    }
}
