//! Which versions and suites are spoken, as `openssl s_client` finds out.

use std::net::SocketAddr;

use webrouter_testkit::programs::{Ran, have, run};

use crate::{Scene, ready};

/// A handshake with these further arguments.
fn openssl(addr: SocketAddr, arguments: &[&str]) -> Ran {
    let addr = addr.to_string();
    let mut all = vec!["s_client", "-connect", &addr, "-servername", "one.test"];
    all.extend(arguments);
    run("openssl", &all, "Q\n").expect("openssl is there")
}

/// What was agreed on, such as `TLSv1.3, Cipher is TLS_AES_256_GCM_SHA384`; `None` when nothing was.
fn agreed(ran: &Ran) -> Option<String> {
    let line = ran.out.lines().find(|line| line.starts_with("New, ") && !line.contains("(NONE)"))?;
    line.strip_prefix("New, ").map(str::to_owned)
}

#[test]
fn tls_1_2_and_1_3_are_spoken() {
    if !have("openssl") {
        return;
    }
    let scene = Scene::new();
    let router = ready(scene.builder());
    for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let ran = openssl(router.https(), &[version]);
        assert!(agreed(&ran).is_some_and(|agreed| agreed.starts_with(name)), "{version}: {}", ran.said());
        assert!(!ran.said().contains("Compression: zlib"), "{}", ran.said());
    }
    let newest = openssl(router.https(), &[]);
    assert!(agreed(&newest).is_some_and(|agreed| agreed.starts_with("TLSv1.3")), "{}", newest.said());
}

#[test]
fn older_versions_are_refused() {
    if !have("openssl") {
        return;
    }
    let scene = Scene::new();
    let router = ready(scene.builder());
    for version in ["-tls1", "-tls1_1"] {
        let ran = openssl(router.https(), &[version, "-cipher", "ALL:@SECLEVEL=0"]);
        assert_eq!(agreed(&ran), None, "{version}: {}", ran.said());
        assert!(ran.said().contains("alert"), "{version} is refused by the router: {}", ran.said());
    }
}

#[test]
fn the_modern_profile_speaks_1_3_only() {
    if !have("openssl") {
        return;
    }
    let scene = Scene::new();
    let router = ready(scene.builder().tls("profile = \"modern\""));
    assert_eq!(agreed(&openssl(router.https(), &["-tls1_2"])), None);
    assert!(agreed(&openssl(router.https(), &["-tls1_3"])).is_some());
}

#[test]
fn suites_with_forward_secrecy_and_authenticated_encryption_are_spoken() {
    if !have("openssl") {
        return;
    }
    let scene = Scene::new();
    let router = ready(scene.builder());
    let strong = ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"];
    for suite in strong {
        let ran = openssl(router.https(), &["-tls1_2", "-cipher", suite]);
        assert!(agreed(&ran).is_some_and(|agreed| agreed.ends_with(suite)), "{suite}: {}", ran.said());
    }
    for suite in ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"] {
        let ran = openssl(router.https(), &["-tls1_3", "-ciphersuites", suite]);
        assert!(agreed(&ran).is_some_and(|agreed| agreed.ends_with(suite)), "{suite}: {}", ran.said());
    }
}

/// CBC, no forward secrecy, no encryption, no authentication: RFC 9325 §4.1, RFC 9113 appendix A.
#[test]
fn weak_suites_are_refused() {
    if !have("openssl") {
        return;
    }
    let scene = Scene::new();
    let router = ready(scene.builder());
    let weak = "AES128-SHA AES256-SHA AES128-GCM-SHA256 AES256-GCM-SHA384 ECDHE-ECDSA-AES128-SHA \
                ECDHE-ECDSA-AES256-SHA384 ECDHE-ECDSA-AES128-CCM8 ECDHE-RSA-AES128-SHA256 DHE-RSA-AES128-GCM-SHA256 \
                ECDHE-ECDSA-NULL-SHA aNULL eNULL";
    for suite in weak.split_whitespace() {
        let ran = openssl(router.https(), &["-tls1_2", "-cipher", &format!("{suite}:@SECLEVEL=0")]);
        assert_eq!(agreed(&ran), None, "{suite}: {}", ran.said());
    }
}

/// CVE-2009-3555, CVE-2011-1473: a client cannot begin again within a connection.
#[test]
fn renegotiation_is_refused() {
    if !have("openssl") {
        return;
    }
    let scene = Scene::new();
    // openssl waits for an answer as long as the router waits for a request.
    let router = ready(scene.builder().section("[timeouts]\nrequest_header = \"500ms\"\nkeep_alive = \"500ms\"\n"));
    let addr = router.https().to_string();
    let arguments = ["s_client", "-connect", &addr, "-servername", "one.test", "-tls1_2", "-msg"];
    let ran = run("openssl", &arguments, "R\n").expect("openssl is there");
    assert!(ran.out.contains("Secure Renegotiation IS supported"), "{}", ran.said());
    assert_eq!(ran.out.matches(", ClientHello").count(), 2, "it was tried: {}", ran.said());
    assert_eq!(ran.out.matches(", ServerHello\n").count(), 1, "{}", ran.said());
}
