use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, NamedGroup, RootCertStore};
use webrouter_routing::host::Host;
use webrouter_testkit::{Authority, TlsClient, Version};

use super::handshake::Standing;
use super::scene::{Scene, Server, refused, snapshots, soon, write};
use super::*;

fn host(name: &str) -> Host {
    Host::parse(name).expect("a host")
}

/// The problems of a stem.
fn offences(certificates: &Certificates, stem: &str) -> Vec<(String, Offence)> {
    let report = certificates.report();
    let stem = report.certificates.into_iter().find(|certificate| certificate.stem == stem);
    let problems = stem.map(|stem| stem.problems).unwrap_or_default();
    let name = |problem: &Problem| problem.file.file_name().expect("a name").to_string_lossy().into_owned();
    problems.into_iter().map(|problem| (name(&problem), problem.offence)).collect()
}

#[test]
fn the_map_is_asked_first_then_the_names() {
    let scene = Scene::new()
        .with("web", &["unrelated.test"])
        .with("wild", &["*.demo.test"])
        .with("exact", &["a.demo.test"])
        .with("mapped", &["also.unrelated.test"]);
    let lasting = scene.authority.ending_pair(&["long.test"], Duration::from_secs(90 * 86_400));
    lasting.write(&scene.config.certificates, "lasting");
    let brief = scene.authority.ending_pair(&["long.test"], Duration::from_secs(86_400));
    brief.write(&scene.config.certificates, "brief");
    let map = [("*.lain", "web"), ("x.lain", "mapped"), ("y.lain", "nowhere"), ("b.demo.test", "nowhere")];
    let server = scene.serve(&map);
    let check = |host: &str, stem: Option<&str>| assert_eq!(scene.served(&server, host).as_deref(), stem, "{host}");
    check("x.lain", Some("mapped"));
    check("X.Lain", Some("mapped"));
    check("deep.z.lain", Some("web"));
    // An entry whose pair is missing is not taken: the next pattern, or the names, decide.
    check("y.lain", Some("web"));
    check("b.demo.test", Some("wild"));
    check("a.demo.test", Some("exact"));
    check("long.test", Some("lasting"));
    check("a.b.demo.test", None);
    check("demo.test", None);
    check("lain", None);
}

#[test]
fn who_has_no_certificate_is_refused_with_the_alert_for_it_or_gets_the_default() {
    let mut scene = Scene::new().with("web", &["demo.test"]);
    let server = scene.serve(&[]);
    let error = scene.client().handshake(server.all, "other.test").err().expect("refused");
    assert!(error.to_string().contains("UnrecognisedName"), "{error}");
    assert_eq!(server.told(), refused(("no_certificate", "none")));
    assert_eq!(server.ask(&scene.client().without_name(), "demo.test"), refused(("no_certificate", "none")));
    assert!(server.acceptor.serves(&snapshots(&[]).load(), "demo.test"));
    assert!(!server.acceptor.serves(&snapshots(&[]).load(), "other.test"));
    scene.config.default = Some("web".to_owned());
    let server = scene.serve(&[]);
    assert_eq!(scene.served(&server, "other.test").as_deref(), Some("web"));
    assert_eq!(server.ask(&scene.client().without_name(), "demo.test").end, ("full", "1.3"));
    // The default is no reason to send anybody to https.
    assert!(!server.acceptor.serves(&snapshots(&[]).load(), "other.test"));
}

#[test]
fn on_the_outside_an_internal_name_does_not_exist() {
    let mut scene = Scene::new().with("web", &["*.lain"]).with("other", &["unrelated.test"]);
    let server = scene.serve(&[("mapped.lain", "web")]);
    for name in ["mapped.lain", "named.lain"] {
        assert_eq!(scene.served(&server, name).as_deref(), Some("web"));
        assert_eq!(scene.served_at(server.external, &server, name), None);
    }
    scene.config.default = Some("other".to_owned());
    let server = scene.serve(&[("mapped.lain", "web")]);
    for name in ["mapped.lain", "named.lain", "nobody.test"] {
        assert_eq!(scene.served_at(server.external, &server, name).as_deref(), Some("other"), "{name}");
    }
}

