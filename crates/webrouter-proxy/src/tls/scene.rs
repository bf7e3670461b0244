//! A folder of certificates, a server that makes handshakes with them, and what comes of each.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use webrouter_routing::certificate::CertificateMap;
use webrouter_routing::contribution::{Contribution, Settings};
use webrouter_routing::host::Host;
use webrouter_routing::merge::{Defaults, merge};
use webrouter_routing::name::SourceName;
use webrouter_routing::snapshot::Snapshot;
use webrouter_telemetry::metrics::Metrics;
use webrouter_testkit::{Authority, Client, Pair, TlsClient, Transport, until};

use super::handshake::{Acceptor, Protocol};
use super::{Certificates, OpenError, Profile, TlsConfig};
use crate::config::Scope;

/// A folder and who signs what is in it.
pub(super) struct Scene {
    pub(super) directory: TempDir,
    pub(super) authority: Authority,
    pub(super) config: TlsConfig,
}

/// A server on loopback.
pub(super) struct Server {
    pub(super) all: SocketAddr,
    pub(super) external: SocketAddr,
    pub(super) certificates: Arc<Certificates>,
    pub(super) acceptor: Acceptor,
    pub(super) metrics: Metrics,
    told: Receiver<Told>,
}

/// What the server made of a handshake.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// The end as metrics count it, result and version.
    pub(super) end: (&'static str, &'static str),
    pub(super) subject: Option<String>,
    pub(super) demand: Option<String>,
    pub(super) http2: bool,
}

impl Scene {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let certificates = directory.path().join("ssl");
        std::fs::create_dir(&certificates).expect("a folder");
        let config =
            TlsConfig { certificates, default: None, profile: Profile::Intermediate, client_certificates: [].into() };
        Self { directory, authority: Authority::new("an authority"), config }
    }

    /// With a pair for these names.
    pub(super) fn with(self, stem: &str, names: &[&str]) -> Self {
        self.pair(stem, names);
        self
    }

    pub(super) fn pair(&self, stem: &str, names: &[&str]) -> Pair {
        let pair = self.authority.pair(names);
        pair.write(&self.config.certificates, stem);
        pair
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.config.certificates.join(name)
    }

    pub(super) fn open(&self) -> Result<Arc<Certificates>, OpenError> {
        Certificates::open(self.config.clone())
    }

    pub(super) fn client(&self) -> TlsClient {
        TlsClient::trusting(&self.authority).trusting_anybody()
    }

    /// A server with this `ssl` map, in a cluster with the domain `lain`.
    pub(super) fn serve(&self, map: &[(&str, &str)]) -> Server {
        Server::start(self.open().expect("certificates"), map)
    }

    /// The stem of the certificate that a host gets.
    pub(super) fn served(&self, server: &Server, host: &str) -> Option<String> {
        self.served_at(server.all, server, host)
    }

    pub(super) fn served_at(&self, at: SocketAddr, server: &Server, host: &str) -> Option<String> {
        let stream = self.client().handshake(at, host).ok();
        server.told();
        let certificate = stream?.certificate().expect("a certificate");
        stem_of(&self.config.certificates, &certificate)
    }
}

/// The file in the folder that has this certificate, without its extension.
fn stem_of(folder: &Path, certificate: &[u8]) -> Option<String> {
    let files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let holds = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "crt")
            && super::pair::chain(path).is_ok_and(|chain| chain.iter().any(|other| other.as_ref() == certificate))
    };
    Some(files.into_iter().find(holds)?.file_stem()?.to_str()?.to_owned())
}

/// A snapshot that says nothing but this.
pub(super) fn snapshots(map: &[(&str, &str)]) -> Arc<ArcSwap<Snapshot>> {
    let defaults = Defaults { domains: vec![Host::parse("lain").expect("a host")], ..Defaults::default() };
    let map = CertificateMap::new(map.iter().map(|(pattern, stem)| ((*pattern).to_owned(), (*stem).to_owned())));
    let mut contribution = Contribution::empty(SourceName::new("test"));
    contribution.settings = Arc::new(Settings { extra_domains: None, certificates: Some(map) });
    Arc::new(ArcSwap::from_pointee(merge(&Snapshot::empty(&defaults), &[contribution], &defaults)))
}

