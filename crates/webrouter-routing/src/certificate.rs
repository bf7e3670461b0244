//! Which certificate serves which host: the `ssl` setting.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Host patterns mapped to the stem of `<stem>.crt` and `<stem>.key`; `*` crosses dots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateMap(BTreeMap<String, String>);

impl CertificateMap {
    /// Takes the pairs; patterns become lower-case.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().map(|(pattern, stem)| (pattern.to_ascii_lowercase(), stem)).collect())
    }

    /// The stem for a host: an exact pattern beats the longest one with a `*`.
    pub fn stem(&self, host: &str) -> Option<&str> {
        let exact = self.0.get(host).map(String::as_str);
        exact.or_else(|| {
            let matching = self.0.iter().filter(|(pattern, _)| matches(pattern, host));
            matching.max_by_key(|(pattern, _)| pattern.len()).map(|(_, stem)| stem.as_str())
        })
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
        let pairs = [("*.lain", "web"), ("*.a.lain", "a"), ("x.a.lain", "x"), ("power.com", "power")];
        let map = CertificateMap::new(pairs.map(|(p, s)| (p.to_owned(), s.to_owned())));
        let check = |host: &str, stem: Option<&str>| assert_eq!(map.stem(host), stem, "{host}");
        check("x.a.lain", Some("x"));
        check("y.a.lain", Some("a"));
        check("y.b.lain", Some("web"));
        check("deep.y.b.lain", Some("web"));
        check("power.com", Some("power"));
        check("lain", None);
        check(".lain", None);
    }
}
