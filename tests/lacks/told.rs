//! A host's row: what each command said there.

use serde_json::Value;

use crate::common::steps::STEPS;

/// A host, and what was run there.
pub struct Row {
    pub name: String,
    pub runs: Vec<Told>,
}

/// A command, how it ended, and the lines of JSON that it said.
pub struct Told {
    pub command: String,
    pub status: i32,
    pub events: Vec<Value>,
    /// Whether what groups there are is the test's doing.
    own_groups: bool,
}

impl Told {
    pub fn new(command: &str, status: i32, said: &str, own_groups: bool) -> Told {
        let json = said.lines().filter(|line| line.starts_with('{'));
        let events = json.map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
        Told { command: command.into(), status, events, own_groups }
    }

    fn of<'t>(&'t self, event: &'t str) -> impl Iterator<Item = &'t Value> {
        self.events.iter().filter(move |of| of["event"] == event)
    }

    /// The messages, each with its cause and remedy, without those on what is besides the point.
    fn messages(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let refused = |check: &&Value| check["name"] == "host-can" && check["passed"] == false;
        let hints = |besides: bool| {
            let of =
                move |check: &&Value| self.besides(check["step"].as_str().unwrap_or_default()) == besides;
            self.of("check").filter(refused).filter(of).map(|check| text(&check["help"])).collect::<Vec<_>>()
        };
        let (left, told) = (hints(true), hints(false));
        let (mut step, mut all) = ("", Vec::new());
        for event in &self.events {
            step = event["slug"].as_str().unwrap_or(step);
            let (message, hint) = (text(&event["message"]), text(&event["hint"]));
            let besides = self.besides(step) || (left.contains(&hint) && !told.contains(&hint));
            if event["event"] == "error" && !besides {
                all.push((message, hint));
            }
        }
        all
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut expect = |holds: bool, why: &str| faults.extend((!holds).then(|| why.to_owned()));
        expect(matches!(self.status, 0 | 3 | 125), "exit status");
        for error in self.of("error") {
            expect(error["code"] == 3 || error["code"] == 125, "an error that is not the host's");
            expect(!error.to_string().contains("no usual cause"), "no usual cause");
        }
        // A message is a sentence, and below it are two more: cause and remedy.
        let whole = |(message, hint): &(String, String)| message.ends_with('.') && hint.contains(". ");
        expect(self.messages().iter().all(whole), "three parts");
        let done = self.of("done").last();
        expect(done.is_none_or(|done| done["failed"] == 0) || self.command == "doctor", "something failed");
        expect(self.status == 0 || self.of("error").count() > 0, "nothing is said");
        faults
    }

    /// The steps that can't be run, but for those that this host refuses whatever the test makes of it.
    fn left_out(&self) -> Vec<&str> {
        let mut step = "";
        let mut steps = Vec::new();
        for event in &self.events {
            let of = event["step"].as_str().or(event["slug"].as_str()).unwrap_or(step);
            let refused = event["name"] == "host-can" && event["passed"] == false;
            if (refused || (event["event"] == "error" && self.command == "tour")) && !self.besides(of) {
                steps.push(of);
            }
            step = of;
        }
        steps
    }

    /// A machine is another matter, and so are limits where the test doesn't make the groups.
    fn besides(&self, step: &str) -> bool {
        let step = STEPS.iter().find(|other| other.slug == step);
        step.is_some_and(|step| !step.is_part || (step.limits() && !self.own_groups))
    }

    /// How it ended, and how many checks did how.
    fn outcome(&self) -> String {
        let first = self.command.split(' ').next().unwrap_or_default();
        let status = self.status;
        if first == "doctor" {
            return format!("{status}, can't: {}", self.left_out().join(" "));
        }
        match self.of("done").last() {
            Some(done) if first == "tour" => {
                format!("{status}, {} failed, left out: {}", done["failed"], self.left_out().join(" "))
            }
            Some(done) if first == "check" => {
                let judged = if done["passed"] == 0 { "nothing held" } else { "the rest held" };
                format!("{status}, {} failed, {} not judged, {judged}", done["failed"], done["skipped"])
            }
            _ => status.to_string(),
        }
    }
}

impl Row {
    /// What must be true of every host, and isn't: whatever it lacks, it is not the program's fault, nor a riddle.
    pub fn faults(&self) -> Vec<String> {
        self.runs
            .iter()
            .flat_map(|told| told.faults().into_iter().map(move |why| self.complain(told, &why)))
            .collect()
    }

    fn complain(&self, told: &Told, why: &str) -> String {
        let events: Vec<String> = told.events.iter().map(Value::to_string).collect();
        format!("{}: {}: {}: {why}\n{}", self.name, told.command, told.status, events.join("\n"))
    }

    /// For people: the whole message once, and where it differs what is added to it.
    pub fn text(&self) -> String {
        let mut lines = vec![format!("# {}", self.name)];
        let mut known: Vec<(String, String)> = Vec::new();
        for told in &self.runs {
            lines.push(format!("{}: {}", told.command, told.outcome()));
            for (message, hint) in told.messages() {
                match known.iter().find(|(of, _)| *of == message) {
                    Some((_, same)) if *same == hint => {}
                    Some((_, shorter)) => {
                        lines.push(format!(
                            "    + {}",
                            hint.strip_prefix(shorter.as_str()).unwrap_or(&hint).trim()
                        ));
                    }
                    None => {
                        lines.extend([format!("    {message}"), format!("    {hint}")]);
                        known.push((message, hint));
                    }
                }
            }
        }
        lines.join("\n") + "\n"
    }
}

/// The words of a command: JSON, and the workshop itself for whoever is judged.
pub fn arguments(command: &str) -> Vec<String> {
    let (first, rest) = command.split_once(' ').unwrap_or((command, ""));
    let judged: &[&str] = if first == "check" { &["--adapter", "workshop"] } else { &[] };
    let words =
        [first, "--format", "json"].into_iter().chain(judged.iter().copied()).chain(rest.split_whitespace());
    words.map(String::from).collect()
}