impl Server {
    pub(super) fn start(certificates: Arc<Certificates>, map: &[(&str, &str)]) -> Self {
        let acceptor = Acceptor::new(Arc::clone(&certificates), snapshots(map));
        let bind = || {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
            listener.set_nonblocking(true).expect("it does not block");
            let address = listener.local_addr().expect("an address");
            (listener, address)
        };
        let ((all, all_at), (external, external_at)) = (bind(), bind());
        let (tell, told) = mpsc::channel();
        let metrics = Metrics::new();
        let (serving, counted) = (acceptor.clone(), metrics.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let all = TcpListener::from_std(all).expect("a listener");
                let external = TcpListener::from_std(external).expect("a listener");
                loop {
                    let (stream, scope) = tokio::select! {
                        accepted = all.accept() => (accepted.expect("accepted").0, Scope::All),
                        accepted = external.accept() => (accepted.expect("accepted").0, Scope::External),
                    };
                    if tell.send(handshake(&serving, stream, scope, &counted).await).is_err() {
                        return;
                    }
                }
            });
        });
        Self { all: all_at, external: external_at, certificates, acceptor, metrics, told }
    }

    /// What the server made of the next handshake.
    pub(super) fn told(&self) -> Told {
        self.told.recv_timeout(PATIENCE).expect("the server has an opinion in time")
    }

    /// A handshake, and what the server made of it. The client reads to the end, so that it gets its tickets.
    pub(super) fn ask(&self, client: &TlsClient, host: &str) -> Told {
        if let Ok(stream) = client.handshake(self.all, host) {
            Client::over(Transport::Tls(Box::new(stream))).read_to_end(PATIENCE);
        }
        self.told()
    }

    /// A handshake of a client of rustls's own.
    pub(super) fn ask_as(&self, client: &Arc<ClientConfig>, host: &str) -> Told {
        let name = host.to_owned().try_into().expect("a name");
        let session = ClientConnection::new(Arc::clone(client), name).expect("a client");
        let stream = std::net::TcpStream::connect(self.all).expect("connected");
        // Refused clients see an error.
        let _ = StreamOwned::new(session, stream).read_to_end(&mut Vec::new());
        self.told()
    }
}

async fn handshake(acceptor: &Acceptor, stream: TcpStream, scope: Scope, metrics: &Metrics) -> Told {
    match acceptor.accept(stream, scope, &metrics.core(0)).await {
        Ok(mut handshaken) => {
            // The client may be gone.
            let _ = handshaken.stream.write_all(b"served").await;
            let _ = handshaken.stream.shutdown().await;
            Told {
                end: (handshaken.end.result(), handshaken.end.version()),
                subject: handshaken.client_subject,
                demand: handshaken.demand.map(String::from),
                http2: handshaken.protocol == Protocol::Http2,
            }
        }
        Err(error) => refused((error.end().result(), error.end().version())),
    }
}

/// What is told of a handshake that came to nothing.
pub(super) fn refused(end: (&'static str, &'static str)) -> Told {
    Told { end, subject: None, demand: None, http2: false }
}

/// Writes a file in one go, as an editor does: not in one step.
pub(super) fn write(path: &Path, bytes: &[u8]) {
    std::fs::File::create(path).and_then(|mut file| file.write_all(bytes)).expect("written");
}

/// Waits for what must be in force within a second, with some grace for a busy machine.
#[track_caller]
pub(super) fn soon(what: &str, mut condition: impl FnMut() -> bool) {
    assert!(until(SOON, || condition().then_some(())).is_some(), "not in time: {what}");
}

pub(super) const PATIENCE: Duration = Duration::from_secs(10);
const SOON: Duration = Duration::from_millis(2500);