#[test]
fn the_protocol_is_agreed_on() {
    let scene = Scene::new().with("web", &["demo.test"]);
    let server = scene.serve(&[]);
    let check = |offered: &[&str], http2: bool| {
        let told = server.ask(&scene.client().offering(offered), "demo.test");
        assert_eq!((told.end, told.http2), (("full", "1.3"), http2), "{offered:?}");
    };
    check(&[], false);
    check(&["http/1.1"], false);
    check(&["http/1.0"], false);
    check(&["h2", "http/1.1"], true);
    assert_eq!(server.ask(&scene.client().offering(&["smtp"]), "demo.test"), refused(("protocol", "none")));
}

#[test]
fn old_versions_are_refused() {
    let mut scene = Scene::new().with("web", &["demo.test"]);
    let server = scene.serve(&[]);
    let old = || scene.client().speaking(Version::Tls12);
    assert_eq!(server.ask(&old(), "demo.test").end, ("full", "1.2"));
    // A hello of TLS 1.1 with a suite of its time (RFC 4346 §7.4.1.2), and the alert `protocol_version`.
    let name = [&[0, 0, 0, 14, 0, 12, 0, 0, 9][..], b"demo.test"].concat();
    let signatures = [0, 13, 0, 4, 0, 2, 4, 3];
    let groups = [0, 10, 0, 4, 0, 2, 0, 29];
    let extensions = [&name[..], &signatures, &groups].concat();
    let body = [&[3, 2][..], &[7; 32], &[0, 0, 2, 0xc0, 0x13, 1, 0, 0, 34], &extensions].concat();
    let hello = [&[22, 3, 1, 0, 81, 1, 0, 0, 77][..], &body].concat();
    let mut stream = TcpStream::connect(server.all).expect("connected");
    stream.write_all(&hello).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("answered");
    assert_eq!((answer.first(), answer.last()), (Some(&21), Some(&70)), "{answer:?}");
    assert_eq!(server.told(), refused(("protocol", "none")));
    scene.config.profile = Profile::Modern;
    let server = scene.serve(&[]);
    assert_eq!(server.ask(&scene.client().speaking(Version::Tls12), "demo.test"), refused(("protocol", "none")));
    assert_eq!(server.ask(&scene.client(), "demo.test").end, ("full", "1.3"));
}

#[test]
fn what_is_no_tls_is_answered_where_it_is_http_and_counted() {
    let scene = Scene::new().with("web", &["demo.test"]);
    let server = scene.serve(&[]);
    let check = |bytes: &[u8], expected: &[u8], end: &'static str| {
        let mut stream = TcpStream::connect(server.all).expect("connected");
        stream.write_all(bytes).expect("sent");
        stream.shutdown(std::net::Shutdown::Write).expect("half-closed");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("answered");
        assert!(answer.starts_with(expected) && answer.is_empty() == expected.is_empty(), "{answer:?}");
        assert_eq!(server.told(), refused((end, "none")));
    };
    check(b"GET / HTTP/1.1\r\nHost: demo.test\r\n\r\n", b"HTTP/1.1 400 Bad Request\r\n", "not_tls");
    check(b"SSH-2.0-x\r\n", b"HTTP/1.1 400", "not_tls");
    check(b"\x80\x2e\x01", b"", "not_tls");
    check(b"\x16\x03\x01", b"", "closed");
    check(b"", b"", "closed");
    check(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", b"\x15\x03", "protocol");
    let page = server.metrics.render();
    assert!(page.contains("webrouter_tls_handshakes_total{result=\"not_tls\",version=\"none\"} 3"), "{page}");
}

