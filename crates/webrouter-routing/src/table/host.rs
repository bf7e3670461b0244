//! Hosts of the table: a persistent hash map, so that a change costs its path to the root and no more.

use imbl::GenericHashMap;
use imbl::shared_ptr::DefaultSharedPtr;

use super::path::PathMap;
use crate::host::Host;

/// Host names and the paths below them.
#[derive(Debug, Clone, Default)]
pub struct HostMap(GenericHashMap<Host, PathMap, foldhash::fast::RandomState, DefaultSharedPtr>);

impl HostMap {
    pub(super) fn get(&self, host: &str) -> Option<&PathMap> {
        self.0.get(host)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Host, &PathMap)> {
        self.0.iter()
    }

    pub(super) fn put(&mut self, host: Host, paths: PathMap) {
        self.0.insert(host, paths);
    }

    pub(super) fn remove(&mut self, host: &Host) {
        self.0.remove(host);
    }
}
