//! The first page's first screen: a sentence, a command, a recorded run that moves, and where to go by who one is.

use anyhow::{Result, ensure};

use super::terminal::{escaped, recorded};
use crate::book::Edition;

/// Below the title, before all else that the page says. The run is whole in the page; `theme/cover.js` plays it.
pub fn below_title(edition: &Edition, text: &str) -> Result<String> {
    let words = &edition.words.cover;
    let ways: String = words
        .ways
        .iter()
        .map(|way| {
            let (page, who, what) = (&way.page, escaped(&way.who), escaped(&way.what));
            format!("<li><a href=\"{page}.html\"><strong>{who}</strong> <span>{what}</span></a></li>\n")
        })
        .collect();
    let (title, rest) = text.split_once('\n').unwrap_or((text, ""));
    let run = lines(&recorded(edition, &words.run)?)?;
    let sentence = escaped(&words.sentence);
    let command = escaped(&words.command);
    Ok(format!(
        "{title}\n\n<p class=\"cover-sentence\">{sentence}</p>\n\n<pre class=\"cover-command\"><code class=\"language-sh\">{command}</code></pre>\n\n\
         <div class=\"cover-run\">\n\n{run}\n</div>\n\n<ul class=\"cover-ways\">\n{ways}</ul>\n\n{rest}"
    ))
}

/// The run with each line an element.
fn lines(run: &str) -> Result<String> {
    let (before, rest) = run.split_once("<samp>").unwrap_or(("", run));
    let (samp, after) = rest.rsplit_once("</samp>").unwrap_or((rest, ""));
    let mut out = format!("{before}<samp>");
    for line in samp.lines() {
        ensure!(
            line.matches("<span").count() == line.matches("</span").count(),
            "a colour that goes on: {line}"
        );
        out += &format!("<span class=\"line\">{line}\n</span>");
    }
    Ok(out + "</samp>" + after)
}
