//! The table, in each language of the book.

use std::fs;
use std::time::Duration;

use console::{Alignment, pad_str};

use super::subjects::{self, Id};
use super::turns::Times;

/// The languages, as the book's folders are called.
pub const LANGS: [&str; 2] = ["en", "ko"];

/// Columns of the names in the upper table and in the lower; the figures stand right of them.
const NAMES: [usize; 2] = [46, 52];

/// What was measured, and where.
pub struct Measured {
    pub machine: Machine,
    pub rounds: usize,
    pub gap: Duration,
    pub alive: usize,
    pub together: u16,
    /// Each command as one would type it.
    pub subjects: Vec<(String, Times)>,
    pub claims: Vec<Claim>,
    /// What is left out, and what it would need.
    pub left_out: Vec<(String, String)>,
}

/// A figure, and what it may be at most.
pub struct Claim {
    pub what: What,
    pub found: f64,
    pub most: f64,
}

/// What a figure is of.
pub enum What {
    /// One command's median by the other's.
    Ratio(Id, Id),
    /// The most memory that `workshop run` has at a time, in MB.
    Peak,
    /// The memory of what waits beside one of many running containers, in MB.
    Idle,
    /// The last tenth of many starts by the first tenth.
    Growth,
    /// The same of many in one lab.
    Together,
    /// The size of the program, in MB.
    Size,
}

/// Where it was measured.
pub struct Machine {
    processor: String,
    processors: usize,
    kernel: String,
}

impl Machine {
    pub fn this() -> Machine {
        let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let processor = model.map_or(std::env::consts::ARCH, |(_, model)| model.trim()).to_owned();
        let release = nix::sys::utsname::uname().map(|name| name.release().to_string_lossy().into_owned());
        let kernel = release.unwrap_or_default().split('-').next().unwrap_or_default().to_owned();
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Machine { processor, processors, kernel }
    }
}

/// The words of a language. `{}` stands for what differs.
struct Words {
    machine: &'static str,
    method: &'static str,
    command: &'static str,
    half: &'static str,
    figure: &'static str,
    found: &'static str,
    most: &'static str,
    peak: &'static str,
    idle: &'static str,
    growth: &'static str,
    together: &'static str,
    size: &'static str,
    floor: &'static str,
    left_out: &'static str,
}

const EN: Words = Words {
    machine: "{}, {} usable, Linux {}",
    method: "{} starts of each, in turn, {} ms between two",
    command: "from start to end",
    half: "middle half",
    figure: "figure",
    found: "found",
    most: "at most",
    peak: "most memory of workshop run, MB",
    idle: "memory beside each of {} that are alive, MB",
    growth: "{} alive: last tenth of starts ÷ first tenth",
    together: "{} alive in one lab, on one bridge: the same",
    size: "the program's file, MB",
    floor: "book/examples/floor: such a container with the fewest calls, and limits",
    left_out: "left out: {}; it takes {}",
};

const KO: Words = Words {
    machine: "{}, 쓸 수 있는 것 {}개, 리눅스 {}",
    method: "각각 {}번, 번갈아 시작하고 그 사이에 {} ms씩 쉼",
    command: "시작부터 끝까지",
    half: "가운데 절반",
    figure: "수치",
    found: "잰 값",
    most: "상한",
    peak: "workshop run이 가장 많이 쓴 메모리, MB",
    idle: "{}개가 살아 있을 때 각각의 곁에서 쓰는 메모리, MB",
    growth: "{}개가 살아 있을 때: 마지막 1/10 ÷ 처음 1/10",
    together: "{}개가 한 랩, 한 브리지에 있을 때: 같은 비",
    size: "프로그램 파일, MB",
    floor: "book/examples/floor: 호출을 가장 적게 해서 만든 같은 컨테이너, 한도 포함",
    left_out: "뺀 것: {}. 필요한 것: {}",
};

impl Measured {
    /// All of it as text, in columns.
    pub fn table(&self, lang: &str) -> String {
        let words = if lang == "ko" { &KO } else { &EN };
        let machine = &self.machine;
        let mut lines = vec![
            fill(words.machine, &[&machine.processor, &machine.processors.to_string(), &machine.kernel]),
            fill(words.method, &[&self.rounds.to_string(), &self.gap.as_millis().to_string()]),
            String::new(),
            row(0, words.command, &[("ms", 8), (words.half, 14), ("MB", 7)]),
        ];
        lines.extend(self.subjects.iter().map(|(title, times)| {
            let half = format!("{}–{}", short(times.at(0.25)), short(times.at(0.75)));
            let peak = times.peak.map(|peak| format!("{:.1}", peak as f64 / super::MB)).unwrap_or_default();
            row(0, title, &[(&short(times.median()), 8), (&half, 14), (&peak, 7)])
        }));
        lines.push(String::new());
        lines.push(row(1, words.figure, &[(words.found, 8), (words.most, 9)]));
        lines.extend(self.claims.iter().map(|claim| {
            let mark = if claim.holds() { "✓" } else { "✗" };
            let name = self.name(words, &claim.what);
            row(
                1,
                &name,
                &[(&format!("{:.2}", claim.found), 8), (&format!("{:.2}", claim.most), 9), (mark, 3)],
            )
        }));
        lines.push(String::new());
        lines.push(format!("floor   {}", words.floor));
        lines.push(format!("LIMITS  {}", subjects::LIMITS.join(" ")));
        lines.extend(self.left_out.iter().map(|(what, needs)| fill(words.left_out, &[what, needs])));
        lines.iter().map(|line| line.trim_end().to_owned() + "\n").collect()
    }

    fn name(&self, words: &Words, what: &What) -> String {
        let title = |id: &Id| {
            let found = self.subjects.iter().find(|(_, times)| times.id == *id);
            found.map(|(title, _)| title.as_str()).unwrap_or_default()
        };
        match what {
            What::Ratio(one, other) => format!("{} ÷ {}", title(one), other.name()),
            What::Peak => words.peak.into(),
            What::Idle => fill(words.idle, &[&self.alive.to_string()]),
            What::Growth => fill(words.growth, &[&self.alive.to_string()]),
            What::Together => fill(words.together, &[&self.together.to_string()]),
            What::Size => words.size.into(),
        }
    }
}

impl Claim {
    /// Whether the figure is not above what it may be at most.
    pub fn holds(&self) -> bool {
        self.found <= self.most
    }
}

/// A name in a table, and values that end at the right of their columns.
fn row(table: usize, name: &str, values: &[(&str, usize)]) -> String {
    let values = values.iter().map(|(value, width)| pad_str(value, *width, Alignment::Right, None));
    values.fold(pad_str(name, NAMES[table], Alignment::Left, None).into_owned(), |line, value| line + &value)
}

/// Milliseconds with three digits.
fn short(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.2}"),
        ms if ms < 100.0 => format!("{ms:.1}"),
        ms => format!("{ms:.0}"),
    }
}

fn fill(text: &str, values: &[&str]) -> String {
    values.iter().fold(text.to_owned(), |text, value| text.replacen("{}", value, 1))
}
