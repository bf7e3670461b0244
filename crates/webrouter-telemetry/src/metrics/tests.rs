use std::time::{Duration, SystemTime};

use super::*;

fn row<'p>(page: &'p str, begin: &str) -> Option<&'p str> {
    page.lines().find_map(|line| line.strip_prefix(begin)).map(str::trim)
}

#[test]
fn names_kinds_and_help_are_stable() {
    let metrics = Metrics::new();
    let page = metrics.render();
    let lines: String = page
        .lines()
        .filter(|line| line.starts_with("# HELP") || line.starts_with("# TYPE"))
        .fold(String::new(), |text, line| text + line + "\n");
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations/metrics.md");
    let mut document = String::from(
        "# Metrics\n\n`/metrics` of the admin listener, OpenMetrics text for Prometheus. Labels are closed words or configured names; an upstream \
         is\nlisted once it had a request. Made from `metrics.rs` by `make golden`.\n\n| name | kind | meaning |\n|---|---|---|\n",
    );
    for Metric(name, kind, help) in ALL {
        let suffix = if matches!(kind, MetricType::Counter) { "_total" } else { "" };
        document.push_str(&format!("| `{name}{suffix}` | {} | {help} |\n", kind.as_str()));
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(golden, &document).expect("the golden file is written");
    }
    let expected = std::fs::read_to_string(golden).unwrap_or_default();
    assert_eq!(document, expected, "run `make golden` when the change is meant");
    assert_eq!(lines.lines().count(), 2 * ALL.len());
    assert!(page.ends_with("# EOF\n"));
}

#[test]
fn cores_are_summed() {
    let metrics = Metrics::new();
    for core in 0..3 {
        let core = metrics.core(core);
        core.connections_accepted.add(2);
        core.connections_open.increment();
        core.made_response(Cause::ConnectRefused);
        core.failed_exchange(Cause::ClientClosed);
        core.protocol_error(Cause::BadChunk);
        core.refused(Limit::Connections);
        core.tls_handshake(Handshake::Resumed13);
        core.tls_handshake(Handshake::NotTls);
        core.http2_flood(Flood::Resets);
        let upstream = core.upstream(7, "demo__upstream__web");
        upstream.record(200, Duration::from_millis(2), 10, 100);
        upstream.record(503, Duration::from_secs(100), 0, 1);
        upstream.record(0, Duration::ZERO, 0, 0);
    }
    metrics.core(0).connections_open.decrement();
    let page = metrics.render();
    let check = |name: &str, expected: &str| assert_eq!(row(&page, name), Some(expected), "{name} in\n{page}");
    check("webrouter_connections_accepted_total", "6");
    check("webrouter_connections_open", "2");
    check("webrouter_connections_refused_total{limit=\"connections\"}", "3");
    check("webrouter_http2_floods_total{kind=\"resets\"}", "3");
    check("webrouter_tls_handshakes_total{result=\"resumed\",version=\"1.3\"}", "3");
    check("webrouter_tls_handshakes_total{result=\"not_tls\",version=\"none\"}", "3");
    check("webrouter_responses_made_total{cause=\"connect_refused\"}", "3");
    check("webrouter_exchanges_failed_total{cause=\"client_closed\"}", "3");
    check("webrouter_protocol_errors_total{cause=\"bad_chunk\"}", "3");
    check("webrouter_requests_total{upstream=\"demo__upstream__web\",code=\"2xx\"}", "3");
    check("webrouter_requests_total{upstream=\"demo__upstream__web\",code=\"5xx\"}", "3");
    check("webrouter_requests_total{upstream=\"demo__upstream__web\",code=\"none\"}", "3");
    check("webrouter_request_body_bytes_total{upstream=\"demo__upstream__web\"}", "30");
    check("webrouter_response_body_bytes_total{upstream=\"demo__upstream__web\"}", "303");
    check("webrouter_request_duration_seconds_count{upstream=\"demo__upstream__web\"}", "9");
    check("webrouter_request_duration_seconds_sum{upstream=\"demo__upstream__web\"}", "300.006");
    check("webrouter_request_duration_seconds_bucket{le=\"0.0025\",upstream=\"demo__upstream__web\"}", "6");
    check("webrouter_request_duration_seconds_bucket{le=\"+Inf\",upstream=\"demo__upstream__web\"}", "9");
}

