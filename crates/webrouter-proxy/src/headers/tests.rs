use std::sync::Arc;

use webrouter_routing::annotation::Annotation;
use webrouter_routing::contribution::{Claims, Contribution, Proc};
use webrouter_routing::merge::{Defaults, merge};
use webrouter_routing::mountpoint::Mountpoint;
use webrouter_routing::name::{ProcName, SourceName};
use webrouter_routing::snapshot::Snapshot;

use super::*;
use crate::config::Scope;

fn route(mountpoint: &str) -> Arc<Route> {
    let mountpoint = Mountpoint::parse(mountpoint).expect("a mountpoint");
    let annotation = Annotation { mountpoints: vec![mountpoint.clone()], ..Annotation::default() };
    let proc = Proc { claims: Claims::Readable(Arc::new(annotation)), endpoints: Arc::new([]), reasons: Vec::new() };
    let mut contribution = Contribution::empty(SourceName::new("test"));
    contribution.procs.insert(ProcName::parse("demo.web.web").expect("a name"), Arc::new(proc));
    let defaults = Defaults::default();
    let snapshot = merge(&Snapshot::empty(&defaults), &[contribution], &defaults);
    Arc::clone(snapshot.table().route(&mountpoint).expect("the route"))
}

/// What an endpoint of `mountpoint` sees of `wire`, when 127.0.0.1 is trusted and the peer is `peer`.
fn forwarded(mountpoint: &str, peer: &str, wire: &str) -> String {
    let mut head = RequestHead::default();
    head.parse(wire.as_bytes(), 32).expect("a head");
    let mut normal = Vec::new();
    let request = Request::understand(&head, wire.as_bytes(), &mut normal).expect("a request");
    let address = peer.parse().expect("an address");
    let (scope, security, certificate) = (Scope::All, Security::Plain, ClientCertificate::NotAsked);
    let peer = Peer { address, scope, security, demand: None, certificate };
    let trusted = ["127.0.0.0/8", "10.0.0.0/8"].map(|net| net.parse().expect("a network"));
    let origin = Origin::of(&head, wire.as_bytes(), &peer, &trusted);
    let mut out = Vec::new();
    Outgoing {
        bytes: wire.as_bytes(),
        normal_path: request.target.normal_path(wire.as_bytes(), &normal),
        head: &head,
        request: &request,
        origin: &origin,
        peer: address,
        certificate: &peer.certificate,
        request_id: received_request_id(&head, wire.as_bytes()),
        made_id: &TraceId::new(0xabc),
        span_id: 7,
    }
    .write(&route(mountpoint), &mut out);
    String::from_utf8(out).expect("test heads are UTF-8")
}

fn check(peer: &str, fields: &str, expected: &[&str], absent: &[&str]) {
    let seen = forwarded("a.test", peer, &format!("GET /x?y HTTP/1.1\r\nHost: A.test:80\r\n{fields}\r\n"));
    for line in expected {
        assert!(seen.contains(&format!("\r\n{line}\r\n")), "{line} is not in:\n{seen}");
    }
    for text in absent {
        assert!(!seen.contains(text), "{text} is in:\n{seen}");
    }
}

#[test]
fn what_a_client_claims_counts_only_from_a_trusted_peer() {
    let claims = "X-Forwarded-For: 9.9.9.9, 1.2.3.4, 10.0.0.1\r\nX-Forwarded-Proto: https\r\nX-Real-IP: 6.6.6.6\r\n";
    let walked =
        ["X-Real-IP: 1.2.3.4", "X-Forwarded-For: 9.9.9.9, 1.2.3.4, 10.0.0.1, 127.0.0.1", "X-Forwarded-Proto: https"];
    check("127.0.0.1", claims, &walked, &["6.6.6.6"]);
    let alone = ["X-Real-IP: 8.8.8.8", "X-Forwarded-For: 8.8.8.8", "X-Forwarded-Proto: http"];
    check("8.8.8.8", claims, &alone, &["9.9.9.9", "6.6.6.6"]);
    check("127.0.0.1", "X-Forwarded-For: junk\r\n", &["X-Real-IP: 127.0.0.1"], &[]);
}

#[test]
fn ours_are_written_and_lookalikes_dropped() {
    let ours = ["Host: a.test", "X-Forwarded-Host: A.test:80", "X-Original-URI: /x?y", "REQUEST_URI: /x?y"];
    check("8.8.8.8", "x_forwarded_for: 1.1.1.1\r\nRequest-Uri: /forged\r\n", &ours, &["1.1.1.1", "forged"]);
    let made = "00000000000000000000000000000abc";
    let ids = [format!("X-Request-Id: {made}"), format!("traceparent: 00-{made}-0000000000000007-00")];
    check("8.8.8.8", "", &ids.each_ref().map(String::as_str), &[]);
    let parent = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    check("8.8.8.8", &format!("{parent}\r\nX-Request-Id: me-1\r\n"), &[parent, "X-Request-Id: me-1"], &[made]);
    check("8.8.8.8", "traceparent: forged\r\nX-Request-Id: a b\r\n", &ids.each_ref().map(String::as_str), &["forged"]);
}

#[test]
fn hop_by_hop_fields_end_here() {
    let fields = "Connection: keep-alive, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nUpgrade: h2c\r\nX-Yours: 2\r\n";
    check("8.8.8.8", fields, &["X-Yours: 2"], &["X-Mine", "Keep-Alive", "TE:", "Upgrade", "Connection"]);
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    check("8.8.8.8", upgrade, &["Connection: upgrade", "Upgrade: websocket"], &[]);
}

#[test]
fn a_path_mountpoint_is_stripped_and_a_root_one_sees_every_byte() {
    let line = |mountpoint: &str, target: &str| {
        let seen = forwarded(mountpoint, "8.8.8.8", &format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
        seen.split(' ').nth(1).expect("a target").to_owned()
    };
    assert_eq!(line("a.test", "/a/../%62//c?d=%20"), "/a/../%62//c?d=%20");
    assert_eq!(line("a.test/p", "/p/a%20b//c/../d?x=/../"), "/a%20b/d?x=/../");
    assert_eq!(line("a.test/p", "/p/"), "/");
    assert_eq!(line("a.test", "http://a.test"), "/");
    assert_eq!(line("a.test", "http://A.test:80?q"), "/?q");
}
