//! TLS as its client: which name, which protocols, which version, which certificate; and what came of the handshake.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, HandshakeKind, ProtocolVersion, RootCertStore,
    SignatureScheme, StreamOwned, SupportedProtocolVersion,
};

use crate::certificates::{Authority, Pair};
use crate::client::Client;
use crate::http2::Http2;
use crate::transport::{Transport, tcp};

/// How to connect; clones keep what a session leaves behind apart, one of them resumes its own.
pub struct TlsClient {
    roots: Vec<CertificateDer<'static>>,
    alpn: Vec<Vec<u8>>,
    versions: Vec<&'static SupportedProtocolVersion>,
    certificate: Option<Pair>,
    trust: Trust,
    sends_name: bool,
    config: OnceLock<Arc<ClientConfig>>,
}

/// Which certificates are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// Those of the authorities, for the name that was asked.
    Authorities,
    /// Any: the test looks at it itself.
    Anybody,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 1.2
    Tls12,
    /// 1.3
    Tls13,
}

/// A connection whose handshake is over.
pub struct TlsStream(StreamOwned<ClientConnection, TcpStream>);

impl TlsClient {
    /// Trusts this authority, offers no protocol by ALPN, speaks 1.2 and 1.3.
    pub fn trusting(authority: &Authority) -> TlsClient {
        TlsClient {
            roots: vec![authority.certificate().clone()],
            alpn: Vec::new(),
            versions: rustls::ALL_VERSIONS.to_vec(),
            certificate: None,
            trust: Trust::Authorities,
            sends_name: true,
            config: OnceLock::new(),
        }
    }

    /// Takes any certificate.
    #[must_use]
    pub fn trusting_anybody(mut self) -> TlsClient {
        self.trust = Trust::Anybody;
        self
    }

    /// Offers these protocols, the dearest first.
    #[must_use]
    pub fn offering(mut self, protocols: &[&str]) -> TlsClient {
        self.alpn = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        self
    }

    /// Speaks this version only.
    #[must_use]
    pub fn speaking(mut self, version: Version) -> TlsClient {
        self.versions = vec![match version {
            Version::Tls12 => &rustls::version::TLS12,
            Version::Tls13 => &rustls::version::TLS13,
        }];
        self
    }

    /// Shows this certificate when asked for one.
    #[must_use]
    pub fn showing(mut self, pair: &Pair) -> TlsClient {
        self.certificate = Some(pair.clone());
        self
    }

    /// Does not say which host it wants.
    #[must_use]
    pub fn without_name(mut self) -> TlsClient {
        self.sends_name = false;
        self
    }

    /// Connects and shakes hands as for `host`; the error is rustls's, an alert of the server's among them.
    pub fn handshake(&self, addr: SocketAddr, host: &str) -> Result<TlsStream, std::io::Error> {
        self.handshake_over(tcp(addr)?, host)
    }

    /// Shakes hands on a connection on which something may have been said already.
    pub fn handshake_over(&self, tcp: TcpStream, host: &str) -> Result<TlsStream, std::io::Error> {
        let name = ServerName::try_from(host.to_owned()).expect("a host name");
        let config = Arc::clone(self.config.get_or_init(|| Arc::new(self.config())));
        let connection = ClientConnection::new(config, name).map_err(std::io::Error::other)?;
        tcp.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut stream = StreamOwned::new(connection, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(TlsStream(stream))
    }

    /// A client on a connection for `host`, or the test fails.
    #[track_caller]
    pub fn connect(&self, addr: SocketAddr, host: &str) -> Client {
        let stream = self.handshake(addr, host);
        let stream = stream.unwrap_or_else(|error| panic_with(host, &error));
        Client::over(Transport::Tls(Box::new(stream)))
    }

    /// An HTTP/2 connection for `host`, or the test fails; `h2` must be among the protocols offered.
    #[track_caller]
    pub fn http2(&self, addr: SocketAddr, host: &str) -> Http2 {
        let client = self.connect(addr, host);
        let alpn = client.transport().tls().and_then(TlsStream::alpn);
        assert_eq!(alpn.as_deref(), Some("h2"), "the protocol agreed on for {host}");
        Http2::begun(client, &[])
    }

    fn config(&self) -> ClientConfig {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        for root in &self.roots {
            roots.add(root.clone()).expect("an authority's certificate");
        }
        let verifier: Arc<dyn ServerCertVerifier> = match self.trust {
            Trust::Authorities => WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .expect("one authority suffices"),
            Trust::Anybody => Arc::new(AnyCertificate(Arc::clone(&provider))),
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions)
            .expect("versions that the provider has")
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &self.certificate {
            None => builder.with_no_client_auth(),
            Some(pair) => builder
                .with_client_auth_cert(vec![pair.certificate().clone()], pair.key())
                .expect("a key for its certificate"),
        };
        config.alpn_protocols.clone_from(&self.alpn);
        config.enable_sni = self.sends_name;
        config.resumption = Resumption::in_memory_sessions(64);
        config
    }
}

impl TlsStream {
    /// The protocol agreed on by ALPN.
    pub fn alpn(&self) -> Option<String> {
        self.0.conn.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned())
    }

    /// The version agreed on.
    pub fn version(&self) -> Option<Version> {
        match self.0.conn.protocol_version()? {
            ProtocolVersion::TLSv1_2 => Some(Version::Tls12),
            ProtocolVersion::TLSv1_3 => Some(Version::Tls13),
            _ => None,
        }
    }

    /// Whether the handshake went on from an earlier session.
    pub fn is_resumed(&self) -> bool {
        self.0.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// The certificate of the server.
    pub fn certificate(&self) -> Option<CertificateDer<'static>> {
        Some(self.0.conn.peer_certificates()?.first()?.clone().into_owned())
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes)?;
        self.0.flush()
    }

    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }

    pub(crate) fn say_goodbye(&mut self) {
        self.0.conn.send_close_notify();
        let _ = self.0.flush();
    }

    pub(crate) fn tcp(&self) -> &TcpStream {
        &self.0.sock
    }
}

#[track_caller]
#[allow(clippy::panic, reason = "a test fails by panicking")]
fn panic_with(host: &str, error: &std::io::Error) -> ! {
    panic!("no TLS for {host}: {error}")
}

/// Takes any certificate, but checks that the server has its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
