//! One health check: a GET on a connection of its own, of whose answer the head alone counts.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use rustix::io::Errno;
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use webrouter_routing::endpoint::Endpoint;
use webrouter_routing::route::Upstream;

use super::record::{Probe, ProbeError};
use crate::http1::head::{HeadScanner, ResponseHead};

/// Nothing can be said of the endpoint: we could not ask.
#[derive(Debug, thiserror::Error)]
#[error("a health check could not be made: {0}")]
pub struct CannotAsk(io::Error);

/// Asks an endpoint; `None` where there is nothing to ask.
pub(super) async fn probe(address: SocketAddr, upstream: &Upstream) -> Result<Option<Probe>, CannotAsk> {
    probe_within(address, upstream, upstream.policy.health.timeout).await
}

/// Asks an endpoint once, besides the checks that decide about its health; `None` where there is nothing to ask.
pub async fn probe_once(
    endpoint: Endpoint,
    upstream: &Upstream,
    patience: Duration,
) -> Result<Option<Probe>, CannotAsk> {
    probe_within(endpoint.address(), upstream, patience).await
}

async fn probe_within(
    address: SocketAddr,
    upstream: &Upstream,
    patience: Duration,
) -> Result<Option<Probe>, CannotAsk> {
    let Some(request) = request(address, upstream) else { return Ok(None) };
    let began = Instant::now();
    let mut connection = None;
    let answered = timeout(patience, async {
        let stream = connection.insert(TcpStream::connect(address).await.map_err(not_connected)?);
        ask(stream, request.as_bytes()).await.map_err(Failure::Endpoint)
    });
    let result = match answered.await {
        Ok(Ok(status)) => Ok(status),
        Ok(Err(Failure::Endpoint(error))) => Err(error),
        Ok(Err(Failure::Ours(error))) => return Err(CannotAsk(error)),
        Err(_) => Err(ProbeError::TimedOut),
    };
    let probe = Probe { at: SystemTime::now(), took: began.elapsed(), result };
    if let Some(stream) = connection {
        part(stream, result.is_ok()).await;
    }
    Ok(Some(probe))
}

enum Failure {
    Endpoint(ProbeError),
    Ours(io::Error),
}

/// The path of a health check is checked by whoever reads annotations: it goes into the request line as it is.
fn request(address: SocketAddr, upstream: &Upstream) -> Option<String> {
    let path = upstream.annotation.healthcheck.as_deref()?;
    let host = match upstream.annotation.mountpoints.first() {
        Some(mountpoint) => mountpoint.host().as_str().to_owned(),
        None => address.to_string(),
    };
    let version = env!("CARGO_PKG_VERSION");
    Some(format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: webrouter-health/{version}\r\nAccept: */*\r\n\
         Connection: close\r\n\r\n"
    ))
}

fn not_connected(error: io::Error) -> Failure {
    match Errno::from_io_error(&error) {
        _ if is_want_of_ours(&error) => Failure::Ours(error),
        Some(Errno::CONNREFUSED) => Failure::Endpoint(ProbeError::Refused),
        _ => Failure::Endpoint(ProbeError::NoConnection),
    }
}

/// Whether a connection failed for want of files or memory on this side, which says nothing about the endpoint.
pub(crate) fn is_want_of_ours(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}

async fn ask(stream: &mut TcpStream, request: &[u8]) -> Result<u16, ProbeError> {
    // A server may answer and close before it has read: what it said counts.
    let _ = stream.write_all(request).await;
    let mut bytes = Vec::with_capacity(FIRST_READ);
    let mut scanner = HeadScanner::default();
    let mut read = 0;
    loop {
        if let Some(length) = scanner.scan(&bytes).map_err(|_| ProbeError::NotHttp)? {
            let mut head = ResponseHead::default();
            let parsed = head.parse(bytes.get(..length).unwrap_or_default(), MAX_FIELDS);
            parsed.map_err(|_| ProbeError::NotHttp)?;
            // An interim answer (RFC 9110 §15.2) is followed by the one that counts.
            if !matches!(head.status, 100 | 102..=199) {
                return Ok(head.status);
            }
            bytes.drain(..length);
            scanner = HeadScanner::default();
            continue;
        }
        if read >= MAX_HEAD_BYTES {
            return Err(ProbeError::HeadTooLarge);
        }
        let more = stream.read_buf(&mut bytes).await.map_err(|_| ProbeError::Closed)?;
        if more == 0 {
            return Err(if read == 0 { ProbeError::Closed } else { ProbeError::NotHttp });
        }
        read += more;
    }
}

/// Lets the endpoint close first, as it was asked to: an app that is cut off in its answer complains in its log, and who
/// closes first remembers the connection for a minute. One that does not close soon is reset, which leaves nothing behind.
async fn part(mut stream: TcpStream, answered: bool) {
    if answered {
        let mut rest = [0; 1024];
        let mut left = MAX_REST_BYTES;
        let closed = timeout(PARTING, async {
            loop {
                match stream.read(&mut rest).await {
                    Ok(0) => return true,
                    Ok(read) if read < left => left -= read,
                    _ => return false,
                }
            }
        });
        if closed.await == Ok(true) {
            return;
        }
    }
    // Where it cannot be set, the connection is closed the usual way.
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
}

const FIRST_READ: usize = 1024;
/// Interim answers included.
const MAX_HEAD_BYTES: usize = 16 * 1024;
const MAX_FIELDS: usize = 128;
const MAX_REST_BYTES: usize = 64 * 1024;
const PARTING: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests;
