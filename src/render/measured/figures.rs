//! Numbers and names of a comparison, as people read them.

use compare::{Comparison, Figure, Kind, Spread, Unit};
use course::words::Words;

/// A subject's name.
pub fn subject(words: &Words, kind: Kind) -> &str {
    words.say(match kind {
        Kind::Process => "compare-process",
        Kind::Container => "compare-container",
        Kind::Vm => "compare-vm",
    })
}

/// What is compared.
pub fn title(words: &Words, comparison: &Comparison) -> String {
    let kinds = comparison.kinds().into_iter().map(|kind| subject(words, kind));
    words.fill("compare-title", &[("subjects", &kinds.collect::<Vec<_>>().join(", "))])
}

/// A figure's name, and how it was measured.
pub fn figure(words: &Words, figure: Figure) -> (&str, &str) {
    let (name, how) = match figure {
        Figure::First => ("compare-first", "compare-first-how"),
        Figure::Exit => ("compare-exit", "compare-exit-how"),
        Figure::Memory => ("compare-memory", "compare-memory-how"),
        Figure::Disk => ("compare-disk", "compare-disk-how"),
        Figure::SystemCall => ("compare-call", "compare-call-how"),
        Figure::PageFault => ("compare-fault", "compare-fault-how"),
        Figure::FileRead => ("compare-read", "compare-read-how"),
        Figure::CpuLoop => ("compare-loop", "compare-loop-how"),
    };
    (words.say(name), words.say(how))
}

/// What happens in a stage of a start.
pub fn stage<'w>(words: &'w Words, name: &'w str) -> &'w str {
    words.say(match name {
        "fork" => "stage-fork",
        "exec" => "stage-exec",
        "load" => "stage-load",
        "prepare" => "stage-prepare",
        "clone" => "stage-clone",
        "attach" => "stage-attach",
        "enter" => "stage-enter",
        "hypervisor" => "stage-hypervisor",
        "firmware" => "stage-firmware",
        "unpacking" => "stage-unpacking",
        "kernel" => "stage-kernel",
        "init" => "stage-init",
        _ => return name,
    })
}

/// The machine and what ran on it, as label and value.
pub fn host(words: &Words, comparison: &Comparison) -> Vec<[String; 2]> {
    let host = &comparison.host;
    let row = |label: &'static str, value: String| [words.say(label).to_owned(), value];
    let runs = comparison.subjects.iter().filter_map(|measured| {
        let runs = measured.figure(Figure::First)?.runs;
        Some(format!("{} {runs}", subject(words, measured.kind)))
    });
    let limits = if host.limits { "compare-limits" } else { "compare-no-limits" };
    let mut rows = vec![
        row(
            "compare-cpu",
            format!("{}, {}", host.cpu, words.fill("compare-cores", &[("count", &host.cores.to_string())])),
        ),
        row("compare-kernel", host.kernel.clone()),
        row("compare-runs", words.fill("compare-turns", &[("runs", &runs.collect::<Vec<_>>().join(", "))])),
        row("compare-container", words.say(limits).to_owned()),
    ];
    rows.extend(accelerator(words, comparison).map(|how| row("compare-vm", how.to_owned())));
    rows
}

/// How the virtual machine ran, if there was one.
pub fn accelerator<'w>(words: &'w Words, comparison: &Comparison) -> Option<&'w str> {
    let key = match comparison.host.accelerator? {
        "KVM" => "compare-kvm",
        _ => "compare-emulated",
    };
    Some(words.say(key))
}

/// Each of these questions, answered for each subject.
pub fn facts(words: &Words, comparison: &Comparison) -> Vec<Vec<String>> {
    let row = |label: &'static str, answer: &dyn Fn(Kind) -> Option<String>| {
        let answers = comparison.kinds().into_iter().map(|kind| answer(kind).unwrap_or_else(|| "–".into()));
        std::iter::once(words.say(label).to_owned()).chain(answers).collect()
    };
    let of = |kind| comparison.subject(kind);
    vec![
        row("compare-runs-on", &|kind| Some(of(kind)?.kernel.clone())),
        row("compare-it-sees", &|kind| Some(of(kind)?.processes.0.to_string())),
        row("compare-host-sees", &|kind| Some(of(kind)?.processes.1.to_string())),
    ]
}

