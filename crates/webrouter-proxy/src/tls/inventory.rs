//! Everything that is in force at one moment: the pairs, their names, the checks. Made anew from the disk, never changed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use webrouter_routing::certificate::CertificateMap;
use webrouter_routing::host::Host;

use super::demand::Check;
use super::expiry;
use super::names::Names;
use super::pair::{CERTIFICATE, Files, KEY, Pair, Versions};
use super::problem::{Offence, Problem};
use super::settings::Settings;
use super::{ClientCertificates, TlsConfig};

/// What is in force.
pub(super) struct Inventory {
    pub(super) stems: BTreeMap<String, Stem>,
    names: Names,
    pub(super) checks: BTreeMap<Host, Check>,
    /// Why the folder cannot be looked at; what was read before stays in force.
    pub(super) folder: Option<Problem>,
}

/// One stem of the folder.
#[derive(Clone)]
pub(super) struct Stem {
    /// The last good pair.
    pub(super) pair: Option<Arc<Pair>>,
    /// What is wrong with the files as they are.
    pub(super) problems: Vec<Problem>,
    versions: Versions,
}

impl Inventory {
    /// Reads everything for the first time.
    pub(super) fn read(config: &TlsConfig, settings: &Settings) -> Result<Self, Problem> {
        let check = |(host, demand): (&Host, &ClientCertificates)| Ok((host.clone(), Check::read(demand, settings)?));
        let checks = config.client_certificates.iter().map(check).collect::<Result<_, Problem>>()?;
        let found = list(config).map_err(|error| unreadable(&config.certificates, &error))?;
        let stems = found.into_iter().map(|stem| {
            let files = Files::of(&config.certificates, &stem);
            let versions = files.versions();
            (stem, Stem::read(&files, versions, None, settings))
        });
        let stems: BTreeMap<_, _> = stems.collect();
        Ok(Self { names: names(&stems), stems, checks, folder: None })
    }

    /// Everything as it is now; `None` when nothing changed.
    pub(super) fn reread(&self, config: &TlsConfig, settings: &Settings) -> Option<Self> {
        let mut changed = false;
        let checks = config.client_certificates.iter().filter_map(|(host, demand)| {
            let known = self.checks.get(host)?;
            let new = known.reread(demand, settings);
            changed |= new.is_some();
            Some((host.clone(), new.unwrap_or_else(|| known.clone())))
        });
        let checks = checks.collect();
        let (stems, folder) = match list(config) {
            Ok(found) => (self.reread_stems(found, config, settings, &mut changed), None),
            Err(error) => (self.stems.clone(), Some(unreadable(&config.certificates, &error))),
        };
        changed |= folder != self.folder;
        changed.then(|| Self { names: names(&stems), stems, checks, folder })
    }

    fn reread_stems(
        &self,
        found: BTreeSet<String>,
        config: &TlsConfig,
        settings: &Settings,
        changed: &mut bool,
    ) -> BTreeMap<String, Stem> {
        *changed |= self.stems.keys().any(|stem| !found.contains(stem));
        let stems = found.into_iter().map(|stem| {
            let known = self.stems.get(&stem);
            let files = Files::of(&config.certificates, &stem);
            let versions = files.versions();
            let fresh = versions.iter().flatten().any(|version| version.is_fresh());
            let new = match known {
                Some(known) if known.versions == versions && !fresh && !known.is_staple_over() => known.clone(),
                _ => Stem::read(&files, versions, known, settings),
            };
            *changed |= known.is_none_or(|known| !known.is_same_as(&new));
            (stem, new)
        });
        stems.collect()
    }

    /// The pair that the map or the names in the certificates give a host. A map entry without a pair is not taken: the
    /// next one decides, and in the end the names.
    pub(super) fn pair(&self, map: &CertificateMap, host: &str, fits: impl Fn(&Pair) -> bool) -> Option<&Arc<Pair>> {
        let mapped = map.stems(host).find_map(|stem| self.stem(stem));
        mapped.or_else(|| {
            let mut covering = self.names.covering(host);
            let best = covering.next()?;
            // Of an RSA and an ECDSA certificate for one name, a client may understand one only.
            if fits(best) { Some(best) } else { covering.find(|pair| fits(pair)).or(Some(best)) }
        })
    }

    /// The stems whose certificates end soon, and when.
    pub(super) fn ending(&self, now: SystemTime) -> impl Iterator<Item = (String, SystemTime)> {
        let pairs = self.stems.iter().filter_map(|(stem, state)| Some((stem, state.pair.as_ref()?.leaf.not_after)));
        pairs.filter(move |(_, end)| expiry::is_soon(*end, now)).map(|(stem, end)| (stem.clone(), end))
    }

    /// The pair of a stem.
    pub(super) fn stem(&self, stem: &str) -> Option<&Arc<Pair>> {
        self.stems.get(stem)?.pair.as_ref()
    }
}

impl Stem {
    fn read(files: &Files, versions: Versions, known: Option<&Self>, settings: &Settings) -> Self {
        let last_good = known.and_then(|known| known.pair.clone());
        let (pair, problems) = match files.read(settings) {
            Ok((new, problems)) => {
                (last_good.filter(|old| old.is_same_as(&new)).or_else(|| Some(Arc::new(new))), problems)
            }
            Err(problem) => (last_good, vec![problem]),
        };
        Self { pair, problems, versions }
    }

    fn is_staple_over(&self) -> bool {
        let until = self.pair.as_ref().and_then(|pair| pair.staple_until);
        until.is_some_and(|until| until <= SystemTime::now())
    }

    fn is_same_as(&self, other: &Self) -> bool {
        let same_pair = match (&self.pair, &other.pair) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        same_pair && self.problems == other.problems && self.versions == other.versions
    }
}

/// The stems of the folder that have a certificate or a key.
fn list(config: &TlsConfig) -> io::Result<BTreeSet<String>> {
    let mut stems = BTreeSet::new();
    for entry in std::fs::read_dir(&config.certificates)? {
        let name = entry?.file_name();
        let Some((stem, extension)) = name.to_str().and_then(|name| name.rsplit_once('.')) else { continue };
        let hidden = stem.is_empty() || stem.starts_with('.') || stem.chars().any(char::is_control);
        if !hidden && [CERTIFICATE, KEY].contains(&extension) {
            stems.insert(stem.to_owned());
        }
    }
    // A CA for client certificates has no key here, and nobody misses it.
    for demand in config.client_certificates.values() {
        let stem = demand.ca.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let files = Files::of(&config.certificates, stem);
        if files.certificate == demand.ca && !files.key.exists() {
            stems.remove(stem);
        }
    }
    Ok(stems)
}

fn names(stems: &BTreeMap<String, Stem>) -> Names {
    Names::of(stems.values().filter_map(|stem| stem.pair.as_ref()))
}

fn unreadable(folder: &Path, error: &io::Error) -> Problem {
    let offence = match error.kind() {
        io::ErrorKind::NotFound => Offence::Missing,
        _ => Offence::Unreadable(error.to_string()),
    };
    Problem { file: folder.to_owned(), offence }
}
