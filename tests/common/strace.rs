//! What strace(1) saw: a command run under it, and its log as a list of calls.

use std::ffi::OsStr;
use std::fs;
use std::process::Command;

use super::{Ran, around, run};

/// One system call in strace's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub pid: i32,
    pub name: String,
    pub args: Vec<String>,
    /// What stands after the `=`; empty if the process ended first.
    pub result: String,
}

/// Runs `command` under `strace -f`, with nothing cut short.
pub fn trace(command: &Command) -> (Ran, Vec<Seen>) {
    let log = tempfile::NamedTempFile::new().expect("a file for strace's log");
    let strace = ["strace", "-f", "-s", "131072", "--pidns-translation", "-o"].map(OsStr::new);
    let ran = run(&mut around(&[&strace[..], &[log.path().as_os_str()]].concat(), command));
    // Paths that the kernel gives need not be UTF-8; the calls that matter here are ASCII.
    let text = fs::read(log.path()).expect("strace's log");
    (ran, calls(&String::from_utf8_lossy(&text)))
}

/// The calls of a log, in the order in which they were begun.
pub fn calls(log: &str) -> Vec<Seen> {
    let mut calls: Vec<Seen> = Vec::new();
    // Where the begun call of each process stands in `calls`, and its text so far.
    let mut begun: Vec<(i32, usize, String)> = Vec::new();
    for line in log.lines() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let Ok(pid) = pid.parse() else { continue };
        let rest = rest.trim_start();
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let at = begun.iter().position(|(p, ..)| *p == pid);
            if let (Some(at), Some((_, end))) = (at, resumed.split_once(" resumed>")) {
                let (_, index, start) = begun.swap_remove(at);
                if let Some(call) = call(pid, &(start + end)) {
                    calls[index] = call;
                }
            }
        } else if let Some(start) = rest.strip_suffix("<unfinished ...>") {
            // Signals and exits (`---`, `+++`) are no calls, and are never unfinished.
            let name = start.split('(').next().unwrap_or_default().to_owned();
            begun.push((pid, calls.len(), start.trim_end().to_owned() + " "));
            calls.push(Seen { pid, name, args: Vec::new(), result: String::new() });
        } else {
            calls.extend(call(pid, rest));
        }
    }
    // The kernel makes such a call again by itself, for instance when others hold the lock of the network's settings:
    // whoever made it knows of one.
    calls.retain(|call| !call.result.starts_with("? ERESTART"));
    calls
}

/// One whole call: `name(arguments) = result`.
fn call(pid: i32, text: &str) -> Option<Seen> {
    let (name, rest) = text.split_once('(')?;
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return None;
    }
    let (args, rest) = arguments(rest)?;
    let result = rest.trim_start().strip_prefix('=')?.trim().to_owned();
    Some(Seen { pid, name: name.to_owned(), args, result })
}

/// Cuts at the commas that stand in no string, structure or array, up to the closing parenthesis.
fn arguments(text: &str) -> Option<(Vec<String>, &str)> {
    let (mut args, mut from, mut depth) = (Vec::new(), 0, 0);
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' => depth += 1,
            ')' if depth == 0 => {
                if !text[from..at].trim().is_empty() {
                    args.push(text[from..at].trim().to_owned());
                }
                return Some((args, &text[at + 1..]));
            }
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                args.push(text[from..at].trim().to_owned());
                from = at + 1;
            }
            _ => {}
        }
    }
    None
}
