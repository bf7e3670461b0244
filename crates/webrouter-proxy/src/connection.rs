//! One client connection: requests one after another, and nothing held in between.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::task::Poll;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use webrouter_routing::host::Host;

use crate::arrival::{self, Arrived, Version};
use crate::clients::Presence;
use crate::config::{Scope, Security};
use crate::core::Core;
use crate::deadline::{Deadline, at_once};
use crate::exchange::{self, Next};
use crate::http2;
use crate::stream::Stream;
use crate::tls::handshake::{Acceptor, Standing};

/// The client's side of a request.
pub(crate) struct Client {
    pub(crate) stream: Stream,
    pub(crate) peer: Rc<Peer>,
    pub(crate) deadline: Deadline,
}

/// What is known of a client before it asks for anything.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The client's, or what the PROXY protocol says of it.
    pub(crate) address: IpAddr,
    pub(crate) scope: Scope,
    pub(crate) security: Security,
    /// Whose demand for a certificate the TLS handshake met.
    pub(crate) demand: Option<Host>,
    pub(crate) certificate: ClientCertificate,
}

/// What the TLS handshake found out of the client itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClientCertificate {
    NotAsked,
    /// It was asked, and has none.
    Missing,
    /// Checked; the subject by RFC 4514.
    Subject(String),
}

impl Peer {
    /// What the app of a host may know of the client's certificate: nothing, where the check was another host's.
    pub(crate) fn certificate_for(&self, tls: Option<&Acceptor>, host: &str) -> &ClientCertificate {
        match tls.map(|tls| tls.standing(self.demand.as_ref(), host)) {
            Some(Standing::Checked) => &self.certificate,
            Some(Standing::Undemanded | Standing::Unchecked) | None => &ClientCertificate::NotAsked,
        }
    }
}

enum Wake {
    Readable,
    Over,
}

/// Serves a connection to its end.
pub(crate) async fn serve(
    core: Rc<Core>,
    presence: Presence,
    stream: TcpStream,
    peer: SocketAddr,
    (scope, security): (Scope, Security),
) {
    let address = peer.ip().to_canonical();
    let arriving = arrival::run(&core, &presence, stream, address, scope, security);
    let Some(arrived) = Box::pin(arriving).await else { return };
    let Arrived { transport, version, peer } = arrived;
    let peer = Rc::new(peer);
    if version == Version::Http2 {
        return Box::pin(http2::server::serve(core, presence, transport, peer)).await;
    }
    let mut client = Client { stream: transport.into_stream(), peer, deadline: Deadline::new() };
    let mut idle_since = Instant::now();
    while let Wake::Readable = wait(&core, &presence, &mut client, idle_since).await {
        match Box::pin(serve_requests(&core, &mut client)).await {
            Next::Close => break,
            // TLS may have an answer of its own to what it read (RFC 5246 §7.2.2: no renegotiation).
            Next::NotBegun => drop(at_once(client.stream.split().1.flush())),
            Next::Pipelined | Next::Idle | Next::Linger => idle_since = Instant::now(),
        }
    }
    close(&mut client).await;
}

/// Serves the requests that are there; what they need is held until the connection is idle again.
async fn serve_requests(core: &Rc<Core>, client: &mut Client) -> Next {
    let mut scratch = core.take_scratch();
    let next = loop {
        match exchange::run(core, client, &mut scratch).await {
            Next::Pipelined => {}
            next => break next,
        }
    };
    core.put_scratch(scratch);
    if matches!(next, Next::Linger) {
        linger(client).await;
        return Next::Close;
    }
    next
}

/// Waits between two requests, holding no buffer. Idle is who has begun none: pieces of a TLS record are no beginning.
async fn wait(core: &Core, presence: &Presence, client: &mut Client, idle_since: Instant) -> Wake {
    let at = idle_since + core.config.timeouts.keep_alive;
    let stream = &client.stream;
    let woken = poll_fn(|context| match stream.poll_readable(context) {
        Poll::Ready(Ok(())) => Poll::Ready(Wake::Readable),
        Poll::Ready(Err(_)) => Poll::Ready(Wake::Over),
        Poll::Pending => presence.poll_stop(context).map(|()| Wake::Over),
    });
    client.deadline.until(at, woken).await.unwrap_or(Wake::Over)
}

/// Closes so that the client reads our last answer: a close with unread bytes would reset the connection and could
/// take the answer with it (RFC 9112 §9.6).
async fn linger(client: &mut Client) {
    let at = Instant::now() + LINGER;
    let Client { stream, deadline, .. } = client;
    let drained = async {
        let (mut reader, mut writer) = stream.split();
        writer.shutdown().await?;
        let mut sink = vec![0; 4096];
        let mut left = LINGER_BYTES;
        while left > 0 {
            match reader.read(&mut sink).await? {
                0 => break,
                read => left = left.saturating_sub(read),
            }
        }
        std::io::Result::Ok(())
    };
    let _ = deadline.until(at, drained).await;
}

/// Ends a connection; under TLS the client learns that nothing was cut away.
async fn close(client: &mut Client) {
    if let Stream::Tls(stream) = &client.stream {
        let _ = client.deadline.until(Instant::now() + LINGER, stream.close()).await;
    }
}

/// Tells a client that there are too many; one that speaks TLS would not understand it.
pub(crate) async fn refuse(mut stream: TcpStream, security: Security) {
    let answer =
        b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";
    if security == Security::Plain {
        let _ = stream.try_write(answer);
    }
    let _ = stream.shutdown().await;
}

const LINGER: std::time::Duration = std::time::Duration::from_secs(2);
const LINGER_BYTES: usize = 1024 * 1024;
