//! A browser: a page with a WebSocket, over TLS through the router, with an authority that the test made; and the dashboard.
//!
//! Debian's chromium and chromium-driver; where they are missing a test says so and is skipped.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod dashboard;
mod driver;
mod page;

use std::time::Duration;

use webrouter_testkit::{Authority, Router, eventually};

use driver::Browser;
use page::Page;

struct Scene {
    page: Page,
    router: Router,
    browser: Browser,
}

/// A browser in front of a router in front of a page; `None` where there is no browser.
fn scene(arguments: &[&str]) -> Option<Scene> {
    if !driver::is_installed() {
        return None;
    }
    let (authority, page) = (Authority::new("Test Authority"), Page::start());
    let pair = authority.pair(&["chat.test"]);
    let apps = format!("[apps.\"chat.web.web\"]\nmountpoint = [\"chat.test\"]\nendpoints = [\"{}\"]\n", page.addr());
    let builder = Router::builder(env!("CARGO_BIN_EXE_webrouter")).https_listener().pair("chat", &pair);
    let router = builder.apps(&apps).start();
    router.wait_ready();
    let trusted = format!("--ignore-certificate-errors-spki-list={}", pair.public_key_sha256());
    let mut all = vec![trusted.as_str(), "--host-resolver-rules=MAP chat.test 127.0.0.1"];
    all.extend(arguments);
    Some(Scene { page, router, browser: Browser::start(&all) })
}

impl Scene {
    /// Opens the page and waits until it has said something to the app and heard it back.
    fn chats(&self) {
        self.browser.open(&format!("https://chat.test:{}/", self.router.https().port()));
        eventually(LONG, "the page got its echo", || self.browser.title() == "got hello 3");
        assert_eq!(self.page.web_sockets(), 1);
    }

    fn protocol(&self) -> String {
        self.browser.script("return performance.getEntriesByType('navigation')[0].nextHopProtocol")
    }
}

#[test]
fn a_page_and_its_web_socket_over_http2() {
    let Some(scene) = scene(&[]) else { return };
    scene.chats();
    assert_eq!(scene.protocol(), "h2");
    assert_eq!(
        scene
            .browser
            .script("return String(await (await fetch('/count', {method: 'POST', body: 'x'.repeat(300000)})).text())"),
        "300000"
    );
}

#[test]
fn a_page_and_its_web_socket_over_http1() {
    let Some(scene) = scene(&["--disable-http2"]) else { return };
    scene.chats();
    assert_eq!(scene.protocol(), "http/1.1");
}

/// Starting a browser takes its time.
const LONG: Duration = Duration::from_secs(30);
