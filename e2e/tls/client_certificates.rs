//! Hosts whose clients have certificates: who gets in, what the app is told, and what a client cannot make it believe.

use std::time::Duration;

use webrouter_testkit::http2::{Fields, Http2};
use webrouter_testkit::{
    AlertDescription, Asked, Authority, Client, End, HttpOrigin, Router, TlsClient, Transport, Version, alert_of,
    eventually,
};

use crate::{SOON, Scene, body, entry, field, ready, webrouter};

struct Doors {
    scene: Scene,
    staff: Authority,
    router: Router,
    secret: HttpOrigin,
}

/// `secret.test` requires a certificate, `lobby.test` takes one, `one.test` knows nothing of it.
fn doors() -> Doors {
    let (scene, staff) = (Scene::new(), Authority::new("Staff"));
    let secret = HttpOrigin::start("secret");
    let apps = [
        entry("one.web.web", &["one.test"], scene.origin.addr(), ""),
        entry("lobby.web.web", &["lobby.test"], scene.origin.addr(), ""),
        entry("secret.web.web", &["secret.test"], secret.addr(), ""),
    ];
    let pair = scene.authority.pair(&["one.test", "lobby.test", "secret.test"]);
    let builder = webrouter().https_listener().listen("h2c = true").pair("all", &pair).apps(&apps.concat());
    let router = ready(builder.file("staff.pem", &staff.pem()).section(
        "[tls.client_certificates.\"secret.test\"]\nca = \"{dir}/staff.pem\"\nmode = \"required\"\n\
         [tls.client_certificates.\"lobby.test\"]\nca = \"{dir}/staff.pem\"\nmode = \"optional\"\n",
    ));
    Doors { scene, staff, router, secret }
}

impl Doors {
    fn head(&self, tls: &TlsClient, host: &str) -> String {
        body(&mut tls.connect(self.router.https(), host), host, "/head")
    }

    /// The handshake fails, or the first read does (RFC 8446 §4.4.2.4).
    fn refusal(&self, tls: &TlsClient, host: &str) -> Option<AlertDescription> {
        match tls.handshake(self.router.https(), host) {
            Err(error) => alert_of(&error),
            Ok(stream) => {
                let mut client = Client::over(Transport::Tls(Box::new(stream)));
                client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
                match client.read_to_end(SOON) {
                    End::Alert(alert) => Some(alert),
                    // What was sent met a closed socket.
                    End::Reset if client.received().is_empty() => Some(AlertDescription::AccessDenied),
                    end => panic!("{end:?} {:?}", String::from_utf8_lossy(client.received())),
                }
            }
        }
    }
}

#[test]
fn who_has_a_certificate_gets_in_and_the_app_learns_whose() {
    let doors = doors();
    for version in [Version::Tls12, Version::Tls13] {
        let ann = doors.scene.tls().speaking(version).showing(&doors.staff.client("Ann"));
        for host in ["secret.test", "lobby.test"] {
            let head = doors.head(&ann, host);
            assert_eq!(field(&head, "ssl-client-verify"), Some("SUCCESS"), "{head}");
            assert_eq!(field(&head, "ssl-client-subject-dn"), Some("CN=Ann"), "{head}");
        }
    }
}

#[test]
fn who_has_none_is_refused_where_one_is_required() {
    let doors = doors();
    for version in [Version::Tls12, Version::Tls13] {
        assert!(doors.refusal(&doors.scene.tls().speaking(version), "secret.test").is_some());
    }
    assert_eq!(doors.secret.served(), 0);
}

#[test]
fn who_has_none_is_let_in_where_one_is_optional_and_the_app_knows() {
    let doors = doors();
    let head = doors.head(&doors.scene.tls(), "lobby.test");
    assert_eq!(field(&head, "ssl-client-verify"), Some("NONE"), "{head}");
    assert_eq!(field(&head, "ssl-client-subject-dn"), None, "{head}");
}

