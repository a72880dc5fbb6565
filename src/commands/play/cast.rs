//! A recording as a file of asciinema's, version 2 (<https://docs.asciinema.org/manual/asciicast/v2/>): what the terminal
//! showed, and when, in seconds since the start.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::rc::Rc;

use serde_json::json;

use crate::fault::{Doing, Fault};
use crate::render::{Style, Text};

use super::{Played, narrate};

/// Of the terminal, in characters.
const COLUMNS: usize = 80;
const ROWS: usize = 24;

/// Writes it.
pub fn write(played: &Played, path: &Path) -> Result<(), Fault> {
    let unable = |e: io::Error| {
        let with = [("path", &*path.display().to_string()), ("problem", &*e.to_string())];
        Fault::usage("cast-file", &with)
    };
    let mut cast = Vec::new();
    let title = format!("workshop step {}", played.step.number);
    let head = json!({ "version": 2, "width": COLUMNS, "height": ROWS, "title": title });
    writeln!(cast, "{head}").doing("write to memory")?;
    let shown = Shown::default();
    let style = Style { width: COLUMNS, colour: true, lang: played.lang, unicode: true };
    let mut text = Text::new(Box::new(shown.clone()) as Box<dyn Write>, style);
    narrate::tell(played, &mut text, |_, at| {
        let bytes = std::mem::take(&mut *shown.0.borrow_mut());
        let lines = String::from_utf8_lossy(&bytes).replace('\n', "\r\n");
        writeln!(cast, "{}", json!([at, "o", lines]))
    })?;
    File::create(path).and_then(|mut file| file.write_all(&cast)).map_err(unable)
}

/// What was written since somebody looked last.
#[derive(Clone, Default)]
struct Shown(Rc<RefCell<Vec<u8>>>);

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
