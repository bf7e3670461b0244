//! Metrics: every name, label and help text, and their rendering for Prometheus.
//!
//! Each core counts in its own [`CoreMetrics`] without a lock or a shared cache line; a scrape sums them. Labels are
//! closed words or configured names, never request text; an upstream is listed once it had a request.

mod core;
mod handshake;
mod node;
mod number;
mod traffic;
mod upstream;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::Cause;
use crate::access_log::LossReason;

pub use self::core::{CoreMetrics, Flood, Limit};
pub use self::handshake::Handshake;
pub use self::node::{FleetHealth, NodeMetrics, SourceHealth, TableInForce};
use self::number::{BUCKETS, DurationTotals};
pub use self::number::{Counter, Durations, Gauge};
pub use self::traffic::Traffic;
pub use self::upstream::UpstreamMetrics;
use self::upstream::{CLASSES, UpstreamTotals};

/// All metrics of one webrouter. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    cores: Mutex<BTreeMap<usize, Arc<CoreMetrics>>>,
    node: NodeMetrics,
}

impl Inner {
    fn cores(&self) -> Vec<Arc<CoreMetrics>> {
        self.cores.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A metric: its name (counters get `_total`), kind and help text.
struct Metric(&'static str, MetricType, &'static str);

macro_rules! metrics {
    ($($constant:ident = $name:literal, $kind:ident, $help:literal;)+) => {
        $(const $constant: Metric = Metric($name, MetricType::$kind, $help);)+

        #[cfg(test)]
        const ALL: &[&Metric] = &[$(&$constant,)+];
    };
}

metrics! {
    BUILD = "webrouter_build_info", Gauge, "Always 1; the label tells the version.";
    START_TIME = "process_start_time_seconds", Gauge, "When the process started, in seconds since 1970.";
    RESIDENT = "process_resident_memory_bytes", Gauge, "Resident memory of the process.";
    GENERATION = "webrouter_generation", Gauge, "Number of the snapshot in force; 0 while none is.";
    ROUTES = "webrouter_routes", Gauge, "Routes in force.";
    PROCS = "webrouter_procs", Gauge, "Procs in force.";
    ENDPOINTS = "webrouter_endpoints", Gauge, "Endpoints of all upstreams in force, and those that left and still serve, by state.";
    FAIL_OPEN = "webrouter_fail_open", Gauge, "1 for each upstream whose endpoints are all sick, so that all are tried.";
    CIRCUIT_OPEN = "webrouter_circuit_open", Gauge, "1 for each upstream whose circuit breaker is open or half-open.";
    EJECTIONS = "webrouter_ejections", Counter, "Endpoints ejected for failing requests.";
    QUEUE_LENGTH = "webrouter_requests_queue_length", Gauge, "Requests that wait for an endpoint with room now.";
    REJECTIONS = "webrouter_rejections", Gauge, "Entries, or parts of them, not taken, by kind.";
    EXPIRY = "webrouter_certificate_expiry_timestamp_seconds", Gauge, "When the certificate in force ends, in seconds since 1970, by the stem of its file.";
    HOLD = "webrouter_hold", Gauge, "1 while the guard holds an update back, else 0.";
    APPLY = "webrouter_snapshot_apply_seconds", Gauge, "How long merge and publication of the snapshot in force took.";
    READY = "webrouter_ready", Gauge, "1 while a full table is in force and the instance is not stopping, else 0.";
    SOURCE_CONNECTED = "webrouter_source_connected", Gauge, "1 while the source is connected, else 0.";
    SOURCE_AGE = "webrouter_source_news_age_seconds", Gauge, "Age of the last word from the source; absent before the first.";
    PROBES = "webrouter_probes", Counter, "Active health checks that ended, by result.";
    GRAPHITE_FAILURES = "webrouter_graphite_failures", Counter, "Deliveries of metrics that Graphite did not take.";
    UNSAVED = "webrouter_health_save_failures", Counter, "Failed attempts to write the endpoints' health to the state directory.";
    LOG_LOST = "webrouter_access_log_lost", Counter, "Access log lines lost, by reason.";
    ACCEPTED = "webrouter_connections_accepted", Counter, "Client connections accepted.";
    OPEN = "webrouter_connections_open", Gauge, "Client connections open.";
    REFUSED = "webrouter_connections_refused", Counter, "Client connections refused or closed at once, by limit.";
    HANDSHAKES = "webrouter_tls_handshakes", Counter, "TLS handshakes of clients that ended, by result and version.";
    FLOODS = "webrouter_http2_floods", Counter, "HTTP/2 connections of clients ended for what they sent too much of, by kind.";
    RECEIVED = "webrouter_client_received_bytes", Counter, "Bytes read from clients, heads included.";
    SENT = "webrouter_client_sent_bytes", Counter, "Bytes written to clients, heads included.";
    REQUESTS_OPEN = "webrouter_requests_open", Gauge, "Requests being served, tunnels included.";
    UNKNOWN_HOST = "webrouter_requests_unknown_host", Counter, "Requests for a host that no mountpoint covers.";
    MADE = "webrouter_responses_made", Counter, "Responses made by webrouter itself, by cause.";
    FAILED = "webrouter_exchanges_failed", Counter, "Exchanges that ended before the response was complete, by cause.";
    PROTOCOL_ERRORS = "webrouter_protocol_errors", Counter, "Messages of clients or endpoints that break HTTP, by cause.";
    CONNECTS = "webrouter_upstream_connects", Counter, "Connections opened to endpoints.";
    CONNECT_FAILURES = "webrouter_upstream_connect_failures", Counter, "Connections to endpoints that could not be opened.";
    REUSES = "webrouter_upstream_reuses", Counter, "Requests sent on a kept upstream connection.";
    STALE = "webrouter_upstream_stale", Counter, "Kept upstream connections found closed when used.";
    RETRIES = "webrouter_retries", Counter, "Requests tried again on another endpoint, within the retry budget.";
    RETRIES_DENIED = "webrouter_retries_denied", Counter, "Requests not tried again because the retry budget was spent.";
    QUEUED = "webrouter_requests_queued", Counter, "Requests that waited because every endpoint was at its limit.";
    UPSTREAM_OPEN = "webrouter_upstream_connections_open", Gauge, "Upstream connections open, idle ones included.";
    UPSTREAM_IDLE = "webrouter_upstream_connections_idle", Gauge, "Upstream connections kept for the next request.";
    REQUESTS = "webrouter_requests", Counter, "Requests with a route, by upstream and class of the status sent.";
    REQUEST_BYTES = "webrouter_request_body_bytes", Counter, "Body bytes received from clients, by upstream.";
    RESPONSE_BYTES = "webrouter_response_body_bytes", Counter, "Body bytes sent to clients, by upstream.";
    DURATION = "webrouter_request_duration_seconds", Histogram, "From the first byte of a request to the last of its response, by upstream.";
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics of a webrouter that starts now.
    pub fn new() -> Self {
        Self { inner: Arc::default() }
    }

    /// The metrics of one core, made on first use; only that core's thread writes them.
    pub fn core(&self, core: usize) -> Arc<CoreMetrics> {
        let mut cores = self.inner.cores.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(cores.entry(core).or_default())
    }

    /// What is not counted by cores.
    pub fn node(&self) -> &NodeMetrics {
        &self.inner.node
    }

    /// What each upstream with traffic has served since it came; an upstream that leaves takes its numbers with it.
    pub fn traffic(&self) -> BTreeMap<Arc<str>, Traffic> {
        let totals = upstream_totals(&self.inner.cores());
        totals.into_iter().map(|(name, totals)| (name, Traffic::from(&totals))).collect()
    }

    /// Requests for a host that no mountpoint covers, since the start.
    pub fn unknown_hosts(&self) -> u64 {
        self.inner.cores().iter().map(|core| core.requests_unknown_host.value()).sum()
    }

    /// All metrics as OpenMetrics text, of [`CONTENT_TYPE`].
    pub fn render(&self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Scrape(Arc::clone(&self.inner))));
        let mut page = String::new();
        // Writing to a String does not fail.
        let _ = text::encode(&mut page, &registry);
        page
    }
}

