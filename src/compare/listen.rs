//! Hears a probe out: when its first byte comes, and what it reports.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::read;

use super::memory::Seen;
use super::probe::{BEGUN, Report};
use fault::{Doing, Fault};
use kernel::signals::Signals;

/// How long a probe may say nothing. It takes a second or two, if the machine is not very busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the host heard of a probe, and saw of it when it had begun.
#[derive(Clone, Debug)]
pub struct Heard {
    /// When its first byte came.
    pub first: Instant,
    /// When its report was there.
    pub reported: Instant,
    pub report: Report,
    pub seen: Seen,
}

/// An ear for one probe, whatever way its bytes come.
#[derive(Default)]
pub struct Ear {
    begun: Option<(Instant, Seen)>,
    text: Vec<u8>,
    reported: Option<Instant>,
}

impl Ear {
    /// Takes bytes that have just come. With the first of them the probe has begun and rests: then `look` is called.
    pub fn take(&mut self, bytes: &[u8], look: impl FnOnce() -> Result<Seen, Fault>) -> Result<(), Fault> {
        let now = Instant::now();
        let mut rest = bytes;
        if self.begun.is_none() {
            rest = bytes.strip_prefix(&[BEGUN]).ok_or_else(silent)?;
            self.begun = Some((now, look()?));
        }
        self.text.extend_from_slice(rest);
        if self.text.ends_with(b"\n") {
            self.reported = Some(now);
        }
        Ok(())
    }

    /// Whether its report is there.
    pub fn has_all(&self) -> bool {
        self.reported.is_some()
    }

    /// All that was heard. An error if the report is not there.
    pub fn heard(&self) -> Result<Heard, Fault> {
        let (Some((first, seen)), Some(reported)) = (self.begun, self.reported) else { return Err(silent()) };
        let report = serde_json::from_slice(&self.text).doing("understand the probe")?;
        Ok(Heard { first, reported, report, seen })
    }
}

/// Hears out a probe that speaks into a pipe. A signal that asks us to end is an error, so that whoever started the
/// probe ends it too.
pub fn listen(
    pipe: &OwnedFd,
    signals: &Signals,
    look: impl Fn() -> Result<Seen, Fault>,
) -> Result<Heard, Fault> {
    let (mut ear, mut room) = (Ear::default(), [0; 4096]);
    while !ear.has_all() {
        wait(pipe, signals)?;
        let length = read(pipe, &mut room).doing("listen to the probe")?;
        match room.get(..length) {
            None | Some([]) => return Err(silent()),
            Some(came) => ear.take(came, &look)?,
        }
    }
    ear.heard()
}

/// Waits until there is something to hear.
fn wait(pipe: &OwnedFd, signals: &Signals) -> Result<(), Fault> {
    let until = Instant::now() + PATIENCE;
    loop {
        let mut ready =
            [PollFd::new(pipe.as_fd(), PollFlags::POLLIN), PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        let left = until.saturating_duration_since(Instant::now());
        match poll(&mut ready, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(0) => return Err(silent()),
            Ok(_) if ready[0].any() == Some(true) => return Ok(()),
            Ok(_) => signals.end_asked().map_or(Ok(()), |signal| Err(Fault::Interrupted(signal)))?,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(Fault::broken("wait for the probe", errno)),
        }
    }
}

fn silent() -> Fault {
    Fault::unable("probe-silent", &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_heard_in_whatever_pieces_it_comes() {
        let report = Report {
            kernel: "6.1".into(),
            processes: 1,
            system_call: 1e-7,
            page_fault: 1e-6,
            file_read: 0.01,
            cpu_loop: 0.1,
        };
        let said = [b".".to_vec(), serde_json::to_vec(&report).unwrap(), b"\n".to_vec()].concat();
        let seen = Seen { processes: 1, memory: 4096 };
        for pieces in [1, 7, said.len()] {
            let mut ear = Ear::default();
            said.chunks(pieces).for_each(|piece| ear.take(piece, || Ok(seen)).unwrap());
            let heard = ear.heard().unwrap();
            assert_eq!((heard.report, heard.seen), (report.clone(), seen));
            assert!(heard.first <= heard.reported);
        }
    }

    #[test]
    fn other_words_and_half_a_report_are_no_report() {
        assert!(Ear::default().take(b"Usage: workshop", || Ok(Seen::default())).is_err());
        let mut ear = Ear::default();
        ear.take(b".{\"kernel\"", || Ok(Seen::default())).unwrap();
        assert!(ear.heard().is_err());
    }
}
