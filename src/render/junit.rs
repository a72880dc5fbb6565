//! Checks as JUnit's XML, which build servers read: a suite for each step, a case for each claim. The format is what
//! testmoapp/junitxml describes. What it takes of XML is four characters and a tree of two levels, so that no crate for it
//! would be smaller.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::{Booted, Checked, Experimented, Fact, Failure, Renderer, Tally, learner};
use compare::Comparison;
use course::Step;
use course::exercise::{self, Exercise};
use course::lesson::Lesson;
use course::posture::Finding;
use engine::op::Op;
use kernel::told::Call;
use recording::Change;

/// Collects what is judged, and writes it when all is.
pub struct Junit<W: Write> {
    out: W,
    suites: Vec<Suite>,
    written: bool,
}

/// One step.
struct Suite {
    name: String,
    cases: Vec<Case>,
}

struct Case {
    name: String,
    came_of_it: Outcome,
}

enum Outcome {
    Held,
    /// The claim, and what is to be said of it.
    Failed(String, String),
    /// Why it was not judged.
    Skipped(String),
    /// Nothing could be judged.
    Error(String),
}

impl<W: Write> Junit<W> {
    pub fn new(out: W) -> Junit<W> {
        Junit { out, suites: Vec::new(), written: false }
    }

    fn add(&mut self, name: &str, came_of_it: Outcome) {
        if self.suites.is_empty() {
            self.suites.push(Suite { name: "check".into(), cases: Vec::new() });
        }
        if let Some(suite) = self.suites.last_mut() {
            suite.cases.push(Case { name: name.into(), came_of_it });
        }
    }

    fn write(&mut self, seconds: f64) -> io::Result<()> {
        self.written = true;
        let text = document(&self.suites, seconds);
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

impl<W: Write> Drop for Junit<W> {
    fn drop(&mut self) {
        // A run that ended early, or was about something else. Nobody is left to be told that this failed too.
        if !self.written {
            let _ = self.write(0.0);
        }
    }
}

/// The whole text.
fn document(suites: &[Suite], seconds: f64) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let all = || suites.iter().flat_map(|suite| &suite.cases);
    let counts = counts(all());
    let _ = writeln!(text, "<testsuites name=\"workshop check\" {counts} time=\"{seconds:.3}\">");
    for Suite { name, cases } in suites {
        let name = escaped(name);
        let _ = writeln!(text, "  <testsuite name=\"{name}\" {}>", self::counts(cases.iter()));
        for case in cases {
            let head = format!("    <testcase classname=\"{name}\" name=\"{}\"", escaped(&case.name));
            let _ = match &case.came_of_it {
                Outcome::Held => writeln!(text, "{head}/>"),
                Outcome::Failed(claim, said) => {
                    let (claim, said) = (escaped(claim), escaped(said));
                    writeln!(
                        text,
                        "{head}>\n      <failure message=\"{claim}\">{said}</failure>\n    </testcase>"
                    )
                }
                Outcome::Skipped(why) => {
                    writeln!(text, "{head}>\n      <skipped message=\"{}\"/>\n    </testcase>", escaped(why))
                }
                Outcome::Error(what) => {
                    writeln!(text, "{head}>\n      <error message=\"{}\"/>\n    </testcase>", escaped(what))
                }
            };
        }
        text += "  </testsuite>\n";
    }
    text + "</testsuites>\n"
}

fn counts<'c>(cases: impl Iterator<Item = &'c Case>) -> String {
    let [mut tests, mut failures, mut errors, mut skipped] = [0; 4];
    for case in cases {
        tests += 1;
        match case.came_of_it {
            Outcome::Held => {}
            Outcome::Failed(..) => failures += 1,
            Outcome::Skipped(_) => skipped += 1,
            Outcome::Error(_) => errors += 1,
        }
    }
    format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\"")
}

/// Text as XML has it. Most control characters can't be in it at all (XML 1.0, "Characters").
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\n' | '\t' => safe.push(c),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            _ => safe.push(c),
        }
    }
    safe
}

impl<W: Write> Renderer for Junit<W> {
    fn exercise(&mut self, exercise: &Exercise) -> io::Result<()> {
        let name = format!("{} {}", exercise.number, exercise::slug(exercise.number));
        self.suites.push(Suite { name, cases: Vec::new() });
        Ok(())
    }

    fn check(&mut self, check: &Checked) -> io::Result<()> {
        let came_of_it = match check.found {
            Some(found) if found.held => Outcome::Held,
            Some(found) => {
                let mut said = format!("expected: {}\nseen: {}\n", found.expected, found.actual);
                for (cause, number) in check.causes.iter().flat_map(|causes| &causes.likely).zip(1..) {
                    let _ = writeln!(said, "{number}. {cause}");
                }
                said.extend(check.causes.iter().map(|causes| causes.page.as_str()));
                Outcome::Failed(check.claim.into(), said)
            }
            None => Outcome::Skipped(check.claim.into()),
        };
        self.add(check.name, came_of_it);
        Ok(())
    }

    fn done(&mut self, tally: &Tally) -> io::Result<()> {
        self.write(tally.seconds)
    }

    /// Of what the host can't do nothing is judged; whatever else went wrong is an error.
    fn failure(&mut self, failure: &Failure) -> io::Result<()> {
        let said = [&failure.message, &failure.cause, &failure.hint].map(|part| part.trim()).join(" ");
        let came_of_it = if failure.code == 3 { Outcome::Skipped(said) } else { Outcome::Error(said) };
        self.add("judged", came_of_it);
        Ok(())
    }

    // Nothing else is told of a check.
    fn step(&mut self, _: &Step, _: &Lesson, _: &[&Step]) -> io::Result<()> {
        Ok(())
    }
    fn listed(&mut self, _: &Step, _: &Lesson, _: bool) -> io::Result<()> {
        Ok(())
    }
    fn runnable(&mut self, _: &Step, _: Option<&Failure>) -> io::Result<()> {
        Ok(())
    }
    fn about(&mut self, _: &Call, _: &Lesson) -> io::Result<()> {
        Ok(())
    }
    fn call(&mut self, _: u32, _: &Call, _: Option<&[Change]>, _: &Lesson) -> io::Result<()> {
        Ok(())
    }
    fn op(&mut self, _: u32, _: &Op, _: &Lesson) -> io::Result<()> {
        Ok(())
    }
    fn experimented(&mut self, _: &Experimented) -> io::Result<()> {
        Ok(())
    }
    fn facts(&mut self, _: &[Fact], _: &Lesson) -> io::Result<()> {
        Ok(())
    }
    fn closing(&mut self, _: &Step, _: &Lesson, _: Option<&Step>) -> io::Result<()> {
        Ok(())
    }
    fn table(&mut self, _: &str, _: &[&str], _: &[Vec<String>]) -> io::Result<()> {
        Ok(())
    }
    fn learner(&mut self, _: &learner::Told) -> io::Result<()> {
        Ok(())
    }
    fn measured(&mut self, _: &Comparison) -> io::Result<()> {
        Ok(())
    }
    fn served(&mut self, _: &str, _: &str) -> io::Result<()> {
        Ok(())
    }
    fn finding(&mut self, _: &Finding, _: &str) -> io::Result<()> {
        Ok(())
    }
    fn note(&mut self, _: &str) -> io::Result<()> {
        Ok(())
    }
    fn booted(&mut self, _: &Booted, _: &str) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_says_can_not_end_an_attribute() {
        assert_eq!(escaped("a<b> & \"c\"\u{1b}[0m"), "a&lt;b&gt; &amp; &quot;c&quot;\u{fffd}[0m");
    }
}
