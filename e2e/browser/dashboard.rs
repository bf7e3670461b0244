//! The dashboard as a browser sees it.

use std::path::Path;

use webrouter_testkit::{Router, eventually};

use super::LONG;
use super::driver::{self, Browser};

const APPS: &str = r#"
[apps."demo.web.web"]
mountpoint = ["demo.test", "x.test/demo"]
endpoints = ["127.0.0.1:8001", "127.0.0.1:8002"]

[apps."other.web.web"]
mountpoint = ["other.test", "demo.test"]
healthcheck = "/health"
endpoints = ["127.0.0.1:8003"]
"#;

/// A browser and a router with these apps; `None` where there is no browser.
fn scene(apps: &str) -> Option<(Router, Browser)> {
    if !driver::is_installed() {
        return None;
    }
    let router = Router::builder(env!("CARGO_BIN_EXE_webrouter")).apps(apps).start();
    router.wait_ready();
    Some((router, Browser::start(&["--hide-scrollbars"])))
}

fn open(router: &Router, browser: &Browser, path: &str) {
    browser.open(&format!("http://{}{path}", router.admin()));
}

fn text(browser: &Browser, selector: &str) -> String {
    browser.script(&format!("return document.querySelector('{selector}')?.innerText ?? ''"))
}

fn wait_for(browser: &Browser, selector: &str, words: &str) {
    eventually(LONG, words, || text(browser, selector).contains(words));
}

/// Nothing on the console (a blocked script or style would be there), nothing loaded from elsewhere.
fn is_quiet(browser: &Browser) {
    let loaded = "return performance.getEntriesByType('resource').map(one => one.name)\
                  .filter(name => new URL(name).origin !== location.origin).join(' ')";
    assert_eq!(browser.script(loaded), "", "loaded from elsewhere");
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn search_finds_a_route_while_one_types() {
    let Some((router, browser)) = scene(APPS) else { return };
    open(&router, &browser, "/map");
    wait_for(&browser, "#results", "3 routes");
    browser.script("const q = document.getElementById('q'); q.value = 'x.test'; q.dispatchEvent(new Event('input'))");
    wait_for(&browser, "#results", "1 route found, of 3");
    assert!(text(&browser, "#results").contains("/demo"));
    assert_eq!(browser.script("return location.search"), "?q=x.test");
    is_quiet(&browser);
}

#[test]
fn the_page_of_an_app_shows_its_endpoints_and_rejections() {
    let Some((router, browser)) = scene(APPS) else { return };
    open(&router, &browser, "/map?q=demo.test");
    browser.script("document.querySelector('#results a').click()");
    wait_for(&browser, "h1", "demo");
    wait_for(&browser, "#procs", "127.0.0.1:8002");
    open(&router, &browser, "/apps/other");
    wait_for(&browser, "#rejected", "choose another mountpoint");
    // Nobody listens there: the health check says so, and the page hears of it.
    wait_for(&browser, "#procs", "connection refused");
    is_quiet(&browser);
}

#[test]
fn a_change_arrives_live() {
    let Some((router, browser)) = scene(APPS) else { return };
    open(&router, &browser, "/");
    wait_for(&browser, "#connection", "live");
    router.edit_apps(&format!("{APPS}\n[apps.\"new.web.web\"]\nmountpoint = [\"new.test\"]\nendpoints = []\n"));
    wait_for(&browser, "#changes", "new.web.web added: +new.test");
    wait_for(&browser, "#news", "1 proc changed");
    wait_for(&browser, "#numbers", "of 3 procs");
    is_quiet(&browser);
}

/// Pictures for people, into the folder that SCREENSHOTS names; without it, a look at one page.
#[test]
fn screenshots() {
    let folder = std::env::var_os("SCREENSHOTS");
    let sizes: &[usize] = if folder.is_some() { &[3, 10_000] } else { &[3] };
    for count in sizes {
        let Some((router, browser)) = scene(&many(*count)) else { return };
        for (device, width, height) in [("desktop", 1280, 1000), ("phone", 390, 1200)] {
            for scheme in ["light", "dark"] {
                browser.pretend(width, height, scheme);
                for (page, path) in
                    [("overview", "/"), ("map", "/map"), ("app", "/apps/app1"), ("rejections", "/rejections")]
                {
                    open(&router, &browser, path);
                    wait_for(&browser, "#connection", "live");
                    let wide = browser.script("return document.documentElement.scrollWidth <= innerWidth");
                    assert_eq!(wide, "true", "{page} is wider than a {device}");
                    let picture = browser.screenshot();
                    assert!(picture.starts_with(b"\x89PNG"));
                    if let Some(folder) = &folder {
                        std::fs::create_dir_all(folder).expect("a folder");
                        let name = format!("{page}-{count}-{device}-{scheme}.png");
                        std::fs::write(Path::new(folder).join(name), picture).expect("written");
                    }
                }
            }
        }
        is_quiet(&browser);
    }
}

/// So many apps, of which one is sick, and one claims what is another's.
fn many(count: usize) -> String {
    let app = |n: usize| {
        let healthcheck = if n == 1 { "healthcheck = \"/health\"\n" } else { "" };
        format!(
            "[apps.\"app{n}.web.web\"]\nmountpoint = [\"app{n}.test\", \"shared.test/app{n}\"]\n{healthcheck}\
             endpoints = [\"127.0.0.1:{}\", \"127.0.0.2:{}\"]\n",
            20_000 + n,
            20_000 + n
        )
    };
    let thief = "[apps.\"thief.web.web\"]\nmountpoint = [\"app1.test\", \"bad host\"]\nendpoints = [\"127.0.0.1:9\"]\n";
    (0..count).map(app).collect::<String>() + thief
}