#[test]
fn a_new_pair_is_in_force_soon_and_a_broken_one_changes_nothing() {
    let scene = Scene::new();
    let first = scene.pair("web", &["demo.test"]);
    let certificates = scene.open().expect("certificates");
    let server = Server::start(Arc::clone(&certificates), &[]);
    let client = TlsClient::trusting(&scene.authority);
    let shown = || {
        let stream = client.handshake(server.all, "demo.test");
        server.told();
        stream.ok().and_then(|stream| stream.certificate())
    };
    assert_eq!(shown().as_ref(), Some(first.certificate()));
    let second = scene.pair("web", &["demo.test"]);
    soon("the new pair", || shown().as_ref() == Some(second.certificate()));
    let check = |file: &str, bytes: &[u8], mode: u32, expected: fn(&Offence) -> bool| {
        let path = scene.path(file);
        let good = std::fs::read(&path).expect("the good one");
        write(&path, bytes);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
        soon(file, || offences(&certificates, "web").iter().any(|(name, offence)| name == file && expected(offence)));
        assert_eq!(shown().as_ref(), Some(second.certificate()), "{file}");
        write(&path, &good);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("a mode");
        soon("all is well again", || offences(&certificates, "web").is_empty());
    };
    check("web.crt", b"", 0o600, |offence| *offence == Offence::NoCertificate);
    check("web.crt", b"-----BEGIN CERTIFICATE-----\nAAAA\n", 0o600, |offence| *offence == Offence::NotPem);
    let not_der = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    check("web.crt", not_der, 0o600, |offence| matches!(offence, Offence::BadCertificate(_)));
    check("web.key", first.key_pem().as_bytes(), 0o600, |offence| *offence == Offence::Mismatch);
    check("web.key", first.certificate_pem().as_bytes(), 0o600, |offence| *offence == Offence::NoKey);
    let encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    check("web.key", encrypted, 0o600, |offence| *offence == Offence::EncryptedKey);
    let bad = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    check("web.key", bad, 0o600, |offence| matches!(offence, Offence::BadKey(_)));
    check("web.key", &vec![b' '; 2 << 20], 0o600, |offence| matches!(offence, Offence::TooLong(_)));
    check("web.key", second.key_pem().as_bytes(), 0o644, |offence| *offence == Offence::Exposed(0o644));
    std::fs::remove_file(scene.path("web.key")).expect("removed");
    soon("a missing key", || offences(&certificates, "web") == [("web.key".to_owned(), Offence::Missing)]);
    assert_eq!(shown().as_ref(), Some(second.certificate()));
    std::fs::remove_file(scene.path("web.crt")).expect("removed");
    soon("who leaves is gone", || shown().is_none());
    assert!(certificates.is_empty());
}

#[test]
fn a_broken_pair_beside_good_ones_hurts_nobody_else() {
    let scene = Scene::new().with("web", &["demo.test"]);
    write(&scene.path("bad.crt"), b"no certificate");
    write(&scene.path("bad.key"), b"no key");
    write(&scene.path("alone.key"), b"no key");
    write(&scene.path(".hidden.crt"), b"");
    write(&scene.path("notes.txt"), b"");
    let certificates = scene.open().expect("certificates");
    let stems: Vec<_> = certificates.report().certificates.into_iter().map(|c| (c.stem, c.in_force)).collect();
    assert_eq!(stems, [("alone".to_owned(), false), ("bad".to_owned(), false), ("web".to_owned(), true)]);
    assert_eq!(offences(&certificates, "bad"), [("bad.crt".to_owned(), Offence::NoCertificate)]);
    assert_eq!(offences(&certificates, "alone"), [("alone.crt".to_owned(), Offence::Missing)]);
    let snapshots = snapshots(&[("a.test", "bad"), ("b.test", "web"), ("c.test", "nowhere")]);
    let rejections = certificates.rejections(&snapshots.load());
    let told: Vec<_> = rejections.iter().map(|r| (r.pattern.as_str(), r.stem.as_str(), &r.problem.offence)).collect();
    assert_eq!(told, [("a.test", "bad", &Offence::NoCertificate), ("c.test", "nowhere", &Offence::Missing)]);
}

