//! Two runs on one clock: how long a container and a virtual machine take to their program's first instruction, stage by
//! stage, as `compare` has printed it. The figures are those of the recorded run that the page shows, and no others.

use std::fs;
use std::sync::LazyLock;

use anyhow::{Context, Result, ensure};
use regex::Regex;
use serde::Serialize;

use super::terminal::escaped;
use crate::book::Edition;

/// Who runs, by the place among the run's subjects: the plain process comes first there.
const RUNNERS: [&str; 3] = ["host", "container", "guest"];

/// `container  groups, bridge, directories  ███▍  2.85 ms`, without its colours; the name stands in a subject's first row.
static ROW: LazyLock<Regex> = LazyLock::new(|| {
    #[expect(clippy::unwrap_used, reason = "a constant")]
    Regex::new(r"^   (\S*)\s+(\S.*?)\s+[▏▎▍▌▋▊▉█]+\s+([\d.]+) (µs|ms|s)$").unwrap()
});

static COLOUR: LazyLock<Regex> = LazyLock::new(|| {
    #[expect(clippy::unwrap_used, reason = "a constant")]
    Regex::new("\u{1b}\\[[\\d;]*m").unwrap()
});

/// A runner as `theme/player.js` gets it.
#[derive(Debug, PartialEq, Serialize)]
struct Runner {
    name: String,
    side: &'static str,
    stages: Vec<Stage>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Stage {
    name: String,
    seconds: f64,
    /// As it was printed.
    shown: String,
}

/// The race of the recorded run `runs/NAME.txt`.
pub fn race(edition: &Edition, name: &str) -> Result<String> {
    let file = edition.path("runs").join(name).with_extension("txt");
    let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
    let runners = runners(&text).with_context(|| file.display().to_string())?;
    let items: String =
        runners.iter().flat_map(|runner| runner.stages.iter().map(|s| item(runner, s))).collect();
    let words = &edition.words.script.player;
    Ok(format!(
        "<section class=\"player race\" id=\"race-{name}\" aria-label=\"{title}\">\n\
         <details class=\"calls\"><summary>{list}</summary>\n<ol>\n{items}</ol>\n</details>\n\
         <script type=\"application/json\">{data}</script>\n</section>\n",
        title = escaped(&words.race),
        list = escaped(&words.stages),
        data = serde_json::to_string(&runners)?.replace('<', "\\u003c"),
    ))
}

fn item(runner: &Runner, stage: &Stage) -> String {
    let [name, what, shown] = [&runner.name, &stage.name, &stage.shown].map(|text| escaped(text));
    format!("<li><b>{name}</b> {what}: {shown}</li>\n")
}

/// The container and the machine, from the paragraph that has their stages: the only one with several rows of a subject.
fn runners(run: &str) -> Result<Vec<Runner>> {
    let plain = COLOUR.replace_all(run, "");
    let mut subjects = Vec::<Runner>::new();
    for part in plain.split("\n\n") {
        let rows: Vec<_> = part.lines().filter_map(|line| ROW.captures(line)).collect();
        if !rows.iter().any(|row| row[1].is_empty()) {
            continue;
        }
        for row in rows {
            if !row[1].is_empty() {
                let side = RUNNERS.get(subjects.len()).context("more subjects than three")?;
                subjects.push(Runner { name: row[1].to_owned(), side, stages: Vec::new() });
            }
            let unit = match &row[4] {
                "µs" => 1e-6,
                "ms" => 1e-3,
                _ => 1.0,
            };
            let (seconds, shown) = (row[3].parse::<f64>()? * unit, format!("{} {}", &row[3], &row[4]));
            let runner = subjects.last_mut().context("a stage of nobody")?;
            runner.stages.push(Stage { name: row[2].to_owned(), seconds, shown });
        }
    }
    ensure!(subjects.len() == RUNNERS.len(), "{} subjects have stages", subjects.len());
    // The plain process would be there before anybody has seen it go.
    Ok(subjects.split_off(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stages_are_those_that_were_printed() {
        let run = " \u{1b}[1mTime\u{1b}[0m\n   process    \u{1b}[94m▏\u{1b}[0m   1.76 ms\u{1b}[2m     1.64–1.90\u{1b}[0m\n\n \
            \u{1b}[1mStages\u{1b}[0m\n \u{1b}[2mEach to its own scale.\u{1b}[0m\n   process    fork   █▎   211 µs\n              execve   █   488 µs\n   \
            container  clone3 into namespaces    \u{1b}[35m▉\u{1b}[0m    752 µs\n              inside: mounts   \u{1b}[35m█\u{1b}[0m   1.81 ms\n   \
            VM         firmware   \u{1b}[1m▍\u{1b}[0m  37.9 ms\n              kernel   █  2.00 s\n\n end\n";
        let found = runners(run).expect("two runners");
        assert_eq!(
            found.iter().map(|r| (r.name.as_str(), r.side)).collect::<Vec<_>>(),
            [("container", "container"), ("VM", "guest")]
        );
        let of = |n: usize| {
            found[n].stages.iter().map(|s| (s.name.as_str(), s.shown.as_str())).collect::<Vec<_>>()
        };
        assert_eq!(of(0), [("clone3 into namespaces", "752 µs"), ("inside: mounts", "1.81 ms")]);
        assert_eq!(of(1), [("firmware", "37.9 ms"), ("kernel", "2.00 s")]);
        assert!((found[1].stages[1].seconds - 2.0).abs() < 1e-9);
        assert!(runners(" nothing\n").is_err());
    }
}
