//! A recorded run to step through: its calls as a list, which is the content, and their data for `theme/player.js`, which
//! draws above the list what each call has changed.

use std::fs;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::terminal::escaped;
use crate::book::Edition;

/// A call of a recording, as `tests/book_runs/recordings.rs` writes it.
#[derive(Deserialize)]
struct Call {
    actor: String,
    name: String,
    args: Vec<String>,
    result: String,
    why: String,
    source: String,
}

/// The player of the recording `runs/NAME.json`.
pub fn player(edition: &Edition, name: &str) -> Result<String> {
    let file = edition.path("runs").join(name).with_extension("json");
    let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
    let mut items = String::new();
    for line in text.lines() {
        let call: Call = serde_json::from_str(line).with_context(|| format!("{}: {line}", file.display()))?;
        items += &item(&call);
    }
    // HTML has no escapes in a script; JSON has one for what would look like a tag.
    let data = text.trim_end().replace('\n', ",").replace('<', "\\u003c");
    let words = &edition.words.script.player;
    Ok(format!(
        "<section class=\"player\" id=\"play-{name}\" aria-label=\"{title}\">\n\
         <details class=\"calls\"><summary>{list}</summary>\n<ol>\n{items}</ol>\n</details>\n\
         <script type=\"application/json\">[{data}]</script>\n</section>\n",
        title = escaped(&words.title),
        list = escaped(&words.list),
    ))
}

fn item(call: &Call) -> String {
    format!(
        "<li class=\"{}\"><code>{}({}) = {}</code> <span class=\"why\">{}</span> <span class=\"at\">{}</span></li>\n",
        escaped(&call.actor),
        escaped(&call.name),
        escaped(&call.args.join(", ")),
        escaped(&call.result),
        in_code(&call.why),
        escaped(&call.source),
    )
}

/// A sentence, in which `…` is code.
fn in_code(sentence: &str) -> String {
    let parts = sentence.split('`').enumerate();
    parts
        .map(|(n, part)| if n % 2 == 1 { format!("<code>{}</code>", escaped(part)) } else { escaped(part) })
        .collect()
}