#[test]
fn links_are_followed_as_kubernetes_swaps_them() {
    let mut scene = Scene::new();
    scene.config.certificates = scene.directory.path().join("mounted");
    let folder = scene.config.certificates.clone();
    let version = |name: &str| {
        let inner = folder.join(name);
        std::fs::create_dir_all(&inner).expect("a folder");
        let pair = scene.authority.pair(&["demo.test"]);
        pair.write(&inner, "tls");
        pair
    };
    version("..1");
    symlink("..1", folder.join("..data")).expect("a link");
    for file in ["tls.crt", "tls.key"] {
        symlink(format!("..data/{file}"), folder.join(file)).expect("a link");
    }
    let server = scene.serve(&[]);
    let shown = || {
        let stream = scene.client().handshake(server.all, "demo.test");
        server.told();
        stream.ok().and_then(|stream| stream.certificate())
    };
    assert!(shown().is_some());
    let second = version("..2");
    symlink("..2", folder.join("..data_tmp")).expect("a link");
    std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).expect("swapped");
    soon("what the link leads to", || shown().as_ref() == Some(second.certificate()));
    // A link to elsewhere, and a change there.
    let elsewhere = tempfile::tempdir().expect("a directory");
    scene.authority.pair(&["far.test"]).write(elsewhere.path(), "live");
    for extension in ["crt", "key"] {
        let link = folder.join(format!("far.{extension}"));
        symlink(elsewhere.path().join(format!("live.{extension}")), link).expect("a link");
    }
    let far = || {
        let stream = scene.client().handshake(server.all, "far.test");
        server.told();
        stream.ok().and_then(|stream| stream.certificate())
    };
    soon("a pair elsewhere", || far().is_some());
    let renewed = scene.authority.pair(&["far.test"]);
    renewed.write(elsewhere.path(), "live");
    soon("a pair renewed elsewhere", || far().as_ref() == Some(renewed.certificate()));
}

#[test]
fn a_folder_that_goes_leaves_its_certificates_in_force_until_another_comes() {
    let scene = Scene::new().with("web", &["demo.test"]);
    let certificates = scene.open().expect("certificates");
    let away = scene.directory.path().join("away");
    std::fs::rename(&scene.config.certificates, &away).expect("moved");
    soon("the folder is missed", || certificates.report().problem.is_some());
    let report = certificates.report();
    assert_eq!(report.problem.map(|problem| problem.offence), Some(Offence::Missing));
    assert!(report.certificates.iter().all(|certificate| certificate.in_force));
    std::fs::create_dir(&scene.config.certificates).expect("a folder");
    scene.pair("other", &["other.test"]);
    let stems = || certificates.report().certificates.into_iter().map(|c| c.stem).collect::<Vec<_>>();
    soon("the new folder", || stems() == ["other"]);
    scene.pair("more", &["more.test"]);
    soon("a change in the new folder", || stems() == ["more", "other"]);
}

#[test]
fn what_the_configuration_names_must_be_good_at_start() {
    let check = |change: &dyn Fn(&mut Scene), parts: &[&str]| {
        let mut scene = Scene::new().with("web", &["demo.test"]);
        change(&mut scene);
        let error = scene.open().expect_err("refused").to_string();
        for part in parts {
            assert!(error.contains(part), "{part:?} is not in {error:?}");
        }
    };
    check(&|scene| scene.config.certificates = "/no/such/folder".into(), &["/no/such/folder", "[tls] certificates"]);
    check(&|scene| scene.config.default = Some("nowhere".to_owned()), &["nowhere.crt", "it is missing"]);
    check(
        &|scene| {
            let ca = scene.path("ca.pem");
            write(&ca, b"");
            let demand = ClientCertificates { ca, mode: Demand::Required };
            scene.config.client_certificates.insert(host("demo.test"), demand);
        },
        &["ca.pem", "holds no certificate"],
    );
}

/// A scene with an authority for clients of `secure.test` (required) and `open.test` (optional).
fn with_demands() -> (Scene, Authority) {
    let mut scene = Scene::new().with("web", &["secure.test", "*.secure.test", "open.test", "plain.test"]);
    let clients = Authority::new("clients");
    // Beside the pairs, where nobody misses its key.
    let ca = scene.path("clients.crt");
    write(&ca, clients.pem().as_bytes());
    for (name, mode) in [("secure.test", Demand::Required), ("open.test", Demand::Optional)] {
        scene.config.client_certificates.insert(host(name), ClientCertificates { ca: ca.clone(), mode });
    }
    (scene, clients)
}

