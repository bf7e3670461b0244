//! The admin API as its clients see it: bytes in, bytes out.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use webrouter_admin::doctor::Surroundings;
use webrouter_admin::{AdminState, UnknownHost, serve};
use webrouter_admin_api::{Listener, ListenerScope};
use webrouter_discovery::{Discovery, DiscoveryConfig, FileConfig};
use webrouter_proxy::fleet::{Fleet, FleetConfig};
use webrouter_telemetry::flight_recorder::FlightRecorder;
use webrouter_telemetry::metrics::Metrics;

const APPS: &str = r#"
[apps."demo.web.web"]
mountpoint = ["demo.test", "x.test/demo"]
healthcheck = "/health"
endpoints = ["127.0.0.1:8001", "127.0.0.1:8002"]

[apps."late.web.web"]
mountpoint = ["demo.test", "late.test"]
https_only = true
endpoints = []
"#;

/// A running admin API over a file source.
struct Admin {
    address: SocketAddr,
    discovery: Discovery,
    stopping: Arc<AtomicBool>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
    directory: tempfile::TempDir,
}

impl Admin {
    async fn start() -> Self {
        Self::of(APPS).await
    }

    async fn of(apps: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("apps.toml");
        std::fs::write(&path, apps).expect("written");
        let discovery = followed(&path).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("an address");
        let stopping = Arc::new(AtomicBool::new(false));
        let data_plane = Listener { address: "127.0.0.1:80".into(), scope: ListenerScope::All, tls: false };
        let state = AdminState {
            discovery: discovery.clone(),
            fleet: Arc::new(Fleet::new(FleetConfig::default(), Vec::new())),
            certificates: None,
            metrics: Metrics::new(),
            failures: FlightRecorder::default(),
            listeners: [data_plane].into(),
            unknown_host: UnknownHost::NotFound,
            stopping: Arc::clone(&stopping),
            access_log: None,
            token: None,
            started: SystemTime::now(),
            started_steady: Instant::now(),
            surroundings: Surroundings::default(),
            names: ["admin.test".to_owned()].into(),
        };
        state.metrics.core(0).upstream(1, "demo__upstream__web").record(200, Duration::from_millis(1), 0, 5);
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(serve(listener, state, async {
            // Resolves when the sender is dropped as well.
            let _ = stopped.await;
        }));
        Self { address, discovery, stopping, stop, served, directory }
    }

    /// The status and body of the answer to these bytes.
    async fn ask(&self, request: &str) -> (u16, String) {
        let exchange = async {
            let mut stream = TcpStream::connect(self.address).await.expect("connected");
            stream.write_all(request.as_bytes()).await.expect("sent");
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.expect("answered");
            String::from_utf8(answer).expect("UTF-8")
        };
        let answer = timeout(Duration::from_secs(10), exchange).await.expect("an answer in time");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a whole head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        assert!(head.to_ascii_lowercase().contains("x-content-type-options: nosniff") || status == 400, "{head}");
        (status, body.to_owned())
    }

