//! A real pseudo-terminal (pty(7)) with a program in it, and a person at it.

use std::num::NonZero;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use expectrl::Expect;
use expectrl::process::unix::WaitStatus;
use expectrl::session::OsSession;
use nix::sys::termios::{LocalFlags, tcgetattr};

use super::watch::{Desk, PATIENCE, Process, in_session, wait_until};

pub const ENTER: &str = "\r";
pub const ESCAPE: &str = "\x1b";
pub const DOWN: &str = "\x1b[B";
pub const UP: &str = "\x1b[A";
pub const CTRL_C: &str = "\x03";
pub const CTRL_D: &str = "\x04";
pub const CTRL_Z: &str = "\x1a";

/// How many lines it has when it is opened.
const ROWS: u16 = 24;

pub struct Screen {
    session: OsSession,
    /// All that was shown so far, escape sequences included.
    pub shown: String,
    /// The terminal as it looks now: what was shown, drawn.
    picture: vt100::Parser,
    columns: usize,
}

impl Screen {
    /// The workshop on a terminal of that many columns. Its size is set before the program starts.
    pub fn open(desk: &Desk, columns: usize, args: &[&str]) -> Screen {
        Screen::with(desk, columns, args, &[])
    }

    /// The same, with variables in its environment.
    pub fn with(desk: &Desk, columns: usize, args: &[&str], environment: &[(&str, &str)]) -> Screen {
        let mut command = desk.terminal("sh");
        command.args(["-c", &sized(columns), "sh"]).arg(&super::place().program).args(args);
        command.envs(environment.iter().copied());
        Screen::spawn(command, columns)
    }

    /// A shell at the terminal, for which `$workshop` is the program.
    pub fn shell(desk: &Desk, shell: &[&str]) -> Screen {
        let mut command = desk.terminal("sh");
        command.args(["-c", &sized(80), "sh"]).args(shell);
        command.env("workshop", &super::place().program).env("PS1", "outer> ").env("NO_COLOR", "1");
        Screen::spawn(command, 80)
    }

    fn spawn(command: Command, columns: usize) -> Screen {
        let mut session = OsSession::spawn(command).expect("open a terminal");
        session.send(ENTER).expect("press a key");
        let picture = vt100::Parser::new(at_least_one(ROWS), at_least_one(columns as u16), 0);
        Screen { session, shown: String::new(), picture, columns }
    }

    /// Makes the terminal larger or smaller, as a person does with a window.
    pub fn resize(&mut self, rows: u16, columns: u16) {
        self.columns = columns.into();
        self.picture.screen_mut().set_size(at_least_one(rows), at_least_one(columns));
        self.session.get_process_mut().set_window_size(columns, rows).expect("set the size");
    }

    pub fn keys(&mut self, keys: &str) {
        self.session.send(keys).expect("press keys");
    }

    /// Types a line.
    pub fn line(&mut self, line: &str) {
        self.keys(&format!("{line}{ENTER}"));
    }

    /// Waits for words to be shown after those that were waited for last.
    pub fn wait_for(&mut self, words: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.session.check(words) {
                Ok(found) if found.as_bytes().is_empty() => {}
                Ok(found) => return self.keep(found.as_bytes()),
                Err(e) => panic!("{words:?} never came: {e}; shown so far:\n{}", self.shown),
            }
            if Instant::now() > until {
                let mut rest = vec![0; 4096];
                let n = self.session.try_read(&mut rest).unwrap_or(0);
                panic!("{words:?} never came: {}\n---\n{}", self.shown, String::from_utf8_lossy(&rest[..n]));
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.shown.push_str(&String::from_utf8_lossy(bytes));
        self.picture.process(bytes);
    }

    /// Waits until the terminal looks as wanted, and returns its lines.
    pub fn see(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let mut bytes = [0; 4096];
            let count = self.session.try_read(&mut bytes).unwrap_or(0);
            self.keep(&bytes[..count]);
            let picture = self.picture.screen().contents();
            if count == 0 && wanted(&picture) {
                return picture;
            }
            assert!(Instant::now() < until, "{what} was never seen; the terminal:\n{picture}");
            if count == 0 {
                std::thread::sleep(Duration::from_millis(3));
            }
        }
    }

    /// Waits until words are to be seen, which may be wrapped.
    pub fn see_words(&mut self, words: &str) -> String {
        self.see(words, |picture| unwrapped(picture).contains(&unwrapped(words)))
    }

