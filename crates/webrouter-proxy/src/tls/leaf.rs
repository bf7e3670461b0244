//! What a certificate says: for whom, until when, and of whom.

use std::fmt::Write as _;
use std::time::SystemTime;

use webrouter_routing::host::Host;
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _, Error};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// A server's certificate.
#[derive(Debug)]
pub(super) struct Leaf {
    /// The host names that it covers, in lower case; `*.` stands for one label (RFC 9525 §6.3).
    pub(super) names: Vec<String>,
    pub(super) not_after: SystemTime,
    /// Its public key, as a SubjectPublicKeyInfo (RFC 5280 §4.1.2.7).
    pub(super) public_key: Vec<u8>,
    /// Without leading zeros.
    pub(super) serial: Vec<u8>,
}

impl Leaf {
    pub(super) fn parse(der: &[u8]) -> Result<Self, Error> {
        let certificate = Certificate::from_der(der)?;
        let certificate = certificate.tbs_certificate();
        let alternatives = certificate.get_extension::<SubjectAltName>()?.map(|(_, names)| names.0).unwrap_or_default();
        let mut names: Vec<String> = alternatives
            .iter()
            .filter_map(|name| if let GeneralName::DnsName(name) = name { covered(name.as_ref()) } else { None })
            .collect();
        if names.is_empty() {
            // Clients of today do not look there, but such certificates are still in use inside of clusters.
            let common = certificate.subject().common_name().ok().flatten();
            names.extend(common.and_then(|name| covered(&name.value())));
        }
        names.sort();
        names.dedup();
        Ok(Self {
            names,
            not_after: certificate.validity().not_after.to_system_time(),
            public_key: certificate.subject_public_key_info().to_der()?,
            serial: without_zeros(certificate.serial_number().as_bytes()).to_vec(),
        })
    }
}

/// The subject of a client's certificate by RFC 4514, in ASCII: what is not is written as `\XX`, as its §2.4 allows.
pub(super) fn subject(der: &[u8]) -> Result<String, Error> {
    let certificate = Certificate::from_der(der)?;
    let text = certificate.tbs_certificate().subject().to_string();
    let mut subject = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' => subject.push(char::from(byte)),
            // Writing to a String does not fail.
            _ => drop(write!(subject, "\\{byte:02X}")),
        }
    }
    Ok(subject)
}

/// A positive number in its shortest form.
pub(super) fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// A name as hosts are written here, when it is one.
fn covered(name: &str) -> Option<String> {
    match name.strip_prefix("*.") {
        Some(rest) => Host::parse(rest).ok().map(|rest| format!("*.{rest}")),
        None => Host::parse(name).ok().map(String::from),
    }
}

#[cfg(test)]
mod tests {
    use webrouter_testkit::Authority;

    use super::*;

    #[test]
    fn a_certificate_tells_its_names() {
        let pair = Authority::new("ca").pair(&["Demo.test", "*.demo.test", "10.0.0.1"]);
        let leaf = Leaf::parse(pair.certificate()).expect("a certificate");
        assert_eq!(leaf.names, ["*.demo.test", "demo.test"]);
        assert!(Leaf::parse(&pair.certificate()[1..]).is_err());
    }

    #[test]
    fn a_subject_is_printable_ascii() {
        let check = |name: &str, expected: &str| {
            let pair = Authority::new("ca").client(name);
            assert_eq!(subject(pair.certificate()).expect("a subject"), expected, "{name:?}");
        };
        check("alice", "CN=alice");
        check("a, b+c=\"d\"", "CN=a\\, b\\+c=\\\"d\\\"");
        check("#a ", "CN=\\#a\\ ");
        check("a\r\nX: y", "CN=a\\0d\\0aX: y");
        check("zoë", "CN=zo\\C3\\AB");
        check("a\u{85}b", "CN=a\\C2\\85b");
    }
}
