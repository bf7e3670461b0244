//! How a peer ended a stream of HTTP/2, where it matters to the rest of the proxy.

use std::io;

use h2::Reason;

/// Why a stream ended that its connection outlived, or never began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Gone {
    /// Nothing of it was processed (RFC 9113 §8.7).
    #[error("the stream was refused")]
    Refused,
    /// It came after the last that its peer took (RFC 9113 §6.8): nothing of it was processed.
    #[error("the connection takes no more streams")]
    Left,
    #[error("the stream was reset")]
    Reset,
}

impl Gone {
    /// What is behind an error of a stream; `None` where its connection broke.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

/// Tells whether the connection broke, or the peer ended this stream.
pub(super) fn io_error(error: h2::Error) -> io::Error {
    if error.is_io()
        && let Some(error) = error.get_io()
    {
        return error.kind().into();
    }
    if !error.is_remote() {
        return io::Error::other(error);
    }
    // `h2` gives a GOAWAY to those streams only that are behind the last one it names.
    io::Error::other(match error.reason() {
        _ if error.is_go_away() => Gone::Left,
        Some(Reason::REFUSED_STREAM) => Gone::Refused,
        _ => Gone::Reset,
    })
}
