//! One reader's stream of events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;

use super::{Event, Live};
use crate::handlers::LONGEST_WAIT;

/// The events as they are sent.
pub(crate) type Stream = ReceiverStream<Result<sse::Event, Infallible>>;

/// There is no stream to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// As many as there may be are open.
    All,
    /// The instance stops.
    Stopping,
}

impl Live {
    /// A stream from now on. It ends after [`LONGEST_WAIT`], as every answer does; at stop; and when its reader is slow.
    pub(crate) fn stream(&self) -> Result<Stream, Taken> {
        let place = Arc::clone(&self.streams).try_acquire_owned().map_err(|_| Taken::All)?;
        let events = self.events.upgrade().ok_or(Taken::Stopping)?.subscribe();
        let (sender, receiver) = mpsc::channel(BEHIND);
        tokio::spawn(pass_on(events, sender, place));
        Ok(ReceiverStream::new(receiver))
    }
}

async fn pass_on(
    mut events: broadcast::Receiver<Arc<Event>>,
    to: mpsc::Sender<Result<sse::Event, Infallible>>,
    _place: OwnedSemaphorePermit,
) {
    let pass = async {
        // Told at once, so that a reader knows that it listens.
        let _ = to.try_send(Ok(sse::Event::default().retry(RETRY).comment("listening")));
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                () = to.closed() => return,
            };
            let event = match event {
                Ok(event) => event,
                Err(RecvError::Closed | RecvError::Lagged(_)) => return,
            };
            // Full: it reads too slowly; it comes again and reads the state anew.
            if to.try_send(Ok(sse::Event::default().event(event.name).data(&event.json))).is_err() {
                return;
            }
        }
    };
    let _ = timeout(LONGEST_WAIT, pass).await;
}

/// Events that a reader may be behind.
const BEHIND: usize = 8;
const RETRY: Duration = Duration::from_secs(1);
