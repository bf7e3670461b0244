//! What a client's bytes travel on: a TCP connection, or TLS over one.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;
pub use rustls::AlertDescription;

use crate::tls::TlsStream;

/// A connection that bytes are written to and read from with a deadline.
pub enum Transport {
    /// TCP alone.
    Plain(TcpStream),
    /// TLS; its handshake is over.
    Tls(Box<TlsStream>),
}

/// Why nothing more was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The peer closed its side; on TLS, with `close_notify`.
    Closed,
    /// The peer closed TCP under TLS without `close_notify`, as somebody who cuts a message short would.
    Truncated,
    /// The peer ended TLS with this alert.
    Alert(AlertDescription),
    /// The peer reset the connection.
    Reset,
    /// The deadline passed with the connection open.
    Deadline,
}

impl Transport {
    /// Connects to `addr`.
    pub fn plain(addr: SocketAddr) -> std::io::Result<Transport> {
        tcp(addr).map(Transport::Plain)
    }

    /// The connection's own address, as the peer sees it.
    pub fn local_addr(&self) -> SocketAddr {
        self.tcp().local_addr().expect("a connected socket has an address")
    }

    /// TLS, where it is.
    pub fn tls(&self) -> Option<&TlsStream> {
        match self {
            Transport::Plain(_) => None,
            Transport::Tls(stream) => Some(stream),
        }
    }

    pub(crate) fn set_write_timeout(&self, timeout: Duration) {
        let _ = self.tcp().set_write_timeout(Some(timeout));
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Transport::Plain(stream) => stream.write_all(bytes),
            Transport::Tls(stream) => stream.write(bytes),
        }
    }

    /// One read that lasts until `until` at most; the bytes read, or the end.
    pub(crate) fn read(&mut self, buffer: &mut [u8], until: Instant) -> Result<usize, End> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(End::Deadline);
        }
        let _ = self.tcp().set_read_timeout(Some(left));
        let read = match self {
            Transport::Plain(stream) => stream.read(buffer),
            Transport::Tls(stream) => stream.read(buffer),
        };
        match read {
            Ok(0) => Err(End::Closed),
            Ok(count) => Ok(count),
            Err(error) => Err(match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => End::Deadline,
                ErrorKind::Interrupted => return Ok(0),
                ErrorKind::UnexpectedEof => End::Truncated,
                _ => alert_of(&error).map_or(End::Reset, End::Alert),
            }),
        }
    }

    pub(crate) fn half_close(&mut self) {
        if let Transport::Tls(stream) = self {
            stream.say_goodbye();
        }
        let _ = self.tcp().shutdown(Shutdown::Write);
    }

    pub(crate) fn reset_when_dropped(&self) {
        let _ = set_socket_linger(self.tcp(), Some(Duration::ZERO));
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Transport::Plain(stream) => stream,
            Transport::Tls(stream) => stream.tcp(),
        }
    }
}

/// A TCP connection without delays, whose writes do not wait for ever.
pub(crate) fn tcp(addr: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&addr, Duration::from_secs(5))?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(Duration::from_secs(60)))?;
    Ok(stream)
}

/// The alert that the peer sent, where that is what went wrong.
pub fn alert_of(error: &std::io::Error) -> Option<AlertDescription> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}
