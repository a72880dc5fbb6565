//! What is asked on a terminal, and only there: which step, a guess, Enter before a call.

use std::io;

use console::{Key, Term};
use dialoguer::theme::{ColorfulTheme, SimpleTheme, Theme};
use dialoguer::{Confirm, Select};

use crate::cli::StepOptions;
use crate::course::STEPS;
use crate::course::lesson::Lesson;
use crate::course::progress::Progress;
use crate::fault::Fault;
use crate::folders::Folders;
use crate::kernel::breakable::breakable;

use super::Output;

/// A bare `workshop` on a terminal: choose a step and run it.
pub fn run(out: &mut Output) -> Result<i32, Fault> {
    let progress = Progress::read(&Folders::find()?.state);
    let mut items: Vec<String> = STEPS.iter().map(|step| item(out, step, &progress)).collect();
    items.push(format!("  {}", out.words.say("menu-quit")));
    let first_open = STEPS.iter().position(|s| !progress.is_done(s.slug)).unwrap_or(0);
    let chosen = ask(out.words.say("choose-step"), &items, first_open)?;
    match chosen.and_then(|index| STEPS.get(index)) {
        Some(step) => super::step::run(out, step, &StepOptions::default()),
        None => Ok(0),
    }
}

/// Whether questions can be asked: they are redrawn at every key, which a dumb terminal can't do.
pub fn can_ask(out: &Output) -> bool {
    out.terminal && !is_dumb()
}

/// Whether the terminal can do nothing but print line after line.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// `✓ 3  pivot-root     A root of its own`: the mark comes first, so that no narrow terminal cuts it off.
fn item(out: &Output, step: &crate::course::Step, progress: &Progress) -> String {
    let lesson = Lesson::load(step, out.lang);
    let slug = console::pad_str(step.slug, 13, console::Alignment::Left, None);
    let done = if progress.is_done(step.slug) { '✓' } else { ' ' };
    format!("{done} {}  {slug}  {}", step.number, lesson.title())
}

/// Asks for a guess before the run. `None` when the learner would rather not.
pub fn predict(out: &mut Output, lesson: &Lesson) -> Result<Option<usize>, Fault> {
    let Some(question) = lesson.predict() else { return Ok(None) };
    // The question may be longer than a line, which a prompt must not be: it is redrawn line by line.
    out.note(&question.ask)?;
    let _ = Term::stdout().write_line("");
    let choices: Vec<String> = question.choices.iter().map(|c| c.to_string()).collect();
    let guess = ask(out.words.say("your-guess"), &choices, 0)?;
    out.restart_clock();
    Ok(guess)
}

/// After the run: what it really is.
pub fn settle(out: &mut Output, lesson: &Lesson, guess: usize) -> Result<(), Fault> {
    let Some(question) = lesson.predict() else { return Ok(()) };
    let key = if guess == question.right { "guess-right" } else { "guess-wrong" };
    let answer = question.choices.get(question.right).map(|c| c.to_string()).unwrap_or_default();
    out.note(&format!("{} {}", out.words.fill(key, &[("answer", &answer)]), question.because))
}

/// Asks for a yes or a no; Escape is a no. The prompt must fit a line, since it is redrawn: what it is about is told
/// before.
pub fn confirm(prompt: &str) -> Result<bool, Fault> {
    let plain = SimpleTheme;
    let colourful = ColorfulTheme::default();
    let theme: &dyn Theme = if console::colors_enabled() { &colourful } else { &plain };
    let term = Term::stdout();
    let question = Confirm::with_theme(theme).with_prompt(prompt).default(false);
    let answer = breakable(|| question.interact_on_opt(&term)).map_err(Fault::Interrupted);
    let _ = term.show_cursor();
    let answer = answer?.map_err(|dialoguer::Error::IO(e)| Fault::output(e))?;
    Ok(answer == Some(true))
}

pub fn ask(prompt: &str, items: &[String], default: usize) -> Result<Option<usize>, Fault> {
    let plain = SimpleTheme;
    let colourful = ColorfulTheme::default();
    let theme: &dyn Theme = if console::colors_enabled() { &colourful } else { &plain };
    let term = Term::stdout();
    let room = usize::from(term.size().1).saturating_sub(4);
    let items: Vec<_> = items.iter().map(|item| console::truncate_str(item, room, "…")).collect();
    let question = Select::with_theme(theme).with_prompt(prompt).items(&items).default(default).report(false);
    let answer = breakable(|| question.interact_on_opt(&term)).map_err(Fault::Interrupted);
    let answer = answer.and_then(|answer| answer.map_err(|dialoguer::Error::IO(e)| Fault::output(e)));
    // A question that was broken off leaves the cursor hidden.
    let _ = term.show_cursor();
    // Told here, since the crate's own report does not look at the terminal's width.
    if let Ok(Some(item)) = answer.as_ref().map(|index| items.get((*index)?)) {
        let mut line = String::new();
        let _ = theme.format_select_prompt_selection(&mut line, prompt, item.trim_start());
        let _ = term.write_line(&console::truncate_str(&line, room, "…"));
    }
    answer
}

/// `--pause`: goes on at Enter or Space; `q`, Escape or Ctrl-C end the run. The cursor stands behind the
/// invitation and the key is not echoed, so ending that line is up to us.
pub fn wait_for_enter() -> io::Result<()> {
    let term = Term::stdout();
    match key_to_go_on(&term) {
        // The call's result takes the place of the invitation.
        Ok(()) if !is_dumb() => term.clear_line(),
        answer => term.write_line("").and(answer),
    }
}

/// Waits for a key that means yes. One that means no is an error, as a signal is.
fn key_to_go_on(term: &Term) -> io::Result<()> {
    loop {
        let signal = match breakable(|| term.read_key()) {
            Ok(Ok(Key::Enter | Key::Char(' '))) => return Ok(()),
            Ok(Ok(Key::Char('q') | Key::Escape)) => libc::SIGINT,
            Ok(Ok(_)) => continue,
            Ok(Err(e)) => return Err(e),
            Err(signal) => signal,
        };
        return Err(io::Error::other(Fault::Interrupted(signal)));
    }
}
