//! What is wrong with a file of the certificate folder, and what to do about it.

use std::fmt;
use std::path::PathBuf;

/// A file that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which one.
    pub file: PathBuf,
    /// What is wrong.
    pub offence: Offence,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Offence {
    /// It is not there.
    #[error("it is missing")]
    Missing,
    /// The system does not let us read it.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// A folder, a pipe, a device.
    #[error("it is not a regular file")]
    NotAFile,
    /// More than a certificate or key needs.
    #[error("it is longer than {0} bytes")]
    TooLong(u64),
    /// The lines of a PEM file (RFC 7468) are not right.
    #[error("it is not PEM")]
    NotPem,
    /// No `BEGIN CERTIFICATE`.
    #[error("it holds no certificate")]
    NoCertificate,
    /// A certificate that is not one by RFC 5280.
    #[error("its certificate is malformed: {0}")]
    BadCertificate(String),
    /// No `BEGIN … PRIVATE KEY`.
    #[error("it holds no private key")]
    NoKey,
    /// A key behind a pass phrase.
    #[error("its private key is encrypted")]
    EncryptedKey,
    /// A key of a type or size that is not served.
    #[error("its private key is malformed, or of a type that is not served: {0}")]
    BadKey(String),
    /// The public halves differ.
    #[error("its private key is not the key of the certificate")]
    Mismatch,
    /// Not an answer of an OCSP responder (RFC 6960 §4.2).
    #[error("it is not an OCSP response: {0}")]
    BadOcsp(String),
    /// An answer about something else.
    #[error("its OCSP response is of another certificate")]
    ForeignOcsp,
    /// The issuer does not vouch for the certificate any more.
    #[error("its OCSP response says that the certificate is revoked, or unknown")]
    RevokedOcsp,
    /// Clients take it for a forgery.
    #[error("its OCSP response is out of date")]
    OldOcsp,
    /// Everybody may read, or worse, the private key; the bits of the mode.
    #[error("it is open to everybody (mode {0:04o})")]
    Exposed(u32),
}

impl Offence {
    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Missing => "put <stem>.crt and <stem>.key there, both",
            Self::Unreadable(_) => "let the user that webrouter runs as read it",
            Self::NotAFile | Self::TooLong(_) => "put a PEM file there",
            Self::NotPem | Self::NoCertificate => {
                "write PEM: the server's certificate first, then those between it and its CA"
            }
            Self::BadCertificate(_) => "have it issued anew, as X.509 version 3",
            Self::NoKey => "write the private key as PEM, PKCS #8 or the older forms",
            Self::EncryptedKey => "write it without a pass phrase: openssl pkey -in <stem>.key -out <stem>.key.new",
            Self::BadKey(_) => "use an RSA key of 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521, or Ed25519",
            Self::Mismatch => "put the two that belong together there, the server's certificate first in its file",
            Self::BadOcsp(_) | Self::ForeignOcsp => {
                "put the DER of a response for this certificate there, or remove it"
            }
            Self::RevokedOcsp => "have the certificate issued anew",
            Self::OldOcsp => "fetch a new response, or remove it: the certificate is served without one",
            Self::Exposed(_) => "take the rights of others away: chmod o= <stem>.key",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.offence)
    }
}
