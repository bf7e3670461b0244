//! The check of client certificates, host by host.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;

use super::file::Signature;
use super::pair;
use super::problem::{Offence, Problem};
use super::settings::{Settings, Terms};
use super::{ClientCertificates, Demand};

/// The check of one host, as its CA file says.
#[derive(Clone)]
pub(super) struct Check {
    authorities: Vec<CertificateDer<'static>>,
    pub(super) terms: Terms,
    version: Option<Signature>,
    /// Why the file as it is now is not in force.
    pub(super) problem: Option<Problem>,
}

impl Check {
    pub(super) fn read(demand: &ClientCertificates, settings: &Settings) -> Result<Self, Problem> {
        let version = Signature::of(&demand.ca);
        let at = |offence| Problem { file: demand.ca.clone(), offence };
        let authorities = pair::chain(&demand.ca).map_err(at)?;
        let terms = terms(&authorities, demand.mode, settings).map_err(at)?;
        Ok(Self { authorities, terms, version, problem: None })
    }

    /// The check as the file is now; `None` when nothing changed. A broken file leaves the last good one in force.
    pub(super) fn reread(&self, demand: &ClientCertificates, settings: &Settings) -> Option<Self> {
        let version = Signature::of(&demand.ca);
        if version == self.version && !version.is_some_and(|version| version.is_fresh()) {
            return None;
        }
        match Self::read(demand, settings) {
            Ok(new) if new.authorities == self.authorities => (self.problem.is_some() || self.version != new.version)
                .then(|| Self { version: new.version, problem: None, ..self.clone() }),
            Ok(new) => Some(new),
            Err(problem) if self.problem.as_ref() == Some(&problem) && self.version == version => None,
            Err(problem) => Some(Self { version, problem: Some(problem), ..self.clone() }),
        }
    }
}

fn terms(authorities: &[CertificateDer<'static>], mode: Demand, settings: &Settings) -> Result<Terms, Offence> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.clone()).map_err(|error| Offence::BadCertificate(error.to_string()))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&settings.provider));
    let verifier = match mode {
        Demand::Required => verifier,
        Demand::Optional => verifier.allow_unauthenticated(),
    };
    let verifier = verifier.build().map_err(|error| Offence::BadCertificate(error.to_string()))?;
    settings.checking(verifier).map_err(|error| Offence::BadCertificate(error.to_string()))
}
