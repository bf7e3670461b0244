//! A certificate with its key: read, checked, and ready to serve.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use zeroize::Zeroize as _;

use super::file::{self, Signature};
use super::leaf::Leaf;
use super::ocsp;
use super::problem::{Offence, Problem};
use super::settings::Settings;

/// A certificate and its key.
pub(super) struct Pair {
    pub(super) leaf: Leaf,
    pub(super) key: Arc<CertifiedKey>,
    /// For hosts that ask for no client certificate.
    pub(super) config: Arc<ServerConfig>,
    /// When the OCSP response that goes with it has to be left out.
    pub(super) staple_until: Option<SystemTime>,
}

/// Where the files of a stem are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) ocsp: PathBuf,
}

/// The versions of a stem's files.
pub(super) type Versions = [Option<Signature>; 3];

impl Files {
    pub(super) fn of(folder: &Path, stem: &str) -> Self {
        let file = |extension: &str| folder.join(format!("{stem}.{extension}"));
        Self { certificate: file(CERTIFICATE), key: file(KEY), ocsp: file(OCSP) }
    }

    pub(super) fn versions(&self) -> Versions {
        [&self.certificate, &self.key, &self.ocsp].map(|path| Signature::of(path))
    }

    /// Reads and checks them; what is only unwise is told beside.
    pub(super) fn read(&self, settings: &Settings) -> Result<(Pair, Vec<Problem>), Problem> {
        let at = |file: &Path, offence| Problem { file: file.to_owned(), offence };
        let chain = chain(&self.certificate).map_err(|offence| at(&self.certificate, offence))?;
        let leaf = chain
            .first()
            .ok_or(Offence::NoCertificate)
            .and_then(|leaf| Leaf::parse(leaf.as_ref()).map_err(|error| Offence::BadCertificate(error.to_string())));
        let leaf = leaf.map_err(|offence| at(&self.certificate, offence))?;
        let (key, mode) = key(&self.key).map_err(|offence| at(&self.key, offence))?;
        if key.public_key().is_some_and(|public| public.as_ref() != leaf.public_key) {
            return Err(at(&self.key, Offence::Mismatch));
        }
        let mut key = CertifiedKey::new(chain, key);
        let mut problems = Vec::new();
        // nginx takes a key of any mode, and a key that others have seen is no safer for not being served: it is told.
        if mode & 0o007 != 0 {
            problems.push(at(&self.key, Offence::Exposed(mode)));
        }
        let mut staple_until = None;
        match self.read_ocsp(&leaf) {
            Ok((response, until)) => (key.ocsp, staple_until) = (Some(response), until),
            Err(Offence::Missing) => {}
            Err(offence) => problems.push(at(&self.ocsp, offence)),
        }
        let key = Arc::new(key);
        let config = settings.ordinary.with(Arc::clone(&key));
        Ok((Pair { leaf, key, config, staple_until }, problems))
    }

    fn read_ocsp(&self, leaf: &Leaf) -> Result<(Vec<u8>, Option<SystemTime>), Offence> {
        let response = file::read(&self.ocsp)?.bytes.to_vec();
        let until = ocsp::check(&response, &leaf.serial, SystemTime::now())?;
        Ok((response, until))
    }
}

impl Pair {
    /// Whether the other serves the same: a key belongs to one certificate.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.key.cert == other.key.cert && self.key.ocsp == other.key.ocsp
    }

    pub(super) fn is_stapled(&self) -> bool {
        self.key.ocsp.is_some()
    }
}

/// The certificates of a PEM file, in its order.
pub(super) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Offence> {
    let content = file::read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content.bytes).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(Offence::NoCertificate),
        Ok(chain) => Ok(chain),
        Err(_) => Err(Offence::NotPem),
    }
}

/// The private key of a PEM file, and the file's mode.
fn key(path: &Path) -> Result<(Arc<dyn SigningKey>, u32), Offence> {
    let content = file::read(path)?;
    let mut der = PrivateKeyDer::from_pem_slice(&content.bytes).map_err(|error| match error {
        PemError::NoItemsFound if memchr::memmem::find(&content.bytes, b"BEGIN ENCRYPTED").is_some() => {
            Offence::EncryptedKey
        }
        PemError::NoItemsFound => Offence::NoKey,
        _ => Offence::NotPem,
    })?;
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&der);
    der.zeroize();
    let encrypted = memchr::memmem::find(&content.bytes, b"Proc-Type: 4,ENCRYPTED").is_some();
    let key = key.map_err(|error| if encrypted { Offence::EncryptedKey } else { Offence::BadKey(error.to_string()) });
    Ok((key?, content.mode))
}

pub(super) const CERTIFICATE: &str = "crt";
pub(super) const KEY: &str = "key";
pub(super) const OCSP: &str = "ocsp";
