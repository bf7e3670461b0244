//! Which certificates cover a host by the names that are written in them.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use super::pair::Pair;

/// The pairs by the names in them, the longest-lived first.
#[derive(Default)]
pub(super) struct Names {
    exact: HashMap<String, Vec<Arc<Pair>>, foldhash::fast::RandomState>,
    /// By what follows the `*`, with the dot.
    wildcards: HashMap<String, Vec<Arc<Pair>>, foldhash::fast::RandomState>,
}

impl Names {
    pub(super) fn of<'a>(pairs: impl Iterator<Item = &'a Arc<Pair>>) -> Self {
        let mut names = Self::default();
        for pair in pairs {
            for name in &pair.leaf.names {
                let (map, key) = match name.strip_prefix('*') {
                    Some(suffix) => (&mut names.wildcards, suffix),
                    None => (&mut names.exact, name.as_str()),
                };
                map.entry(key.to_owned()).or_default().push(Arc::clone(pair));
            }
        }
        for pairs in names.exact.values_mut().chain(names.wildcards.values_mut()) {
            pairs.sort_by_key(|pair| Reverse(pair.leaf.not_after));
        }
        names
    }

    /// The pairs that cover a host, the best first: the whole name beats a wildcard, which stands for one label.
    pub(super) fn covering(&self, host: &str) -> impl Iterator<Item = &Arc<Pair>> {
        let exact = self.exact.get(host);
        let parent = host.find('.').filter(|at| *at > 0).and_then(|at| host.get(at..));
        let wildcard = parent.and_then(|suffix| self.wildcards.get(suffix));
        exact.into_iter().chain(wildcard).flatten()
    }
}