/// One scrape: sums the cores and writes the page.
#[derive(Debug)]
struct Scrape(Arc<Inner>);

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let cores = self.0.cores();
        let mut page = Page(encoder);
        node_page(&self.0.node, &mut page)?;
        cores_page(&cores, &mut page)?;
        upstreams_page(&cores, &mut page)
    }
}

fn node_page(node: &NodeMetrics, page: &mut Page<'_>) -> fmt::Result {
    page.labelled(&BUILD, [([("version", env!("CARGO_PKG_VERSION"))], 1)])?;
    page.gauge(&START_TIME, node.start_time_seconds())?;
    if let Some(bytes) = node::resident_bytes() {
        page.gauge(&RESIDENT, bytes)?;
    }
    let table = node.table();
    page.gauge(&GENERATION, table.generation)?;
    page.gauge(&ROUTES, table.routes)?;
    page.gauge(&PROCS, table.procs)?;
    fleet_page(&node.fleet(), page)?;
    page.labelled(&REJECTIONS, node.rejections().into_iter().map(|(kind, count)| ([("kind", kind)], count)))?;
    page.labelled(&EXPIRY, node.certificates().into_iter().map(|(stem, end)| ([("certificate", stem)], end)))?;
    page.gauge(&HOLD, u64::from(node.hold()))?;
    page.open(&APPLY)?.encode_gauge(&table.last_apply.as_secs_f64())?;
    page.gauge(&READY, u64::from(table.ready))?;
    let sources = node.sources();
    let connected = |(name, health): &(String, SourceHealth)| (name.clone(), u64::from(health.connected));
    page.labelled(&SOURCE_CONNECTED, sources.iter().map(connected).map(|(name, value)| ([("source", name)], value)))?;
    let mut ages = page.open(&SOURCE_AGE)?;
    for (name, health) in &sources {
        if let Some(age) = health.news_age() {
            ages.encode_family(&[("source", name.as_str())])?.encode_gauge(&age.as_secs_f64())?;
        }
    }
    let probes = [("good", &node.probes_good), ("bad", &node.probes_bad)];
    page.labelled(&PROBES, probes.map(|(result, count)| ([("result", result)], count.value())))?;
    page.counter(&GRAPHITE_FAILURES, node.graphite_failures.value())?;
    page.counter(&UNSAVED, node.health_save_failures.value())?;
    let losses = node.losses();
    let lost = |reason: LossReason| losses.as_ref().map_or(0, |losses| losses.of(reason));
    page.labelled(&LOG_LOST, LossReason::ALL.into_iter().map(|reason| ([("reason", reason.as_str())], lost(reason))))
}

