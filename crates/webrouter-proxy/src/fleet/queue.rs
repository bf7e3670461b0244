//! Requests that wait until an endpoint has room: few, in order, not for long.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// The queue of one upstream, over all cores.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: AtomicU32,
    room: Notify,
    /// Cores that keep connections shall close them.
    asked: Notify,
}

/// Why a request did not get room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// As many as may wait do.
    QueueFull,
    TimedOut,
}

/// A place in the queue; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place<'a>(&'a Queue);

impl Queue {
    /// Takes a place, if one of `places` is left.
    pub(crate) fn enter(&self, places: u32) -> Result<Place<'_>, NoRoom> {
        if self.waiting.fetch_add(1, Ordering::AcqRel) < places {
            return Ok(Place(self));
        }
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        Err(NoRoom::QueueFull)
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Acquire)
    }

    /// Asks every core to give way with the connections that it only keeps.
    pub(crate) fn ask_for_room(&self) {
        self.asked.notify_waiters();
    }

    /// Waits until it is asked for room.
    pub(crate) async fn asked_for_room(&self) {
        self.asked.notified().await;
    }

    /// Somebody left: the first in the queue may try.
    pub(crate) fn room(&self) {
        if self.waiting() > 0 {
            self.room.notify_one();
        }
    }
}

impl Place<'_> {
    /// Takes what `attempt` gives as soon as it gives something: at once, or whenever somebody leaves.
    pub(crate) async fn wait<T>(&self, until: Instant, mut attempt: impl FnMut() -> Option<T>) -> Result<T, NoRoom> {
        loop {
            // Enlisted before the attempt: room that comes in between is not missed.
            let room = self.0.room.notified();
            if let Some(taken) = attempt() {
                return Ok(taken);
            }
            timeout_at(until, room).await.map_err(|_| NoRoom::TimedOut)?;
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
        // What woke this one may have been meant for the next.
        self.0.room();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn as_many_wait_as_there_are_places_and_not_for_ever() {
        let queue = Queue::default();
        let soon = Instant::now() + Duration::from_secs(1);
        let first = queue.enter(1).expect("a place");
        assert_eq!(queue.enter(1).err(), Some(NoRoom::QueueFull));
        assert_eq!(first.wait(soon, || None::<()>).await, Err(NoRoom::TimedOut));
        drop(first);
        assert!(queue.enter(1).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_leaves_lets_one_in() {
        let queue = Queue::default();
        let free = Cell::new(0);
        let take = || (free.get() > 0).then(|| free.set(free.get() - 1));
        let late = Instant::now() + Duration::from_secs(60);
        let waiter = async || queue.enter(9).expect("a place").wait(late, take).await;
        let leaver = async {
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                free.set(free.get() + 1);
                queue.room();
            }
        };
        let (first, second, third, ()) = tokio::join!(waiter(), waiter(), waiter(), leaver);
        assert_eq!([first, second, third], [Ok(()); 3]);
        assert_eq!(queue.waiting(), 0);
    }
}
