//! What is on the screen while we watch. It is drawn anew whenever something changes, so that it fits the terminal as
//! it is at that moment.

use std::io::Write;

use console::Term;

use crate::course::exercise;
use crate::course::language::Lang;
use crate::course::markdown::Block;
use crate::course::words::Words;
use crate::fault::Fault;
use crate::kernel::breakable::Stream;
use crate::learner::Project;
use crate::render::learner::{self, Mark, Told};
use crate::render::prose;
use crate::render::style::{Role, Style, When};

use super::page::{Page, Window};
use super::parts::indented;
use super::verdict::Verdict;

/// The terminal's other screen, and back to the one that was there before (console_codes(4), xterm's 1049).
const TAKE: &[u8] = b"\x1b[?1049h";
const GIVE_BACK: &[u8] = b"\x1b[?1049l";

/// The exit status of a check that this host can't do.
const UNABLE: i32 = 3;

/// Lines that are kept free below a text that is read while something runs.
const RUNNING: usize = 4;

/// What the last run means for going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Running,
    NotYet,
    Held,
    /// The host has nothing to judge the step by, and says why.
    Unjudged,
}

/// How far the current run has come.
pub enum Stage {
    /// Nothing was started yet.
    Nothing,
    Building {
        command: String,
        said: Vec<u8>,
    },
    NotBuilt {
        said: Vec<u8>,
        code: i32,
    },
    Checking {
        built: Vec<u8>,
        verdict: Verdict,
    },
    Judged {
        built: Vec<u8>,
        verdict: Verdict,
        errors: String,
        code: i32,
    },
    /// It could not even begin.
    Unable(Fault),
}

/// The screen of a project.
pub struct Screen {
    pub(super) lang: Lang,
    pub(super) words: &'static Words,
    pub step: u32,
    pub(super) marks: Vec<Mark>,
    pub(super) stage: Stage,
    /// What was asked for by key: shown until the next save.
    pub(super) aside: Option<Text>,
    /// What is said of the last key: shown until the next one.
    pub notes: Vec<String>,
    window: Window,
}

/// A text that is laid out anew at each drawing.
type Text = Box<dyn Fn(&Style) -> Vec<String>>;

impl Screen {
    /// Takes the terminal's screen. What was on it comes back when we leave.
    pub fn open(out: &crate::commands::Output, project: &Project) -> Result<Screen, Fault> {
        let mut screen = Screen {
            lang: out.lang,
            words: out.words,
            step: 0,
            marks: Vec::new(),
            stage: Stage::Nothing,
            aside: None,
            notes: Vec::new(),
            window: Window::default(),
        };
        screen.turn_to(project);
        screen.take()?;
        Ok(screen)
    }

    pub fn take(&self) -> Result<(), Fault> {
        print(TAKE)
    }

    pub fn give_back(&self) {
        let _ = print(GIVE_BACK);
    }

    /// Leaves for good: only how far the learner has come stays.
    pub fn leave(&self) {
        self.give_back();
        let _ = print(format!("{}\n", self.heading(&self.style())).as_bytes());
    }

    /// Shows where the project stands from now on.
    pub fn turn_to(&mut self, project: &Project) {
        self.step = project.step();
        let mark = |step| Mark::of(project.is_done(step), project.is_left_out(step));
        self.marks = exercise::all().map(|entry| mark(entry.number)).collect();
    }

    /// Rows and columns of the terminal.
    pub fn size(&self) -> (u16, u16) {
        Term::stdout().size()
    }

    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    pub fn outcome(&self) -> Outcome {
        match &self.stage {
            Stage::Building { .. } | Stage::Checking { .. } => Outcome::Running,
            Stage::Judged { verdict, code: 0, .. } if verdict.all_held() => Outcome::Held,
            Stage::Judged { verdict, code: UNABLE, .. }
                if exercise::asked(self.step).limits && verdict.judged_nothing() =>
            {
                Outcome::Unjudged
            }
            _ => Outcome::NotYet,
        }
    }

    /// What the build said that came before the check.
    pub fn take_built(&mut self) -> Vec<u8> {
        match &mut self.stage {
            Stage::Checking { built, .. } => std::mem::take(built),
            _ => Vec::new(),
        }
    }

    /// A new stage of the run.
    pub fn show(&mut self, stage: Stage) -> Result<(), Fault> {
        // A text that was read meanwhile would hide what the compiler has to say.
        if matches!(stage, Stage::NotBuilt { .. }) {
            self.aside = None;
        }
        self.stage = stage;
        self.window.top = 0;
        self.draw()
    }

    /// Shows what the job has just said, without drawing all else again.
    pub fn follow(&mut self, new: &[u8], all: &[u8]) -> Result<(), Fault> {
        match &mut self.stage {
            Stage::Building { said, .. } => {
                said.extend_from_slice(new);
                print(new)
            }
            Stage::Checking { verdict, .. } => {
                *verdict = Verdict::read(all);
                let line = self.checking(&self.style());
                print(format!("\r\u{1b}[K{line}").as_bytes())
            }
            _ => Ok(()),
        }
    }

