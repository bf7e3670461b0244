//! What is told of the certificates.

use std::path::PathBuf;
use std::time::SystemTime;

use webrouter_routing::host::Host;

use super::Demand;
use super::problem::Problem;

/// The certificates as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The folder.
    pub folder: PathBuf,
    /// Why the folder cannot be read; what was read before stays in force.
    pub problem: Option<Problem>,
    /// Its stems, sorted.
    pub certificates: Vec<CertificateReport>,
    /// The hosts whose clients are checked, sorted.
    pub demands: Vec<DemandReport>,
}

/// One stem of the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateReport {
    /// Its stem.
    pub stem: String,
    /// The file of the certificate.
    pub file: PathBuf,
    /// Whether a pair of it is in force: this one, or the last good one.
    pub in_force: bool,
    /// The names in the certificate in force.
    pub names: Vec<String>,
    /// When the certificate in force ends.
    pub not_after: Option<SystemTime>,
    /// Whether an OCSP response goes with it.
    pub stapled: bool,
    /// Whether it ends within 21 days, or has ended.
    pub ends_soon: bool,
    /// What is wrong with its files as they are.
    pub problems: Vec<Problem>,
}

/// A host whose clients are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemandReport {
    /// The host; the names below it are meant, too.
    pub host: Host,
    /// Who signs the certificates.
    pub ca: PathBuf,
    /// Whether a client may have none.
    pub mode: Demand,
    /// Why the file as it is now is not in force.
    pub problem: Option<Problem>,
}

/// An entry of the `ssl` map that is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapRejection {
    /// The hosts that it is meant for.
    pub pattern: String,
    /// The stem that it names.
    pub stem: String,
    /// What is wrong, with which file.
    pub problem: Problem,
}