/// What a reader has to know to read the figures rightly.
pub fn notes(words: &Words, comparison: &Comparison) -> Vec<String> {
    let mut notes = vec![words.say("compare-spread").to_owned()];
    let workshop = amount(comparison.host.workshop as f64, Unit::Bytes);
    notes.push(words.fill("compare-workshop", &[("size", &workshop)]));
    let times = comparison.times_process(Kind::Vm, Figure::CpuLoop);
    if let (Some("TCG"), Some(times)) = (comparison.host.accelerator, times) {
        notes.push(words.fill("compare-exaggerates", &[("times", &three_digits(times))]));
    }
    let absent = comparison.absent.iter().map(|(kind, why)| {
        words.fill("compare-absent", &[("subject", subject(words, *kind)), ("reason", why)])
    });
    notes.extend(absent);
    notes
}

/// A median with its unit.
pub fn amount(value: f64, unit: Unit) -> String {
    let (divisor, name) = scale(value, unit);
    format!("{} {name}", three_digits(value / divisor))
}

/// From the first to the third quartile, in the median's unit; empty where there is nothing between them.
pub fn range(spread: &Spread, unit: Unit) -> String {
    if spread.low == spread.high {
        return String::new();
    }
    let (divisor, _) = scale(spread.median, unit);
    format!("{}–{}", three_digits(spread.low / divisor), three_digits(spread.high / divisor))
}

/// How many times the process's figure it is.
pub fn times(comparison: &Comparison, kind: Kind, figure: Figure) -> String {
    let times = comparison.times_process(kind, figure).filter(|_| kind != Kind::Process);
    times
        .map(|times| format!("×{}", if times < 10.0 { format!("{times:.1}") } else { format!("{times:.0}") }))
        .unwrap_or_default()
}

/// The unit in which a value is a number between 1 and 1000, or nearly.
fn scale(value: f64, unit: Unit) -> (f64, &'static str) {
    let scales: &[(f64, &str)] = match unit {
        Unit::Seconds => &[(1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")],
        Unit::Bytes => &[(1073741824.0, "GiB"), (1048576.0, "MiB"), (1024.0, "KiB"), (1.0, "B")],
    };
    // What rounds to 1000 is 1 of the next unit.
    let fits = scales.iter().find(|(divisor, _)| value >= divisor * 0.9995);
    *fits.or(scales.last()).unwrap_or(&(1.0, ""))
}

/// A number with three digits, or more before the point.
pub fn three_digits(value: f64) -> String {
    match value {
        v if v >= 99.95 => format!("{v:.0}"),
        v if v >= 9.995 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_a_fitting_unit() {
        let say = |seconds| amount(seconds, Unit::Seconds);
        assert_eq!(say(3.051), "3.05 s");
        assert_eq!(say(0.01421), "14.2 ms");
        assert_eq!(say(0.9999), "1.00 s");
        assert_eq!(say(123e-9), "123 ns");
        assert_eq!(say(0.0), "0.00 ns");
        assert_eq!(amount(67108864.0, Unit::Bytes), "64.0 MiB");
        assert_eq!(amount(12.0, Unit::Bytes), "12.0 B");
    }

    #[test]
    fn the_range_is_in_the_unit_of_the_median() {
        let spread = Spread { median: 1.1e-3, low: 0.95e-3, high: 1.25e-3, runs: 4 };
        assert_eq!(range(&spread, Unit::Seconds), "0.95–1.25");
        assert_eq!(range(&Spread { low: 2.0, high: 2.0, ..spread }, Unit::Seconds), "");
    }
}
