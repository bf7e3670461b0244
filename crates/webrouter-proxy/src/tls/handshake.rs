//! One handshake: the client's hello is read, its server name chooses certificate and check, rustls does the rest.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::server::{Accepted, ClientHello};
use rustls::{HandshakeKind, ProtocolVersion, ServerConfig, ServerConnection};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::StartHandshake;
use tokio_rustls::server::TlsStream;
use webrouter_routing::host::{Host, RequestHost};
use webrouter_routing::snapshot::Snapshot;
use webrouter_telemetry::metrics::{CoreMetrics, Handshake};

use super::certificates::Certificates;
use super::error::TlsError;
use super::leaf;
use super::settings::H2;
use crate::config::Scope;

/// Makes handshakes; cheap to clone.
#[derive(Clone)]
pub(crate) struct Acceptor {
    certificates: Arc<Certificates>,
    snapshots: Arc<ArcSwap<Snapshot>>,
}

/// A connection whose handshake is over.
#[derive(Debug)]
pub(crate) struct Handshaken<IO> {
    pub(crate) stream: TlsStream<IO>,
    /// What the two agreed on (ALPN), else HTTP/1.1.
    pub(crate) protocol: Protocol,
    /// The subject of the client's certificate, where one was asked for and given; by RFC 4514, printable ASCII.
    pub(crate) client_subject: Option<String>,
    /// Whose demand for a client certificate the handshake met, required or not: what was done, not what the name asks for.
    pub(crate) demand: Option<Host>,
    /// Which version of TLS it is, and whether an earlier session was taken up.
    pub(crate) end: Handshake,
}

/// How a request's host stands to the check of the client that its connection went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It demands none; that of another host says nothing to it.
    Undemanded,
    /// It was this host's own.
    Checked,
    /// It demands one that did not take place.
    Unchecked,
}

/// Which HTTP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

impl Acceptor {
    pub(crate) fn new(certificates: Arc<Certificates>, snapshots: Arc<ArcSwap<Snapshot>>) -> Self {
        Self { certificates, snapshots }
    }

    /// Makes one handshake and counts how it ended. How long it may take is up to the caller: one that is dropped took
    /// too long.
    pub(crate) async fn accept<IO>(
        &self,
        stream: IO,
        scope: Scope,
        metrics: &CoreMetrics,
    ) -> Result<Handshaken<IO>, TlsError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let mut count = Count { metrics, end: Handshake::TimedOut };
        let made = self.make(stream, scope).await;
        count.end = match &made {
            Ok(handshaken) => handshaken.end,
            Err(error) => error.end(),
        };
        made
    }

    async fn make<IO>(&self, mut stream: IO, scope: Scope) -> Result<Handshaken<IO>, TlsError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let hello = hello(&mut stream).await?;
        let server_name = server_name(&hello.client_hello());
        let Some((config, demand)) = self.choose(&hello.client_hello(), server_name.as_deref(), scope) else {
            say(&mut stream, UNRECOGNIZED_NAME).await;
            return Err(TlsError::NoCertificate { name: server_name });
        };
        let stream = StartHandshake::from_parts(hello, stream).into_stream(config).await?;
        let (_, session) = stream.get_ref();
        let client = session.peer_certificates().and_then(|chain| chain.first());
        let client_subject = client.map(|client| leaf::subject(client)).transpose();
        Ok(Handshaken {
            protocol: if session.alpn_protocol() == Some(H2) { Protocol::Http2 } else { Protocol::Http1 },
            client_subject: client_subject.map_err(|_| TlsError::unreadable_subject())?,
            demand,
            end: end_of(session),
            stream,
        })
    }

    /// How a host stands to the demand that a connection met.
    pub(crate) fn standing(&self, met: Option<&Host>, host: &str) -> Standing {
        match self.certificates.followed.demand(host) {
            None => Standing::Undemanded,
            Some(demand) if met == Some(demand) => Standing::Checked,
            Some(_) => Standing::Unchecked,
        }
    }

    /// Whether a certificate is meant for this host.
    pub(crate) fn serves(&self, snapshot: &Snapshot, host: &str) -> bool {
        self.certificates.serves(snapshot, host)
    }

    /// The configuration for a name, and whose demand for a client certificate it meets.
    fn choose(
        &self,
        hello: &ClientHello<'_>,
        name: Option<&str>,
        scope: Scope,
    ) -> Option<(Arc<ServerConfig>, Option<Host>)> {
        let followed = &self.certificates.followed;
        let (inventory, snapshot) = (followed.in_force.load(), self.snapshots.load());
        // On the outside, an internal name is as good as one that does not exist.
        let hidden = |name: &&str| scope == Scope::External && snapshot.domains().is_internal(name);
        let name = name.filter(|name| !hidden(name));
        let schemes = hello.signature_schemes();
        let meant = name.and_then(|name| {
            inventory.pair(snapshot.certificates(), name, |pair| pair.key.key.choose_scheme(schemes).is_some())
        });
        let default = || followed.config.default.as_ref().and_then(|stem| inventory.stem(stem));
        let pair = meant.or_else(default)?;
        match name.and_then(|name| followed.demand(name)) {
            Some(demand) => {
                let config = inventory.checks.get(demand)?.terms.with(Arc::clone(&pair.key));
                Some((config, Some(demand.clone())))
            }
            None => Some((Arc::clone(&pair.config), None)),
        }
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Acceptor").field(&self.certificates).finish()
    }
}

