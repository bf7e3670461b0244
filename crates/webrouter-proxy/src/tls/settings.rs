//! What every handshake has in common: versions, suites, protocols, and the keys of session tickets.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, Ticketer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, NoServerSessionStorage, ResolvesServerCertUsingSni};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{Error, ServerConfig, SupportedProtocolVersion};

use super::Profile;

/// Makes the configurations of handshakes.
pub(super) struct Settings {
    pub(super) provider: Arc<CryptoProvider>,
    versions: &'static [&'static SupportedProtocolVersion],
    /// For hosts that ask for no client certificate.
    pub(super) ordinary: Terms,
}

/// A configuration that lacks its certificate.
#[derive(Clone)]
pub(super) struct Terms(ServerConfig);

impl Settings {
    pub(super) fn new(profile: Profile) -> Result<Self, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let versions = match profile {
            Profile::Intermediate => INTERMEDIATE,
            Profile::Modern => MODERN,
        };
        let mut ordinary = config(&provider, versions, Arc::new(NoClientAuth))?;
        // The client keeps the session, sealed with keys that change and that all cores have: any of them can go on with it.
        ordinary.ticketer = Ticketer::new()?;
        let ordinary = Terms(ordinary);
        Ok(Self { provider, versions, ordinary })
    }

    /// Terms with a check of their own, and without tickets: a session that is taken up again is not checked again, so a
    /// certificate that has ended would be good for as long as its owner comes again in time. Checking it here on resumption
    /// would refuse a client that has a new certificate and a session of the old one; so each handshake is a whole one. Nor does
    /// a ticket of another host prove anything here.
    pub(super) fn checking(&self, verifier: Arc<dyn ClientCertVerifier>) -> Result<Terms, Error> {
        let mut config = config(&self.provider, self.versions, verifier)?;
        config.send_tls13_tickets = 0;
        Ok(Terms(config))
    }
}

impl Terms {
    /// The same with a certificate.
    pub(super) fn with(&self, key: Arc<CertifiedKey>) -> Arc<ServerConfig> {
        let mut config = self.0.clone();
        config.cert_resolver = Arc::new(SingleCertAndKey::from(key));
        Arc::new(config)
    }
}

fn config(
    provider: &Arc<CryptoProvider>,
    versions: &[&'static SupportedProtocolVersion],
    verifier: Arc<dyn ClientCertVerifier>,
) -> Result<ServerConfig, Error> {
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider)).with_protocol_versions(versions)?;
    // No certificate: `Terms::with` puts it in.
    let mut config =
        builder.with_client_cert_verifier(verifier).with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
    config.alpn_protocols = ALPN.iter().map(|protocol| protocol.to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    // All suites are good ones; a client without hardware for AES knows better which of them costs it less.
    config.ignore_client_order = false;
    config.max_early_data_size = 0;
    Ok(config)
}

const INTERMEDIATE: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
const MODERN: &[&SupportedProtocolVersion] = &[&TLS13];
/// HTTP/1.0 for clients that ask for nothing else.
const ALPN: [&[u8]; 3] = [H2, b"http/1.1", b"http/1.0"];
pub(super) const H2: &[u8] = b"h2";