#[test]
fn clients_are_asked_for_certificates_where_that_is_configured() {
    let (scene, clients) = with_demands();
    let server = scene.serve(&[]);
    let alice = clients.client("alice");
    let stranger = Authority::new("somebody else").client("mallory");
    let check = |host: &str, shown: Option<&webrouter_testkit::Pair>, expected: Result<Option<&str>, ()>| {
        for version in [Version::Tls12, Version::Tls13] {
            let client = scene.client().speaking(version);
            let client = match shown {
                Some(pair) => client.showing(pair),
                None => client,
            };
            let told = server.ask(&client, host);
            match expected {
                Ok(subject) => assert_eq!((told.end.0, told.subject.as_deref()), ("full", subject), "{host}"),
                Err(()) => assert_eq!(told, refused(("client_certificate", "none")), "{host}"),
            }
        }
    };
    check("secure.test", Some(&alice), Ok(Some("CN=alice")));
    check("a.secure.test", Some(&alice), Ok(Some("CN=alice")));
    check("secure.test", None, Err(()));
    check("a.secure.test", None, Err(()));
    check("secure.test", Some(&clients.expired_client("old")), Err(()));
    check("secure.test", Some(&stranger), Err(()));
    check("open.test", Some(&alice), Ok(Some("CN=alice")));
    check("open.test", None, Ok(None));
    check("open.test", Some(&stranger), Err(()));
    check("plain.test", Some(&alice), Ok(None));
    let demand = |host: &str| server.ask(&scene.client().showing(&alice), host).demand;
    assert_eq!(demand("secure.test").as_deref(), Some("secure.test"));
    assert_eq!(demand("a.secure.test").as_deref(), Some("secure.test"));
    assert_eq!(demand("open.test").as_deref(), Some("open.test"));
    assert_eq!(demand("plain.test"), None);
    let standing = |met: Option<&str>, asked: &str| server.acceptor.standing(met.map(host).as_ref(), asked);
    assert_eq!(standing(Some("secure.test"), "secure.test"), Standing::Checked);
    assert_eq!(standing(Some("secure.test"), "a.secure.test"), Standing::Checked);
    assert_eq!(standing(Some("secure.test"), "plain.test"), Standing::Undemanded);
    assert_eq!(standing(None, "plain.test"), Standing::Undemanded);
    assert_eq!(standing(None, "secure.test"), Standing::Unchecked);
    assert_eq!(standing(Some("open.test"), "secure.test"), Standing::Unchecked);
    assert_eq!(standing(Some("secure.test"), "open.test"), Standing::Unchecked);
    let report = server.certificates.report();
    assert_eq!(report.certificates.iter().map(|c| c.stem.as_str()).collect::<Vec<_>>(), ["web"]);
}

#[test]
fn a_ca_file_is_followed() {
    let (scene, clients) = with_demands();
    let server = scene.serve(&[]);
    let alice = scene.client().showing(&clients.client("alice"));
    assert_eq!(server.ask(&alice, "secure.test").end.0, "full");
    let ca = scene.path("clients.crt");
    write(&ca, b"nothing");
    soon("a broken CA file is told", || {
        server.certificates.report().demands.iter().all(|demand| demand.problem.is_some())
    });
    assert_eq!(server.ask(&alice, "secure.test").end.0, "full", "the last good one stays in force");
    let others = Authority::new("others");
    write(&ca, others.pem().as_bytes());
    let bob = scene.client().showing(&others.client("bob"));
    soon("the new CA", || server.ask(&bob, "secure.test").end.0 == "full");
    assert_eq!(
        server.ask(&alice, "secure.test"),
        refused(("client_certificate", "none")),
        "an earlier session is no way around it"
    );
}

