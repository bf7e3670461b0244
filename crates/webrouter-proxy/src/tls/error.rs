//! Why a handshake failed.

use std::io;

use rustls::CertificateError;
use webrouter_telemetry::metrics::Handshake;

/// A handshake that came to nothing; the client's doing, as a rule.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// No certificate serves the name that the client asked for.
    #[error("no certificate serves {}", name.as_deref().unwrap_or("a client that names no host"))]
    NoCertificate {
        /// The name; a host name, so that it can be logged.
        name: Option<String>,
    },
    /// What came is no TLS.
    #[error("the client does not speak TLS")]
    NotTls,
    /// The client has no certificate, or one that does not count here.
    #[error("the client's certificate: {0}")]
    ClientCertificate(rustls::Error),
    /// The client breaks TLS, or has nothing in common with us.
    #[error("{0}")]
    Protocol(rustls::Error),
    /// The client ended it, perhaps because it does not trust our certificate.
    #[error("the client ended it: {0}")]
    Alert(rustls::Error),
    /// The connection broke.
    #[error("the connection closed: {0}")]
    Closed(io::Error),
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        use rustls::Error;
        match error {
            Error::NoCertificatesPresented | Error::InvalidCertificate(_) => Self::ClientCertificate(error),
            Error::AlertReceived(_) => Self::Alert(error),
            _ => Self::Protocol(error),
        }
    }
}

impl From<io::Error> for TlsError {
    fn from(error: io::Error) -> Self {
        match error.downcast::<rustls::Error>() {
            Ok(error) => error.into(),
            Err(error) => Self::Closed(error),
        }
    }
}

impl TlsError {
    /// As metrics count it.
    pub(super) fn end(&self) -> Handshake {
        match self {
            Self::NoCertificate { .. } => Handshake::NoCertificate,
            Self::NotTls => Handshake::NotTls,
            Self::ClientCertificate(_) => Handshake::ClientCertificate,
            Self::Protocol(_) => Handshake::Protocol,
            Self::Alert(_) => Handshake::Alert,
            Self::Closed(_) => Handshake::Closed,
        }
    }

    /// A client certificate whose subject cannot be read.
    pub(super) fn unreadable_subject() -> Self {
        Self::ClientCertificate(CertificateError::BadEncoding.into())
    }
}
