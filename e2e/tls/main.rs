//! TLS as operators and browsers see it: real programs, certificates that change, hosts that must not answer everywhere.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod alpn;
mod certificates;
mod client_certificates;
mod curl;
mod load;
mod names;
mod proxy_protocol;
mod redirects;
mod resumption;
mod scopes;
mod ssl_map;
mod stopping;
mod versions;

use std::net::SocketAddr;
use std::time::Duration;

use webrouter_testkit::{Authority, Client, HttpOrigin, Router, RouterBuilder, TlsClient};

/// Generous: a wait ends when its condition holds, so only a failure takes this long.
const SOON: Duration = Duration::from_secs(5);
/// What SPEC gives the router to take a new certificate, and a little for the machine.
const AT_ONCE: Duration = Duration::from_millis(1500);

/// One app at `one.test`, an authority, and whatever else a test adds.
struct Scene {
    authority: Authority,
    origin: HttpOrigin,
}

impl Scene {
    fn new() -> Scene {
        Scene { authority: Authority::new("Test Authority"), origin: HttpOrigin::start("one") }
    }

    /// A router with TLS, the pair `one` for `one.test`, and the app.
    fn builder(&self) -> RouterBuilder {
        let pair = self.authority.pair(&["one.test", "*.one.test"]);
        let apps = entry("one.web.web", &["one.test"], self.origin.addr(), "");
        webrouter().https_listener().pair("one", &pair).apps(&apps)
    }

    fn tls(&self) -> TlsClient {
        TlsClient::trusting(&self.authority)
    }
}

fn webrouter() -> RouterBuilder {
    Router::builder(env!("CARGO_BIN_EXE_webrouter"))
}

fn ready(builder: RouterBuilder) -> Router {
    let router = builder.start();
    router.wait_ready();
    router
}

/// One entry of apps.toml.
fn entry(key: &str, mountpoints: &[&str], endpoint: SocketAddr, more: &str) -> String {
    format!("[apps.\"{key}\"]\nmountpoint = {mountpoints:?}\nendpoints = [\"{endpoint}\"]\n{more}\n")
}

/// GET on an open connection: the body.
fn body(client: &mut Client, host: &str, target: &str) -> String {
    let answer = client.get(host, target).unwrap_or_else(|why| panic!("GET {host}{target}: {why}"));
    assert_eq!(answer.status, 200, "GET {host}{target}: {}", answer.text());
    answer.text()
}

/// A field of a head as the app's `/head` gives it back.
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.split("\r\n").filter_map(|line| line.split_once(": "));
    lines.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}
