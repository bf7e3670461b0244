//! `https_only` and HSTS: who is sent to https, and who is told to stay there.

use webrouter_testkit::{Client, Router};

use crate::{Scene, entry, ready, webrouter};

fn router(scene: &Scene, settings: &str) -> Router {
    let addr = scene.origin.addr();
    let apps = [
        entry("one.web.web", &["one.test"], addr, "https_only = true\nhsts = \"365d\""),
        entry("bare.web.web", &["bare.test"], addr, "https_only = true\nhsts = \"365d\""),
        entry("free.web.web", &["free.test"], addr, ""),
    ];
    let pair = scene.authority.pair(&["one.test", "free.test"]);
    ready(webrouter().https_listener().pair("one", &pair).apps(&apps.concat()).section(settings))
}

/// Status and `Location` of a plain GET.
fn asked(router: &Router, host: &str, target: &str, fields: &str) -> (u16, Option<String>) {
    let mut client = Client::connect(router.http());
    client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n").as_bytes());
    let answer = client.response(webrouter_testkit::Asked::Content, crate::SOON).expect("an answer");
    (answer.status, answer.value("location").map(str::to_owned))
}

#[test]
fn plain_requests_are_sent_to_the_same_place_over_https() {
    let scene = Scene::new();
    let router = router(&scene, "");
    let to = |location: &str| (301, Some(location.to_owned()));
    assert_eq!(asked(&router, "one.test", "/a/b?c=%20d", ""), to("https://one.test/a/b?c=%20d"));
    assert_eq!(asked(&router, "ONE.test:8080", "/", ""), to("https://one.test/"));
    assert_eq!(asked(&router, "www.one.test", "/", "").0, 200, "no certificate covers it: that would be a dead end");
    assert_eq!(scene.origin.served(), 1);
}

#[test]
fn nobody_is_sent_where_no_certificate_serves_the_host_and_the_route_is_flagged() {
    let scene = Scene::new();
    let router = router(&scene, "");
    assert_eq!(asked(&router, "bare.test", "/", ""), (200, None));
    let (_, routes) = router.admin_get("/v1/routes");
    let routes: serde_json::Value = serde_json::from_str(&routes).expect("JSON");
    let of = |mountpoint: &str| {
        let routes = routes["routes"].as_array().expect("a list");
        routes.iter().find(|route| route["mountpoint"] == mountpoint).expect("the route")["flags"].to_string()
    };
    assert!(of("bare.test").contains("https"), "{}", of("bare.test"));
    assert_eq!(of("one.test"), "[]");
}

#[test]
fn a_certificate_that_appears_ends_the_exception() {
    let scene = Scene::new();
    let router = router(&scene, "");
    assert_eq!(asked(&router, "bare.test", "/", "").0, 200);
    scene.authority.pair(&["bare.test"]).write(&router.path("ssl"), "bare");
    webrouter_testkit::eventually(crate::AT_ONCE, "it redirects", || asked(&router, "bare.test", "/", "").0 == 301);
}

#[test]
fn the_scheme_is_the_one_that_a_trusted_proxy_saw() {
    let scene = Scene::new();
    assert_eq!(asked(&router(&scene, ""), "one.test", "/", "X-Forwarded-Proto: https\r\n").0, 200);
    let strict = router(&scene, "[forwarding]\ntrusted_proxies = []\n");
    assert_eq!(asked(&strict, "one.test", "/", "X-Forwarded-Proto: https\r\n").0, 301);
}

/// RFC 6797 §7.2: never without TLS.
#[test]
fn hsts_is_said_over_https_alone() {
    let scene = Scene::new();
    let router = router(&scene, "");
    let over = |host: &str| {
        let answer = scene.tls().connect(router.https(), host).get(host, "/").expect("an answer");
        answer.value("strict-transport-security").map(str::to_owned)
    };
    assert!(over("one.test").is_some_and(|value| value.starts_with("max-age=31536000")), "{:?}", over("one.test"));
    assert_eq!(over("free.test"), None);
    let plain = Client::connect(router.http()).get("bare.test", "/").expect("an answer");
    assert_eq!(plain.value("strict-transport-security"), None);
    let mut http2 = scene.tls().offering(&["h2"]).http2(router.https(), "one.test");
    let answer = http2.get("one.test", "/").expect("an answer");
    assert!(answer.value("strict-transport-security").is_some());
}

/// `*` names no resource that could follow an authority (RFC 9110 §7.1, RFC 3986 §3.3).
#[test]
fn a_request_for_the_server_as_a_whole_is_sent_to_its_root() {
    let scene = Scene::new();
    let router = router(&scene, "");
    let mut client = Client::connect(router.http());
    client.send(b"OPTIONS * HTTP/1.1\r\nHost: one.test\r\n\r\n");
    let answer = client.response(webrouter_testkit::Asked::Content, crate::SOON).expect("an answer");
    assert_eq!((answer.status, answer.value("location")), (308, Some("https://one.test/")));
}

#[test]
fn an_internal_host_is_not_sent_to_a_listener_that_does_not_serve_it() {
    let scene = Scene::new();
    let addr = scene.origin.addr();
    let apps = [
        entry("in.web.web", &["app.lain.test"], addr, "https_only = true"),
        entry("out.web.web", &["one.test"], addr, "https_only = true"),
    ];
    let pair = scene.authority.pair(&["one.test", "app.lain.test"]);
    let builder = webrouter().external_https_listener().pair("one", &pair).apps(&apps.concat());
    let router = ready(builder.section("[cluster]\ndomain = \"lain.test\"\n"));
    assert_eq!(asked(&router, "app.lain.test", "/", ""), (200, None));
    assert_eq!(asked(&router, "one.test", "/", "").0, 301);
}
