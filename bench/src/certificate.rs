//! The certificate of the site, the same for every proxy: made for one run, ECDSA P-256, one wildcard for all names.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::site::Site;

/// The pair on disk, and how its clients shake hands.
pub(crate) struct Certificate {
    folder: PathBuf,
    certificate: String,
    key: String,
    client: Arc<ClientConfig>,
}

impl Certificate {
    /// Makes a pair and writes it as `bench.crt` and `bench.key` into a new folder.
    pub(crate) fn make(folder: PathBuf) -> Result<Self> {
        let made = rcgen::generate_simple_self_signed(vec![Site::WILDCARD.to_owned()])?;
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone())?;
        let pair = Self {
            folder,
            certificate: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
            client: Arc::new(full_handshakes(roots)?),
        };
        fs::create_dir(&pair.folder)?;
        fs::write(pair.file(), &pair.certificate)?;
        write_secret(&pair.key_file(), &pair.key)?;
        Ok(pair)
    }

    /// The folder that holds the pair and nothing else.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The certificate, PEM.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join("bench.crt")
    }

    /// The key, PEM.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.folder.join("bench.key")
    }

    /// Writes certificate and key into one file, as HAProxy wants them.
    pub(crate) fn write_pair(&self, path: &Path) -> Result<()> {
        write_secret(path, &format!("{}{}", self.certificate, self.key))
    }

    /// How clients shake hands: TLS 1.3, never a session again.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.client)
    }

    /// Starts TLS as a client on a connection; the handshake comes with the first byte.
    pub(crate) fn encrypt(&self, stream: TcpStream, name: &str) -> Result<StreamOwned<ClientConnection, TcpStream>> {
        let name = ServerName::try_from(name.to_owned())?;
        Ok(StreamOwned::new(ClientConnection::new(self.client(), name)?, stream))
    }
}

/// One group and one suite, which all proxies have: with a choice each would compute something else.
fn full_handshakes(roots: RootCertStore) -> Result<ClientConfig> {
    let provider = CryptoProvider {
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384],
        ..aws_lc_rs::default_provider()
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn write_secret(path: &Path, text: &str) -> Result<()> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}
