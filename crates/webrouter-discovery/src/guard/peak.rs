//! The largest that something was within a window of time.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::Size;

/// The largest size of what a source had in force lately.
#[derive(Debug, Default)]
pub(crate) struct Peak {
    routes: Highest,
    endpoints: Highest,
}

impl Peak {
    /// Notes the size from now on, and tells the largest of the window that ends now.
    pub(crate) fn note(&mut self, size: Size, now: Instant, window: Duration) -> Size {
        Size {
            routes: self.routes.note(size.routes, now, window),
            endpoints: self.endpoints.note(size.endpoints, now, window),
        }
    }
}

#[derive(Debug, Default)]
struct Highest {
    current: usize,
    /// Until when there was more: ever later, ever less.
    past: VecDeque<(Instant, usize)>,
}

impl Highest {
    fn note(&mut self, value: usize, now: Instant, window: Duration) -> usize {
        if value < self.current {
            while self.past.back().is_some_and(|(_, past)| *past <= self.current) {
                self.past.pop_back();
            }
            self.past.push_back((now, self.current));
        }
        self.current = value;
        while self.past.front().is_some_and(|(until, _)| *until + window <= now) {
            self.past.pop_front();
        }
        self.past.front().map_or(value, |(_, past)| value.max(*past))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_value_counts_until_its_window_is_over() {
        let (mut highest, start) = (Highest::default(), Instant::now());
        let mut check = |at: u64, value, expected| {
            let now = start + Duration::from_secs(at);
            assert_eq!(highest.note(value, now, Duration::from_secs(60)), expected, "{value} at {at}");
        };
        check(0, 10, 10);
        check(100, 5, 10);
        check(130, 7, 10);
        check(140, 3, 10);
        check(160, 3, 7);
        check(199, 3, 7);
        check(200, 3, 3);
        check(300, 4, 4);
    }
}
