//! What operators and apps rely on, as sentences, against the real binary.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod access_log;
mod admin;
mod configuration;
mod endpoints;
mod entries;
mod memory;
mod routing;
mod stopping;
mod timeouts;
mod updates;
mod why;

use std::net::SocketAddr;
use std::time::Duration;

use webrouter_testkit::{Client, Response, Router, RouterBuilder};

/// Generous: a wait ends when its condition holds, so only a failure takes this long.
const SOON: Duration = Duration::from_secs(5);

fn webrouter() -> RouterBuilder {
    Router::builder(env!("CARGO_BIN_EXE_webrouter"))
}

/// One entry of apps.toml.
fn entry(key: &str, mountpoints: &[&str], endpoints: &[SocketAddr]) -> String {
    let endpoints: Vec<String> = endpoints.iter().map(ToString::to_string).collect();
    format!("[apps.\"{key}\"]\nmountpoint = {mountpoints:?}\nendpoints = {endpoints:?}\n")
}

fn started(apps: &str) -> Router {
    let router = webrouter().apps(apps).start();
    router.wait_ready();
    router
}

/// One GET on a connection of its own.
fn get(router: &Router, host: &str, target: &str) -> Response {
    let answer = Client::connect(router.http()).get(host, target);
    answer.unwrap_or_else(|why| panic!("GET {host}{target}: {why}"))
}

fn body(router: &Router, host: &str, target: &str) -> String {
    get(router, host, target).text()
}

/// An address nobody listens on.
fn refusing() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound address")
}
