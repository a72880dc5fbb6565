//! What the host sees of a subject while it runs: its processes, and the memory that they take.

use std::fs;
use std::path::Path;

use fault::{Doing, Fault};
use kernel::process::{pids, status};

/// A look at a subject from the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Processes that exist because of it.
    pub processes: usize,
    /// Their memory in bytes, as [`pss`] counts it.
    pub memory: u64,
}

/// Looks at a process and all its descendants. The workshop, which starts and watches them, is not one of them,
/// in no subject.
pub fn look(first: i32) -> Result<Seen, Fault> {
    let family = family(first, &parents());
    let memory = family.iter().map(|pid| pss(*pid)).sum::<Result<u64, Fault>>()?;
    Ok(Seen { processes: family.len(), memory })
}

/// The proportional set size of a process in bytes: its own pages, and of each page that it shares with n - 1
/// others one nth (`Pss` in /proc/PID/smaps_rollup, proc_pid_smaps(5)). Sums of it count no page twice.
pub fn pss(pid: i32) -> Result<u64, Fault> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).doing(format!("read {path}"))?;
    kibibytes(&text, "Pss:").map(|n| n * 1024).ok_or_else(|| Fault::broken(format!("read {path}"), "no Pss"))
}

/// The number in the line that begins with `label`: `Pss:                 1184 kB`, where kB means 1024 bytes.
fn kibibytes(text: &str, label: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(label))?.split_whitespace().next()?.parse().ok()
}

/// Every process with its parent.
fn parents() -> Vec<(i32, i32)> {
    let proc = Path::new("/proc");
    let parent = |pid: i32| Some((pid, status(proc, &pid.to_string(), "PPid")?.parse().ok()?));
    pids(proc).into_iter().filter_map(parent).collect()
}

/// `first` and its descendants.
fn family(first: i32, parents: &[(i32, i32)]) -> Vec<i32> {
    let mut family = vec![first];
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        family.extend(parents.iter().filter(|(_, p)| *p == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    family
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::process::Stdio;

    use super::*;

    #[test]
    fn the_family_is_all_descendants_and_nobody_else() {
        let parents = [(1, 0), (7, 1), (8, 7), (9, 8), (10, 1), (11, 7)];
        assert_eq!(family(7, &parents), [7, 8, 11, 9]);
    }

    /// Of a process that nobody forks meanwhile: with each that does, the pages that both have count for less.
    #[test]
    fn memory_that_is_touched_is_counted() {
        let script =
            "echo begins; read line; x=$(head -c 8388608 /dev/zero | tr '\\0' a); echo has; read line";
        let mut shell = testing::command("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut said = BufReader::new(shell.stdout.take().expect("its output")).lines();
        let mut orders = shell.stdin.take().expect("its input");
        let pid = i32::try_from(shell.id()).expect("a PID");
        assert_eq!(said.next().expect("a line").expect("read it"), "begins");
        let before = pss(pid).unwrap();
        writeln!(orders, "on").expect("let it go on");
        assert_eq!(said.next().expect("a line").expect("read it"), "has");
        let after = pss(pid).unwrap();
        assert!(after >= before + (7 << 20), "{before} {after}");
        drop(orders);
        shell.wait().expect("its end");
    }

    #[test]
    fn the_line_of_that_very_name_is_read() {
        let text = "Rss:   9 kB\nPss:      1184 kB\nPss_Dirty:  3 kB\n";
        assert_eq!(kibibytes(text, "Pss:"), Some(1184));
        assert_eq!(kibibytes(text, "Pss_Anon:"), None);
    }
}
