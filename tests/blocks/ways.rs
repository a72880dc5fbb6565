//! The ways in which a block of commands comes to a shell.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use expectrl::Expect;
use expectrl::process::unix::WaitStatus;
use expectrl::session::OsSession;

use crate::world::World;

/// How commands come to a shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `sh < block`.
    Piped,
    /// Line by line, each when the shell asks for it.
    Typed,
    /// As a terminal pastes into bash: between two marks, all at once (bracketed paste).
    Pasted,
    /// Pasted where nobody gets a namespace: the first line fails, and the rest is there all the same.
    Refused,
    /// What is for the inside only, pasted without the line that leads there.
    InsideAlone,
}

impl Way {
    /// Whether the block does in it what its page says.
    pub fn is_whole(self) -> bool {
        matches!(self, Way::Piped | Way::Typed | Way::Pasted)
    }

    pub const ALL: [Way; 5] = [Way::Piped, Way::Typed, Way::Pasted, Way::Refused, Way::InsideAlone];
}

/// How long a block may take.
const PATIENCE: Duration = Duration::from_secs(150);
/// What bash asks with, and what it says at the end of a paste. No block has it in it.
const PROMPT: &str = "@@";
const PROMPT_1: &str = "@@1 ";
const PROMPT_2: &str = "@@2 ";
const END: &str = "@end@";

/// Runs the commands and tells all that was printed.
pub fn run(world: &World, way: Way, text: &str) -> String {
    match way {
        Way::Piped => piped(world, text),
        Way::Typed => {
            let mut terminal = Terminal::in_world(world, "");
            terminal.type_in(text);
            terminal.close(text)
        }
        Way::Pasted => pasted(world, "", text),
        Way::Refused => pasted(world, "PATH=/run/refusing:$PATH", text),
        Way::InsideAlone => inside(text).map_or(String::new(), |text| pasted(world, "", text)),
    }
}

/// The script that a block hands to the shell inside, if it has one that says by its first line that it is for there.
pub fn inside(text: &str) -> Option<&str> {
    let (start, _) = text.match_indices("\n  [ $$ = 1 ] || exit 1").next()?;
    let script = &text[start + 1..];
    Some(&script[..script.find('\'').unwrap_or(script.len())])
}

fn piped(world: &World, text: &str) -> String {
    let mut command = world.enter(&["sh", "-c", "exec sh 2>&1"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut shell = command.spawn().expect("a shell");
    shell.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("write");
    let output = shell.wait_with_output().expect("wait");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn pasted(world: &World, before: &str, text: &str) -> String {
    let mut terminal = Terminal::in_world(world, before);
    terminal.paste(text);
    terminal.close(text)
}

/// Bash at a pseudo-terminal.
pub struct Terminal {
    session: OsSession,
    shown: String,
    read: usize,
    ended: bool,
}

impl Terminal {
    fn in_world(world: &World, before: &str) -> Terminal {
        let start = "stty cols 500; exec setsid --ctty --wait bash --norc --noprofile -i";
        let mut command = world.enter(&["sh", "-c", start]);
        command.env("PS1", PROMPT_1).env("PS2", PROMPT_2).env("HISTFILE", "");
        command.stdin(Stdio::inherit());
        Terminal::open(command, before)
    }

    /// A command that leads to bash, and what is to be typed before anything else.
    pub fn open(command: Command, before: &str) -> Terminal {
        let session = OsSession::spawn(command).expect("open a terminal");
        let mut terminal = Terminal { session, shown: String::new(), read: 0, ended: false };
        terminal.until(|new| new.contains(PROMPT) || new.contains("# "), "");
        if !before.is_empty() {
            terminal.send(&format!("{before}\r"));
            terminal.until(|new| new.contains(PROMPT), "");
        }
        // Bash has asked the terminal to mark what is pasted; without that, a paste is as good as typed.
        assert!(terminal.shown.contains("\x1b[?2004h"), "bash does not ask for marks: {:?}", terminal.shown);
        terminal
    }

    /// Line by line, each when the shell asks for it. Gives what was shown from there on.
    pub fn type_in(&mut self, text: &str) -> String {
        let start = self.shown.len();
        for line in text.lines() {
            self.send(&format!("{line}\r"));
            self.until(|new| new.contains(PROMPT), text);
        }
        plain(&self.shown[start..])
    }

    /// All at once, as a terminal pastes.
    pub fn paste(&mut self, text: &str) -> String {
        let start = self.shown.len();
        let end = format!("echo {}''{}", &END[..2], &END[2..]);
        self.send(&format!("\x1b[200~{}\r{end}\x1b[201~\r", text.trim_end().replace('\n', "\r")));
        self.until(|new| new.find(END).is_some_and(|at| new[at..].contains(PROMPT)), text);
        plain(&self.shown[start..])
    }

    fn send(&mut self, keys: &str) {
        self.read = self.shown.len();
        // A shell that has ended, as one that was told to stop, reads no more.
        let _ = self.session.send(keys);
    }

    /// Reads until something was shown since the last keys, or the shell has ended. Questions get an answer.
    fn until(&mut self, wanted: impl Fn(&str) -> bool, block: &str) {
        let start = Instant::now();
        let mut silent = Instant::now();
        while !self.ended && !wanted(&self.shown[self.read..]) {
            let mut bytes = [0; 4096];
            match self.session.try_read(&mut bytes) {
                Ok(0) => self.ended = true,
                Ok(count) => {
                    self.shown.push_str(&String::from_utf8_lossy(&bytes[..count]));
                    silent = Instant::now();
                }
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_millis(2))
                }
                Err(_) => self.ended = true,
            }
            // What a block has started may hold the terminal open when the shell is gone.
            self.ended |= !matches!(self.session.get_process().status(), Ok(WaitStatus::StillAlive));
            if silent.elapsed() > Duration::from_millis(500) {
                silent = Instant::now();
                // An inner shell that asks for commands, where the block's own have all been given, is left.
                let keys = if self.shown[self.read..].ends_with(PROMPT_1) { "exit\r" } else { answer(block) };
                let _ = self.session.send(keys);
            }
            assert!(start.elapsed() < PATIENCE, "no end after {PATIENCE:?}:\n{}", self.shown);
        }
    }

    /// Leaves the shell, and the one inside that a block may have opened.
    fn close(mut self, block: &str) -> String {
        for _ in 0..3 {
            self.send("exit\r");
            let start = Instant::now();
            self.until(|new| start.elapsed() > Duration::from_millis(300) || new.contains(PROMPT), block);
        }
        plain(&self.shown)
    }
}

/// Without what is the terminal's or ours.
fn plain(shown: &str) -> String {
    let mut text = console::strip_ansi_codes(shown).replace('\r', "");
    for own in [PROMPT_1, PROMPT_2, END] {
        text = text.replace(own, "");
    }
    text.trim_end().trim_end_matches("exit").trim().to_owned()
}

/// What a person does where a block asks for something.
fn answer(block: &str) -> &'static str {
    match block {
        _ if block.contains("workshop watch") => "q",
        _ if block.contains("workshop step") => "\r",
        _ if block.contains("run ps ax") || block.trim_end().ends_with(" sh") => "exit\r",
        _ => "",
    }
}
