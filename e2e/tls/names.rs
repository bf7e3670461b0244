//! Which certificate a name gets, and which names are refused.

use webrouter_testkit::{AlertDescription, Authority, HttpOrigin, Pair, Router, TlsClient, alert_of};

use crate::{Scene, entry, ready, webrouter};

/// The certificate that `host` is shown.
pub(crate) fn shown(router: &Router, tls: &TlsClient, host: &str) -> Option<Vec<u8>> {
    let stream = tls.handshake(router.https(), host).ok()?;
    stream.certificate().map(|certificate| certificate.to_vec())
}

/// Whether `host` is shown this certificate.
pub(crate) fn shows(router: &Router, authority: &Authority, host: &str, pair: &Pair) -> bool {
    shown(router, &TlsClient::trusting(authority).trusting_anybody(), host).as_deref() == Some(&**pair.certificate())
}

struct Hosts {
    authority: Authority,
    one: Pair,
    wild: Pair,
    exact: Pair,
    router: Router,
    _origin: HttpOrigin,
}

fn hosts(settings: &str) -> Hosts {
    let authority = Authority::new("Test Authority");
    let (one, wild, exact) =
        (authority.pair(&["one.test"]), authority.pair(&["*.wild.test"]), authority.pair(&["exact.wild.test"]));
    let origin = HttpOrigin::start("one");
    let apps = entry("one.web.web", &["one.test", "wild.test"], origin.addr(), "");
    let builder = webrouter().https_listener().pair("one", &one).pair("wild", &wild).pair("exact", &exact);
    let router = ready(builder.apps(&apps).tls(settings));
    Hosts { authority, one, wild, exact, router, _origin: origin }
}

#[test]
fn a_host_gets_the_certificate_that_covers_it() {
    let hosts = hosts("");
    let shows = |host, pair| shows(&hosts.router, &hosts.authority, host, pair);
    assert!(shows("one.test", &hosts.one));
    assert!(shows("ONE.test", &hosts.one));
    assert!(shows("a.wild.test", &hosts.wild));
    assert!(shows("exact.wild.test", &hosts.exact), "the exact name beats the pattern");
}

/// RFC 6066 §3.
#[test]
fn a_name_without_a_certificate_is_refused() {
    let hosts = hosts("");
    let tls = TlsClient::trusting(&hosts.authority).trusting_anybody();
    for host in ["nobody.test", "xone.test", "test"] {
        let refused = tls.handshake(hosts.router.https(), host).err().expect("no certificate for it");
        let alert = alert_of(&refused);
        let known =
            [AlertDescription::UnrecognisedName, AlertDescription::HandshakeFailure, AlertDescription::AccessDenied];
        assert!(alert.is_some_and(|alert| known.contains(&alert)), "{host}: {alert:?}");
    }
}

#[test]
fn a_client_without_a_name_is_refused() {
    let hosts = hosts("");
    let nameless = TlsClient::trusting(&hosts.authority).trusting_anybody().without_name();
    assert!(nameless.handshake(hosts.router.https(), "one.test").is_err());
}

#[test]
fn a_default_certificate_serves_names_that_have_none() {
    let hosts = hosts("default = \"one\"");
    assert!(shows(&hosts.router, &hosts.authority, "nobody.test", &hosts.one));
    assert!(shows(&hosts.router, &hosts.authority, "a.wild.test", &hosts.wild), "others keep theirs");
    let nameless = TlsClient::trusting(&hosts.authority).trusting_anybody().without_name();
    assert_eq!(shown(&hosts.router, &nameless, "one.test").as_deref(), Some(&**hosts.one.certificate()));
}

/// What was negotiated for a name does not decide what is served: the host does.
#[test]
fn a_host_on_a_connection_for_another_name_is_routed_by_itself() {
    let scene = Scene::new();
    let router = ready(scene.builder());
    let mut client = scene.tls().connect(router.https(), "www.one.test");
    assert_eq!(client.get("one.test", "/").map(|answer| answer.text()).as_deref(), Ok("one"));
    assert_eq!(client.get("nobody.test", "/").map(|answer| answer.status), Ok(404));
}
