//! HTTP/2 (RFC 9113) as a thin adapter before the one path of a request, and behind it:
//!
//! ```text
//! server ─► a stream is a Flow ─► exchange … forward … ─► origin: a Flow again, on a connection that requests share
//! ```
//!
//! Heads are turned into what HTTP/1.1 writes, and back, by `head`; everything between knows only that form. Frames,
//! header compression and windows are the `h2` crate's; `meter` counts what it lets through and is of no use to anybody.

pub(crate) mod flow;
pub(crate) mod gone;
pub(crate) mod head;
pub(crate) mod meter;
pub(crate) mod origin;
pub(crate) mod server;
