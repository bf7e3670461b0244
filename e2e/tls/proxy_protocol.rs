//! The PROXY protocol, versions 1 and 2: whose address counts, and what is no header at all.
//!
//! The specification is <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>.

use std::io::Write;
use std::net::TcpStream;

use webrouter_testkit::http2::Http2;
use webrouter_testkit::{Asked, Client, End, Router, Transport};

use crate::{SOON, Scene, field, ready};

const GET: &[u8] = b"GET /head HTTP/1.1\r\nHost: one.test\r\n\r\n";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// What begins a connection, and the client that the app is told of; `None`: the connection is refused.
struct Case {
    name: &'static str,
    header: Vec<u8>,
    client: Option<&'static str>,
}

fn case(name: &'static str, header: impl AsRef<[u8]>, client: Option<&'static str>) -> Case {
    Case { name, header: header.as_ref().to_vec(), client }
}

/// Version 2: command, family and the block that follows.
fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).expect("short").to_be_bytes();
    [SIGNATURE, &[command, family], &length, block].concat()
}

/// 203.0.113.7:5000 to 192.0.2.1:443.
const IPV4: &[u8] = &[203, 0, 113, 7, 192, 0, 2, 1, 0x13, 0x88, 0x01, 0xbb];

/// [2001:db8::7]:5000 to [2001:db8::1]:443.
fn ipv6() -> Vec<u8> {
    let addr = |last| [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    [&addr(7)[..], &addr(1), &[0x13, 0x88, 0x01, 0xbb]].concat()
}

/// An ALPN and a unique id, as balancers add them.
const TLVS: &[u8] = &[0x01, 0, 2, b'h', b'2', 0x05, 0, 4, 1, 2, 3, 4];

fn cases() -> Vec<Case> {
    let longest = format!("PROXY TCP6 {0} {0} 65535 65535\r\n", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    vec![
        case("v1, IPv4", "PROXY TCP4 203.0.113.7 192.0.2.1 5000 443\r\n", Some("203.0.113.7")),
        case("v1, IPv6", "PROXY TCP6 2001:db8::7 2001:db8::1 5000 443\r\n", Some("2001:db8::7")),
        case("v1, the longest", longest, Some("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")),
        case("v1, UNKNOWN", "PROXY UNKNOWN\r\n", Some("127.0.0.1")),
        case("v1, UNKNOWN with more", "PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", Some("127.0.0.1")),
        case("v1, a family that does not fit", "PROXY TCP6 203.0.113.7 192.0.2.1 5000 443\r\n", None),
        case("v1, an address that is none", "PROXY TCP4 203.0.113.777 192.0.2.1 5000 443\r\n", None),
        case("v1, a port that is none", "PROXY TCP4 203.0.113.7 192.0.2.1 99999 443\r\n", None),
        case("v1, a field too few", "PROXY TCP4 203.0.113.7 192.0.2.1 5000\r\n", None),
        case("v1, a field too many", "PROXY TCP4 203.0.113.7 192.0.2.1 5000 443 7\r\n", None),
        case("v1, a bare LF", "PROXY TCP4 203.0.113.7 192.0.2.1 5000 443\n", None),
        case("v1, in lower case", "proxy tcp4 203.0.113.7 192.0.2.1 5000 443\r\n", None),
        case("v1, too long", format!("PROXY UNKNOWN {}\r\n", "x".repeat(200)), None),
        case("v1, without an end", format!("PROXY UNKNOWN {}", "x".repeat(5000)), None),
        case("v2, IPv4", v2(0x21, 0x11, IPV4), Some("203.0.113.7")),
        case("v2, IPv6", v2(0x21, 0x21, &ipv6()), Some("2001:db8::7")),
        case("v2, IPv4 with TLVs", v2(0x21, 0x11, &[IPV4, TLVS].concat()), Some("203.0.113.7")),
        case("v2, IPv6 with TLVs", v2(0x21, 0x21, &[&ipv6()[..], TLVS].concat()), Some("2001:db8::7")),
        case("v2, LOCAL", v2(0x20, 0x00, &[]), Some("127.0.0.1")),
        case("v2, LOCAL with an address", v2(0x20, 0x11, IPV4), Some("127.0.0.1")),
        case("v2, an unspecified family", v2(0x21, 0x00, &[]), Some("127.0.0.1")),
        case("v2, of no version", v2(0x11, 0x11, IPV4), None),
        case("v2, of no command", v2(0x22, 0x11, IPV4), None),
        case("v2, an address too short", v2(0x21, 0x11, &IPV4[..8]), None),
        case("v2, IPv6 with the block of IPv4", v2(0x21, 0x21, IPV4), None),
        case(
            "v2, a signature with one wrong byte",
            [b"\r\n\r\n\0\r\nQUIX\n", &v2(0x21, 0x11, IPV4)[12..]].concat(),
            None,
        ),
        case("garbage", "GARBAGE\r\n", None),
        case("no header", "", None),
    ]
}

fn router(scene: &Scene, trusted: &str) -> Router {
    ready(scene.builder().listen("h2c = true").listen(&format!("proxy_protocol = [{trusted}]")))
}

/// What the app was told, or why nothing came.
fn told(client: &mut Client) -> Result<String, String> {
    let answer = client.response(Asked::Content, SOON)?;
    if answer.status == 200 { Ok(answer.text()) } else { Err(format!("status {}", answer.status)) }
}

/// The end, after a 400 or nothing.
fn is_refused(name: &str, mut client: Client) {
    let end = client.read_to_end(SOON);
    assert_ne!(end, End::Deadline, "{name}: not closed");
    let received = client.received();
    assert!(
        received.is_empty() || received.starts_with(b"HTTP/1.1 400 "),
        "{name}: {:?}",
        String::from_utf8_lossy(received)
    );
}

#[test]
fn the_header_says_who_the_client_is() {
    let scene = Scene::new();
    let router = router(&scene, "\"127.0.0.0/8\"");
    for Case { name, header, client: expected } in cases() {
        for pieces in [usize::MAX, 5] {
            let mut client = Client::connect(router.http());
            let bytes = [&header[..], GET].concat();
            client.send_in_pieces(&bytes, pieces.min(bytes.len()));
            let Some(expected) = expected else {
                is_refused(name, client);
                continue;
            };
            let head = told(&mut client).unwrap_or_else(|why| panic!("{name}: {why}"));
            assert_eq!(field(&head, "x-real-ip"), Some(expected), "{name}: {head}");
            assert_eq!(field(&head, "x-forwarded-for"), Some(expected), "{name}: {head}");
        }
    }
}

#[test]
fn a_header_that_ends_too_early_is_refused() {
    let scene = Scene::new();
    let router = router(&scene, "\"127.0.0.0/8\"");
    let whole = [v2(0x21, 0x11, IPV4), b"PROXY TCP4 203.0.113.7 192.0.2.1 5000 443\r\n".to_vec()];
    for header in whole {
        for length in [1, 7, 12, 15, header.len() - 1] {
            let mut client = Client::connect(router.http());
            client.send(&header[..length]);
            client.half_close();
            is_refused(&format!("{length} of {}", header.len()), client);
        }
    }
    assert_eq!(scene.origin.served(), 0);
}

/// A header is no request of this client's: it must not hold a connection for ever.
#[test]
fn a_header_that_never_comes_is_not_waited_for() {
    let scene = Scene::new();
    let trusting = scene.builder().listen("proxy_protocol = [\"127.0.0.0/8\"]");
    let router = ready(trusting.section("[timeouts]\nrequest_header = \"300ms\"\n"));
    let mut client = Client::connect(router.http());
    client.send(b"PROXY TCP4 ");
    is_refused("half a header", client);
    is_refused("nothing", Client::connect(router.https()));
}

#[test]
fn from_anybody_else_it_is_a_bad_request() {
    let scene = Scene::new();
    for trusted in ["", "\"10.0.0.0/8\""] {
        let router = router(&scene, trusted);
        for header in [&b"PROXY TCP4 203.0.113.7 192.0.2.1 5000 443\r\n"[..], &v2(0x21, 0x11, IPV4)] {
            let mut client = Client::connect(router.http());
            client.send(&[header, GET].concat());
            is_refused("from a stranger", client);
        }
        let head = {
            let mut client = Client::connect(router.http());
            client.send(GET);
            told(&mut client).expect("an answer")
        };
        assert_eq!(field(&head, "x-real-ip"), Some("127.0.0.1"));
    }
    assert_eq!(scene.origin.served(), 2);
}

#[test]
fn the_client_of_the_header_is_judged_by_its_own_address() {
    let scene = Scene::new();
    let router = router(&scene, "\"127.0.0.0/8\"");
    let ask = |source: &str| {
        let mut client = Client::connect(router.http());
        client.send(
            format!(
                "PROXY TCP4 {source} 192.0.2.1 5000 80\r\n\
                 GET /head HTTP/1.1\r\nHost: one.test\r\nX-Forwarded-For: 198.51.100.9\r\nX-Forwarded-Proto: https\r\n\r\n"
            )
            .as_bytes(),
        );
        told(&mut client).expect("an answer")
    };
    let stranger = ask("203.0.113.7");
    assert_eq!(field(&stranger, "x-real-ip"), Some("203.0.113.7"), "{stranger}");
    assert_eq!(field(&stranger, "x-forwarded-for"), Some("203.0.113.7"), "{stranger}");
    assert_eq!(field(&stranger, "x-forwarded-proto"), Some("http"), "{stranger}");
    let trusted = ask("10.1.1.1");
    assert_eq!(field(&trusted, "x-real-ip"), Some("198.51.100.9"), "{trusted}");
    assert_eq!(field(&trusted, "x-forwarded-for"), Some("198.51.100.9, 10.1.1.1"), "{trusted}");
    assert_eq!(field(&trusted, "x-forwarded-proto"), Some("https"), "{trusted}");
}

#[test]
fn every_request_of_a_connection_has_its_client() {
    let scene = Scene::new();
    let router = router(&scene, "\"127.0.0.0/8\"");
    let mut client = Client::connect(router.http());
    client.send(&[&v2(0x21, 0x11, IPV4)[..], GET, GET].concat());
    for _ in 0..2 {
        let head = told(&mut client).expect("an answer");
        assert_eq!(field(&head, "x-real-ip"), Some("203.0.113.7"));
    }
    client.send(&[&v2(0x21, 0x11, IPV4)[..], GET].concat());
    is_refused("a header where none belongs", client);
}

#[test]
fn it_comes_before_tls_and_before_http2() {
    let scene = Scene::new();
    let router = router(&scene, "\"127.0.0.0/8\"");
    let header = v2(0x21, 0x11, &[IPV4, TLVS].concat());

    let mut tcp = TcpStream::connect(router.https()).expect("a connection");
    tcp.write_all(&header).expect("sent");
    let stream = scene.tls().offering(&["http/1.1"]).handshake_over(tcp, "one.test").expect("a handshake");
    let mut client = Client::over(Transport::Tls(Box::new(stream)));
    client.send(GET);
    let head = told(&mut client).expect("an answer");
    assert_eq!(field(&head, "x-real-ip"), Some("203.0.113.7"), "{head}");
    assert_eq!(field(&head, "x-forwarded-proto"), Some("https"), "{head}");

    let mut client = Client::connect(router.http());
    client.send(&header);
    let head = Http2::begun(client, &[]).get("one.test", "/head").expect("an answer").text();
    assert_eq!(field(&head, "x-real-ip"), Some("203.0.113.7"), "{head}");

    assert!(scene.tls().handshake(router.https(), "one.test").is_err(), "TLS without the header");
}

#[test]
fn the_access_log_names_the_client_of_the_header() {
    let scene = Scene::new();
    let router = router(&scene, "\"127.0.0.0/8\"");
    let mut client = Client::connect(router.http());
    client.send(&[&v2(0x21, 0x11, IPV4)[..], GET].concat());
    told(&mut client).expect("an answer");
    let logged = || router.access_log("one.test", "one__upstream__web").starts_with("203.0.113.7@");
    webrouter_testkit::eventually(SOON, "it is in the log", logged);
}
