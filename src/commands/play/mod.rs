//! `workshop play FILE`: a recorded run once more. On a terminal one goes forward and back in it; elsewhere it is told as the
//! step was, and `--cast` writes that down with the times that it took.
//!
//! Nothing is made and nothing is run: the file is all it needs.

mod cast;
mod keys;
mod narrate;
mod page;
mod player;

use std::io::Write;

use crate::cli::PlayOptions;
use crate::course::Step;
use crate::course::language::Lang;
use crate::fault::Fault;
use crate::kernel::breakable::Stream;
use crate::recording::Recording;
use crate::render::{Style, Text};

use super::{Output, menu};

/// A recording of a step that we have.
pub struct Played {
    pub step: &'static Step,
    /// That it was made in.
    pub lang: Lang,
    pub recording: Recording,
}

/// Plays a recording, in the language that it was made in.
pub fn run(out: &mut Output, options: &PlayOptions) -> Result<i32, Fault> {
    let recording = Recording::read(&options.file)?;
    let step = Step::find(&recording.step).ok_or_else(|| {
        let path = options.file.display().to_string();
        Fault::usage("play-unknown-step", &[("path", &path), ("step", &recording.step)])
    })?;
    let lang = if recording.lang == Lang::Ko.code() { Lang::Ko } else { Lang::En };
    let played = Played { step, lang, recording };
    if let Some(path) = &options.cast {
        cast::write(&played, path)?;
        out.note(&out.words.fill("cast-written", &[("path", &path.display().to_string())]))?;
        return Ok(0);
    }
    if out.json {
        return narrate::lines(&played.recording, Stream::output());
    }
    let style = Style { lang, ..out.style };
    if menu::can_ask(out) {
        return player::play(&played, style);
    }
    let mut text = Text::new(Box::new(Stream::output()) as Box<dyn Write>, style);
    narrate::tell(&played, &mut text, |_, _| Ok(()))
}
