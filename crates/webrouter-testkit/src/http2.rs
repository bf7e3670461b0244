//! HTTP/2 as bytes: frames right and wrong, field blocks that hold whatever a test wants, a connection that says what came back.
//!
//! Nothing is checked on the way out. On the way in everything is: what a server must never send is noted as an offence.

mod connection;
mod fields;
mod frame;
mod inbox;

pub use connection::{Http2, Windows};
pub use fields::{Fields, indexed, indexing, integer, literal, size_update, string};
pub use frame::{Code, Frame, flag, kind, setting};
pub use inbox::{Answer, Ended, Goaway, Inbox, Received};

/// What a client says first (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The window of a stream and of the connection before anybody says otherwise (RFC 9113 §6.9.2).
pub const INITIAL_WINDOW: u32 = 65_535;
/// The largest payload before anybody says otherwise (RFC 9113 §4.2).
pub const MAX_FRAME_SIZE: usize = 16_384;
