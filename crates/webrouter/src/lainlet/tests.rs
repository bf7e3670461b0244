use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;

const TWO_APPS: &str = r#"
[apps."demo.web.web"]
mountpoint = ["demo.lain", "x<y"]
endpoints = ["172.20.0.11:8080", "172.20.0.12:8080"]

[apps."demo.worker.worker"]
endpoints = ["172.20.0.13:1"]

[apps."demo2.web.web_canary"]
mountpoint = ["demo2.lain"]
https_only = true
healthcheck = "/health"
endpoints = ["172.20.0.14:8080"]

[config]
domain = "lain.local"
ssl = { "*.lain" = "web" }
ssl_backup = "x"
extra_domains = ["example.test"]
"#;
const DEMO: &str = r#""demo.web.web":{"PodInfos":[{"Annotation":"{\"mountpoint\":[\"demo.lain\",\"x\u003cy\"]}","ContainerInfos":[{"ContainerIp":"172.20.0.11","Expose":8080}]},{"Annotation":"{\"mountpoint\":[\"demo.lain\",\"x\u003cy\"]}","ContainerInfos":[{"ContainerIp":"172.20.0.12","Expose":8080}]}]}"#;
const DEMO2: &str = r#""demo2.web.web_canary":{"PodInfos":[{"Annotation":"{\"mountpoint\":[\"demo2.lain\"],\"https_only\":true,\"healthcheck\":\"/health\"}","ContainerInfos":[{"ContainerIp":"172.20.0.14","Expose":8080}]}]}"#;

/// A development lainlet on a free port with its file; the runtime of the test ends it.
struct Fixture {
    address: SocketAddr,
    path: PathBuf,
    _dir: tempfile::TempDir,
}