fn fleet_page(fleet: &FleetHealth, page: &mut Page<'_>) -> fmt::Result {
    page.labelled(&ENDPOINTS, fleet.endpoints.iter().map(|(state, count)| ([("state", *state)], *count)))?;
    let each = |names: &[String]| names.iter().map(|name| ([("upstream", name.clone())], 1)).collect::<Vec<_>>();
    page.labelled(&FAIL_OPEN, each(&fleet.fail_open))?;
    page.labelled(&CIRCUIT_OPEN, each(&fleet.circuit_open))?;
    page.counter(&EJECTIONS, fleet.ejections)?;
    page.gauge(&QUEUE_LENGTH, fleet.queued)
}

fn cores_page(cores: &[Arc<CoreMetrics>], page: &mut Page<'_>) -> fmt::Result {
    let count = |of: fn(&CoreMetrics) -> &Counter| cores.iter().map(|core| of(core).value()).sum::<u64>();
    let level = |of: fn(&CoreMetrics) -> &Gauge| cores.iter().map(|core| of(core).value()).sum::<i64>();
    let causes = |of: fn(&CoreMetrics, Cause) -> u64| {
        let total = move |cause: &Cause| cores.iter().map(|core| of(core, *cause)).sum::<u64>();
        Cause::ALL.iter().map(move |cause| ([("cause", cause.as_str())], total(cause))).filter(|(_, count)| *count > 0)
    };
    let refused = |limit: Limit| cores.iter().map(|core| core.refused_by(limit)).sum::<u64>();
    page.counter(&ACCEPTED, count(|core| &core.connections_accepted))?;
    page.level(&OPEN, level(|core| &core.connections_open))?;
    page.labelled(&REFUSED, Limit::ALL.into_iter().map(|limit| ([("limit", limit.as_str())], refused(limit))))?;
    let ended = |end: Handshake| cores.iter().map(|core| core.handshakes_ended(end)).sum::<u64>();
    let labels = |end: Handshake| [("result", end.result()), ("version", end.version())];
    page.labelled(&HANDSHAKES, Handshake::ALL.into_iter().map(|end| (labels(end), ended(end))))?;
    let floods = |flood: Flood| cores.iter().map(|core| core.floods_of(flood)).sum::<u64>();
    page.labelled(&FLOODS, Flood::ALL.into_iter().map(|flood| ([("kind", flood.as_str())], floods(flood))))?;
    page.counter(&RECEIVED, count(|core| &core.client_received_bytes))?;
    page.counter(&SENT, count(|core| &core.client_sent_bytes))?;
    page.level(&REQUESTS_OPEN, level(|core| &core.requests_open))?;
    page.counter(&UNKNOWN_HOST, count(|core| &core.requests_unknown_host))?;
    page.labelled(&MADE, causes(CoreMetrics::made_by))?;
    page.labelled(&FAILED, causes(CoreMetrics::failed_by))?;
    page.labelled(&PROTOCOL_ERRORS, causes(CoreMetrics::protocol_errors_by))?;
    page.counter(&CONNECTS, count(|core| &core.upstream_connects))?;
    page.counter(&CONNECT_FAILURES, count(|core| &core.upstream_connect_failures))?;
    page.counter(&REUSES, count(|core| &core.upstream_reuses))?;
    page.counter(&STALE, count(|core| &core.upstream_stale))?;
    page.counter(&RETRIES, count(|core| &core.upstream_retries))?;
    page.counter(&RETRIES_DENIED, count(|core| &core.upstream_retries_denied))?;
    page.counter(&QUEUED, count(|core| &core.upstream_queued))?;
    page.level(&UPSTREAM_OPEN, level(|core| &core.upstream_open))?;
    page.level(&UPSTREAM_IDLE, level(|core| &core.upstream_idle))
}

