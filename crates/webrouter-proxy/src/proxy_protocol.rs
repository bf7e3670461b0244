//! The PROXY protocol, versions 1 and 2, as a balancer in front of us speaks it (HAProxy's specification,
//! proxy-protocol.txt): the client's address, ahead of everything else on a connection.

use std::io;
use std::net::IpAddr;

use proxy_header::{Error, ParseConfig, ProxyHeader};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Why a connection does not begin with the header.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// Something else came.
    #[error("it begins with something else, or its header is malformed")]
    Malformed,
    /// More than a header that tells addresses needs.
    #[error("its header is longer than {MAX_HEADER} bytes")]
    TooLong,
    /// It ended before.
    #[error("it ended before its header did")]
    Cut,
    /// It broke.
    #[error("it broke: {0}")]
    Broken(#[from] io::Error),
}

/// A header at the beginning of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The client's address; `None` where the balancer speaks for itself (`LOCAL`, `UNKNOWN`), or of no IP address.
    pub client: Option<IpAddr>,
    /// How many bytes it takes.
    pub len: usize,
}

/// Reads the header off a connection, and nothing beyond it; says who the client is, if it is told.
pub(crate) async fn read(stream: &mut TcpStream) -> Result<Option<IpAddr>, HeaderError> {
    let mut bytes = Vec::with_capacity(SHORTEST_HEADER);
    loop {
        // What follows the header is not ours: so much is read as it needs at least.
        let wanted = missing(&bytes)?;
        let before = bytes.len();
        bytes.resize(before + wanted, 0);
        match stream.read_exact(bytes.get_mut(before..).unwrap_or_default()).await {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(HeaderError::Cut),
            Err(error) => return Err(error.into()),
        }
        if let Some(header) = parse(&bytes)? {
            return Ok(header.client);
        }
    }
}

/// How many bytes more there are at least.
fn missing(bytes: &[u8]) -> Result<usize, HeaderError> {
    let whole = told_len(bytes).unwrap_or(SHORTEST_HEADER);
    let missing = whole.saturating_sub(bytes.len()).max(1);
    if bytes.len() + missing > MAX_HEADER { Err(HeaderError::TooLong) } else { Ok(missing) }
}

/// How long a header of version 2 says it is.
fn told_len(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(14..16).filter(|_| bytes.starts_with(SIGNATURE))?;
    Some(16 + usize::from(u16::from_be_bytes(length.try_into().ok()?)))
}

/// Whether nothing that follows belongs to the header, whatever the header is.
fn is_whole(bytes: &[u8]) -> bool {
    let is_line = bytes.starts_with(b"P") && (bytes.ends_with(b"\r\n") || bytes.len() >= LONGEST_LINE);
    is_line || told_len(bytes).is_some_and(|len| bytes.len() >= len)
}

/// Parses a header; `None` while it may still become one.
pub fn parse(bytes: &[u8]) -> Result<Option<Header>, HeaderError> {
    match ProxyHeader::parse(bytes, ParseConfig::default()) {
        Ok((header, len)) => {
            Ok(Some(Header { client: header.proxied_address().map(|told| told.source.ip().to_canonical()), len }))
        }
        Err(Error::BufferTooShort) if is_whole(bytes) => Err(HeaderError::Malformed),
        Err(Error::BufferTooShort) => Ok(None),
        Err(_) => Err(HeaderError::Malformed),
    }
}

/// How version 2 begins.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// What version 1 has at least (`PROXY UNKNOWN\r\n`); the head of version 2 is one longer.
const SHORTEST_HEADER: usize = 15;
const LONGEST_LINE: usize = 107;
/// Addresses, and what a balancer adds about its TLS.
const MAX_HEADER: usize = 2048;

#[cfg(test)]
mod tests;
