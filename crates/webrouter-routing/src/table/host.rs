//! Hosts of the table: a persistent hash map, so that a change costs its path to the root and no more.

mod hash;
mod sieve;

use std::sync::Arc;

use imbl::GenericHashMap;
use imbl::shared_ptr::DefaultSharedPtr;

use super::path::PathMap;
use crate::host::Host;
use crate::mountpoint::Mountpoint;
use crate::route::Route;
use hash::{Asked, Hashing};
use sieve::Sieve;

/// Host names and the paths below them.
#[derive(Debug, Clone, Default)]
pub struct HostMap {
    hosts: GenericHashMap<Host, PathMap, Hashing, DefaultSharedPtr>,
    /// Has every host, and some that are gone.
    sieve: Sieve,
}

impl HostMap {
    pub(super) fn get(&self, host: &str) -> Option<&PathMap> {
        let asked = Asked::new(host, self.hosts.hasher());
        if self.sieve.may_have(asked.hash()) { self.hosts.get(&asked) } else { None }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Host, &PathMap)> {
        self.hosts.iter()
    }

    pub(super) fn put(&mut self, route: Arc<Route>) {
        match self.hosts.get_mut(route.mountpoint.host()) {
            Some(paths) => paths.put(route),
            None => {
                let host = route.mountpoint.host().clone();
                let hash = |host: &Host| Asked::new(host.as_str(), self.hosts.hasher()).hash();
                if self.sieve.is_full() {
                    self.sieve = Sieve::of(self.hosts.keys().map(hash));
                }
                self.sieve.put(hash(&host));
                self.hosts.insert(host, PathMap::of(route));
            }
        }
    }

    pub(super) fn remove(&mut self, mountpoint: &Mountpoint) {
        let Some(paths) = self.hosts.get(mountpoint.host()) else { return };
        match paths.without(mountpoint) {
            Some(fewer) => drop(self.hosts.insert(mountpoint.host().clone(), fewer)),
            None => drop(self.hosts.remove(mountpoint.host())),
        }
    }
}
