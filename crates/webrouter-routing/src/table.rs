//! The route table: host, then path; precedence in one place.

pub mod host;
pub mod path;
pub mod precedence;

use std::sync::Arc;

use crate::host::Host;
use crate::mountpoint::Mountpoint;
use crate::route::Route;
use host::HostMap;
use path::PathMap;

pub use precedence::{Outcome, Step, Subdomains};

/// Every route in force, by host and path; a changed copy shares all that did not change.
#[derive(Debug, Clone, Default)]
pub struct RouteTable {
    hosts: HostMap,
    subdomains: Subdomains,
}

impl RouteTable {
    /// An empty table.
    pub fn new(subdomains: Subdomains) -> Self {
        Self { hosts: HostMap::default(), subdomains }
    }

    /// The route of a mountpoint.
    pub fn route(&self, mountpoint: &Mountpoint) -> Option<&Arc<Route>> {
        self.hosts.get(mountpoint.host().as_str())?.get(mountpoint.path().as_bytes())
    }

    /// The hosts that have routes, in no particular order.
    pub fn hosts(&self) -> impl Iterator<Item = (&Host, &PathMap)> {
        self.hosts.iter()
    }

    /// Decides where a request goes. `host` is lower-case without port, `path` is normalised.
    pub fn lookup(&self, host: &str, path: &[u8]) -> Outcome<'_> {
        precedence::decide(&self.hosts, self.subdomains, host, path, &mut precedence::NoTrace)
    }

    /// The same decision with every rule that was considered, in order.
    pub fn explain(&self, host: &str, path: &[u8]) -> (Outcome<'_>, Vec<Step>) {
        let mut steps = Vec::new();
        let outcome = precedence::decide(&self.hosts, self.subdomains, host, path, &mut steps);
        (outcome, steps)
    }

    pub(crate) fn put(&mut self, route: Arc<Route>) {
        self.hosts.put(route);
    }

    pub(crate) fn remove(&mut self, mountpoint: &Mountpoint) {
        self.hosts.remove(mountpoint);
    }
}

#[cfg(test)]
mod tests;
