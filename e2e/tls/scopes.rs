//! Internal hosts answer on their own listeners only, whatever a client does to the name of the host.

use webrouter_testkit::http2::{Ended, Fields, Http2};
use webrouter_testkit::{Asked, Authority, Client, HttpOrigin, Router, TlsClient};

use crate::{SOON, entry, ready, webrouter};

struct Two {
    authority: Authority,
    router: Router,
    inside: HttpOrigin,
    _outside: HttpOrigin,
}

/// `app.lain.local` and `app.lain` are internal, `shop.test` is not.
fn two() -> Two {
    let authority = Authority::new("Test Authority");
    let (inside, outside) = (HttpOrigin::start("inside"), HttpOrigin::start("outside"));
    let apps = [
        entry("in.web.web", &["app.lain.local", "app.lain"], inside.addr(), ""),
        entry("out.web.web", &["shop.test"], outside.addr(), ""),
    ];
    let pair = authority.pair(&["app.lain.local", "app.lain", "shop.test"]);
    let builder = webrouter().https_listener().external_listener().external_https_listener().listen("h2c = true");
    let cluster = "[cluster]\ndomain = \"lain.local\"\n";
    let router = ready(builder.pair("all", &pair).tls("default = \"all\"").apps(&apps.concat()).section(cluster));
    Two { authority, router, inside, _outside: outside }
}

/// Ways to write an internal host.
const NAMES: [&str; 7] = [
    "app.lain.local",
    "app.lain",
    "APP.Lain.Local",
    "app.lain.local.",
    "app.lain.local:80",
    "x.app.lain.local",
    "app.lain:443",
];

/// Heads that ask for an internal host in one way or another.
fn tricks() -> Vec<String> {
    let mut tricks: Vec<String> = NAMES.iter().map(|name| format!("GET / HTTP/1.1\r\nHost: {name}\r\n")).collect();
    tricks.extend(
        [
            "GET http://app.lain.local/ HTTP/1.1\r\nHost: app.lain.local\r\n",
            "GET http://app.lain.local/ HTTP/1.1\r\nHost: shop.test\r\n",
            "GET https://app.lain.local/ HTTP/1.1\r\nHost: shop.test\r\n",
            "GET http://shop.test/ HTTP/1.1\r\nHost: app.lain.local\r\n",
            "GET http://shop.test@app.lain.local/ HTTP/1.1\r\nHost: shop.test\r\n",
            "GET / HTTP/1.1\r\nHost: shop.test\r\nHost: app.lain.local\r\n",
            "GET / HTTP/1.1\r\nHost: app.lain.local\r\nX-Forwarded-Host: shop.test\r\n",
            "GET //app.lain.local/ HTTP/1.1\r\nHost: app.lain.local\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: app.lain.local\r\n",
            "GET / HTTP/1.0\r\nHost: app.lain.local\r\n",
        ]
        .map(str::to_owned),
    );
    tricks
}

/// Whatever comes, it is no answer of the app inside.
fn is_refused(mut client: Client, head: &str) {
    client.send(format!("{head}X-A: 1\r\n\r\n").as_bytes());
    match client.response(Asked::Content, SOON) {
        Ok(answer) => {
            assert!(matches!(answer.status, 400 | 404 | 421), "{head:?}: {} {}", answer.status, answer.text())
        }
        Err(why) => assert!(!why.contains("Deadline"), "{head:?}: {why}"),
    }
}

#[test]
fn internal_hosts_answer_on_their_own_listeners() {
    let two = two();
    let plain = Client::connect(two.router.http()).get("app.lain.local", "/");
    assert_eq!(plain.map(|answer| answer.text()).as_deref(), Ok("inside"));
    let tls = TlsClient::trusting(&two.authority);
    let https = tls.connect(two.router.https(), "app.lain.local").get("app.lain.local", "/");
    assert_eq!(https.map(|answer| answer.text()).as_deref(), Ok("inside"));
}

#[test]
fn external_hosts_answer_everywhere() {
    let two = two();
    for addr in [two.router.http(), two.router.external_http()] {
        let answer = Client::connect(addr).get("shop.test", "/");
        assert_eq!(answer.map(|answer| answer.text()).as_deref(), Ok("outside"));
    }
    for addr in [two.router.https(), two.router.external_https()] {
        let answer = TlsClient::trusting(&two.authority).connect(addr, "shop.test").get("shop.test", "/");
        assert_eq!(answer.map(|answer| answer.text()).as_deref(), Ok("outside"));
    }
}

#[test]
fn no_trick_reaches_an_internal_host_on_a_plain_external_listener() {
    let two = two();
    for head in tricks() {
        is_refused(Client::connect(two.router.external_http()), &head);
    }
    assert_eq!(two.inside.served(), 0);
}

#[test]
fn no_trick_reaches_an_internal_host_on_an_external_listener_with_tls() {
    let two = two();
    let tls = TlsClient::trusting(&two.authority).trusting_anybody();
    for head in tricks() {
        is_refused(tls.connect(two.router.external_https(), "shop.test"), &head);
        // A handshake for the internal name may fail already.
        if let Ok(stream) = tls.handshake(two.router.external_https(), "app.lain.local") {
            is_refused(Client::over(webrouter_testkit::Transport::Tls(Box::new(stream))), &head);
        }
    }
    assert_eq!(two.inside.served(), 0);
}

/// The authority, the host without an authority, and a name that differs from that of the handshake.
#[test]
fn no_authority_reaches_an_internal_host_on_an_external_listener() {
    let two = two();
    let tls = TlsClient::trusting(&two.authority).offering(&["h2"]);
    let connections: [fn(&Two, &TlsClient) -> Http2; 2] = [
        |two, _| Http2::connect(two.router.external_http()),
        |two, tls| tls.http2(two.router.external_https(), "shop.test"),
    ];
    for connect in connections {
        for name in NAMES {
            let get = Fields::request("GET", name, "/");
            let host = get.clone().without(":authority").with("host", name);
            let both = Fields::request("GET", "shop.test", "/").with("host", name);
            for fields in [get, host, both] {
                let mut connection = connect(&two, &tls);
                let stream = connection.ask(&fields, b"");
                let _ = connection.until(SOON, |inbox| inbox.end_of(stream) != Ended::Open || inbox.goaway.is_some());
                let status = connection.inbox().stream(stream).status();
                assert!(status.is_none_or(|status| matches!(status, 400 | 404 | 421)), "{name}: {status:?}");
            }
        }
    }
    assert_eq!(two.inside.served(), 0);
}
