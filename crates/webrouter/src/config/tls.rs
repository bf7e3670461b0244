//! `[tls]`: where the certificates are, and whose clients must have one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use toml::{Spanned, Value};
use webrouter_proxy::tls::{ClientCertificates, Demand, Profile, TlsConfig};
use webrouter_routing::host::Host;

use super::Listen;
use super::leaf::{Offence, Reader, shown};
use super::raw::{RawClientCertificates, RawTls};

pub(super) fn resolve(reader: &mut Reader<'_>, raw: RawTls, listen: &Listen) -> TlsConfig {
    if let (Some((name, _)), true, true) =
        (raw.client_certificates.first_key_value(), listen.https.is_empty(), listen.external_https.is_empty())
    {
        let problem = "no client can show its certificate: nobody listens with TLS".to_owned();
        let fix = "add https = [\"0.0.0.0:443\"] to [listen], or remove this section".to_owned();
        reader.add(name.span(), (problem, fix));
    }
    TlsConfig {
        certificates: reader.path(raw.certificates).unwrap_or_else(|| PathBuf::from("/etc/nginx/ssl")),
        default: reader.value(raw.default, None, |value| stem(value).map(Some)),
        profile: reader.word(
            raw.profile,
            Profile::Intermediate,
            &[("intermediate", Profile::Intermediate), ("modern", Profile::Modern)],
        ),
        client_certificates: client_certificates(reader, raw.client_certificates),
    }
}

fn client_certificates(
    reader: &mut Reader<'_>,
    hosts: BTreeMap<Spanned<String>, RawClientCertificates>,
) -> BTreeMap<Host, ClientCertificates> {
    let mut demands = BTreeMap::new();
    for (name, raw) in hosts {
        let mode =
            reader.word(raw.mode, Demand::Required, &[("required", Demand::Required), ("optional", Demand::Optional)]);
        let ca_is_missing = raw.ca.is_none();
        let ca = reader.path(raw.ca);
        if ca_is_missing {
            let problem =
                format!("nobody is named who signs the client certificates of `{}`", name.get_ref().escape_debug());
            reader.add(
                name.span(),
                (problem, "add ca = \"clients.crt\", a PEM file with the CA's certificate".to_owned()),
            );
        }
        match Host::parse(name.get_ref()) {
            Ok(host) => {
                if let Some(ca) = ca
                    && demands.insert(host, ClientCertificates { ca, mode }).is_some()
                {
                    let problem = format!("`{}` stands there twice", name.get_ref().escape_debug());
                    reader.add(name.span(), (problem, "write each host once, in lower case".to_owned()));
                }
            }
            Err(error) => {
                let fix = "write a host, for example [tls.client_certificates.\"demo.example.com\"]; it stands for the \
                           names below it, too";
                reader.add(name.span(), (error.to_string(), fix.to_owned()));
            }
        }
    }
    demands
}

fn stem(value: &Value) -> Result<String, Offence> {
    let text = value.as_str().unwrap_or_default();
    let is_stem = !text.is_empty() && !text.starts_with('.') && !text.contains(|c: char| c == '/' || c.is_control());
    is_stem.then(|| text.to_owned()).ok_or_else(|| {
        let fix = "write the stem of <stem>.crt and <stem>.key: default = \"web\" means web.crt".to_owned();
        (format!("{} is not the name of a certificate", shown(value)), fix)
    })
}
