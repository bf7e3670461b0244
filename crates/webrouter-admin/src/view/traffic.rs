//! Rates and times of the last seconds.

use serde::Deserialize;
use webrouter_admin_api::{TrafficReport, TrafficSort, UpstreamTraffic};

use crate::traffic::Recent;

/// Which upstreams are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    app: Option<String>,
    #[serde(default)]
    sort: TrafficSort,
    limit: Option<usize>,
}

pub(crate) fn traffic(recent: &Recent, filter: &Filter) -> TrafficReport {
    let of_app = |name: &str| name.rsplit_once("__upstream__").map(|(app, _)| app) == filter.app.as_deref();
    let mut upstreams = recent.upstreams(|name| filter.app.is_none() || of_app(name));
    let active = upstreams.len();
    upstreams.sort_by(|(a_name, a), (b_name, b)| {
        let order = match filter.sort {
            TrafficSort::Rate => b.requests_per_s.total_cmp(&a.requests_per_s),
            TrafficSort::Errors => b.errors_per_s.total_cmp(&a.errors_per_s),
            TrafficSort::P99 => b.p99_s.unwrap_or_default().total_cmp(&a.p99_s.unwrap_or_default()),
            TrafficSort::Name => std::cmp::Ordering::Equal,
        };
        order.then_with(|| a_name.cmp(b_name))
    });
    upstreams.truncate(filter.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT));
    let upstreams = upstreams.into_iter().map(|(name, rates)| UpstreamTraffic { upstream: name.to_string(), rates });
    TrafficReport { total: recent.total(), active, upstreams: upstreams.collect() }
}

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 10_000;
