//! The routes in force.

use serde::Deserialize;
use webrouter_admin_api::{Route, RouteFlag, Routes};
use webrouter_proxy::tls::Certificates;
use webrouter_routing::route;
use webrouter_routing::snapshot::Snapshot;

/// Which routes are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    host: Option<String>,
    app: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    offset: usize,
}

impl Filter {
    fn lets_through(&self, route: &route::Route) -> bool {
        let host = self.host.as_ref().map(|host| host.trim_end_matches('.'));
        host.is_none_or(|host| host.eq_ignore_ascii_case(route.mountpoint.host().as_str()))
            && self.app.as_ref().is_none_or(|app| app == route.upstream.proc.name.app())
    }
}

/// One page of the routes.
pub(crate) fn routes(snapshot: &Snapshot, tls: Option<&Certificates>, filter: &Filter) -> Routes {
    let limit = filter.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    let mut page =
        Routes { generation: snapshot.generation().0, total: 0, offset: filter.offset, limit, routes: Vec::new() };
    for route in snapshot.routes().filter(|route| filter.lets_through(route)) {
        if page.total >= filter.offset && page.routes.len() < limit {
            page.routes.push(view(snapshot, tls, route));
        }
        page.total += 1;
    }
    page
}

/// One route.
pub(crate) fn view(snapshot: &Snapshot, tls: Option<&Certificates>, route: &route::Route) -> Route {
    let upstream = &route.upstream;
    let quarantine = snapshot.proc(&upstream.proc).and_then(|proc| proc.quarantine.as_ref());
    let served = |tls: &Certificates| tls.serves(snapshot, route.mountpoint.host().as_str());
    let dead_end = route.https_only() && !tls.is_some_and(served);
    let flags = [
        (upstream.endpoints.is_empty(), RouteFlag::NoEndpoint),
        (quarantine.is_some(), RouteFlag::Quarantined),
        (dead_end, RouteFlag::HttpsNotServed),
    ];
    Route {
        mountpoint: route.mountpoint.to_string(),
        upstream: upstream.name.clone(),
        app: upstream.proc.name.app().to_owned(),
        proc: upstream.proc.name.proc().to_owned(),
        entry: upstream.proc.name.to_string(),
        source: upstream.proc.source.to_string(),
        endpoints: upstream.endpoints.iter().map(ToString::to_string).collect(),
        https_only: route.https_only(),
        healthcheck: upstream.annotation.healthcheck.clone(),
        quarantined: quarantine.map(ToString::to_string),
        flags: flags.into_iter().filter_map(|(holds, flag)| holds.then_some(flag)).collect(),
    }
}

const DEFAULT_LIMIT: usize = 1_000;
const MAX_LIMIT: usize = 100_000;
