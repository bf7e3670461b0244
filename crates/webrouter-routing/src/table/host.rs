//! Hosts of the table: a persistent hash map, so that a change costs its path to the root and no more.

use std::sync::Arc;

use imbl::GenericHashMap;
use imbl::shared_ptr::DefaultSharedPtr;

use super::path::PathMap;
use crate::host::Host;
use crate::mountpoint::Mountpoint;
use crate::route::Route;

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

    pub(super) fn put(&mut self, route: Arc<Route>) {
        match self.0.get_mut(route.mountpoint.host()) {
            Some(paths) => paths.put(route),
            None => drop(self.0.insert(route.mountpoint.host().clone(), PathMap::of(route))),
        }
    }

    pub(super) fn remove(&mut self, mountpoint: &Mountpoint) {
        let Some(paths) = self.0.get(mountpoint.host()) else { return };
        match paths.without(mountpoint) {
            Some(fewer) => drop(self.0.insert(mountpoint.host().clone(), fewer)),
            None => drop(self.0.remove(mountpoint.host())),
        }
    }
}
