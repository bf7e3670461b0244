//! HTTP/1.1 on the wire (RFC 9112): parsing and encoding, apart from any I/O.

pub mod body;
pub mod cookie;
pub(crate) mod encode;
pub mod field;
pub mod head;
