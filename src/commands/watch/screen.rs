//! What is on the screen while we watch. It is drawn anew whenever something changes, so that it fits the terminal as
//! it is at that moment.

use std::io::{self, Write};

use console::Term;

use crate::course::exercise::{EXERCISES, Exercise};
use crate::course::language::Lang;
use crate::course::markdown::Block;
use crate::course::words::Words;
use crate::fault::Fault;
use crate::learner::Project;
use crate::render::learner::{self, Told};
use crate::render::style::{Role, Style, When};
use crate::render::{failure, prose, words, wrap};

use super::verdict::Verdict;

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
    lang: Lang,
    words: &'static Words,
    pub step: u32,
    done: Vec<u32>,
    stage: Stage,
    /// What was asked for by key: shown until the next save.
    pub aside: Vec<Aside>,
}

/// A text that is laid out anew at each drawing.
pub type Aside = Box<dyn Fn(&Style) -> Vec<String>>;

impl Screen {
    pub fn new(out: &crate::commands::Output, project: &Project) -> Screen {
        let mut screen = Screen {
            lang: out.lang,
            words: out.words,
            step: 0,
            done: Vec::new(),
            stage: Stage::Nothing,
            aside: Vec::new(),
        };
        screen.turn_to(project);
        screen
    }

    /// Shows where the project stands from now on.
    pub fn turn_to(&mut self, project: &Project) {
        self.step = project.step();
        self.done = (0..EXERCISES.len() as u32).filter(|step| project.is_done(*step)).collect();
    }

    /// Rows and columns of the terminal.
    pub fn size(&self) -> (u16, u16) {
        Term::stdout().size()
    }

    pub fn stage(&self) -> &Stage {
        &self.stage
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
        self.stage = stage;
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
        self.aside = vec![Box::new(move |_| lines.clone())];
    }

    /// Says a sentence aside, below what is there.
    pub fn say(&mut self, words: &str) {
        let words = words.to_owned();
        self.aside.push(Box::new(move |style| {
            let lines = prose::lines(style, Role::Plain, &words, style.width.saturating_sub(2));
            lines.iter().map(|line| format!(" {line}")).collect()
        }));
    }

    /// Shows a text aside in place of what was there.
    pub fn show_blocks(&mut self, blocks: &[Block]) {
        let blocks = blocks.to_vec();
        self.aside = vec![Box::new(move |style| learner::blocks(style, &blocks))];
    }

    /// A question below what is shown; the answer comes below it.
    pub fn ask(&self, question: &str) -> Result<(), Fault> {
        let style = self.style();
        let mut page = b"\n\n".to_vec();
        let text = prose::lines(&style, Role::Strong, question, style.width.saturating_sub(2));
        lines(&mut page, &text.iter().map(|line| format!(" {line}")).collect::<Vec<_>>());
        print(&page)
    }

    /// Leaves what is shown, and begins a line below it.
    pub fn leave(&self) {
        let _ = print(b"\n");
    }

    /// Draws everything.
    pub fn draw(&self) -> Result<(), Fault> {
        let style = self.style();
        let mut page = b"\x1b[H\x1b[2J\x1b[3J".to_vec();
        let exercise = Exercise::load(self.step, self.lang);
        let number = words::Words::of(self.lang).step(self.step);
        let title = format!("{number} {} {}", style.signs().dot, learner::plain_title(&exercise.title));
        lines(&mut page, &[learner::heading(&style, &title, &self.done), String::new()]);
        let aside = self.aside(&style);
        let running = matches!(self.stage, Stage::Building { .. } | Stage::Checking { .. });
        if running {
            lines(&mut page, &aside);
        }
        self.draw_stage(&style, &mut page);
        if !running {
            lines(&mut page, &aside);
            // The cursor stays behind the last key.
            page.extend(self.keys(&style).join("\n").into_bytes());
        }
        print(&page)
    }

