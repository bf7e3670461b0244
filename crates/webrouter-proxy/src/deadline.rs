//! One timer per connection that is almost never touched: it wakes at most every few seconds and looks whether the
//! real deadline, which moves with every read and write, has passed.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that bounds one wait after another.
#[derive(Debug)]
pub(crate) struct Deadline {
    sleep: Pin<Box<Sleep>>,
    /// No wait goes beyond it.
    limit: Option<Instant>,
}

/// The time was up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expired;

impl Deadline {
    pub(crate) fn new() -> Self {
        Self { sleep: Box::pin(sleep_until(Instant::now() + LONGEST_SLEEP)), limit: None }
    }

    /// Ends every wait at the limit, if there is one.
    pub(crate) fn limit(&mut self, limit: Option<Instant>) {
        self.limit = limit;
    }

    /// The limit, if there is one.
    pub(crate) fn limited(&self) -> Option<Instant> {
        self.limit
    }

    /// Whether the limit has passed.
    pub(crate) fn is_over(&self) -> bool {
        self.limit.is_some_and(|limit| limit <= Instant::now())
    }

    /// Waits for the future until `at`.
    pub(crate) async fn until<T>(&mut self, at: Instant, future: impl Future<Output = T>) -> Result<T, Expired> {
        let at = self.limit.map_or(at, |limit| limit.min(at));
        let mut future = pin!(future);
        poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            if self.sleep.deadline() > at {
                self.sleep.as_mut().reset(at);
            }
            while self.sleep.as_mut().poll(context).is_ready() {
                let now = Instant::now();
                if now >= at {
                    return Poll::Ready(Err(Expired));
                }
                self.sleep.as_mut().reset(at.min(now + LONGEST_SLEEP));
            }
            Poll::Pending
        })
        .await
    }
}

/// The output of a future that does not have to wait.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

const LONGEST_SLEEP: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn expires_at_its_time_whether_it_moved_out_or_in() {
        let mut deadline = Deadline::new();
        let start = Instant::now();
        for seconds in [2, 60, 1, 900, 3] {
            let begun = Instant::now();
            let at = begun + Duration::from_secs(seconds);
            assert_eq!(deadline.until(at, std::future::pending::<()>()).await, Err(Expired));
            assert_eq!(begun.elapsed().as_secs(), seconds);
        }
        assert_eq!(start.elapsed().as_secs(), 966);
        assert_eq!(deadline.until(Instant::now(), std::future::ready(5)).await, Ok(5));
    }
}