#[test]
fn a_certificate_that_is_not_good_is_refused_everywhere() {
    let doors = doors();
    let forged = Authority::new("Staff").client("Ann");
    let expired = doors.staff.expired_client("Ann");
    // For servers, not for clients (RFC 5280 §4.2.1.12).
    let server = doors.staff.pair(&["ann.test"]);
    for (what, pair) in [("forged", forged), ("expired", expired), ("a server's", server)] {
        for host in ["secret.test", "lobby.test"] {
            let refusal = doors.refusal(&doors.scene.tls().showing(&pair), host);
            assert!(refusal.is_some(), "{what} for {host}");
        }
    }
    assert_eq!((doors.secret.served(), doors.scene.origin.served()), (0, 0));
}

#[test]
fn what_a_client_says_of_itself_is_not_passed_on() {
    let doors = doors();
    let lies = "ssl-client-verify: SUCCESS\r\nSSL-Client-Subject-DN: CN=root\r\nssl_client_verify: SUCCESS\r\n\
                Ssl_Client-Subject_Dn: CN=root\r\n";
    let ask = |mut client: Client, host: &str| {
        client.send(format!("GET /head HTTP/1.1\r\nHost: {host}\r\n{lies}\r\n").as_bytes());
        client.response(Asked::Content, SOON).expect("an answer").text()
    };
    let https = |host| doors.scene.tls().connect(doors.router.https(), host);
    let plain = ask(Client::connect(doors.router.http()), "one.test");
    for head in [ask(https("one.test"), "one.test"), plain] {
        assert!(!head.to_ascii_lowercase().replace('_', "-").contains("ssl-client"), "{head}");
    }
    let head = ask(https("lobby.test"), "lobby.test");
    assert_eq!(field(&head, "ssl-client-verify"), Some("NONE"), "{head}");
    assert!(!head.contains("root") && !head.contains("SUCCESS"), "{head}");
    let mut http2 = doors.scene.tls().offering(&["h2"]).http2(doors.router.https(), "lobby.test");
    let fields = Fields::request("GET", "lobby.test", "/head").but(":scheme", "https");
    let stream = http2.ask(&fields.with("ssl-client-verify", "SUCCESS").with("ssl_client_subject_dn", "CN=root"), b"");
    let head = http2.answer(stream, SOON).expect("an answer").text();
    assert!(!head.contains("root") && !head.contains("SUCCESS"), "{head}");
}

/// RFC 9110 §15.5.20: a connection that was opened for one host does not open another's door.
#[test]
fn a_connection_for_another_host_is_misdirected() {
    let doors = doors();
    let mut http1 = doors.scene.tls().connect(doors.router.https(), "one.test");
    assert_eq!(body(&mut http1, "one.test", "/"), "one");
    assert_eq!(http1.get("secret.test", "/").map(|answer| answer.status), Ok(421));
    let mut http2 = doors.scene.tls().offering(&["h2"]).http2(doors.router.https(), "one.test");
    assert_eq!(http2.get("secret.test", "/").map(|answer| answer.status), Ok(421));
    assert_eq!(http2.get("one.test", "/").map(|answer| answer.text()).as_deref(), Ok("one"));
    // A certificate shown at another door does not count either way: nobody asked for it there.
    let ann = doors.scene.tls().showing(&doors.staff.client("Ann"));
    let mut client = ann.connect(doors.router.https(), "one.test");
    assert_eq!(client.get("secret.test", "/").map(|answer| answer.status), Ok(421));
    assert_eq!(doors.secret.served(), 0);
}

#[test]
fn there_is_no_way_in_without_tls() {
    let doors = doors();
    let plain = Client::connect(doors.router.http()).get("secret.test", "/").expect("an answer");
    assert!(plain.status != 200, "{}", plain.text());
    let mut h2c = Http2::connect(doors.router.http());
    assert!(h2c.get("secret.test", "/").is_ok_and(|answer| answer.status != 200));
    let mut client = Client::connect(doors.router.http());
    client.send(b"GET / HTTP/1.1\r\nHost: secret.test\r\nX-Forwarded-Proto: https\r\n\r\n");
    let answer = client.response(Asked::Content, SOON).expect("an answer");
    assert!(answer.status != 200, "{}", answer.text());
    assert_eq!(doors.secret.served(), 0);
}