    /// Shows something aside in place of what was there.
    pub fn tell(&mut self, told: &Told) {
        let mut painted = Vec::new();
        // Laid out once: what is told holds borrowed texts. It is shown until the next key or save.
        let _ = learner::write(&mut painted, &self.style(), told);
        let lines: Vec<String> = String::from_utf8_lossy(&painted).lines().map(String::from).collect();
        self.set_aside(Box::new(move |_| lines.clone()));
    }

    /// Shows a text aside in place of what was there.
    pub fn show_blocks(&mut self, blocks: &[Block]) {
        let blocks = blocks.to_vec();
        self.set_aside(Box::new(move |style| learner::blocks(style, &blocks)));
    }

    fn set_aside(&mut self, text: Text) {
        self.aside = Some(text);
        self.window.top = 0;
    }

    /// Says a sentence above the keys.
    pub fn say(&mut self, words: &str) {
        self.notes.push(words.into());
    }

    /// Leaves nothing but the run itself.
    pub fn clear(&mut self) {
        self.aside = None;
        self.notes.clear();
        self.window.top = 0;
    }

    /// Moves what does not fit by so many lines.
    pub fn move_by(&mut self, lines: isize) {
        self.window.top = self.window.top.saturating_add_signed(lines);
    }

    /// Moves it by so many times what is to be seen, but for a line to find one's place by.
    pub fn move_by_pages(&mut self, pages: isize) {
        self.move_by(pages * self.window.rows.saturating_sub(1).max(1) as isize);
    }

    /// A question in place of the keys; the answer comes below it.
    pub fn ask(&mut self, question: &str) -> Result<(), Fault> {
        let style = self.style();
        let mut foot = vec![String::new()];
        foot.extend(indented(prose::lines(&style, Role::Strong, question, style.width.saturating_sub(2))));
        foot.push(String::new());
        self.draw_with(&style, foot)
    }

    /// Draws everything.
    pub fn draw(&mut self) -> Result<(), Fault> {
        let style = self.style();
        if self.outcome() == Outcome::Running {
            return self.draw_running(&style);
        }
        let foot = self.foot(&style);
        self.draw_with(&style, foot)
    }

    fn draw_with(&mut self, style: &Style, foot: Vec<String>) -> Result<(), Fault> {
        let page = Page { head: self.head(style), body: self.body(style), foot };
        let position = |window: Window| {
            let (from, to, all) = (window.top + 1, window.top + window.rows, window.all);
            let with = [("from", from), ("to", to), ("all", all)].map(|(key, n)| (key, n.to_string()));
            let with: Vec<(&str, &str)> = with.iter().map(|(key, n)| (*key, n.as_str())).collect();
            format!(" {}", style.paint(Role::Dim, &self.words.fill("watch-position", &with)))
        };
        let (lines, window) = page.fit(self.size(), self.window.top, position);
        self.window = window;
        paint(&lines.join("\n"))
    }

    /// While something runs, what it says goes on below what is drawn here.
    fn draw_running(&self, style: &Style) -> Result<(), Fault> {
        let (rows, columns) = self.size();
        let aside = Page { head: self.head(style), body: self.aside(style), foot: Vec::new() };
        let room = rows.saturating_sub(RUNNING as u16);
        let more = format!(" {}", style.paint(Role::Dim, style.signs().ellipsis));
        let (lines, _) = aside.fit((room, columns), 0, |_| more.clone());
        let apart = self.aside.as_ref().map_or("", |_| "\n");
        let mut text: String = lines.iter().map(|line| format!("{line}\n")).collect::<String>() + apart;
        match &self.stage {
            Stage::Building { command, said } => {
                let words = self.words.fill("watch-building", &[("command", command)]);
                text.push_str(&format!(" {}\n\n", style.paint(Role::Dim, &words)));
                text.push_str(&String::from_utf8_lossy(said));
            }
            _ => text.push_str(&self.checking(style)),
        }
        paint(&text)
    }

    fn style(&self) -> Style {
        // Whether there is colour was decided for the crate console when we began.
        let when = if console::colors_enabled() { When::Always } else { When::Never };
        Style::detect(self.lang, when, &Term::stdout())
    }
}

/// Puts a text in place of all that is on the screen. Each line is cleared as it comes: clearing all at once flickers.
fn paint(text: &str) -> Result<(), Fault> {
    print(format!("\x1b[H\x1b[K{}\x1b[J", text.replace('\n', "\n\x1b[K")).as_bytes())
}

fn print(bytes: &[u8]) -> Result<(), Fault> {
    let mut out = Stream::output();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(Fault::output)
}
