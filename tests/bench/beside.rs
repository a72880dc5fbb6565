//! What waits beside a running container, and how starts slow down when many are alive.

use std::fs;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

use super::ground::Ground;

/// A container whose program has begun, and which ends when its standard input does.
struct Running {
    child: Child,
    input: ChildStdin,
    /// How long it took until the program's first word.
    began: Duration,
}

impl Running {
    fn start(ground: &Ground) -> Result<Running, String> {
        let mut command = ground.command(&ground.program);
        command.args(["run", "--step", "6", "--no-net", "--rootfs"]).arg(ground.rootfs());
        command.args(["--", "/bin/sh", "-c", "echo; exec cat"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let begun = Instant::now();
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let heard = output.map(|mut output| output.read_exact(&mut [0]));
        let began = begun.elapsed();
        match (input, heard) {
            (Some(input), Some(Ok(()))) => Ok(Running { child, input, began }),
            _ => {
                let _ = child.wait();
                Err("a container's program did not begin".into())
            }
        }
    }

    fn end(mut self) {
        // Nobody reads what `cat` would write.
        let _ = self.input.flush();
        drop(self.input);
        let _ = self.child.wait();
    }
}

/// PSS (proc_pid_smaps_rollup(5)) of the descendants that are in our PID namespace, in bytes.
fn memory_of_descendants(of: u32) -> Option<u64> {
    let entries = fs::read_dir("/proc").ok()?.flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: Vec<(u32, u32)> = pids.filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut family = vec![of];
    let mut next = 0;
    while let Some(pid) = family.get(next).copied() {
        family.extend(parents.iter().filter(|(_, parent)| *parent == pid).map(|(pid, _)| *pid));
        next += 1;
    }
    let here = fs::read_link("/proc/self/ns/pid").ok()?;
    let beside = |pid: &&u32| fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|ns| ns == here);
    family[1..].iter().filter(beside).map(|pid| pss(*pid)).sum()
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

fn pss(pid: u32) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// Many that were alive at the same time.
pub struct Alive {
    /// How long each start took, until the program's first word, while all before it were alive.
    starts: Vec<Duration>,
    /// The memory of what waits beside them, in bytes: PSS of all processes of ours that are in no PID namespace of their
    /// own. `None` where that may not be read.
    memory: Option<u64>,
}

impl Alive {
    /// What waits beside one of them, in bytes.
    pub fn memory_of_one(&self) -> Option<u64> {
        self.memory?.checked_div(self.starts.len() as u64)
    }

    /// How many times as long as the first tenth of them the last tenth took.
    pub fn growth(&self) -> Option<f64> {
        last_by_first(&self.starts)
    }
}

/// How many times as long the last tenth of starts took as the first; `None` of fewer than two.
pub fn last_by_first(starts: &[Duration]) -> Option<f64> {
    let tenth = (starts.len() / 10).max(1);
    let sum = |starts: &[Duration]| starts.iter().sum::<Duration>().as_secs_f64();
    let first = starts.get(..tenth).map(sum)?;
    (starts.len() > 1).then(|| sum(&starts[starts.len() - tenth..]) / first)
}

/// Starts that many, one after the other, and ends them all.
pub fn alive(ground: &Ground, count: usize) -> Result<Alive, String> {
    // Whatever leaves its parent comes to us, and can be found.
    let adopt = |on: bool| nix::sys::prctl::set_child_subreaper(on).map_err(|error| error.to_string());
    adopt(true)?;
    let mut running = Vec::new();
    let mut failed = None;
    for _ in 0..count {
        match Running::start(ground) {
            Ok(started) => running.push(started),
            Err(problem) => {
                failed = Some(problem);
                break;
            }
        }
    }
    let starts = running.iter().map(|running| running.began).collect();
    let memory = memory_of_descendants(std::process::id());
    running.into_iter().for_each(Running::end);
    adopt(false)?;
    if memory.is_none() {
        ground.leave_out("PSS", "root");
    }
    failed.map_or(Ok(Alive { starts, memory }), Err)
}
