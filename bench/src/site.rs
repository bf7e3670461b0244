//! The site that every proxy serves: so many mountpoints, the first of them asked for, each with an origin address of its own.

use std::net::{Ipv4Addr, SocketAddr};

/// Names and endpoints, the same for every proxy.
#[derive(Clone, Copy)]
pub(crate) struct Site {
    /// Host names in every configuration.
    pub(crate) mountpoints: usize,
    /// Names that are asked for, the first ones.
    pub(crate) active: usize,
    /// The port of the origin, on every address.
    pub(crate) origin_port: u16,
}

impl Site {
    /// The name of a certificate that is right for every app.
    pub(crate) const WILDCARD: &str = "*.bench.test";

    /// The host name of an app.
    pub(crate) fn host(number: usize) -> String {
        format!("app{number:05}.bench.test")
    }

    /// The upstream of an app, in the words of LAIN.
    pub(crate) fn upstream(number: usize) -> String {
        format!("app{number:05}__upstream__web")
    }

    /// The address of an app's only container: each has its own, as in a cluster.
    pub(crate) fn address(number: usize) -> Ipv4Addr {
        let octet = |value: usize| u8::try_from(value).unwrap_or(u8::MAX);
        Ipv4Addr::new(127, 1, octet(number / 250), octet(number % 250 + 1))
    }

    /// The endpoint of an app.
    pub(crate) fn endpoint(&self, number: usize) -> SocketAddr {
        SocketAddr::from((Self::address(number), self.origin_port))
    }

    /// The names that are asked for.
    pub(crate) fn active_hosts(&self) -> Vec<String> {
        (0..self.active).map(Self::host).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::Site;

    #[test]
    fn every_app_has_its_own_address() {
        let addresses: HashSet<_> = (0..10_000).map(Site::address).collect();
        assert_eq!(addresses.len(), 10_000);
    }
}
