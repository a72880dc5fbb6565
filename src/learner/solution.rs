//! The solutions, `lessons/NN-slug/solution/`: one program in Rust and one in shell, each grown from that of the step
//! before, and the first from the starter.

use similar::TextDiff;

use course::{exercise, lesson};
use fault::Fault;

use super::{Language, starter};

/// The source of a program that does a step.
pub fn text(step: u32, language: Language) -> Result<&'static str, Fault> {
    let name = language.source().rsplit('/').next().unwrap_or_default();
    let path = format!("{}/solution/{name}", exercise::folder(step));
    let text = if step == exercise::START { starter::source(language) } else { lesson::file(&path) };
    text.ok_or_else(|| Fault::broken("find a solution", format!("this workshop has no lessons/{path}")))
}

/// What changes in it from the step before, in the format of diff(1)'s `-u`, with the paths that it has in a project.
pub fn diff(step: u32, language: Language) -> Result<String, Fault> {
    let before = exercise::before(step).next_back().map_or(Ok(""), |before| text(before.number, language))?;
    let after = text(step, language)?;
    let (from, to) = (format!("a/{}", language.source()), format!("b/{}", language.source()));
    let diff = TextDiff::from_lines(before, after);
    Ok(diff.unified_diff().context_radius(3).header(&from, &to).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_starter_is_where_the_solutions_begin() {
        for language in [Language::Rust, Language::Sh] {
            assert_eq!(Some(text(0, language).unwrap()), starter::source(language));
            let diff = diff(0, language).unwrap();
            assert!(diff.starts_with(&format!("--- a/{}\n", language.source())), "{diff}");
            assert!(diff.lines().skip(3).all(|line| line.starts_with('+')), "{diff}");
        }
    }
}
