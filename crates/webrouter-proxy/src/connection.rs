//! One client connection: requests one after another, and nothing held in between.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::task::Poll;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::arrival::{self, Arrived, Version};
use crate::clients::Presence;
use crate::config::{Scope, Security};
use crate::core::Core;
use crate::deadline::Deadline;
use crate::exchange::{self, Next};
use crate::http2;
use crate::stream::Stream;

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
    /// The host that it named in the TLS handshake.
    pub(crate) server_name: Option<String>,
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
    while let Wake::Readable = wait(&core, &presence, &mut client).await {
        if let Next::Close = Box::pin(serve_requests(&core, &mut client)).await {
            break;
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

/// Waits between two requests, holding no buffer.
async fn wait(core: &Core, presence: &Presence, client: &mut Client) -> Wake {
    let at = Instant::now() + core.config.timeouts.keep_alive;
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

/// Tells a client that there are too many.
pub(crate) async fn refuse(mut stream: TcpStream) {
    let answer =
        b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";
    let _ = stream.try_write(answer);
    let _ = stream.shutdown().await;
}

const LINGER: std::time::Duration = std::time::Duration::from_secs(2);
const LINGER_BYTES: usize = 1024 * 1024;
