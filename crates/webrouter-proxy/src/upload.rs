//! A request's body on its way to the endpoint, beside whatever comes back.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use tokio::time::Instant;

use crate::body::{Body, BodyError, Patience};
use crate::deadline::Deadline;
use crate::stream::{Reader, Writer};

/// The request's body on its way up, and after it the watch for a client that goes away.
pub(crate) struct Upload {
    pub(crate) state: Cell<UploadState>,
    /// What arrived behind the body.
    pub(crate) leftover: RefCell<Vec<u8>>,
    /// When the whole request has to be over.
    limit: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UploadState {
    Running,
    Done,
    /// The endpoint takes no more; it may still answer.
    Refused,
}

impl Upload {
    pub(crate) fn new(state: UploadState, limit: Option<Instant>) -> Self {
        Self { state: Cell::new(state), leftover: RefCell::default(), limit }
    }

    pub(crate) async fn run(
        &self,
        body: &mut Body,
        reader: &mut Reader<'_>,
        writer: &mut Writer<'_>,
        patience: Patience,
    ) -> Result<(), BodyError> {
        if self.state.get() == UploadState::Running {
            let mut buffer = Vec::new();
            let mut deadline = Deadline::new();
            deadline.limit(self.limit);
            match body.relay(reader, writer, &mut buffer, patience, &mut deadline).await {
                Ok(()) => self.state.set(UploadState::Done),
                Err(BodyError::WriteFailed) => self.state.set(UploadState::Refused),
                Err(error) => return Err(error),
            }
            if !buffer.is_empty() {
                *self.leftover.borrow_mut() = buffer;
                return Ok(());
            }
        }
        if self.state.get() == UploadState::Refused {
            return Ok(());
        }
        // A client that only ends its own side still waits for the answer; one that resets does not.
        poll_fn(|context| reader.poll_reset(context)).await.map_err(|_| BodyError::ReadCut)
    }
}

/// The upload beside whatever else is done.
pub(crate) struct Background<'a, F> {
    pub(crate) upload: Pin<&'a mut F>,
    pub(crate) over: bool,
}

impl<F: Future<Output = Result<(), BodyError>>> Background<'_, F> {
    /// Runs `main` to its end while the upload goes on; an upload that fails ends both.
    pub(crate) async fn alongside<T>(&mut self, main: impl Future<Output = T>) -> Result<T, BodyError> {
        let mut main = pin!(main);
        poll_fn(|context| {
            if let Poll::Ready(output) = main.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            if !self.over
                && let Poll::Ready(ended) = self.upload.as_mut().poll(context)
            {
                self.over = true;
                if let Err(error) = ended {
                    return Poll::Ready(Err(error));
                }
            }
            Poll::Pending
        })
        .await
    }
}
