//! Which hosts are internal to the cluster.

use crate::host::Host;

/// The domains whose hosts answer on internal listeners only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Domains(Vec<Host>);

impl Domains {
    /// Takes the cluster's domain, `lain`, and the extra domains.
    pub fn new(domains: impl IntoIterator<Item = Host>) -> Self {
        let mut domains: Vec<Host> = domains.into_iter().collect();
        domains.sort();
        domains.dedup();
        Self(domains)
    }

    /// Whether the host ends with `.` and one of the domains.
    pub fn is_internal(&self, host: &str) -> bool {
        self.0.iter().any(|domain| host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.')))
    }

    /// The domains, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &Host> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internal_means_below_a_domain() {
        let domains = Domains::new(["lain", "lain.local"].map(|d| Host::parse(d).expect("a host")));
        assert!(domains.is_internal("demo.lain"));
        assert!(domains.is_internal("a.demo.lain.local"));
        assert!(!domains.is_internal("lain"));
        assert!(!domains.is_internal("demolain"));
        assert!(!domains.is_internal("demo.example.test"));
    }
}
