//! From an accepted socket to a protocol: the PROXY protocol's header, the TLS handshake, which version of HTTP.

use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::clients::Presence;
use crate::config::{Scope, Security};
use crate::connection::{ClientCertificate, Peer};
use crate::core::Core;
use crate::proxy_protocol;
use crate::stream::{Encrypted, Stream, TlsStream};
use crate::tls::handshake::Protocol;

/// What a client's connection turned out to be.
pub(crate) struct Arrived {
    pub(crate) transport: Transport,
    pub(crate) version: Version,
    pub(crate) peer: Peer,
}

/// The version of HTTP that a connection begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    Http1,
    Http2,
}

/// A connection as a whole.
#[derive(Debug)]
pub(crate) enum Transport {
    Tcp(TcpStream),
    Tls(Box<TlsStream>),
}

/// Finds out what a connection is; `None` when it is nothing that can be served, which was counted.
pub(crate) async fn run(
    core: &Core,
    presence: &Presence,
    stream: TcpStream,
    address: IpAddr,
    scope: Scope,
    security: Security,
) -> Option<Arrived> {
    timeout(core.config.timeouts.request_header, identify(core, presence, stream, address, scope, security))
        .await
        .ok()?
}

async fn identify(
    core: &Core,
    presence: &Presence,
    mut stream: TcpStream,
    address: IpAddr,
    scope: Scope,
    security: Security,
) -> Option<Arrived> {
    let mut peer = Peer { address, scope, security, demand: None, certificate: ClientCertificate::NotAsked };
    let says_who = core.config.proxy_protocol.iter().any(|net| net.contains(&address));
    if security == Security::Plain && !says_who && !core.config.h2c {
        return Some(Arrived { transport: Transport::Tcp(stream), version: Version::Http1, peer });
    }
    begun(&stream, presence).await?;
    if says_who {
        match proxy_protocol::read(&mut stream).await {
            Ok(client) => peer.address = client.unwrap_or(address),
            Err(error) => {
                tracing::debug!(%address, %error, "connection without a PROXY protocol header");
                core.metrics.protocol_error(webrouter_telemetry::cause::Cause::BadProxyHeader);
                return None;
            }
        }
    }
    let acceptor = match (security, &core.tls) {
        (Security::Tls, Some(acceptor)) => acceptor,
        (Security::Tls, None) => return None,
        (Security::Plain, _) => {
            let version = if core.config.h2c { preface(&stream).await? } else { Version::Http1 };
            return Some(Arrived { transport: Transport::Tcp(stream), version, peer });
        }
    };
    let handshaken = acceptor.accept(stream, scope, &core.metrics).await;
    let handshaken = handshaken.inspect_err(|error| tracing::debug!(%address, %error, "no TLS handshake")).ok()?;
    peer.certificate = match (&handshaken.demand, handshaken.client_subject) {
        (None, _) => ClientCertificate::NotAsked,
        (Some(_), None) => ClientCertificate::Missing,
        (Some(_), Some(subject)) => ClientCertificate::Subject(subject),
    };
    peer.demand = handshaken.demand;
    let version = match handshaken.protocol {
        Protocol::Http1 => Version::Http1,
        Protocol::Http2 => Version::Http2,
    };
    Some(Arrived { transport: Transport::Tls(Box::new(handshaken.stream)), version, peer })
}

/// Waits for the first byte; `None` when the client leaves, or the core stops, before there is one.
async fn begun(stream: &TcpStream, presence: &Presence) -> Option<()> {
    let mut byte = [0];
    poll_fn(|context| match stream.poll_peek(context, &mut ReadBuf::new(&mut byte)) {
        Poll::Ready(peeked) => Poll::Ready(peeked.ok().filter(|read| *read > 0).map(drop)),
        Poll::Pending => presence.poll_stop(context).map(|()| None),
    })
    .await
}

/// Whether the client begins with HTTP/2's preface (RFC 9113 §3.3), which is left where it is; `None` when it left.
async fn preface(stream: &TcpStream) -> Option<Version> {
    let mut seen = [0; PREFACE.len()];
    loop {
        // Before the look: who has left by now has sent all that there will be.
        let left = stream.ready(Interest::READABLE).await.ok()?.is_read_closed();
        let read = stream.peek(&mut seen).await.ok().filter(|read| *read > 0)?;
        let seen = seen.get(..read).unwrap_or_default();
        if seen == PREFACE {
            return Some(Version::Http2);
        }
        if !PREFACE.starts_with(seen) {
            return Some(Version::Http1);
        }
        if left {
            return None;
        }
        // What was peeked at stays there, but says no more: readiness is to mean that something new came.
        let _ = stream.try_io(Interest::READABLE, || io::Result::<()>::Err(io::ErrorKind::WouldBlock.into()));
    }
}

impl Transport {
    /// As the one stream of requests that it is in HTTP/1.
    pub(crate) fn into_stream(self) -> Stream {
        match self {
            Self::Tcp(stream) => Stream::Tcp(stream),
            Self::Tls(stream) => Stream::Tls(Encrypted::new(stream)),
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, buffers),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write_vectored(context, buffers),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(context),
        }
    }
}

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
