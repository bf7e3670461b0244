//! The environment variables that LAIN sets; they win over the file.

use std::collections::BTreeMap;

/// The variables that mean something to webrouter, as they were at start; an empty one counts as not set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment(BTreeMap<&'static str, String>);

impl Environment {
    /// Takes them from the process.
    pub(crate) fn of_process() -> Self {
        Self::from_lookup(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// Takes them from anywhere.
    pub(crate) fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &'static str| lookup(name).filter(|value| !value.is_empty()).map(|value| (name, value));
        Self(KNOWN.into_iter().filter_map(set).collect())
    }

    /// The value of a known variable that is set.
    pub(super) fn value(&self, name: &'static str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The variables that are set but mean nothing to this version.
    pub(crate) fn unused(&self) -> impl Iterator<Item = &'static str> {
        UNUSED.into_iter().filter(|name| self.0.contains_key(name))
    }
}

pub(super) const LAIN_DOMAIN: &str = "LAIN_DOMAIN";
pub(super) const LAINLET_ADDR: &str = "LAINLET_ADDR";
pub(super) const LAINLET_PORT: &str = "LAINLET_PORT";
pub(super) const NGINX_LOG_PATH: &str = "NGINX_LOG_PATH";
pub(super) const NGINX_SSL_PATH: &str = "NGINX_SSL_PATH";
pub(super) const GRAPHITE_HOST: &str = "GRAPHITE_HOST";
pub(super) const GRAPHITE_PORT: &str = "GRAPHITE_PORT";
pub(super) const DEPLOYD_POD_INSTANCE_NO: &str = "DEPLOYD_POD_INSTANCE_NO";
/// Read by a feature that this version does not have: the Tengine engine.
const UNUSED: [&str; 1] = ["NGINX_PATH"];
const KNOWN: [&str; 9] = [
    LAIN_DOMAIN,
    LAINLET_ADDR,
    LAINLET_PORT,
    NGINX_LOG_PATH,
    NGINX_SSL_PATH,
    DEPLOYD_POD_INSTANCE_NO,
    GRAPHITE_HOST,
    GRAPHITE_PORT,
    "NGINX_PATH",
];