    /// The same, of a page that is drawn from its first line to its last, which has `foot` in it: a reader may come in
    /// between. The cursor stands where the last letter was drawn.
    pub fn see_page_with(&mut self, words: &str, foot: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let picture = self.see_words(words);
            let (row, _) = self.picture.screen().cursor_position();
            let lines: Vec<&str> = picture.trim_end().lines().collect();
            if usize::from(row) + 1 >= lines.len() && lines.last().is_some_and(|line| line.contains(foot)) {
                return picture;
            }
            assert!(Instant::now() < until, "the page was never drawn to its end:\n{picture}");
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    /// Waits for the end, and returns the status as a shell gives it. What was said last is shown by then: all of it if
    /// nobody else has the terminal, who could go on speaking.
    pub fn end(&mut self) -> i32 {
        const REST: Duration = Duration::from_millis(500);
        let until = Instant::now() + PATIENCE;
        let mut ended: Option<(i32, Instant)> = None;
        loop {
            let is_all = match self.session.check(expectrl::Eof) {
                Ok(found) => {
                    self.keep(found.as_bytes());
                    false
                }
                Err(expectrl::Error::Eof) => true,
                Err(e) => panic!("{e}"),
            };
            match (ended, self.session.get_process().status()) {
                (Some((status, since)), _) if is_all || since.elapsed() > REST => return status,
                (None, Ok(WaitStatus::Exited(_, code))) => ended = Some((code, Instant::now())),
                (None, Ok(WaitStatus::Signaled(_, signal, _))) => {
                    ended = Some((128 + signal as i32, Instant::now()));
                }
                _ => {}
            }
            assert!(Instant::now() < until, "it never ended: {}", self.shown);
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    /// The PID of the program that the terminal was opened with.
    pub fn pid(&self) -> i32 {
        self.session.get_process().pid().as_raw()
    }

    /// Every process that has this terminal.
    pub fn processes(&self) -> Vec<Process> {
        in_session(self.pid())
    }

    /// The process group in the foreground (tcgetpgrp(3)).
    pub fn foreground(&self) -> i32 {
        nix::unistd::tcgetpgrp(self.session.get_stream()).expect("ask for the foreground job").as_raw()
    }

    /// Whether it echoes, and whether lines can be edited.
    pub fn modes(&self) -> (bool, bool) {
        let flags = tcgetattr(self.session.get_stream()).expect("ask for the modes").local_flags;
        (flags.contains(LocalFlags::ECHO), flags.contains(LocalFlags::ICANON))
    }

    /// Whether the cursor, if it was hidden, was shown again.
    pub fn shows_cursor(&self) -> bool {
        self.shown.rfind("\x1b[?25h") >= self.shown.rfind("\x1b[?25l")
    }

    /// What was shown, without colours and cursor movements.
    pub fn text(&self) -> String {
        console::strip_ansi_codes(&self.shown).replace('\r', "")
    }

    /// What was shown, with every gap between words one space: for sentences that may have been wrapped.
    pub fn words(&self) -> String {
        self.text().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The lines that are wider than the terminal.
    pub fn too_wide(&self) -> Vec<String> {
        let text = console::strip_ansi_codes(&self.shown).into_owned();
        let lines = text.split(['\n', '\r']);
        lines.filter(|line| console::measure_text_width(line) > self.columns).map(String::from).collect()
    }

    /// Waits until nothing of it is alive.
    pub fn gone(&self) {
        wait_until("the end of all processes", || self.processes().is_empty());
    }
}

fn at_least_one(count: u16) -> NonZero<u16> {
    NonZero::new(count).unwrap_or(NonZero::<u16>::MIN)
}

/// A text with every gap between words one space.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Starts a program once the terminal is set up: when a key is pressed, its opener has done with it.
fn sized(columns: usize) -> String {
    format!("read _ && stty rows {ROWS} cols {columns} echo && exec \"$@\"")
}

/// One of the words of `[say]` in `lessons/words`.
pub fn word(lang: &str, key: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("lessons/words/{lang}.toml"));
    let text = std::fs::read_to_string(file).expect("read the words");
    let words: toml::Table = text.parse().expect("the words are TOML");
    words["say"][key].as_str().expect("a word").to_owned()
}

/// A lesson's question before the run: the choices, and which of them is right.
pub fn prediction(lang: &str, lesson: &str) -> (Vec<String>, usize) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("lessons/{lesson}/{lang}.md"));
    let text = std::fs::read_to_string(file).expect("read the lesson");
    let part = text.split("{#predict}").nth(1).expect("a question").split("\n## ").next().expect("its part");
    let choices: Vec<&str> = part.lines().filter(|line| line.starts_with("- [")).collect();
    let right = choices.iter().position(|line| line.starts_with("- [x]")).expect("a right answer");
    (choices.iter().map(|line| line[6..].replace('`', "")).collect(), right)
}
