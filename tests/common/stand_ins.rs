//! Values that are no machine's, for runs that are recorded for people to read: such a run looks as it would on a laptop
//! with systemd, whatever it was recorded on. What it says stays true: values that were equal still are, others not.
//! What a comparison has measured is left as it was, since that is what it is read for.

use std::collections::BTreeMap;
use std::ops::Range;

use regex::Regex;

/// What a value is. Each kind is numbered by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Of a kernel: the first is the host's, the second a guest's.
    Release,
    /// As long as it was, since lines are broken where they are too long, up to four digits.
    Pid,
    Namespace,
    Device,
    BootId,
    Digest,
    /// The end of a layer's path.
    Layer,
    Descriptor,
    /// A count. By how little the inner one differs from the outer one, it tells something.
    Count(u64),
    /// The same for every value.
    Fixed(&'static str),
}
use Kind::*;

/// Where values stand: the groups of a pattern are of these kinds. The first pattern that finds a value has it.
const PATTERNS: [(&str, &[Kind]); 19] = [
    // The end of a path to a guest's kernel.
    (r#"…([\w./-]+)"\]\s"#, &[Fixed("ot/vmlinuz-6.1.0")]),
    (r"(?m)(?:^|[^\w.])(\d+(?:\.\d+){2,3}[-+~][\w.+~-]*\w|\d{1,2}\.\d+\.\d+)(?:$|[^\w.]|\.$)", &[Release]),
    (r"clone3 .* = (\d+)", &[Pid]),
    (r"netns (\d+)", &[Pid]),
    (r"/proc/(\d+)/", &[Pid]),
    (r"(?m)open_tree .* = (\d+)$", &[Descriptor]),
    (r"fchdir +(\d+) +=", &[Descriptor]),
    (r"…([0-9a-f]{20,}) +=", &[Layer]),
    (r"workshop-(\d+)-(\d+)-\d", &[Pid, Fixed("842")]),
    (r"[a-z]+:\[(\d{10})\]", &[Namespace]),
    // The end of a layer's path.
    (r"…([0-9a-f]{20,}),", &[Fixed("c1e5a6d3f0b29847d6c5b4a39281f0e7d6c5")]),
    // A comparison's host, and what its subjects see.
    (r"(?m)^ (?:processor|프로세서) +(\S.*?), (?:usable|쓸)", &[Fixed("x86-64")]),
    (r"(?m)^ (?:processes inside|안쪽 프로세스) +(\d+) +1 +(\d+)$", &[Fixed("142"), Fixed("45")]),
    // What doctor finds.
    (r"(?m)^ cgroups? +(memory .+)$", &[Fixed("memory v2, pids v2, cpu v2")]),
    (r"(?m)^ (?:image|이미지) +(?:이 호스트의 프로그램 )?(\d+)(?:개| of)", &[Fixed("78")]),
    // Facts of which one is part of a value, or that have a label of another step's.
    (r"(?m)^ NSpid +(\d+) +(\d+) 1$", &[Pid, Pid]),
    (r"(?m)^ (?:memory|메모리) +(\d+ MiB) +(\d+ MiB)$", &[Fixed("15923 MiB"), Fixed("469 MiB")]),
    (r"(?m)^ (?:hostname|호스트 이름) +(\S+) +box$", &[Fixed("laptop")]),
    (r"(?m)^ (?:its processes|VM의 프로세스) +1 +(\d+)$", &[Fixed("45")]),
];

/// Rows of a table of facts: labels, and what stands outside and inside, if it is a machine's.
const ROWS: [(&str, Kind, Option<Kind>); 14] = [
    (r"echo \$\$", Pid, None),
    ("ps ax", Count(142), Some(Count(142))),
    ("PID 1 is|PID 1은|PID 1", Fixed("systemd"), None),
    ("/proc", Device, Some(Device)),
    ("mounts|마운트 수", Count(31), Some(Count(31))),
    ("/", Fixed("inode 2 on ext4"), Some(Fixed("inode 2 on tmpfs"))),
    ("/home", Fixed("1"), None),
    ("/dev", Fixed("187"), None),
    ("type of /|/의 종류", Fixed("ext4"), None),
    ("shared|함께 쓰는 양", Fixed("25.0 MB"), None),
    ("image sha256|이미지 sha256", Digest, Some(Digest)),
    ("boot ID|부팅 ID", BootId, Some(BootId)),
    ("processor|프로세서", Fixed("x86-64"), None),
    ("uptime|가동 시간", Fixed("8123.4 s"), None),
];

/// The numbers that the kernel itself gives to the first namespaces.
const FIRST_NAMESPACES: std::ops::RangeInclusive<u64> = 4_026_531_832..=4_026_531_839;

/// A value, where it stands in the plain text.
struct Found {
    at: Range<usize>,
    kind: Kind,
    /// What a count that stands inside is outside.
    outside: Option<u64>,
}

/// A run with stand-ins for all that its machine alone has. Colours and columns stay as they are.
pub fn readable(run: &str) -> String {
    let (plain, places) = without_colours(run);
    let mut numbers = Numbers::default();
    let (mut result, mut done) = (String::new(), 0);
    for value in values(&plain) {
        let old = &plain[value.at.clone()];
        let new = numbers.stand_in(&value, old);
        result += &run[done..places[value.at.start]];
        result += &new;
        done = places[value.at.end - 1] + 1;
        let missing = console::measure_text_width(old) as isize - console::measure_text_width(&new) as isize;
        done += pad(&mut result, &run[done..], missing);
    }
    result + &run[done..]
}

/// The text without colours, and where each of its bytes was.
fn without_colours(run: &str) -> (String, Vec<usize>) {
    let colours = Regex::new("\u{1b}\\[[0-9;]*m").expect("a pattern");
    let (mut plain, mut places, mut from) = (String::new(), Vec::new(), 0);
    let end = (run.len(), run.len());
    for (start, next) in colours.find_iter(run).map(|found| (found.start(), found.end())).chain([end]) {
        plain += &run[from..start];
        places.extend(from..start);
        from = next;
    }
    (plain, places)
}

/// All values, in the order in which they stand.
fn values(plain: &str) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let rows = ROWS.map(|(label, outside, inside)| {
        let row = format!(r"(?m)^ (?:{label}) {{2,}}(\S+(?: \S+)*) {{2,}}(\S+(?: \S+)*)(?: {{2,}}.*)?$");
        (row, [Some(outside), inside])
    });
    let patterns = PATTERNS
        .iter()
        .map(|(pattern, kinds)| (pattern.to_string(), [kinds.first().copied(), kinds.get(1).copied()]));
    for (pattern, kinds) in patterns.chain(rows) {
        for groups in Regex::new(&pattern).expect(&pattern).captures_iter(plain) {
            let outside = groups.get(1).and_then(|first| first.as_str().parse().ok());
            let places = (1..groups.len()).filter_map(|n| groups.get(n)).zip(kinds);
            let new = places.filter_map(|(at, kind)| Some(Found { at: at.range(), kind: kind?, outside }));
            let free: Vec<_> = new.filter(|new| found.iter().all(|old| apart(&old.at, &new.at))).collect();
            found.extend(free);
        }
    }
    found.sort_by_key(|value| value.at.start);
    found
}