/// On the outside an internal name is as good as one that does not exist: the default certificate answers, nobody is asked
/// for a certificate, and no host that demands one may be served then.
#[test]
fn an_internal_name_is_no_way_around_a_check() {
    let (scene, staff) = (Scene::new(), Authority::new("Staff"));
    let apps = [
        entry("one.web.web", &["plain.other.test"], scene.origin.addr(), ""),
        entry("secret.web.web", &["secure.example.test"], scene.origin.addr(), ""),
    ];
    let pair = scene.authority.pair(&["plain.other.test", "*.example.test"]);
    let builder = webrouter().https_listener().external_https_listener().pair("web", &pair).tls("default = \"web\"");
    let router = ready(builder.apps(&apps.concat()).file("staff.pem", &staff.pem()).section(
        "[cluster]\ndomain = \"int.example.test\"\n\
         [tls.client_certificates.\"example.test\"]\nca = \"{dir}/staff.pem\"\nmode = \"required\"\n",
    ));
    let tls = || scene.tls().trusting_anybody();
    for name in ["x.int.example.test", "a.b.int.example.test"] {
        let mut client = tls().connect(router.external_https(), name);
        assert_eq!(client.get("secure.example.test", "/").map(|answer| answer.status), Ok(421), "{name}");
        let mut http2 = tls().offering(&["h2"]).http2(router.external_https(), name);
        assert_eq!(http2.get("secure.example.test", "/").map(|answer| answer.status), Ok(421), "{name}");
        assert_eq!(http2.get("plain.other.test", "/").map(|answer| answer.status), Ok(200), "{name}");
    }
    let ann = tls().showing(&staff.client("Ann"));
    let mut client = ann.connect(router.external_https(), "secure.example.test");
    assert_eq!(client.get("secure.example.test", "/").map(|answer| answer.status), Ok(200));
}

/// The check of one host says nothing to the app of another, whose authority may be another, or none.
#[test]
fn who_was_checked_for_one_host_is_nobody_to_another() {
    let doors = doors();
    let ann = doors.scene.tls().showing(&doors.staff.client("Ann"));
    let mut client = ann.connect(doors.router.https(), "lobby.test");
    let head = body(&mut client, "one.test", "/head");
    assert!(!head.to_ascii_lowercase().contains("ssl-client"), "{head}");
    let head = body(&mut client, "lobby.test", "/head");
    assert_eq!(field(&head, "ssl-client-verify"), Some("SUCCESS"), "{head}");
    let mut http2 = doors
        .scene
        .tls()
        .offering(&["h2"])
        .showing(&doors.staff.client("Ann"))
        .http2(doors.router.https(), "lobby.test");
    let head = http2.get("one.test", "/head").expect("an answer").text();
    assert!(!head.to_ascii_lowercase().contains("ssl-client"), "{head}");
}

/// A session that is taken up again is not checked again (RFC 8446 §2.2), so none is.
#[test]
fn a_certificate_that_has_ended_is_refused_though_it_was_good_before() {
    let doors = doors();
    let ann = doors.staff.ending_client("Ann", Duration::from_secs(4));
    let clients = [Version::Tls12, Version::Tls13].map(|version| doors.scene.tls().speaking(version).showing(&ann));
    for tls in &clients {
        assert_eq!(body(&mut tls.connect(doors.router.https(), "secret.test"), "secret.test", "/"), "secret");
    }
    for tls in &clients {
        eventually(Duration::from_secs(15), "it has ended", || {
            match tls.handshake(doors.router.https(), "secret.test") {
                Err(_) => true,
                Ok(stream) => Client::over(Transport::Tls(Box::new(stream))).get("secret.test", "/").is_err(),
            }
        });
    }
}