#[test]
fn the_node_tells_its_state() {
    let metrics = Metrics::new();
    let node = metrics.node();
    let last_apply = Duration::from_millis(3);
    node.set_table(TableInForce { generation: 4, routes: 3, procs: 2, last_apply, ready: true });
    node.set_fleet(FleetHealth {
        endpoints: vec![("up", 4), ("down", 1)],
        fail_open: vec!["sick__upstream__web".to_owned()],
        circuit_open: vec!["broken__upstream__web".to_owned()],
        ejections: 7,
        queued: 2,
    });
    node.set_rejections([("owned", 2), ("bad_name", 1)]);
    node.set_rejections([("owned", 1)]);
    node.set_hold(true);
    node.set_certificates(vec![("web".to_owned(), 1_800_000_000)]);
    node.set_source("file", SourceHealth { connected: false, last_news: None });
    let last_news = SystemTime::now().checked_sub(Duration::from_secs(60));
    node.set_source("lainlet", SourceHealth { connected: true, last_news });
    let page = metrics.render();
    let check = |name: &str, expected: &str| assert_eq!(row(&page, name), Some(expected), "{name} in\n{page}");
    check("webrouter_generation", "4");
    check("webrouter_certificate_expiry_timestamp_seconds{certificate=\"web\"}", "1800000000");
    check("webrouter_endpoints{state=\"up\"}", "4");
    check("webrouter_endpoints{state=\"down\"}", "1");
    check("webrouter_fail_open{upstream=\"sick__upstream__web\"}", "1");
    check("webrouter_circuit_open{upstream=\"broken__upstream__web\"}", "1");
    check("webrouter_ejections_total", "7");
    check("webrouter_requests_queue_length", "2");
    check("webrouter_rejections{kind=\"owned\"}", "1");
    check("webrouter_rejections{kind=\"bad_name\"}", "0");
    check("webrouter_hold", "1");
    check("webrouter_source_connected{source=\"file\"}", "0");
    check("webrouter_source_connected{source=\"lainlet\"}", "1");
    check("webrouter_snapshot_apply_seconds", "0.003");
    check("webrouter_ready", "1");
    assert_eq!(row(&page, "webrouter_source_news_age_seconds{source=\"file\"}"), None);
    let age =
        row(&page, "webrouter_source_news_age_seconds{source=\"lainlet\"}").and_then(|age| age.parse::<f64>().ok());
    assert!(age.is_some_and(|age| (60.0..90.0).contains(&age)), "{age:?}");
    assert!(row(&page, "process_resident_memory_bytes").is_some_and(|bytes| bytes != "0"));
}

#[test]
fn an_upstream_is_listed_once_it_had_a_request_and_until_it_is_forgotten() {
    let metrics = Metrics::new();
    let core = metrics.core(0);
    let upstreams: Vec<_> = (0..10_000).map(|id| core.upstream(id, &format!("app{id}__upstream__web"))).collect();
    let listed = || metrics.render().lines().filter(|line| line.starts_with("webrouter_requests_total")).count();
    assert_eq!(listed(), 0);
    upstreams[3].record(200, Duration::ZERO, 0, 0);
    upstreams[9].record(404, Duration::ZERO, 0, 0);
    assert_eq!(listed(), 2);
    core.forget(3);
    assert_eq!(listed(), 1);
}

#[test]
fn an_upstream_costs_little() {
    assert!(size_of::<UpstreamMetrics>() <= 256, "{}", size_of::<UpstreamMetrics>());
}
