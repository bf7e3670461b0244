//! Which certificate serves which host: the `ssl` setting.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Host patterns mapped to the stem of `<stem>.crt` and `<stem>.key`; `*` crosses dots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct CertificateMap {
    pairs: BTreeMap<String, String>,
    /// Stems of the patterns `*.rest`, by `.rest`: found without a look at the others.
    suffixes: BTreeMap<String, String>,
    /// The other patterns with a `*`.
    others: Vec<(String, String)>,
}

impl CertificateMap {
    /// Takes the pairs; patterns become lower-case.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let pairs: BTreeMap<_, _> =
            pairs.into_iter().map(|(pattern, stem)| (pattern.to_ascii_lowercase(), stem)).collect();
        let mut map = Self { pairs, ..Self::default() };
        for (pattern, stem) in &map.pairs {
            match pattern.split_once('*') {
                Some(("", tail)) if tail.starts_with('.') => {
                    map.suffixes.insert(tail.to_owned(), stem.clone());
                }
                Some(_) => map.others.push((pattern.clone(), stem.clone())),
                None => {}
            }
        }
        map
    }

    /// The stems for a host, the one that is meant first: an exact pattern beats the longest one with a `*`.
    pub fn stems(&self, host: &str) -> impl Iterator<Item = &str> {
        let exact = self.pairs.get(host).map(String::as_str);
        let below = host.match_indices('.').filter(|(at, _)| *at > 0).filter_map(|(at, _)| host.get(at..));
        let below = below.filter_map(|suffix| Some((suffix.len() + "*".len(), self.suffixes.get(suffix)?)));
        let others = self.others.iter().filter(|(pattern, _)| matches(pattern, host));
        let mut wild: Vec<_> = below.chain(others.map(|(pattern, stem)| (pattern.len(), stem))).collect();
        wild.sort_by_key(|(len, _)| Reverse(*len));
        exact.into_iter().chain(wild.into_iter().map(|(_, stem)| stem.as_str()))
    }

    /// The patterns and their stems, sorted by pattern.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(pattern, stem)| (pattern.as_str(), stem.as_str()))
    }
}

impl From<BTreeMap<String, String>> for CertificateMap {
    fn from(pairs: BTreeMap<String, String>) -> Self {
        Self::new(pairs)
    }
}

impl From<CertificateMap> for BTreeMap<String, String> {
    fn from(map: CertificateMap) -> Self {
        map.pairs
    }
}

fn matches(pattern: &str, host: &str) -> bool {
    match pattern.split_once('*') {
        Some((head, tail)) => {
            host.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail)).is_some_and(|middle| !middle.is_empty())
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_beats_longest_pattern_and_a_star_crosses_dots() {
        let pairs = [
            ("*.lain", "web"),
            ("*.a.lain", "a"),
            ("x.a.lain", "x"),
            ("Power.com", "power"),
            ("w*.a.lain", "w"),
            ("*.com", "com"),
            ("pre*", "pre"),
        ];
        let map = CertificateMap::new(pairs.map(|(p, s)| (p.to_owned(), s.to_owned())));
        let check = |host: &str, stems: &[&str]| assert_eq!(map.stems(host).collect::<Vec<_>>(), stems, "{host}");
        check("x.a.lain", &["x", "a", "web"]);
        check("y.a.lain", &["a", "web"]);
        check("ww.a.lain", &["w", "a", "web"]);
        check("y.b.lain", &["web"]);
        check("deep.y.b.lain", &["web"]);
        check("power.com", &["power", "com"]);
        check("prefix", &["pre"]);
        check("pre", &[]);
        check("lain", &[]);
        check(".lain", &[]);
    }

    #[test]
    fn it_is_stored_as_it_was_written() {
        let text = r#"{"*.lain":"web","power.com":"power"}"#;
        let map: CertificateMap = serde_json::from_str(text).expect("a map");
        assert_eq!(serde_json::to_string(&map).expect("text"), text);
        assert_eq!(map.stems("a.lain").next(), Some("web"));
    }
}
