//! Waiting for a condition with a deadline: the only way a test waits.

use std::thread;
use std::time::{Duration, Instant};

/// Asks `probe` until it answers or `deadline` has passed; `None` then.
pub fn until<T>(deadline: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(value) = probe() {
            return Some(value);
        }
        if Instant::now() >= end {
            return None;
        }
        thread::sleep(INTERVAL);
    }
}

/// Fails the test, naming `what`, when `condition` does not become true within `deadline`.
#[track_caller]
pub fn eventually(deadline: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let met = until(deadline, || condition().then_some(()));
    assert!(met.is_some(), "not within {deadline:?}: {what}");
}

/// Short enough not to be felt, long enough not to starve what is waited for.
const INTERVAL: Duration = Duration::from_millis(4);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_as_soon_as_the_condition_holds() {
        let mut asked = 0;
        let found = until(Duration::from_secs(5), || {
            asked += 1;
            (asked == 3).then_some(asked)
        });
        assert_eq!(found, Some(3));
    }

    #[test]
    fn gives_up_at_the_deadline() {
        assert_eq!(until(Duration::from_millis(20), || None::<()>), None);
    }
}