    fn draw_stage(&self, style: &Style, page: &mut Vec<u8>) {
        match &self.stage {
            Stage::Nothing => {}
            Stage::Building { command, said } => {
                let words = self.words.fill("watch-building", &[("command", command)]);
                lines(page, &[format!(" {}", style.paint(Role::Dim, &words)), String::new()]);
                page.extend_from_slice(said);
            }
            Stage::NotBuilt { said, code } => {
                apart(page, said);
                let words = self.words.fill("watch-not-built", &[("code", &code.to_string())]);
                lines(page, &learner::entry(style, &style.paint(Role::Bad, style.signs().failed), &words));
                lines(page, &[String::new()]);
            }
            Stage::Checking { built, .. } => {
                apart(page, built);
                page.extend(self.checking(style).into_bytes());
            }
            Stage::Judged { built, verdict, errors, code } => {
                apart(page, built);
                lines(page, &self.judged(style, verdict, errors, *code));
                lines(page, &[String::new()]);
            }
            Stage::Unable(fault) => {
                if let Some(known) = self.words.failure(fault) {
                    let _ = failure::write(page, style, &known);
                    lines(page, &[String::new()]);
                }
            }
        }
    }

    /// What is asked for by key, with a blank line below each.
    fn aside(&self, style: &Style) -> Vec<String> {
        self.aside.iter().flat_map(|text| text(style).into_iter().chain([String::new()])).collect()
    }

    fn checking(&self, style: &Style) -> String {
        let Stage::Checking { verdict, .. } = &self.stage else { return String::new() };
        let words = style.paint(Role::Dim, self.words.say("watch-checking"));
        format!(" {words} {}", verdict.tally(style))
    }

    fn judged(&self, style: &Style, verdict: &Verdict, errors: &str, code: i32) -> Vec<String> {
        let mut lines = verdict.lines(style);
        let room = style.width.saturating_sub(2);
        let mut say = |role, words: &str| {
            lines.extend(prose::lines(style, role, words, room).iter().map(|line| format!(" {line}")));
        };
        if code == 0 && verdict.all_held() {
            let last = self.step as usize == EXERCISES.len() - 1;
            say(Role::Good, self.words.say(if last { "watch-all-done" } else { "watch-held" }));
        } else if !verdict.explains_itself() {
            say(Role::Bad, &self.words.fill("watch-check-broke", &[("code", &code.to_string())]));
            errors.lines().for_each(|line| say(Role::Plain, line));
        }
        lines
    }

    /// The keys, on as many lines as they take. What can't be done now is dim.
    fn keys(&self, style: &Style) -> Vec<String> {
        let held = matches!(&self.stage, Stage::Judged { verdict, code: 0, .. } if verdict.all_held());
        let keys = [
            ("h", "watch-key-hint"),
            ("n", "watch-key-next"),
            ("l", "watch-key-list"),
            ("s", "watch-key-solution"),
            ("r", "watch-key-again"),
            ("x", "watch-key-reset"),
            ("q", "watch-key-quit"),
        ];
        let mut lines = vec![String::new()];
        for (key, word) in keys {
            let can = key != "n" || held;
            let key = style.paint(if can { Role::Strong } else { Role::Dim }, key);
            let word = style.paint(if can { Role::Plain } else { Role::Dim }, self.words.say(word));
            let item = format!("{key} {word}");
            match lines.last_mut() {
                Some(line) if wrap::width(line) + wrap::width(&item) + 3 < style.width => {
                    line.push_str(if line.is_empty() { " " } else { "   " });
                    line.push_str(&item);
                }
                _ => lines.push(format!(" {item}")),
            }
        }
        lines
    }

    fn style(&self) -> Style {
        // Whether there is colour was decided for the crate console when we began.
        let when = if console::colors_enabled() { When::Always } else { When::Never };
        Style::detect(self.lang, when, &Term::stdout())
    }
}

fn lines(page: &mut Vec<u8>, lines: &[String]) {
    lines.iter().for_each(|line| page.extend(format!("{}\n", line.trim_end()).into_bytes()));
}

/// Somebody else's output as it is, and a blank line.
fn apart(page: &mut Vec<u8>, said: &[u8]) {
    if !said.is_empty() {
        page.extend_from_slice(said);
        page.extend_from_slice(if said.ends_with(b"\n") { b"\n" } else { b"\n\n" });
    }
}

fn print(bytes: &[u8]) -> Result<(), Fault> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(Fault::output)
}
