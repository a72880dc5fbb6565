//! What a check told, read from its JSON Lines, and as lines for people.

use serde::Deserialize;
use serde_json::Value;

use crate::course::exercise::{self, Exercise};
use crate::course::words::{self, Found};
use crate::render::learner::entry;
use crate::render::style::{Role, Style};
use crate::render::words::Words;
use crate::render::{Causes, Checked, prose, verdict, wrap};

/// How many failed checks are shown in full, with all that is known of them, and how many are in brief, beside something
/// else. The first ones usually cause the rest.
const IN_FULL: usize = 3;
const IN_BRIEF: usize = 3;

/// Everything that a check has told.
#[derive(Debug, Default)]
pub struct Verdict {
    checks: Vec<Check>,
    done: Option<Done>,
    error: Option<Failed>,
}

#[derive(Debug, Deserialize)]
struct Check {
    step: String,
    name: String,
    passed: bool,
    expected: String,
    actual: String,
    #[serde(default)]
    causes: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Done {
    failed: u32,
    #[serde(default)]
    skipped: u32,
    seconds: f64,
}

#[derive(Debug, Deserialize)]
struct Failed {
    message: String,
    #[serde(default)]
    hint: String,
}

impl Verdict {
    /// Reads what was told so far. A line that is no event, or one of another kind, is left out.
    pub fn read(output: &[u8]) -> Verdict {
        let mut verdict = Verdict::default();
        for line in String::from_utf8_lossy(output).lines() {
            let Ok(event) = serde_json::from_str::<Value>(line) else { continue };
            match event.get("event").and_then(Value::as_str) {
                Some("check") => verdict.checks.extend(serde_json::from_value::<Check>(event).ok()),
                Some("done") => verdict.done = serde_json::from_value(event).ok(),
                Some("error") => verdict.error = serde_json::from_value(event).ok(),
                _ => {}
            }
        }
        verdict
    }

    /// Whether it was told to the end, and everything held.
    pub fn all_held(&self) -> bool {
        let ended = self.done.as_ref().is_some_and(|done| done.failed == 0);
        ended && self.error.is_none() && self.checks.iter().all(|check| check.passed)
    }

    /// Whether it ended for a reason of the host's, before anything could be judged.
    pub fn judged_nothing(&self) -> bool {
        self.checks.is_empty() && self.error.is_some()
    }

    /// Whether it says why it ended, in its own words.
    pub fn explains_itself(&self) -> bool {
        self.done.is_some() || self.error.is_some()
    }

    /// How many checks have held, and how many have not.
    pub fn counts(&self) -> (usize, usize) {
        let passed = self.checks.iter().filter(|check| check.passed).count();
        (passed, self.checks.len() - passed)
    }

    /// The counts, an error if there was one, and the failed checks.
    pub fn lines(&self, style: &Style) -> Vec<String> {
        let mut lines = self.summary(style);
        for (place, check) in self.failed().enumerate() {
            let in_full = place < IN_FULL;
            lines.extend((in_full || place == IN_FULL).then(String::new));
            lines.extend(failed(style, check, in_full));
        }
        lines
    }

    /// The same on few lines: what the first failed checks claim.
    pub fn brief(&self, style: &Style) -> Vec<String> {
        let mut lines = self.summary(style);
        for check in self.failed().take(IN_BRIEF) {
            let mut claim = failed(style, check, false).into_iter();
            let first = claim.next().unwrap_or_default();
            let rest = claim.next().map(|_| style.signs().ellipsis).unwrap_or_default();
            lines.push(format!("{first}{rest}"));
        }
        let more = self.failed().count().saturating_sub(IN_BRIEF);
        if more > 0 {
            let words = words::Words::of(style.lang).fill("watch-and-more", &[("count", &more.to_string())]);
            lines.push(format!("   {}", style.paint(Role::Dim, &words)));
        }
        lines
    }

    fn failed(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| !check.passed)
    }

    fn summary(&self, style: &Style) -> Vec<String> {
        let mut lines = Vec::new();
        if self.explains_itself() && !self.checks.is_empty() {
            lines.push(self.tally(style));
        }
        if let Some(error) = &self.error {
            let words = format!("{}: {}", Words::of(style.lang).error, error.message);
            let room = style.width.saturating_sub(2);
            let said = prose::lines(style, Role::Bad, &words, room);
            let hint = prose::lines(style, Role::Plain, &error.hint, room);
            lines.extend(said.into_iter().chain(hint).map(|line| format!(" {line}")));
        }
        lines
    }

