//! Listens to a probe through a pipe.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::read;

use super::memory::Seen;
use super::probe::BEGUN;
use super::subject::Heard;
use crate::fault::{Doing, Fault};
use crate::kernel::signals::Signals;

/// How long a probe may say nothing. It takes a second or two, if the machine is not very busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Hears a probe out. `look` is called when it has begun and rests. A signal that asks us to end is an error, so
/// that whoever started the probe ends it too.
pub fn listen(
    pipe: OwnedFd,
    signals: &Signals,
    look: impl FnOnce() -> Result<Seen, Fault>,
) -> Result<(Heard, Seen), Fault> {
    let mut room = [0; 4096];
    let came = next(&pipe, signals, &mut room)?;
    let first = Instant::now();
    let mut text = room.get(1..came).unwrap_or_default().to_vec();
    if room[..came].first() != Some(&BEGUN) {
        return Err(silent());
    }
    let seen = look()?;
    while !text.ends_with(b"\n") {
        match next(&pipe, signals, &mut room)? {
            0 => return Err(silent()),
            came => text.extend_from_slice(&room[..came]),
        }
    }
    let reported = Instant::now();
    let report = serde_json::from_slice(&text).doing("understand the probe")?;
    Ok((Heard { first, reported, report }, seen))
}

/// The number of bytes that came next; 0 when no more will.
fn next(pipe: &OwnedFd, signals: &Signals, room: &mut [u8]) -> Result<usize, Fault> {
    let until = Instant::now() + PATIENCE;
    loop {
        let mut ready =
            [PollFd::new(pipe.as_fd(), PollFlags::POLLIN), PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        let left = until.saturating_duration_since(Instant::now());
        match poll(&mut ready, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(0) => return Err(silent()),
            Ok(_) if ready[0].any() == Some(true) => return read(pipe, room).doing("listen to the probe"),
            Ok(_) => signals.end_asked().map_or(Ok(()), |signal| Err(Fault::Interrupted(signal)))?,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(Fault::broken("wait for the probe", errno)),
        }
    }
}

fn silent() -> Fault {
    Fault::unable("probe-silent", &[])
}
