//! The certificates and how they are doing.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The certificates of an instance that has a TLS listener.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CertificateFolder {
    /// The folder that is followed.
    pub folder: String,
    /// Why it cannot be read now; what was read before stays in force.
    pub problem: Option<FileProblem>,
    /// CA files of client certificates, sorted by host.
    pub client_certificates: Vec<CaFile>,
}

/// A certificate, named by the stem of its files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Certificate {
    /// The stem of `<stem>.crt` and `<stem>.key`.
    pub stem: String,
    /// Whether a pair is in force: the one in the files, or the last good one.
    pub in_force: bool,
    /// The host names in it; `*.` stands for one label.
    pub names: Vec<String>,
    /// When it ends.
    pub not_after: Option<String>,
    /// In how many seconds that is; below 0 when it is over.
    pub left_s: Option<f64>,
    /// Whether somebody must act: it ends within 21 days, or is over.
    pub ends_soon: bool,
    /// Whether an OCSP response goes with it.
    pub stapled: bool,
    /// What is wrong with its files as they are.
    pub problems: Vec<FileProblem>,
}

/// A file with the CAs that sign the certificates of a host's clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CaFile {
    /// The host; the names below it are meant, too.
    pub host: String,
    /// The file.
    pub file: String,
    /// Whether a client must have a certificate.
    pub required: bool,
    /// Why the file as it is now is not in force.
    pub problem: Option<FileProblem>,
}

/// A file that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileProblem {
    /// Which one.
    pub file: String,
    /// What is wrong.
    pub reason: String,
    /// What to do about it.
    pub advice: String,
}
