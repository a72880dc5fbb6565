//! A recording on a terminal, forward and back.

use std::io::Write;
use std::os::fd::AsFd;
use std::time::Duration;

use console::Term;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::commands::keyboard::{Keyboard, ended};
use crate::fault::{Doing, Fault};
use crate::kernel::breakable::Stream;
use crate::kernel::signals::{ENDING, STOPPING, Signals, stop};
use crate::render::Style;

use super::Played;
use super::keys::{Key, key};
use super::page::Page;

/// How long each call is shown while it plays.
const PACE: Duration = Duration::from_millis(1600);

/// The terminal's other screen without a cursor, and back to the one that was there before (console_codes(4), xterm's 1049).
const TAKE: &[u8] = b"\x1b[?1049h\x1b[?25l";
const GIVE_BACK: &[u8] = b"\x1b[?25h\x1b[?1049l";

/// Plays until whoever looks on has seen enough.
pub fn play(played: &Played, style: Style) -> Result<i32, Fault> {
    let signals = Signals::take().doing("open an inbox for signals")?;
    let keyboard = Keyboard::take().doing("take the terminal")?;
    let page = Page::of(played);
    let mut player = Player { page, style, signals, keyboard, count: 0, plays: false };
    print(TAKE)?;
    let outcome = player.attend();
    print(GIVE_BACK)?;
    ended(outcome)
}

struct Player<'r> {
    page: Page<'r>,
    style: Style,
    signals: Signals,
    keyboard: Keyboard,
    /// How many calls have been made.
    count: usize,
    plays: bool,
}

impl Player<'_> {
    fn attend(&mut self) -> Result<(), Fault> {
        loop {
            self.draw()?;
            let came = self.sleep()?;
            while let Some(sent) = self.signals.next() {
                match sent.signal {
                    libc::SIGINT => return Ok(()),
                    signal if ENDING.contains(&signal) => return Err(Fault::Interrupted(signal)),
                    signal if STOPPING.contains(&signal) => self.stop(signal)?,
                    _ => {}
                }
            }
            match came {
                Came::Time => self.step(),
                Came::HungUp => return Err(Fault::Interrupted(libc::SIGHUP)),
                Came::Something => {
                    for key in self.keyboard.pressed().iter().filter_map(key) {
                        match key {
                            Key::Quit => return Ok(()),
                            Key::Play => self.start_or_pause(),
                            Key::Forward => self.go(self.count + 1),
                            Key::Back => self.go(self.count.saturating_sub(1)),
                            Key::First => self.go(0),
                            Key::Last => self.go(self.page.length()),
                        }
                    }
                }
            }
        }
    }

    fn go(&mut self, count: usize) {
        self.plays = false;
        self.count = count.min(self.page.length());
    }

    fn start_or_pause(&mut self) {
        self.plays = !self.plays;
        if self.plays && self.count == self.page.length() {
            self.count = 0;
        }
    }

    /// One call on, and no farther than the last.
    fn step(&mut self) {
        self.count = (self.count + 1).min(self.page.length());
        self.plays = self.count < self.page.length();
    }

    /// Waits for a key, a signal, or the next call's turn (poll(2)).
    fn sleep(&self) -> Result<Came, Fault> {
        let stdin = std::io::stdin();
        let timeout = if self.plays { PollTimeout::try_from(PACE).ok() } else { None };
        let mut fds = [stdin.as_fd(), self.signals.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        match poll(&mut fds, timeout.unwrap_or(PollTimeout::NONE)) {
            Ok(0) => return Ok(Came::Time),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(Fault::broken("wait for keys", e)),
        }
        let hung_up = PollFlags::POLLHUP | PollFlags::POLLERR;
        let gone = fds.first().and_then(PollFd::revents).is_some_and(|events| events.intersects(hung_up));
        Ok(if gone { Came::HungUp } else { Came::Something })
    }

    /// Gives the terminal back, stops, and takes it again.
    fn stop(&mut self, signal: i32) -> Result<(), Fault> {
        self.keyboard.back();
        print(GIVE_BACK)?;
        stop(signal);
        self.keyboard.again().doing("take the terminal")?;
        print(TAKE)
    }

    fn draw(&self) -> Result<(), Fault> {
        let (rows, columns) = Term::stdout().size();
        // What is written into a line's last column may begin another one.
        let style = Style { width: usize::from(columns).saturating_sub(1).clamp(16, 120), ..self.style };
        let lines = self.page.lines(&style, rows.into(), self.count, self.plays);
        let text = format!("\x1b[H{}\x1b[K\x1b[J", lines.join("\x1b[K\r\n"));
        print(text.as_bytes())
    }
}

/// What a player was woken by.
enum Came {
    /// Nothing else has come.
    Time,
    HungUp,
    Something,
}

fn print(bytes: &[u8]) -> Result<(), Fault> {
    let mut out = Stream::output();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(Fault::output)
}
