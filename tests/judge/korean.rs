//! What the judge found is told in the learner's language: nothing but names is left of English in Korean.

use serde_json::Value;

/// Names that are the same in each language: the command line's, the kernel's, and those of what programs are made of.
const NAMES: [&str; 48] = [
    "brleft",
    "CMD",
    "PROGRAM",
    "DIR",
    "PATH",
    "PID",
    "ID",
    "uid",
    "gid",
    "mnt",
    "pid",
    "net",
    "uts",
    "ipc",
    "cgroup",
    "CPU",
    "MiB",
    "GiB",
    "System",
    "POSIX",
    "CLONE_UNTRACED",
    "EAGAIN",
    "ENETUNREACH",
    "EHOSTUNREACH",
    "fork",
    "procfs",
    "sysfs",
    "proc",
    "tmpfs",
    "ext",
    "overlay",
    "nftables",
    "iptables",
    "nat",
    "null",
    "zero",
    "full",
    "random",
    "urandom",
    "tty",
    "veth",
    "lo",
    "eth",
    "dev",
    "via",
    "type",
    "table",
    "family",
];

/// Marks behind which somebody else's words stand: a program's own, CMD's arguments, or the name of a host.
const QUOTES: [&str; 4] = ["끝남: ", "없었음: ", "죽음: ", "호스트 이름 "];

/// English words in what a check expected and found, but names, paths, identifiers and numbers.
fn english(text: &str) -> Vec<String> {
    let said = QUOTES.iter().fold(text, |text, mark| text.split_once(mark).map_or(text, |(own, _)| own));
    // CMD's words, as a list.
    let said = if said.starts_with("[\"") { "" } else { said };
    let words = said.split(|c: char| c.is_whitespace() || ",;()".contains(c));
    let is_name = |word: &&str| word.contains(['/', '[', '.', '=', '_', '"']) && !word.ends_with('.');
    let letters = |word: &str| -> Vec<String> {
        let runs = word.split(|c: char| !c.is_ascii_alphabetic() && c != '_');
        runs.filter(|run| run.len() > 1 && !NAMES.contains(run)).map(String::from).collect()
    };
    // A link or a table is called as its owner likes.
    let named = |word: &&str| word.chars().any(|c| c.is_ascii_digit()) || word.starts_with("t00");
    words.filter(|word| !is_name(word) && !named(word)).flat_map(letters).collect()
}

/// Holds what was told of all checks against that, all at once.
pub fn assert_told_in_korean(name: &str, events: &[Value]) {
    let checks = events.iter().filter(|e| e["event"] == "check");
    let sides = checks.flat_map(|check| ["expected", "actual"].map(|side| (&check["name"], &check[side])));
    let told = sides.filter_map(|(check, text)| Some((check, text.as_str()?)));
    let english: Vec<_> = told.filter(|(_, text)| !english(text).is_empty()).collect();
    assert!(english.is_empty(), "{name}: {english:#?}");
}

#[test]
fn english_is_found_where_it_is_said() {
    assert_eq!(english("held back to the end"), ["held", "back", "to", "the", "end"]);
    assert_eq!(english("PROGRAM이 상태 3(으)로 끝남: mount: permission denied"), [""; 0]);
    assert_eq!(english("pid:[4026531836]이(가) 아님"), [""; 0]);
    assert_eq!(english("CMD가 first"), ["first"]);
}