fn upstreams_page(cores: &[Arc<CoreMetrics>], page: &mut Page<'_>) -> fmt::Result {
    let totals = upstream_totals(cores);
    let by_class = totals.iter().flat_map(|(name, totals)| {
        let present = CLASSES.into_iter().zip(totals.by_class).filter(|(_, count)| *count > 0);
        present.map(move |(class, count)| ([("upstream", name.as_ref()), ("code", class)], count))
    });
    page.labelled(&REQUESTS, by_class)?;
    page.labelled(&REQUEST_BYTES, totals.iter().map(|(name, t)| ([("upstream", name.as_ref())], t.bytes_received)))?;
    page.labelled(&RESPONSE_BYTES, totals.iter().map(|(name, t)| ([("upstream", name.as_ref())], t.bytes_sent)))?;
    page.durations(&DURATION, totals.iter().map(|(name, totals)| (name.as_ref(), totals.durations)))
}

/// The upstreams that had a request, each summed over the cores.
fn upstream_totals(cores: &[Arc<CoreMetrics>]) -> BTreeMap<Arc<str>, UpstreamTotals> {
    let mut totals: BTreeMap<Arc<str>, UpstreamTotals> = BTreeMap::new();
    for (name, metrics) in cores.iter().flat_map(|core| core.upstreams()) {
        totals.entry(name).or_default().add(&metrics);
    }
    totals.retain(|_, totals| totals.requests() > 0);
    totals
}

/// The page being written.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn open(&mut self, metric: &'static Metric) -> Result<MetricEncoder<'_>, fmt::Error> {
        let Metric(name, kind, help) = metric;
        self.0.encode_descriptor(name, help, None, *kind)
    }

    fn counter(&mut self, metric: &'static Metric, value: u64) -> fmt::Result {
        self.open(metric)?.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    fn gauge(&mut self, metric: &'static Metric, value: u64) -> fmt::Result {
        self.open(metric)?.encode_gauge(&value)
    }

    /// A gauge that cores raise and lower; between two reads of a scrape a sum may be below 0 for a moment.
    fn level(&mut self, metric: &'static Metric, value: i64) -> fmt::Result {
        self.open(metric)?.encode_gauge(&value.max(0))
    }

    fn labelled<V: AsRef<str>, const N: usize>(
        &mut self,
        metric: &'static Metric,
        rows: impl IntoIterator<Item = ([(&'static str, V); N], u64)>,
    ) -> fmt::Result {
        let mut encoder = self.open(metric)?;
        for (labels, value) in rows {
            let labels = labels.each_ref().map(|(name, value)| (*name, value.as_ref()));
            let mut row = encoder.encode_family(&labels)?;
            match metric.1 {
                MetricType::Counter => row.encode_counter::<NoLabelSet, _, u64>(&value, None)?,
                _ => row.encode_gauge(&value)?,
            }
        }
        Ok(())
    }

    fn durations<'n>(
        &mut self,
        metric: &'static Metric,
        rows: impl IntoIterator<Item = (&'n str, DurationTotals)>,
    ) -> fmt::Result {
        let mut encoder = self.open(metric)?;
        for (upstream, totals) in rows {
            let bounds = BUCKETS.iter().map(|bound| bound.as_secs_f64()).chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds.zip(totals.counts).collect();
            let (sum, count) = (totals.sum.as_secs_f64(), totals.count());
            encoder
                .encode_family(&[("upstream", upstream)])?
                .encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