fn apart(one: &Range<usize>, other: &Range<usize>) -> bool {
    one.end <= other.start || other.end <= one.start
}

/// Which value was the how-manieth of its kind in a run.
#[derive(Default)]
struct Numbers(BTreeMap<Kind, Vec<String>>);

impl Numbers {
    fn stand_in(&mut self, value: &Found, old: &str) -> String {
        let known = self.0.entry(value.kind).or_default();
        let nth = known.iter().position(|other| other == old).unwrap_or_else(|| {
            known.push(old.to_owned());
            known.len() - 1
        });
        let one_of = |values: &[&str]| {
            values.get(nth).unwrap_or_else(|| panic!("{old}: no stand-in for so many")).to_string()
        };
        match value.kind {
            Release => one_of(&["6.12.0", "6.1.0"]),
            Pid => ([1, 71, 311].get(old.len() - 1).unwrap_or(&4711) + nth).to_string(),
            Namespace if old.parse().is_ok_and(|number| FIRST_NAMESPACES.contains(&number)) => old.to_owned(),
            Namespace => (4_026_532_201 + 17 * nth as u64).to_string(),
            Device => format!("0:{}", 22 + 31 * nth),
            BootId => one_of(&["3f0c9a52", "b41d7e06"]),
            Layer => {
                let long = ["c1e5a6d3f0b29847d6c5b4a39281f0e7d6c5", "8d02b7f41c6e95a3d0f2e17b46c8a9550e3b"];
                let end = one_of(&long);
                end[end.len().saturating_sub(old.len())..].into()
            }
            Descriptor => (7 + nth).to_string(),
            Digest => one_of(&["5f0e1c2d3b4a"]),
            Count(usual) => count(usual, value.outside, old),
            Fixed(usual) => usual.to_owned(),
        }
    }
}

/// One that is far from the outer one is the container's own, and the same everywhere.
fn count(usual: u64, outside: Option<u64>, old: &str) -> String {
    match (outside, old.parse::<u64>()) {
        (Some(outside), Ok(inside)) if inside.abs_diff(outside) < 3 => (usual + inside - outside).to_string(),
        _ => old.to_owned(),
    }
}

/// Keeps what follows in its column: the gap becomes wider by `missing`. Returns how much of `rest` is used up.
fn pad(result: &mut String, rest: &str, missing: isize) -> usize {
    let gap = Regex::new("^(?:\u{1b}\\[[0-9;]*m)*( {2,})[^ \n]").expect("a pattern");
    let Some(gap) = gap.captures(rest).and_then(|found| found.get(1)) else { return 0 };
    *result += &rest[..gap.start()];
    *result += &" ".repeat(gap.len().saturating_add_signed(missing).max(2));
    gap.end()
}