    async fn get(&self, target: &str) -> (u16, String) {
        self.ask(&format!("GET {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address)).await
    }

    async fn json(&self, target: &str) -> Value {
        let (status, body) = self.get(target).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).expect("JSON")
    }

    async fn post(&self, target: &str, fields: &str) -> (u16, String) {
        let host = self.address;
        self.ask(&format!(
            "POST {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\n{fields}\r\n"
        ))
        .await
    }

    /// The status and JSON of the answer to a meant POST or DELETE.
    async fn act(&self, method: &str, target: &str) -> (u16, Value) {
        let host = self.address;
        let fields = "Connection: close\r\nX-Webrouter-Action: 1\r\n";
        let (status, body) = self.ask(&format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n")).await;
        (status, serde_json::from_str(&body).expect("JSON"))
    }

    /// The addresses and states of a list of endpoints.
    async fn endpoints(&self, query: &str) -> Vec<(String, String)> {
        let list = self.json(&format!("/v1/endpoints{query}")).await;
        let endpoints = list.get("endpoints").and_then(Value::as_array).expect("a list").iter();
        let text = |endpoint: &Value, key| endpoint.get(key).and_then(Value::as_str).expect("a text").to_owned();
        endpoints.map(|endpoint| (text(endpoint, "endpoint"), text(endpoint, "state"))).collect()
    }

    /// Rewrites the file and waits until its update is held.
    async fn held(&self, apps: &str) -> Value {
        std::fs::write(self.directory.path().join("apps.toml"), apps).expect("written");
        let held = async {
            loop {
                let status = self.json("/v1/status").await;
                match status.get("hold") {
                    None | Some(Value::Null) => tokio::time::sleep(Duration::from_millis(5)).await,
                    Some(hold) => return hold.clone(),
                }
            }
        };
        timeout(Duration::from_secs(10), held).await.expect("held in time")
    }

    async fn stop(self) {
        drop(self.stop);
        timeout(Duration::from_secs(10), self.served).await.expect("ended in time").expect("ended well");
        self.discovery.stop().await;
    }
}

async fn followed(path: &Path) -> Discovery {
    let file = Some(FileConfig { path: path.to_owned() });
    let discovery = Discovery::start(DiscoveryConfig { file, ..DiscoveryConfig::default() }).await.expect("started");
    timeout(Duration::from_secs(10), discovery.ready()).await.expect("ready in time");
    discovery
}

#[tokio::test]
async fn ready_means_a_full_table_and_not_stopping() {
    let admin = Admin::start().await;
    assert_eq!(admin.get("/healthz").await, (200, "alive\n".to_owned()));
    assert_eq!(admin.get("/readyz").await, (200, "ready\n".to_owned()));
    assert_eq!(admin.json("/v1/status").await["ready"], true);
    admin.stopping.store(true, Ordering::Release);
    assert_eq!(admin.get("/readyz").await, (503, "not ready: stopping\n".to_owned()));
    assert_eq!(admin.get("/healthz").await.0, 200);
    let status = admin.json("/v1/status").await;
    assert_eq!((&status["ready"], &status["not_ready_because"]), (&false.into(), &"stopping".into()));
    admin.stop().await;
}

#[tokio::test]
async fn status_tells_the_table_and_its_sources() {
    let admin = Admin::start().await;
    let status = admin.json("/v1/status").await;
    assert_eq!((&status["routes"], &status["procs"], &status["endpoints"]), (&3.into(), &2.into(), &2.into()));
    assert_eq!((&status["rejections"], &status["table_from"]), (&1.into(), &"source".into()));
    assert_eq!((&status["sources"][0]["kind"], &status["sources"][0]["state"]), (&"file".into(), &"following".into()));
    assert_eq!(status["hold"], Value::Null);
    assert_eq!(status["listeners"][0]["address"], "127.0.0.1:80");
    admin.stop().await;
}

#[tokio::test]
async fn the_doctor_is_asked_by_name_and_behind_the_guard() {
    let admin = Admin::start().await;
    let doctor = admin.json("/v1/doctor/demo").await;
    assert_eq!((&doctor["app"], &doctor["first"]["kind"]), (&"demo".into(), &"reach".into()), "{doctor:#}");
    let again = admin.json("/v1/doctor/demo").await;
    assert_eq!(doctor["at"], again["at"], "found a moment ago");
    let router = admin.json("/v1/doctor").await;
    assert_eq!((&router["app"], &router["hops"][0]["kind"]), (&Value::Null, &"instance".into()));
    assert_eq!(admin.get("/v1/doctor/a%20b").await.0, 400);
    let (status, _) = admin.ask("GET /v1/doctor/demo HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status, 421);
    admin.stop().await;
}

#[tokio::test]
async fn routes_can_be_filtered_and_paged() {
    let admin = Admin::start().await;
    let mountpoints = |page: &Value| {
        let routes = page["routes"].as_array().expect("a list").iter();
        routes.map(|route| route["mountpoint"].as_str().expect("a text").to_owned()).collect::<Vec<_>>()
    };
    let all = admin.json("/v1/routes").await;
    assert_eq!(mountpoints(&all), ["demo.test", "late.test", "x.test/demo"]);
    assert_eq!(all["routes"][0]["endpoints"][1], "127.0.0.1:8002");
    assert_eq!(all["routes"][1]["flags"], serde_json::json!(["no_endpoint", "https_not_served"]));
    assert_eq!(mountpoints(&admin.json("/v1/routes?host=X.test").await), ["x.test/demo"]);
    assert_eq!(mountpoints(&admin.json("/v1/routes?app=late").await), ["late.test"]);
    let page = admin.json("/v1/routes?limit=1&offset=1").await;
    assert_eq!((mountpoints(&page), &page["total"]), (vec!["late.test".to_owned()], &3.into()));
    let (status, body) = admin.get("/v1/routes?limit=many").await;
    let error: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(status, 400);
    assert!(error["error"].is_string() && error["fix"].is_string(), "{body}");
    assert_eq!(admin.get("/v1/routes?hots=x").await.0, 400);
    admin.stop().await;
}

#[tokio::test]
async fn a_contested_mountpoint_is_told_with_its_owner() {
    let admin = Admin::start().await;
    let rejection = &admin.json("/v1/rejections").await["rejections"][0];
    assert_eq!((&rejection["entry"], &rejection["kind"]), (&"late.web.web".into(), &"owned".into()));
    assert_eq!(rejection["owner"], serde_json::json!({"source": "file", "entry": "demo.web.web"}));
    assert!(rejection["advice"].is_string());
    let snapshot = admin.json("/v1/snapshot").await;
    assert_eq!(
        snapshot["procs"][1]["claims"],
        serde_json::json!([
            {"mountpoint": "demo.test", "owned": false},
            {"mountpoint": "late.test", "owned": true}
        ])
    );
    admin.stop().await;
}

#[tokio::test]
async fn explain_answers_for_a_url() {
    let admin = Admin::start().await;
    let explained = admin.json("/v1/explain?url=http://x.test/demo/a%2520b%3Fq&client=192.0.2.7").await;
    assert_eq!(explained["outcome"], "forwarded");
    assert_eq!(explained["sent"]["request_line"], "GET /a%20b?q HTTP/1.1");
    assert_eq!(explained["sent"]["fields"][1], serde_json::json!({"name": "X-Real-IP", "value": "192.0.2.7"}));
    assert_eq!(admin.json("/v1/explain?url=late.test").await["outcome"], "no_endpoint");
    assert_eq!(admin.get("/v1/explain").await.0, 400);
    assert_eq!(admin.get("/v1/explain?url=ftp://x/").await.0, 400);
    admin.stop().await;
}

#[tokio::test]
async fn metrics_mirror_the_table() {
    let admin = Admin::start().await;
    let (status, page) = admin.get("/metrics").await;
    assert_eq!(status, 200);
    for row in [
        "webrouter_routes 3",
        "webrouter_endpoints{state=\"unproven\"} 2",
        "webrouter_endpoints{state=\"up\"} 0",
        "webrouter_ejections_total 0",
        "webrouter_requests_queue_length 0",
        "webrouter_ready 1",
        "webrouter_rejections{kind=\"owned\"} 1",
        "webrouter_source_connected{source=\"file\"} 1",
        "webrouter_requests_total{upstream=\"demo__upstream__web\",code=\"2xx\"} 1",
    ] {
        assert!(page.lines().any(|line| line == row), "{row} is not in\n{page}");
    }
    admin.stop().await;
}

#[tokio::test]
async fn the_page_and_the_document_are_there() {
    let admin = Admin::start().await;
    let (status, page) = admin.get("/").await;
    assert!(status == 200 && page.contains("Ready: a full table is in force"), "{page}");
    assert_eq!(admin.json("/openapi.json").await["info"]["title"], "webrouter admin API");
    assert_eq!(admin.get("/nothing").await.0, 404);
    admin.stop().await;
}

#[tokio::test]
async fn pages_are_whole_without_a_script() {
    let admin = Admin::start().await;
    let check = async |target: &str, status: u16, expected: &[&str]| {
        let (answered, page) = admin.get(target).await;
        assert_eq!(answered, status, "{target}");
        for words in expected {
            assert!(page.contains(words), "{words} is not in {target}:\n{page}");
        }
        assert!(!page.contains("<script>") && !page.contains("style="), "{target} has something inline");
    };
    check("/map", 200, &["3 routes", "demo.test", "/demo", "127.0.0.1:8001"]).await;
    check("/map?q=LATE", 200, &["1 route found, of 3", "late.test"]).await;
    check("/map?q=%3Cscript%3E", 200, &["Nothing matches", "&lt;script&gt;"]).await;
    check("/apps/demo", 200, &["demo__upstream__web", "x.test/demo", "127.0.0.1:8002", "Policies"]).await;
    check("/apps/late", 200, &["choose another mountpoint", "no endpoint: answered 503"]).await;
    check("/apps/%3Cscript%3E", 404, &["No such app", "&lt;script&gt;"]).await;
    check("/rejections", 200, &["1 rejection", "owned", "href=\"/apps/demo\""]).await;
    admin.stop().await;
}

#[tokio::test]
async fn what_pages_load_is_kept_until_it_changes() {
    let admin = Admin::start().await;
    let ask = async |more: &str| {
        let mut stream = TcpStream::connect(admin.address).await.expect("connected");
        let request = format!("GET /static/style.css HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        answer
    };
    let answer = ask("").await;
    assert!(answer.contains("script-src 'self'") && answer.contains("cache-control: no-cache\r\n"), "{answer}");
    let tag = answer.split("etag: ").nth(1).and_then(|rest| rest.split("\r\n").next()).expect("a tag");
    assert!(ask(&format!("If-None-Match: {tag}\r\n")).await.starts_with("HTTP/1.1 304 "));
    assert!(ask("If-None-Match: \"other\"\r\n").await.starts_with("HTTP/1.1 200 "));
    admin.stop().await;
}

#[tokio::test]
async fn events_come_as_they_happen_and_end_at_stop() {
    let admin = Admin::start().await;
    let listen = async || {
        let mut stream = TcpStream::connect(admin.address).await.expect("connected");
        stream.write_all(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("sent");
        stream
    };
    let mut stream = listen().await;
    let mut heard = String::new();
    hear(&mut stream, &mut heard, "event: tick").await;
    std::fs::write(admin.directory.path().join("apps.toml"), APPS.replace("late.test", "later.test")).expect("written");
    hear(&mut stream, &mut heard, "\"summary\":\"+later.test -late.test\"").await;
    // One is taken by the first.
    let mut others = Vec::new();
    for _ in 0..15 {
        let mut other = listen().await;
        hear(&mut other, &mut String::new(), "listening").await;
        others.push(other);
    }
    assert_eq!(admin.get("/v1/events").await.0, 503);
    // Read to their end, or the stop would be cut.
    let ends = tokio::spawn(async move { stream.read_to_string(&mut heard).await });
    admin.stop().await;
    timeout(Duration::from_secs(10), ends).await.expect("ended in time").expect("ended well").expect("UTF-8");
}

/// Reads until these words were heard.
async fn hear(stream: &mut TcpStream, heard: &mut String, words: &str) {
    let listening = async {
        let mut buffer = [0; 4096];
        while !heard.contains(words) {
            let length = stream.read(&mut buffer).await.expect("read");
            assert!(length > 0, "it ended before {words}: {heard}");
            heard.push_str(&String::from_utf8_lossy(buffer.get(..length).expect("read")));
        }
    };
    timeout(Duration::from_secs(10), listening).await.expect("heard in time");
}

#[tokio::test]
async fn the_traffic_is_told_by_upstream() {
    let admin = Admin::start().await;
    let traffic = admin.json("/v1/traffic?app=demo&sort=errors&limit=5").await;
    assert_eq!(traffic["total"]["requests_per_s"], 0.0, "what was before the first look has no time");
    assert_eq!(admin.get("/v1/traffic?sort=nonsense").await.0, 400);
    admin.stop().await;
}

#[tokio::test]
async fn a_foreign_host_is_refused() {
    let admin = Admin::start().await;
    for (fields, expected) in [
        ("Host: admin.test:9080\r\n", 200),
        ("Host: localhost\r\n", 200),
        ("Host: [::1]:9080\r\n", 200),
        ("Host: evil.test\r\n", 421),
        ("Host: 127.0.0.1\r\nHost: evil.test\r\n", 421),
        ("Host: 127.0.0.1\r\nHost: 127.0.0.1\r\n", 400),
    ] {
        for path in ["/v1/status", "/metrics", "/"] {
            let request = format!("GET {path} HTTP/1.1\r\n{fields}Connection: close\r\n\r\n");
            let (status, body) = admin.ask(&request).await;
            assert_eq!(status, expected, "{path} {fields}");
            assert!(status != 421 || body.contains("[admin] names"), "{body}");
        }
    }
    let absolute = "GET http://evil.test/v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    assert_eq!(admin.ask(absolute).await.0, 421);
    assert_eq!(admin.ask("GET /v1/status HTTP/1.0\r\n\r\n").await.0, 200);
    admin.stop().await;
}

#[tokio::test]
async fn probes_are_answered_by_any_name() {
    let admin = Admin::start().await;
    for path in ["/healthz", "/readyz"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n");
        assert_eq!(admin.ask(&request).await.0, 200, "{path}");
    }
    admin.stop().await;
}

#[tokio::test]
async fn an_action_must_be_meant() {
    let admin = Admin::start().await;
    assert_eq!(admin.get("/v1/hold/accept").await.0, 405);
    assert_eq!(admin.post("/v1/status", "X-Webrouter-Action: 1\r\n").await.0, 405);
    assert_eq!(admin.post("/v1/hold/accept", "").await.0, 403);
    let (status, body) = admin.post("/v1/hold/accept", "X-Webrouter-Action: 1\r\n").await;
    assert!(status == 409 && body.contains("nothing is held"), "{status} {body}");
    assert_eq!(admin.post("/v1/hold/refuse?id=7", "X-Webrouter-Action: 1\r\n").await.0, 409);
    assert_eq!(admin.post("/v1/hold/refuse?id=x", "X-Webrouter-Action: 1\r\n").await.0, 400);
    admin.stop().await;
}

#[tokio::test]
async fn a_held_update_is_told_and_let_through() {
    let admin = Admin::start().await;
    let hold = admin.held("").await;
    assert_eq!((&hold["source"], &hold["routes_after"]), (&"file".into(), &0.into()));
    assert_eq!((&hold["endpoints_before"], &hold["endpoints_after"]), (&2.into(), &0.into()));
    assert_eq!(admin.json("/v1/status").await["routes"], 3);
    assert!(admin.get("/metrics").await.1.contains("\nwebrouter_hold 1\n"));
    assert!(admin.get("/").await.1.contains("of file is held"));
    let id = &hold["id"];
    assert_eq!(admin.post("/v1/hold/accept?id=999999", "X-Webrouter-Action: 1\r\n").await.0, 409);
    let (status, body) = admin.post(&format!("/v1/hold/accept?id={id}"), "X-Webrouter-Action: 1\r\n").await;
    assert_eq!(status, 200, "{body}");
    let status = admin.json("/v1/status").await;
    assert_eq!((&status["hold"], &status["routes"]), (&Value::Null, &0.into()));
    admin.stop().await;
}

#[tokio::test]
async fn a_held_update_is_refused() {
    let admin = Admin::start().await;
    admin.held("").await;
    let (status, body) = admin.post("/v1/hold/refuse", "X-Webrouter-Action: 1\r\n").await;
    assert!(status == 200 && body.contains("\"action\":\"refuse\""), "{status} {body}");
    let status = admin.json("/v1/status").await;
    assert_eq!((&status["hold"]["applies_at"], &status["routes"]), (&Value::Null, &3.into()));
    admin.stop().await;
}

#[tokio::test]
async fn probes_are_answered_beside_many_idle_connections() {
    let admin = Admin::start().await;
    let mut idle = Vec::new();
    for number in 0..200 {
        let mut stream = TcpStream::connect(admin.address).await.expect("connected");
        if number % 2 == 0 {
            stream.write_all(b"GET /hea").await.expect("sent");
        }
        idle.push(stream);
    }
    let probe = timeout(Duration::from_secs(1), admin.get("/readyz"));
    assert_eq!(probe.await.expect("an answer in time"), (200, "ready\n".to_owned()));
    admin.stop().await;
    drop(idle);
}

#[tokio::test]
async fn a_connection_that_asks_outlives_idle_ones() {
    let admin = Admin::start().await;
    let mut scraper = TcpStream::connect(admin.address).await.expect("connected");
    let mut idle = Vec::new();
    for _ in 0..4 {
        for _ in 0..40 {
            idle.push(TcpStream::connect(admin.address).await.expect("connected"));
        }
        // Answered after them: they have all been accepted by then.
        assert_eq!(admin.get("/healthz").await.0, 200);
        scraper.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("sent");
        let mut answer = Vec::new();
        while !answer.ends_with(b"alive\n") {
            let read = timeout(Duration::from_secs(10), scraper.read_buf(&mut answer)).await.expect("in time");
            assert_ne!(read.expect("read"), 0, "closed");
        }
    }
    admin.stop().await;
}

#[tokio::test]
async fn a_client_that_says_nothing_does_not_delay_the_stop() {
    let admin = Admin::start().await;
    let silent = TcpStream::connect(admin.address).await.expect("connected");
    assert_eq!(admin.get("/healthz").await.0, 200);
    admin.stop().await;
    drop(silent);
}

/// `both` and `six` share an endpoint; `checked` has a health check that nobody makes here.
const ENDPOINTS: &str = r#"
[apps."both.web.web"]
mountpoint = ["both.test"]
endpoints = ["127.0.0.1:1", "127.0.0.1:2"]

[apps."checked.web.web"]
mountpoint = ["checked.test"]
healthcheck = "/"
endpoints = ["127.0.0.1:3"]

[apps."six.web.web"]
mountpoint = ["six.test"]
endpoints = ["127.0.0.1:2", "[::1]:80"]
"#;

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(endpoint, state)| ((*endpoint).to_owned(), (*state).to_owned())).collect()
}

#[tokio::test]
async fn endpoints_can_be_filtered_and_paged() {
    let admin = Admin::of(ENDPOINTS).await;
    let check = async |query: &str, expected: &[(&str, &str)]| {
        assert_eq!(admin.endpoints(query).await, pairs(expected), "{query}");
    };
    let [one, two, six] = [("127.0.0.1:1", "up"), ("127.0.0.1:2", "up"), ("[::1]:80", "up")];
    let checked = ("127.0.0.1:3", "unproven");
    check("", &[one, two, checked, two, six]).await;
    check("?app=six", &[two, six]).await;
    check("?upstream=both__upstream__web", &[one, two]).await;
    check("?state=unproven", &[checked]).await;
    check("?app=both&state=down", &[]).await;
    check("?limit=2&offset=1", &[two, checked]).await;
    let page = admin.json("/v1/endpoints?limit=2&offset=3").await;
    assert_eq!((&page["total"], &page["limit"], &page["offset"]), (&5.into(), &2.into(), &3.into()));
    let health = serde_json::json!([
        {"upstream": "six__upstream__web", "fail_open": false, "breaker": "closed", "queue_length": 0}
    ]);
    assert_eq!(page["upstreams"], health, "those of the page alone");
    let expected = serde_json::json!({
        "endpoint": "[::1]:80", "upstream": "six__upstream__web", "entry": "six.web.web", "source": "file",
        "state": "up", "since": null, "since_s": null, "in_flight": 0, "connections": 0, "weight": 1, "warmth": 1.0,
        "failures": 0, "last_probe": null, "last_failure": null, "ejected_for_s": null
    });
    assert_eq!(page["endpoints"][1], expected);
    assert_eq!(admin.get("/v1/endpoints?state=asleep").await.0, 400);
    assert_eq!(admin.get("/v1/endpoints?stat=up").await.0, 400);
    admin.stop().await;
}

#[tokio::test]
async fn a_drain_is_told_everywhere_until_it_is_taken_back() {
    let admin = Admin::of(ENDPOINTS).await;
    let target = "/v1/endpoints/127.0.0.1:2/drain";
    let (status, drained) = admin.act("POST", target).await;
    let expected = serde_json::json!({
        "endpoint": "127.0.0.1:2", "upstreams": ["both__upstream__web", "six__upstream__web"], "in_flight": 0,
        "draining": true, "exhausted": []
    });
    assert_eq!((status, &drained), (200, &expected));
    assert_eq!(admin.act("POST", &format!("{target}?wait=60s")).await, (200, expected), "asked again");
    let draining = ("127.0.0.1:2", "draining");
    assert_eq!(admin.endpoints("?state=draining").await, pairs(&[draining, draining]));
    let status = admin.json("/v1/status").await;
    assert_eq!(status["draining"], serde_json::json!(["127.0.0.1:2"]));
    let counts = serde_json::json!({"up": 2, "unproven": 1, "down": 0, "ejected": 0, "draining": 2, "leaving": 0});
    assert_eq!(status["endpoints_by_state"], counts);
    assert_eq!((&status["fail_open"], &status["breakers_open"]), (&serde_json::json!([]), &serde_json::json!([])));
    let page = admin.get("/").await.1;
    assert!(page.contains("<code>127.0.0.1:2</code>") && page.contains(" draining</span>"), "{page}");
    let row = "webrouter_endpoints{state=\"draining\"} 2\n";
    assert!(admin.get("/metrics").await.1.contains(row));

    let (status, drained) = admin.act("DELETE", target).await;
    assert_eq!((status, &drained["draining"]), (200, &false.into()));
    assert_eq!(admin.endpoints("?state=draining").await, []);
    assert!(!admin.get("/").await.1.contains("127.0.0.1:2"));
    admin.stop().await;
}

#[tokio::test]
async fn explain_tells_how_the_endpoints_are() {
    let admin = Admin::of(ENDPOINTS).await;
    let explained = admin.json("/v1/explain?url=http://six.test/").await;
    assert_eq!(explained["outcome"], "forwarded");
    assert_eq!(explained["health"]["upstream"], "six__upstream__web");
    assert_eq!(explained["health"]["endpoints"][1]["endpoint"], "[::1]:80");
    for endpoint in ["127.0.0.1:2", "%5B::1%5D:80"] {
        let (status, body) = admin.act("POST", &format!("/v1/endpoints/{endpoint}/drain")).await;
        assert_eq!(status, 200, "{body}");
    }
    let explained = admin.json("/v1/explain?url=http://six.test/").await;
    assert_eq!((&explained["outcome"], &explained["status"]), (&"no_endpoint".into(), &503.into()));
    assert_eq!((&explained["sent"], &explained["health"]["endpoints"][1]["state"]), (&Value::Null, &"draining".into()));
    assert_eq!(admin.json("/v1/explain?url=http://both.test/").await["outcome"], "forwarded");
    assert_eq!(admin.json("/v1/explain?url=http://nobody.test/").await["health"], Value::Null);
    admin.stop().await;
}

#[tokio::test]
async fn a_drain_that_cannot_be_is_refused_with_what_to_do() {
    let admin = Admin::of(ENDPOINTS).await;
    let check = async |target: &str, expected: u16, part: &str| {
        let (status, error) = admin.act("POST", target).await;
        assert_eq!(status, expected, "{target}: {error}");
        assert!(error["error"].as_str().is_some_and(|error| error.contains(part)), "{target}: {error}");
        assert!(error["fix"].as_str().is_some_and(|fix| !fix.is_empty()), "{target}: {error}");
    };
    check("/v1/endpoints/192.0.2.1:80/drain", 404, "no upstream holds 192.0.2.1:80").await;
    check("/v1/endpoints/192.0.2.1/drain", 400, "192.0.2.1").await;
    check("/v1/endpoints/192.0.2.1:0/drain", 400, "port").await;
    check("/v1/endpoints/%ff/drain", 400, "").await;
    check("/v1/endpoints/127.0.0.1:1/drain?wait=61s", 400, "61s").await;
    check("/v1/endpoints/127.0.0.1:1/drain?wait=5", 400, "`5`").await;
    check("/v1/endpoints/127.0.0.1:1/drain?whait=5s", 400, "whait").await;
    check("/v1/endpoints/127.0.0.1:1/dry", 404, "/v1/endpoints/127.0.0.1:1/dry").await;
    assert_eq!(admin.act("DELETE", "/v1/endpoints/192.0.2.1:80/drain").await.0, 404);
    let (status, exhausted) = admin.act("POST", "/v1/endpoints/127.0.0.1:3/drain").await;
    assert_eq!((status, &exhausted["exhausted"]), (200, &serde_json::json!(["checked__upstream__web"])));
    assert_eq!(admin.post("/v1/endpoints/127.0.0.1:1/drain", "").await.0, 403, "it must be meant");
    let unmeant = "DELETE /v1/endpoints/127.0.0.1:3/drain HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(admin.ask(unmeant).await.0, 403);
    assert_eq!(admin.get("/v1/endpoints/127.0.0.1:1/drain").await.0, 405);
    let draining = admin.endpoints("?state=draining").await;
    assert_eq!(draining, pairs(&[("127.0.0.1:3", "draining")]), "what was refused changed nothing");
    admin.stop().await;
}
