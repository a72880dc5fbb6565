//! A clock outside: each command is started in turn, round after round, so that whatever else the machine does falls on
//! all alike. From the start to the end of the process, as its parent sees it.

use std::ffi::OsString;
use std::mem::MaybeUninit;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::Plan;
use super::ground::Ground;
use super::subjects::{Id, Subject};
use crate::common::child;

/// What was measured of a command.
pub struct Times {
    pub id: Id,
    /// Milliseconds, the least first.
    pub times: Vec<f64>,
    /// The most memory that it, or a process that it waited for, had at a time (`ru_maxrss`, getrusage(2)), in bytes.
    pub peak: Option<u64>,
}

impl Times {
    pub fn median(&self) -> f64 {
        self.at(0.5)
    }

    /// The value that this part of all is not above.
    pub fn at(&self, part: f64) -> f64 {
        let last = self.times.len().saturating_sub(1);
        self.times.get((part * last as f64).round() as usize).copied().unwrap_or(f64::NAN)
    }
}

/// Starts all of them in turn.
///
/// # Errors
/// Names a command that did not end well.
pub fn in_turn(ground: &Ground, subjects: &[Subject], plan: &Plan) -> Result<Vec<Times>, String> {
    let mut all: Vec<Times> = Vec::new();
    for (number, subject) in subjects.iter().enumerate() {
        let peak = Some(peak(ground, subject, number)?);
        all.push(Times { id: subject.id, times: Vec::new(), peak });
    }
    let mut number = subjects.len();
    for round in 0..plan.warm + plan.rounds {
        for (subject, times) in subjects.iter().zip(&mut all) {
            number += 1;
            let taken = time(ground, subject, number)?;
            if round >= plan.warm {
                times.times.push(taken);
            }
            std::thread::sleep(plan.gap);
        }
    }
    all.iter_mut().for_each(|times| times.times.sort_by(f64::total_cmp));
    Ok(all)
}

/// How long it took, in milliseconds. Our memory is lent to the child until it is another program (posix_spawn(3)), so
/// that none of the time goes into copying it.
fn time(ground: &Ground, subject: &Subject, number: usize) -> Result<f64, String> {
    // Not as tests start programs, which takes a fork.
    let spawned = Command::new;
    let mut command = spawned(&subject.words[0]);
    prepare(ground, subject, number, &mut command);
    let begun = Instant::now();
    let ended = end(subject, &mut command);
    let taken = begun.elapsed();
    ended.map(|_| taken.as_secs_f64() * 1e3)
}

/// How much memory it took, in bytes. A child that has borrowed our memory would be told to have had as much as we; what
/// is started as tests start programs gets a copy of the little that is not a file's.
fn peak(ground: &Ground, subject: &Subject, number: usize) -> Result<u64, String> {
    let mut command = child::command(&subject.words[0]);
    prepare(ground, subject, number, &mut command);
    end(subject, &mut command)
}

fn prepare(ground: &Ground, subject: &Subject, number: usize, command: &mut Command) {
    let numbered = |word: &OsString| match word.to_str() {
        Some(text) => OsString::from(text.replace("%i", &number.to_string())),
        None => word.clone(),
    };
    command.args(subject.words[1..].iter().map(numbered));
    ground.at_home(command);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
}

/// Starts it and waits for its end; returns the most memory that it had, in bytes.
fn end(subject: &Subject, command: &mut Command) -> Result<u64, String> {
    let child = command.spawn().map_err(|error| format!("{}: {error}", subject.title))?;
    let (mut status, mut usage) = (0, MaybeUninit::<libc::rusage>::zeroed());
    loop {
        // SAFETY: the kernel writes to both, and an rusage of zeroes is one too.
        let waited = unsafe { libc::wait4(child.id() as i32, &mut status, 0, usage.as_mut_ptr()) };
        if waited >= 0 || std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
            break;
        }
    }
    if status != 0 {
        return Err(format!("{}: wait status {status:#x}", subject.title));
    }
    // SAFETY: it was zeroes, and the kernel has written to it.
    let usage = unsafe { usage.assume_init() };
    Ok(usage.ru_maxrss as u64 * 1024)
}