#[test]
fn sessions_are_taken_up_on_every_core_but_not_by_another_host() {
    let (scene, clients) = with_demands();
    let certificates = scene.open().expect("certificates");
    let core = || Server::start(Arc::clone(&certificates), &[]);
    let (one, other) = (core(), core());
    for (version, name) in [(Version::Tls12, "1.2"), (Version::Tls13, "1.3")] {
        let client = scene.client().speaking(version);
        assert_eq!(one.ask(&client, "plain.test").end, ("full", name));
        assert_eq!(other.ask(&client, "plain.test").end, ("resumed", name));
        let alice = scene.client().speaking(version).showing(&clients.client("alice"));
        assert_eq!(one.ask(&alice, "secure.test").end, ("full", name));
        let again = other.ask(&alice, "secure.test");
        assert_eq!((again.end, again.subject.as_deref()), (("full", name), Some("CN=alice")), "checked every time");
    }
}

/// Offers the session of one host to every other.
#[derive(Debug)]
struct AnyName(ClientSessionMemoryCache);

impl AnyName {
    fn name() -> ServerName<'static> {
        ServerName::try_from("any.test").expect("a name")
    }
}

impl ClientSessionStore for AnyName {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(Self::name(), group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.0.kx_hint(&Self::name())
    }

    fn set_tls12_session(&self, _: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.0.set_tls12_session(Self::name(), session);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.0.tls12_session(&Self::name())
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.0.remove_tls12_session(&Self::name());
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.0.insert_tls13_ticket(Self::name(), ticket);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.take_tls13_ticket(&Self::name())
    }
}

#[test]
fn a_ticket_of_another_host_is_no_way_around_a_check() {
    let (scene, _) = with_demands();
    let server = scene.serve(&[]);
    let mut roots = RootCertStore::empty();
    roots.add(scene.authority.certificate().clone()).expect("an authority");
    for (version, name) in [(&TLS12, "1.2"), (&TLS13, "1.3")] {
        let client = || {
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]);
            let builder = builder.expect("a version").with_root_certificates(roots.clone());
            let mut config = builder.with_no_client_auth();
            config.resumption = Resumption::store(Arc::new(AnyName(ClientSessionMemoryCache::new(8))));
            Arc::new(config)
        };
        // Where clients are checked there are no tickets at all.
        for (from, again) in [("plain.test", "resumed"), ("open.test", "full")] {
            let client = client();
            assert_eq!(server.ask_as(&client, from).end, ("full", name));
            assert_eq!(server.ask_as(&client, from).end, (again, name));
            assert_eq!(server.ask_as(&client, "secure.test"), refused(("client_certificate", "none")), "{from} {name}");
        }
    }
}

#[test]
fn the_report_tells_what_ends_and_what_is_stapled() {
    let scene = Scene::new().with("lasting", &["demo.test"]);
    let day = Duration::from_secs(86_400);
    for (stem, left) in [("soon", 20 * day), ("later", 22 * day)] {
        scene.authority.ending_pair(&["demo.test"], left).write(&scene.config.certificates, stem);
    }
    scene.authority.expired_pair(&["demo.test"]).write(&scene.config.certificates, "over");
    for stem in ["lasting", "soon"] {
        let chain = super::pair::chain(&scene.path(&format!("{stem}.crt"))).expect("a chain");
        let serial = super::leaf::Leaf::parse(&chain[0]).expect("a certificate").serial;
        let serial = [&[0][..], &serial].concat();
        let next = if stem == "soon" { "20200102000000Z" } else { "20490101000000Z" };
        let response = super::ocsp::tests::response(&serial, 0x80, Some(next));
        write(&scene.path(&format!("{stem}.ocsp")), &response);
    }
    let certificates = scene.open().expect("certificates");
    let report = certificates.report();
    let told: Vec<_> = report.certificates.iter().map(|c| (c.stem.as_str(), c.ends_soon, c.stapled)).collect();
    assert_eq!(told, [("lasting", false, true), ("later", false, false), ("over", true, false), ("soon", true, false)]);
    assert_eq!(offences(&certificates, "soon"), [("soon.ocsp".to_owned(), Offence::OldOcsp)]);
    let soon = report.certificates.iter().find(|certificate| certificate.stem == "soon").expect("it is there");
    let left = soon.not_after.expect("in force").duration_since(SystemTime::now()).expect("in the future");
    assert!(left > 19 * day && left <= 20 * day, "{left:?}");
}
