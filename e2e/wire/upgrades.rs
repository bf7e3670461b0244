//! Upgrades: asked with exactly two fields, granted by the app alone, then a tunnel both ways.

use std::net::SocketAddr;
use std::time::Duration;

use webrouter_testkit::{Asked, Client, End, HttpOrigin, Origin, Router, Signal, Step, eventually};

use crate::case::{Case, OK, case, forwarded};

const ASKS: &[u8] = b"GET /ws HTTP/1.1\r\nHost: demo.test\r\nConnection: keep-alive, Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n";
const GRANTS: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: y\r\n\r\n";

/// What the origin sees of `ASKS`, then `tunnel`.
fn seen(tunnel: &str) -> String {
    format!(
        "GET /ws HTTP/1.1\r\nHost: demo.test\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n{{ours}}\
         Connection: upgrade\r\nUpgrade: websocket\r\n\r\n{tunnel}"
    )
}

fn grants(then: Vec<Step>) -> Vec<Step> {
    let mut script = vec![Step::ReadHead, Step::Write(GRANTS.to_vec())];
    script.extend(then);
    script
}

/// The upgrade is not asked of the app; the request is served without it.
fn ignored(name: &'static str, cites: &'static str, fields: &str) -> Case {
    forwarded(
        name,
        cites,
        format!("GET / HTTP/1.1\r\nHost: demo.test\r\n{fields}\r\n"),
        b"GET / HTTP/1.1\r\nHost: demo.test\r\n{ours}\r\n",
    )
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("a WebSocket both ways", "RFC 9110 §7.8, RFC 6455 §4")
            .sends(ASKS)
            .origin_sees(seen("pingpong"), grants(vec![Step::Echo]))
            .gets(GRANTS)
            .sends(b"ping")
            .gets_bytes(b"ping")
            .sends(b"pong")
            .gets_bytes(b"pong")
            .half_closes()
            .closes(),
        case("bytes sent before the upgrade was granted", "RFC 9110 §7.8")
            .sends([ASKS, b"early"].concat())
            .origin_sees(seen("early"), grants(vec![Step::Echo]))
            .gets(GRANTS)
            .gets_bytes(b"early")
            .half_closes()
            .closes(),
        case("bytes that arrive with the 101", "RFC 9110 §7.8")
            .sends(ASKS)
            .origin_sees(
                seen(""),
                vec![Step::ReadHead, Step::Write([GRANTS, b"first"].concat()), Step::ReadToEnd, Step::Close],
            )
            .gets(GRANTS)
            .gets_bytes(b"first")
            .half_closes()
            .closes(),
        case("what looks like HTTP in a tunnel is not HTTP", "RFC 9110 §7.8")
            .sends(ASKS)
            .origin_sees(seen("GET / HTTP/1.1\r\n\r\n"), grants(vec![Step::Echo]))
            .gets(GRANTS)
            .sends(b"GET / HTTP/1.1\r\n\r\n")
            .gets_bytes(b"GET / HTTP/1.1\r\n\r\n")
            .half_closes()
            .closes(),
        case("an app that ends its side first", "RFC 9110 §7.8")
            .sends(ASKS)
            .origin_sees(
                seen("late"),
                grants(vec![Step::Write(b"bye".to_vec()), Step::HalfClose, Step::ReadToEnd, Step::Close]),
            )
            .gets(GRANTS)
            .gets_bytes(b"bye")
            .sends(b"late")
            .half_closes()
            .closes(),
        case("an app that does not upgrade", "RFC 9110 §7.8")
            .sends(ASKS)
            .origin_sees(seen(""), Step::answer(OK))
            .gets(OK)
            .stays_open(),
        case("an upgrade to something else", "SPEC §4, RFC 9110 §7.8")
            .sends(b"GET / HTTP/1.1\r\nHost: demo.test\r\nConnection: upgrade\r\nUpgrade: tcp\r\n\r\n")
            .origin_sees(
                b"GET / HTTP/1.1\r\nHost: demo.test\r\n{ours}Connection: upgrade\r\nUpgrade: tcp\r\n\r\nping",
                vec![
                    Step::ReadHead,
                    Step::Write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: tcp\r\n\r\n".to_vec()),
                    Step::Echo,
                ],
            )
            .gets(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: tcp\r\n\r\n")
            .sends(b"ping")
            .gets_bytes(b"ping")
            .half_closes()
            .closes(),
        ignored(
            "h2c is not passed on",
            "RFC 9113 §3.1, CVE-2021-21295",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        ),
        ignored(
            "h2c in another case is not passed on",
            "RFC 9113 §3.1",
            "Connection: upgrade, http2-settings\r\nUpgrade: H2C\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        ),
        ignored("an empty upgrade", "RFC 9110 §7.8", "Connection: upgrade\r\n"),
        forwarded(
            "an upgrade with a body",
            "RFC 9110 §7.8",
            b"GET / HTTP/1.1\r\nHost: demo.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nhi",
            b"GET / HTTP/1.1\r\nHost: demo.test\r\n{ours}Content-Length: 2\r\n\r\nhi",
        ),
    ]
}

/// A WebSocket app that sends a frame, waits for a Close, answers it and waits for the end.
fn polite_app() -> Origin {
    Origin::start(grants(vec![
        Step::Write(HELLO.to_vec()),
        Step::ReadUntil(vec![0x88, 0x82]),
        Step::Write(GOING_AWAY.to_vec()),
        Step::ReadToEnd,
        Step::Close,
    ]))
}

fn router(apps: &[(&str, SocketAddr)]) -> Router {
    let entry = |(host, addr): &(&str, SocketAddr)| {
        format!("[apps.\"{host}.web.web\"]\nmountpoint = [\"{host}.test\"]\nendpoints = [\"{addr}\"]\n")
    };
    let apps: Vec<String> = apps.iter().map(entry).collect();
    let builder = Router::builder(env!("CARGO_BIN_EXE_webrouter")).apps(&apps.concat());
    let router = builder.section("[engine]\nthreads = 1").start();
    router.wait_ready();
    router
}

/// A client whose WebSocket has brought a frame.
fn open_web_socket(router: &Router) -> Client {
    let mut client = Client::connect(router.http());
    client.send(ASKS);
    assert_eq!(client.response_head(SOON).map(|head| head.status()), Ok(Some(101)));
    assert_eq!(client.read_exactly(HELLO.len(), SOON).as_deref(), Ok(HELLO));
    client
}

/// It gets a Close, answers it, and its connection ends.
fn is_closed_politely(mut client: Client) {
    assert_eq!(client.read_exactly(GOING_AWAY.len(), SOON).as_deref(), Ok(GOING_AWAY));
    client.send(b"\x88\x82\x01\x02\x03\x04\x02\xeb");
    assert_eq!(client.read_to_end(SOON), End::Closed);
    assert_eq!(client.received(), b"");
}

/// RFC 6455 §5.5.1, §7.4.1.
#[test]
fn sigterm_ends_a_web_socket_with_a_close_frame() {
    let app = polite_app();
    let mut router = router(&[("demo", app.addr())]);
    let client = open_web_socket(&router);
    router.signal(Signal::TERM);
    is_closed_politely(client);
    assert!(router.wait_exit(SOON).is_some_and(|exit| exit.success()));
    eventually(SOON, "the app is done", || app.exchanges().iter().all(|exchange| exchange.finished));
    let seen = app.exchanges().pop().expect("one").bytes;
    let [.., 0x88, 0x82, a, b, _, _, high, low] = seen[..] else { panic!("no masked Close: {seen:02x?}") };
    assert_eq!(u16::from_be_bytes([high ^ a, low ^ b]), 1001);
    let log = router.access_log("demo.test", "demo__upstream__web");
    assert!(log.contains("@101@"), "{log}");
}

/// Tunnels last: they would only come back to another instance while this one still has work.
#[test]
fn sigterm_ends_a_web_socket_after_the_last_request() {
    let (app, busy) = (polite_app(), HttpOrigin::start("done"));
    let mut router = router(&[("demo", app.addr()), ("busy", busy.addr())]);
    let mut request = Client::connect(router.http());
    request.send(b"GET /hold HTTP/1.1\r\nHost: busy.test\r\n\r\n");
    eventually(SOON, "the request is in flight", || busy.holding() == 1);
    let mut client = open_web_socket(&router);
    let mut idle = Client::connect(router.http());
    assert_eq!(idle.get("busy.test", "/").map(|response| response.status), Ok(200));
    router.signal(Signal::TERM);
    assert_eq!(idle.read_to_end(SOON), End::Closed, "the stop has begun");
    assert_eq!(client.read_to_end(Duration::from_millis(200)), End::Deadline);
    assert_eq!(client.received(), b"", "the WebSocket is left alone");
    busy.release();
    assert_eq!(request.response(Asked::Content, SOON).map(|response| response.text()).as_deref(), Ok("done"));
    is_closed_politely(client);
    assert!(router.wait_exit(SOON).is_some_and(|exit| exit.success()));
}

/// A text frame as an app sends it.
const HELLO: &[u8] = b"\x81\x05Hello";
/// A Close frame with status 1001.
const GOING_AWAY: &[u8] = b"\x88\x02\x03\xe9";
/// Generous: a wait ends when its condition holds, so only a failure takes this long.
const SOON: Duration = Duration::from_secs(5);