    /// `✓ 12 passed   ✗ 1 failed   2.1 s`.
    pub fn tally(&self, style: &Style) -> String {
        let (words, signs) = (Words::of(style.lang), style.signs());
        let (passed, failed) = self.counts();
        let skipped = self.done.as_ref().map_or(0, |done| done.skipped as usize);
        let counts = [
            (passed, Role::Good, signs.passed, words.passed),
            (failed, Role::Bad, signs.failed, words.failed),
            (skipped, Role::Dim, signs.skipped, words.skipped),
        ];
        let mut parts: Vec<String> = counts
            .into_iter()
            .filter(|(count, ..)| *count > 0)
            .map(|(count, role, sign, word)| style.paint(role, &format!("{sign} {count} {word}")))
            .collect();
        let counts = format!(" {}", parts.join("   "));
        parts.extend(self.done.as_ref().map(|done| style.paint(Role::Dim, &words.seconds(done.seconds))));
        let all = format!(" {}", parts.join("   "));
        if wrap::width(&all) < style.width { all } else { counts }
    }
}

/// A failed check as `check` shows it, or only what was claimed.
fn failed(style: &Style, check: &Check, in_full: bool) -> Vec<String> {
    let step = exercise::find(&check.step).unwrap_or_else(exercise::last);
    let exercise = Exercise::load(step, style.lang).with_causes(&check.name, check.causes.clone());
    if !in_full {
        return entry(style, &style.paint(Role::Bad, style.signs().failed), exercise.claim(&check.name));
    }
    let found = Found { held: false, expected: check.expected.clone(), actual: check.actual.clone() };
    let causes = Causes { likely: exercise.causes(&check.name), page: exercise::page(step, &check.name) };
    let (name, claim) = (&*check.name, exercise.claim(&check.name));
    let check =
        Checked { step: &check.step, name, claim, found: Some(&found), help: "", causes: Some(causes) };
    verdict::lines(style, &check)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &str = concat!(
        r#"{"event":"step","number":1,"slug":"unshare-pid","title":"t","builds_on":[]}"#,
        "\n",
        r#"{"event":"check","step":"run","name":"starts","passed":true,"expected":"yes","actual":"yes","help":""}"#,
        "\nnoise\n",
        r#"{"event":"check","step":"unshare-pid","name":"made-up","passed":false,"expected":"another","actual":"pid:[4026531836]","#,
        r#""help":"","causes":["No fork after `unshare`.","Another."],"page":"own/01-unshare-pid.html#check-made-up"}"#,
        "\n",
        r#"{"event":"done","passed":1,"failed":1,"skipped":0,"seconds":2.04}"#,
        "\n",
    );

    #[test]
    fn failed_checks_are_shown_with_all_that_is_known_of_them() {
        let verdict = Verdict::read(TOLD.as_bytes());
        assert!(!verdict.all_held());
        let text = verdict.lines(&Style::default()).join("\n");
        let start = " ✓ 1 passed   ✗ 1 failed   2.0 s\n\n ✗ made-up\n   expected  another\n";
        assert!(text.starts_with(start), "{text}");
        assert!(text.ends_with("own/01-unshare-pid.html#check-made-up"), "{text}");
    }

    #[test]
    fn in_brief_a_failed_check_takes_a_line_and_the_rest_are_counted() {
        let failed = |name: &str| {
            let line = TOLD.lines().find(|line| line.contains("made-up")).unwrap();
            line.replace("made-up", name)
        };
        let names = ["first", "second", &"third ".repeat(30), "fourth", "fifth"];
        let done = TOLD.lines().last().unwrap();
        let told = names.map(failed).join("\n") + "\n" + done;
        let lines = Verdict::read(told.as_bytes()).brief(&Style::default());
        assert_eq!((lines.len(), lines[1].as_str(), lines[4].as_str()), (5, " ✗ first", "   and 2 more"));
        assert!(lines[3].ends_with("third…") && wrap::width(&lines[3]) < 80, "{lines:?}");
    }

    #[test]
    fn only_a_check_that_was_told_to_its_end_can_have_held() {
        let held = TOLD.lines().filter(|line| !line.contains("false")).collect::<Vec<_>>().join("\n");
        let held = held.replace("\"failed\":1", "\"failed\":0");
        assert!(Verdict::read(held.as_bytes()).all_held());
        let cut = held.lines().take(2).collect::<Vec<_>>().join("\n");
        assert!(!Verdict::read(cut.as_bytes()).all_held());
        let error = format!("{held}\n{}", r#"{"event":"error","code":3,"message":"No.","hint":"Do."}"#);
        let verdict = Verdict::read(error.as_bytes());
        assert!(!verdict.all_held());
        assert!(verdict.lines(&Style::default()).join("\n").contains("error: No.\n Do."));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let style = Style { width: 40, ..Style::default() };
        let long = TOLD.replace("another", &"many words that have to be wrapped ".repeat(5));
        for line in Verdict::read(long.as_bytes()).lines(&style) {
            // A path stays whole for whoever copies it.
            assert!(wrap::width(&line) < 40 || line.contains(".html"), "{line}");
        }
    }
}
