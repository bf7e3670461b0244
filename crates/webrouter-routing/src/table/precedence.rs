//! Which route wins: exact host, else the longest suffix; below it the longest path prefix on a segment boundary.
//!
//! The host decides alone: a host without a matching path is an answer, not a reason to try a shorter suffix. Health
//! has no say here.

use std::sync::Arc;

use super::host::HostMap;
use super::path::PathMap;
use crate::mountpoint::Mountpoint;
use crate::route::Route;

/// Whether a host's routes serve the names below it too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Subdomains {
    /// `a.demo.test` is served by `demo.test`.
    #[default]
    Follow,
    /// Only the exact host.
    Ignore,
}

/// Where a request goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome<'a> {
    /// To this route.
    Route(&'a Arc<Route>),
    /// The path is a mountpoint's without its `/`: to be sent to `<path>/`.
    AddSlash(&'a Arc<Route>),
    /// The host is known, no mountpoint of it covers the path.
    NoPath,
    /// No mountpoint covers the host.
    NoHost,
}

/// One rule that was considered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// This host name was looked up.
    Host {
        /// The name, or a suffix of it.
        name: String,
        /// Whether the table has it.
        found: bool,
    },
    /// This mountpoint of the host was considered.
    Path {
        /// The mountpoint.
        mountpoint: Mountpoint,
        /// How it fared.
        verdict: PathVerdict,
    },
}

/// How a mountpoint fared against a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathVerdict {
    /// The longest matching prefix.
    Won,
    /// It matches; a longer one won.
    Shorter,
    /// It is no prefix of the path on a segment boundary.
    NoPrefix,
}

/// What a decision is told about; nothing on the request path.
pub(super) trait Trace {
    fn host(&mut self, name: &str, found: bool);
    fn paths(&mut self, paths: &PathMap, path: &[u8], won: Option<&Arc<Route>>);
}

pub(super) struct NoTrace;

impl Trace for NoTrace {
    fn host(&mut self, _: &str, _: bool) {}
    fn paths(&mut self, _: &PathMap, _: &[u8], _: Option<&Arc<Route>>) {}
}

impl Trace for Vec<Step> {
    fn host(&mut self, name: &str, found: bool) {
        self.push(Step::Host { name: name.to_owned(), found });
    }

    fn paths(&mut self, paths: &PathMap, path: &[u8], won: Option<&Arc<Route>>) {
        for route in paths.iter() {
            let prefix = route.mountpoint.path().as_bytes();
            let verdict = match path.strip_prefix(prefix) {
                _ if won.is_some_and(|won| Arc::ptr_eq(won, route)) => PathVerdict::Won,
                Some([] | [b'/', ..]) => PathVerdict::Shorter,
                _ => PathVerdict::NoPrefix,
            };
            self.push(Step::Path { mountpoint: route.mountpoint.clone(), verdict });
        }
    }
}

pub(super) fn decide<'a>(
    hosts: &'a HostMap,
    subdomains: Subdomains,
    host: &str,
    path: &[u8],
    trace: &mut impl Trace,
) -> Outcome<'a> {
    let Some(paths) = host_rule(hosts, subdomains, host, trace) else { return Outcome::NoHost };
    let outcome = path_rule(paths, path);
    let won = match outcome {
        Outcome::Route(route) | Outcome::AddSlash(route) => Some(route),
        Outcome::NoPath | Outcome::NoHost => None,
    };
    trace.paths(paths, path, won);
    outcome
}

fn host_rule<'a>(
    hosts: &'a HostMap,
    subdomains: Subdomains,
    host: &str,
    trace: &mut impl Trace,
) -> Option<&'a PathMap> {
    let mut name = host;
    loop {
        let found = hosts.get(name);
        trace.host(name, found.is_some());
        if found.is_some() || subdomains == Subdomains::Ignore {
            return found;
        }
        (_, name) = name.split_once('.')?;
    }
}

fn path_rule<'a>(paths: &'a PathMap, path: &[u8]) -> Outcome<'a> {
    if path.len() > 1
        && path.len() <= paths.longest()
        && let Some(route) = paths.get(path)
    {
        return Outcome::AddSlash(route);
    }
    let within = path.get(..=paths.longest()).unwrap_or(path);
    let boundaries = memchr::memrchr_iter(b'/', within);
    let winner = boundaries.filter_map(|slash| path.get(..slash)).find_map(|prefix| paths.get(prefix));
    winner.map_or(Outcome::NoPath, Outcome::Route)
}
