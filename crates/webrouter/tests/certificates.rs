//! Certificates as an operator meets them: what is refused at start, what `status` and `check` say, what follows a change.

use std::fs;
use std::time::Duration;

use webrouter_testkit::{Authority, Lainlet, Router, RouterBuilder, TlsClient, eventually};

const APPS: &str = "[apps.\"demo.web.web\"]\nmountpoint = [\"demo.test\"]\nhttps_only = true\nendpoints = []\n";

fn builder() -> RouterBuilder {
    Router::builder(env!("CARGO_BIN_EXE_webrouter")).https_listener()
}

/// The exit code and output of a client command.
fn command(router: &Router, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_webrouter"));
    let output = command.args(arguments).args(["--admin", &router.admin().to_string()]).env_clear().output();
    let output = output.expect("the binary runs");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The certificate that a host gets.
fn shown(router: &Router, authority: &Authority, host: &str) -> Option<Vec<u8>> {
    let client = TlsClient::trusting(authority).trusting_anybody();
    let stream = client.handshake(router.https(), host).ok()?;
    stream.certificate().map(|certificate| certificate.to_vec())
}

#[test]
fn a_listener_whose_certificates_cannot_be_read_names_the_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let check = |tls: &str, parts: &[&str]| {
        let config = format!(
            "[listen]\nhttp = []\nhttps = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n[state]\ndirectory = \"state\"\n\
             [source.file]\npath = \"apps.toml\"\n[access_log]\nstdout = true\n[tls]\n{tls}\n"
        );
        fs::write(folder.path().join("webrouter.toml"), config).expect("written");
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_webrouter"));
        let output =
            command.args(["run", "--config", "webrouter.toml"]).current_dir(folder.path()).env_clear().output();
        let output = output.expect("the binary runs");
        let report = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{report}");
        for part in parts {
            assert!(report.contains(part), "{part:?} is not in:\n{report}");
        }
        assert!(!folder.path().join("state/listening.json").exists());
    };
    check("certificates = \"nowhere\"", &["nowhere", "it is missing", "NGINX_SSL_PATH"]);
    fs::create_dir(folder.path().join("ssl")).expect("a folder");
    check("certificates = \"ssl\"\ndefault = \"web\"", &["ssl/web.crt", "it is missing"]);
    let demand = "certificates = \"ssl\"\n[tls.client_certificates.\"demo.test\"]\nca = \"clients.crt\"";
    check(demand, &["clients.crt", "it is missing"]);
}

#[test]
fn without_a_certificate_it_starts_and_says_so_until_one_comes() {
    let authority = Authority::new("ca");
    let router = builder().tls("# none").apps(APPS).start();
    let (code, out) = command(&router, &["status"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("no certificate: every TLS handshake is refused"), "{out}");
    assert_eq!(router.status()["certificate_folder"]["problem"], serde_json::Value::Null);
    let (_, routes) = command(&router, &["routes"]);
    assert!(routes.contains("nothing serves https"), "{routes}");
    let pair = authority.pair(&["demo.test"]);
    pair.write(&router.path("ssl"), "web");
    eventually(Duration::from_millis(2500), "the pair in force", || shown(&router, &authority, "demo.test").is_some());
    let (code, out) = command(&router, &["status"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("certs     1 in force") && out.contains("for every host, TLS"), "{out}");
    let (_, routes) = command(&router, &["routes"]);
    assert!(!routes.contains("nothing serves https"), "{routes}");
    assert!(router.metric("webrouter_tls_handshakes_total", "result=\"full\",version=\"1.3\"") >= 1.0);
}

#[test]
fn what_ends_soon_and_what_is_broken_is_told() {
    let authority = Authority::new("ca");
    let left = Duration::from_secs(3 * 86_400 + 3600);
    let soon = authority.ending_pair(&["demo.test"], left);
    let broken = authority.pair(&["a.test"]).with_key_of(&soon);
    let builder = || builder().pair("soon", &soon).pair("broken", &broken).pair("fine", &authority.pair(&["b.test"]));
    let check = |out: &str| {
        let told =
            ["broken.key: its private key is not the key of the certificate", "put the two that belong together"];
        for part in told {
            assert!(out.contains(part), "{part:?} is not in:\n{out}");
        }
        assert!(!out.contains("fine."), "{out}");
    };
    let router = builder().apps(APPS).start();
    let (code, out) = command(&router, &["status"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("certs     2 in force") && out.contains("CERT      soon ends in 3d "), "{out}");
    check(&out);
    let expiry = router.metric("webrouter_certificate_expiry_timestamp_seconds", "certificate=\"soon\"");
    let now = std::time::UNIX_EPOCH.elapsed().expect("a clock after 1970").as_secs_f64();
    assert!((now + left.as_secs_f64() - expiry).abs() < 60.0, "{expiry}");
    let (_, page) = router.admin_get("/");
    assert!(page.contains("ends in 3 d") && page.contains("broken.key"), "{page}");
    let (code, out, _) = builder().apps(APPS).run_to_end(&["check"]);
    assert_eq!(code, Some(1), "{out}");
    check(&out);
}

#[test]
fn the_ssl_setting_of_lainlet_is_followed() {
    let authority = Authority::new("ca");
    let (web, other) = (authority.pair(&["web.test"]), authority.pair(&["other.test"]));
    let lainlet = Lainlet::start();
    lainlet.set_app("demo.web.web", &["demo.lain"], &["127.0.0.1:1".parse().expect("an address")]);
    lainlet.set_config("ssl", Some(r#"{"*.lain":"web"}"#));
    let router = builder().pair("web", &web).pair("other", &other).lainlet(lainlet.addr()).start();
    let is = |host: &str, pair: &webrouter_testkit::Pair| {
        shown(&router, &authority, host).as_deref() == Some(pair.certificate().as_ref())
    };
    router.wait_ready();
    eventually(Duration::from_secs(10), "the setting", || is("a.b.lain", &web));
    lainlet.set_config("ssl", Some(r#"{"*.lain":"other","x.test":"nowhere"}"#));
    eventually(Duration::from_millis(2500), "the new setting", || is("a.b.lain", &other));
    let (_, rejections) = router.admin_get("/v1/rejections");
    let rejections: serde_json::Value = serde_json::from_str(&rejections).expect("JSON");
    let rejection = &rejections["rejections"][0];
    let told = ["kind", "entry", "source"].map(|key| rejection[key].as_str().unwrap_or_default());
    assert_eq!(told, ["bad_certificate", "x.test", "lainlet"]);
    let reason = rejection["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("`nowhere`") && reason.contains("nowhere.crt: it is missing"), "{reason}");
    assert_eq!(router.status()["rejections"], 1);
    assert!(router.metric("webrouter_rejections", "kind=\"bad_certificate\"") > 0.5);
}
