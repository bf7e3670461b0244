//! Certificates made for one test: an authority, pairs for hosts and for clients, and pairs that are wrong in a known way.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};

/// A certificate authority that nobody knows but the test.
pub struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
#[derive(Debug, Clone)]
pub struct Pair {
    certificate: CertificateDer<'static>,
    chain_pem: String,
    key_pem: String,
    key_der: Vec<u8>,
    public_key: Vec<u8>,
}

impl Authority {
    /// An authority of this name.
    pub fn new(name: &str) -> Authority {
        let mut params = named(&[], name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.self_signed(&key).expect("an authority signs itself");
        Authority { certificate, issuer: Issuer::new(params, key) }
    }

    /// A pair for these host names; `*.` may begin one.
    pub fn pair(&self, hosts: &[&str]) -> Pair {
        self.signed(&server(hosts))
    }

    /// A pair for these host names that ran out years ago.
    pub fn expired_pair(&self, hosts: &[&str]) -> Pair {
        let mut params = server(hosts);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        self.signed(&params)
    }

    /// A pair for these host names that runs out in `left` from now.
    pub fn ending_pair(&self, hosts: &[&str], left: Duration) -> Pair {
        let mut params = server(hosts);
        let now = UNIX_EPOCH.elapsed().expect("a clock after 1970");
        params.not_after = date_time_ymd(1970, 1, 1) + now + left;
        self.signed(&params)
    }

    /// A client's pair whose subject is `CN=name`.
    pub fn client(&self, name: &str) -> Pair {
        let mut params = named(&[], name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.signed(&params)
    }

    /// A client's pair that runs out in `left` from now.
    pub fn ending_client(&self, name: &str, left: Duration) -> Pair {
        let mut params = named(&[], name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_after = date_time_ymd(1970, 1, 1) + UNIX_EPOCH.elapsed().expect("a clock after 1970") + left;
        self.signed(&params)
    }

    /// A client's pair that ran out years ago.
    pub fn expired_client(&self, name: &str) -> Pair {
        let mut params = named(&[], name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        self.signed(&params)
    }

    /// Its own certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        self.certificate.der()
    }

    /// Its own certificate as a file holds it.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// Writes its certificate as `<stem>.pem` into `folder`.
    pub fn write(&self, folder: &Path, stem: &str) -> PathBuf {
        let path = folder.join(format!("{stem}.pem"));
        fs::write(&path, self.pem()).expect("a certificate can be written");
        path
    }

    fn signed(&self, params: &CertificateParams) -> Pair {
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.signed_by(&key, &self.issuer).expect("an authority signs");
        Pair {
            certificate: certificate.der().clone(),
            chain_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            key_der: key.serialize_der(),
            public_key: key.subject_public_key_info(),
        }
    }
}

impl Pair {
    /// This certificate with the key of another: a pair that no server can use.
    #[must_use]
    pub fn with_key_of(mut self, other: &Pair) -> Pair {
        self.key_pem.clone_from(&other.key_pem);
        self.key_der.clone_from(&other.key_der);
        self
    }

    /// Writes `<stem>.crt` and `<stem>.key` into `folder`, each in one step, the key for its owner alone.
    pub fn write(&self, folder: &Path, stem: &str) {
        replace(&folder.join(format!("{stem}.key")), &self.key_pem);
        replace(&folder.join(format!("{stem}.crt")), &self.chain_pem);
    }

    /// The certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The certificate as a file holds it.
    pub fn certificate_pem(&self) -> &str {
        &self.chain_pem
    }

    /// The key as a file holds it.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// The hash by which a browser can be told to trust it: SHA-256 of the public key's DER, in Base64.
    pub fn public_key_sha256(&self) -> String {
        base64::engine::general_purpose::STANDARD.encode(Sha256::digest(&self.public_key))
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key_der.clone()).into()
    }
}

fn replace(path: &Path, text: &str) {
    let new = PathBuf::from(format!("{}.new", path.display()));
    fs::write(&new, text).expect("a certificate can be written");
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).expect("a mode can be set");
    fs::rename(&new, path).expect("a certificate can be replaced");
}

fn server(hosts: &[&str]) -> CertificateParams {
    let mut params = named(hosts, hosts.first().copied().unwrap_or_default());
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

fn named(hosts: &[&str], name: &str) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(hosts).expect("host names");
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.use_authority_key_identifier_extension = true;
    params
}
