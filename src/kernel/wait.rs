//! Waiting for a program that may be slow through no fault of its own.

use std::fs;
use std::time::{Duration, Instant};

/// How many times longer is waited where the machine is busy all the time.
const BUSY: u32 = 3;

/// What has been waited for so far.
pub struct Wait {
    patience: Duration,
    began: Instant,
    idle: Option<Duration>,
}

impl Wait {
    pub fn begin(patience: Duration) -> Wait {
        Wait { patience, began: Instant::now(), idle: idle_time() }
    }

    /// Whether it has been long enough. As long as no CPU had time to spare, whoever is waited for may have got none.
    pub fn is_over(&self) -> bool {
        let waited = self.began.elapsed();
        waited > self.patience && (waited > self.patience * BUSY || !self.was_busy(waited))
    }

    fn was_busy(&self, waited: Duration) -> bool {
        let spare = idle_time().zip(self.idle).map(|(now, then)| now.saturating_sub(then));
        spare.is_some_and(|spare| spare < waited / 4)
    }
}

/// Time that all CPUs together have spent idle since boot: the fourth number of the first line of `/proc/stat`, in
/// hundredths of a second (`USER_HZ`, proc_stat(5)).
fn idle_time() -> Option<Duration> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let ticks: u64 = text.lines().next()?.split_whitespace().nth(4)?.parse().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_on_any_machine() {
        let wait = Wait::begin(Duration::from_millis(50));
        assert!(!wait.is_over());
        std::thread::sleep(Duration::from_millis(50 * u64::from(BUSY) + 10));
        assert!(wait.is_over());
    }

    #[test]
    fn a_machine_has_been_idle() {
        assert!(idle_time().is_some_and(|time| time > Duration::ZERO));
    }
}