async fn start(text: &str) -> Fixture {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("apps.toml");
    std::fs::write(&path, text).expect("written");
    let lainlet = Lainlet::start(&path, SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("starts");
    let address = lainlet.address().expect("bound");
    tokio::spawn(lainlet.run());
    Fixture { address, path, _dir: dir }
}

impl Fixture {
    async fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.expect("connects");
        stream.write_all(request.as_bytes()).await.expect("sent");
        stream
    }

    async fn get(&self, target: &str) -> TcpStream {
        self.send(&format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n")).await
    }
}

/// Reads exactly what is expected; the date is replaced.
async fn expect(stream: &mut TcpStream, expected: &str) {
    let mut seen = Vec::new();
    let read = async {
        loop {
            let text = String::from_utf8_lossy(&seen).into_owned();
            let text = match text.split_once("Date: ").map(|(head, rest)| (head, rest.split_once("\r\n"))) {
                Some((head, Some((_, rest)))) => format!("{head}Date: D\r\n{rest}"),
                _ => text,
            };
            if text == expected {
                return;
            }
            assert!(text.len() <= expected.len() + 30, "{text}\nis not\n{expected}");
            let count = stream.read_buf(&mut seen).await.expect("reads");
            assert!(count > 0, "ended after {text:?}, expected {expected:?}");
        }
    };
    if timeout(Duration::from_secs(5), read).await.is_err() {
        panic!("expected {expected:?}");
    }
}

async fn expect_end(stream: &mut TcpStream) {
    let end = timeout(Duration::from_secs(5), stream.read(&mut [0])).await;
    assert!(matches!(end, Ok(Ok(0))), "{end:?}");
}

/// What a file of one app says on the wire.
fn check_fragment(text: &str, expected: &str) {
    let mut apps = Apps::new(Path::new("apps.toml"));
    apps.parse(text).expect("good");
    let fragments: Vec<&str> = apps.told().procs.values().map(|proc| proc.fragment.as_str()).collect();
    assert_eq!(fragments, [expected]);
}

#[test]
fn policies_are_told_and_weights_are_not() {
    let app = "[apps.\"demo.web.web\"]\nqueue = 0\nbalance = \"sticky\"\ncircuit_breaker = 0.5\n\
               endpoints = [{ address = \"172.20.0.11:80\", weight = 3 }]\n";
    let expected = r#""demo.web.web":{"PodInfos":[{"Annotation":"{\"mountpoint\":[],\"balance\":\"sticky\",\"circuit_breaker\":0.5,\"queue\":0}","ContainerInfos":[{"ContainerIp":"172.20.0.11","Expose":80}]}]}"#;
    check_fragment(app, expected);
    // Settings behind the apps: the file is read whole.
    check_fragment(&format!("{app}[config]\ndomain = \"lain.local\"\n"), expected);
}

#[tokio::test]
async fn a_get_is_sorted_json_as_text() {
    let lainlet = start(TWO_APPS).await;
    let body = format!("{{{DEMO},{DEMO2}}}");
    let length = body.len();
    let whole = format!(
        "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: {length}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{body}"
    );
    let mut stream = lainlet.get("/v2/webrouter/webprocs").await;
    expect(&mut stream, &whole).await;
    // The connection is kept.
    stream.write_all(b"GET /v2/webrouter/webprocs/ HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    expect(&mut stream, &whole).await;
}

#[tokio::test]
async fn a_big_answer_is_one_chunk() {
    let mut text = String::new();
    for number in 0..20 {
        text.push_str(&format!(
            "[apps.\"app{number:02}.web.web\"]\nmountpoint = [\"a{number}.lain\"]\nendpoints = [\"127.0.0.1:1\"]\n"
        ));
    }
    let lainlet = start(&text).await;
    let entry = |n| {
        format!(
            r#""app{n:02}.web.web":{{"PodInfos":[{{"Annotation":"{{\"mountpoint\":[\"a{n}.lain\"]}}","ContainerInfos":[{{"ContainerIp":"127.0.0.1","Expose":1}}]}}]}}"#
        )
    };
    let body = format!("{{{}}}", (0..20).map(entry).collect::<Vec<_>>().join(","));
    let head =
        "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Type: text/plain; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut stream = lainlet.get("/v2/webrouter/webprocs").await;
    expect(&mut stream, &format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len())).await;
}

#[tokio::test]
async fn an_app_is_asked_for_by_its_whole_name() {
    let lainlet = start(TWO_APPS).await;
    let ok = |body: &str| {
        format!(
            "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: {}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{body}",
            body.len()
        )
    };
    let lost = "HTTP/1.1 500 Internal Server Error\r\nDate: D\r\nContent-Length: 42\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nover half of the containers lost their IPs";
    expect(&mut lainlet.get("/v2/webrouter/webprocs?appname=demo").await, &ok(&format!("{{{DEMO}}}"))).await;
    expect(&mut lainlet.get("/v2/webrouter/webprocs?appname=demo2").await, &ok(&format!("{{{DEMO2}}}"))).await;
    expect(&mut lainlet.get("/v2/webrouter/webprocs?appname=dem").await, lost).await;
    expect(&mut lainlet.get("/v2/configwatcher?target=ssl").await, &ok(r#"{"ssl":"{\"*.lain\":\"web\"}"}"#)).await;
    expect(&mut lainlet.get("/v2/configwatcher?target=ssl_").await, &ok(r#"{"ssl_backup":"x"}"#)).await;
    expect(&mut lainlet.get("/v2/configwatcher?target=nosuch").await, &ok("{}")).await;
    let two = r#"{"domain":"lain.local"}"#;
    expect(&mut lainlet.get("/v2/configwatcher?target=d").await, &ok(two)).await;
    let missing = "HTTP/1.1 404 Not Found\r\nDate: D\r\nContent-Length: 13\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n404 not found";
    expect(&mut lainlet.get("/v2/nosuch?watch=1").await, missing).await;
    let mut old = lainlet.send("GET /v2/configwatcher?target=domain HTTP/1.0\r\n\r\n").await;
    expect(&mut old, &ok(two).replace("HTTP/1.1", "HTTP/1.0")).await;
    expect_end(&mut old).await;
}

#[tokio::test]
async fn a_watch_follows_the_file() {
    let lainlet = start(TWO_APPS).await;
    let mut stream = lainlet.get("/v2/webrouter/webprocs?watch=1").await;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nVary: Accept-Encoding\r\n\r\n";
    expect(&mut stream, &format!("{head}id: 1\nevent: init\ndata: {{{DEMO},{DEMO2}}}\n\n")).await;
    let edited = TWO_APPS.replace("172.20.0.14", "172.20.0.15");
    std::fs::write(&lainlet.path, &edited).expect("written");
    let moved = DEMO2.replace("172.20.0.14", "172.20.0.15");
    expect(&mut stream, &format!("id: 2\nevent: update\ndata: {{{DEMO},{moved}}}\n\n")).await;
    // Broken: nothing is said. Settings only: uses up a number.
    std::fs::write(&lainlet.path, "[apps").expect("written");
    std::fs::write(&lainlet.path, edited.replace("lain.local", "lain.other")).expect("written");
    let mut config = lainlet.get("/v2/configwatcher?target=domain&watch=1").await;
    let wait = async {
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains("lain.other") {
            assert!(config.read_buf(&mut seen).await.expect("reads") > 0);
        }
    };
    timeout(Duration::from_secs(5), wait).await.expect("the setting changes");
    let without = edited.split("[apps.\"demo2").next().unwrap_or_default();
    std::fs::write(&lainlet.path, without).expect("written");
    expect(&mut stream, &format!("id: 4\nevent: delete\ndata: {{{DEMO}}}\n\n")).await;
    std::fs::write(&lainlet.path, "").expect("written");
    expect(&mut stream, "id: 0\nevent: error\ndata: over half of the containers lost their IPs\n\n").await;
    expect_end(&mut stream).await;
}

#[tokio::test]
async fn a_heartbeat_has_no_data_and_a_byte_ends_the_watch() {
    let lainlet = start(TWO_APPS).await;
    let mut stream = lainlet.get("/v2/configwatcher?target=domain&watch=1&heartbeat=1").await;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nVary: Accept-Encoding\r\n\r\n";
    let init = "id: 1\nevent: init\ndata: {\"domain\":\"lain.local\"}\n\n";
    expect(&mut stream, &format!("{head}{init}id: 0\nevent: heartbeat\n\n")).await;
    stream.write_all(b"x").await.expect("sent");
    expect_end(&mut stream).await;
}

#[test]
fn over_half_lost_is_an_error_and_exactly_half_is_not() {
    let body = |endpoints: &str| {
        let text = format!("[apps.\"a.web.web\"]\nendpoints = {endpoints}");
        let apps = parsed(&[&text]).expect("good");
        let subject = query::Subject::Webprocs { app: None };
        View::first(apps.told()).body(&query::Query { subject, watch: false, heartbeat: 0 }).is_ok()
    };
    assert!(body(r#"["127.0.0.1:1", ":1"]"#));
    assert!(!body(r#"["127.0.0.1:1", ":1", ":2"]"#));
    assert!(!body("[]"));
}

#[test]
fn a_re_read_equals_a_first_read() {
    let texts = [
        TWO_APPS.to_owned(),
        TWO_APPS.replace("172.20.0.11", "172.20.0.99"),
        TWO_APPS.replace("172.20.0.", "172.20.100."),
        TWO_APPS.replace("[apps.\"demo.worker.worker\"]", "[apps.\"new.web.web\"]"),
        format!("{TWO_APPS}\n[apps.\"z.web.web\"]\nendpoints = [\"127.0.0.1:1\"]"),
        "[apps]\n\"a.web.web\" = { endpoints = [\"127.0.0.1:1\"] }".to_owned(),
        "[apps.\"a.web.web\"]\nendpoints = [\n\"127.0.0.1:1\",\n]\n# [apps.\"b.web.web\"]".to_owned(),
        String::new(),
    ];
    for before in &texts {
        for after in &texts {
            let first = parsed(&[after]).expect("good");
            let again = parsed(&[before, after]).expect("good");
            assert_eq!(again.told(), first.told(), "{before}\n->\n{after}");
            let body = |view: View| {
                let subject = query::Subject::Webprocs { app: None };
                view.body(&query::Query { subject, watch: false, heartbeat: 0 })
            };
            if let Some(next) = View::first(parsed(&[before]).expect("good").told()).next(again.told()) {
                assert_eq!(body(next), body(View::first(first.told())), "{before}\n->\n{after}");
            }
        }
    }
    let twice = format!("{TWO_APPS}\n[apps.\"demo.web.web\"]\n");
    assert!(parsed(&[TWO_APPS, &twice]).is_err());
}

/// One text after the other, as edits of a file.
fn parsed(texts: &[&str]) -> Result<Apps, toml::de::Error> {
    let mut apps = Apps::new(Path::new("apps.toml"));
    texts.iter().try_for_each(|text| apps.parse(text))?;
    Ok(apps)
}