/// Counts a handshake when it is over.
struct Count<'a> {
    metrics: &'a CoreMetrics,
    end: Handshake,
}

impl Drop for Count<'_> {
    fn drop(&mut self) {
        self.metrics.tls_handshake(self.end);
    }
}

fn end_of(session: &ServerConnection) -> Handshake {
    let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
    match (session.protocol_version(), resumed) {
        (Some(ProtocolVersion::TLSv1_2), false) => Handshake::Full12,
        (Some(ProtocolVersion::TLSv1_2), true) => Handshake::Resumed12,
        (_, false) => Handshake::Full13,
        (_, true) => Handshake::Resumed13,
    }
}

/// Reads until the client's hello is whole.
async fn hello<IO: AsyncRead + AsyncWrite + Unpin>(stream: &mut IO) -> Result<Accepted, TlsError> {
    let mut acceptor = rustls::server::Acceptor::default();
    let mut buffer = vec![0; HELLO_BYTES];
    let mut begun = false;
    loop {
        let read = stream.read(&mut buffer).await?;
        let mut bytes = buffer.get(..read).unwrap_or_default();
        match bytes.first() {
            None => return Err(TlsError::Closed(std::io::ErrorKind::UnexpectedEof.into())),
            Some(&first) if !begun && first != HANDSHAKE_RECORD => {
                if first.is_ascii_uppercase() {
                    say(stream, PLAIN_HTTP).await;
                }
                return Err(TlsError::NotTls);
            }
            Some(_) => begun = true,
        }
        while !bytes.is_empty() {
            acceptor.read_tls(&mut bytes)?;
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => return Ok(accepted),
            Ok(None) => {}
            Err((error, mut alert)) => {
                let mut bytes = Vec::new();
                // Writing to a Vec does not fail.
                let _ = alert.write_all(&mut bytes);
                say(stream, &bytes).await;
                return Err(error.into());
            }
        }
    }
}

/// Says a last word; whether the client hears it does not matter.
async fn say<IO: AsyncWrite + Unpin>(stream: &mut IO, word: &[u8]) {
    if stream.write_all(word).await.is_ok() {
        let _ = stream.shutdown().await;
    }
}

/// The host that the client asks for, as hosts are written here.
fn server_name(hello: &ClientHello<'_>) -> Option<String> {
    let name = RequestHost::parse(hello.server_name()?.as_bytes()).ok()?;
    Some(name.as_str().to_owned())
}

/// The first byte of a TLS connection (RFC 8446 §5.1).
const HANDSHAKE_RECORD: u8 = 22;
/// A fatal alert, `unrecognized_name` (RFC 6066 §3, RFC 8446 §6).
const UNRECOGNIZED_NAME: &[u8] = &[21, 3, 3, 0, 2, 2, 112];
const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 49\r\n\
                            Connection: close\r\n\r\nThis port speaks HTTPS; the request came without.";
/// As much as rustls takes at once; nearly every hello fits.
const HELLO_BYTES: usize = 4096;
