//! A browser without a window, led by WebDriver (<https://www.w3.org/TR/webdriver2/>).

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use webrouter_testkit::programs::have;
use webrouter_testkit::{Asked, Client};

/// A browser; it goes when dropped.
pub(crate) struct Browser {
    driver: Child,
    addr: SocketAddr,
    session: String,
    _profile: TempDir,
}

pub(crate) fn is_installed() -> bool {
    have("chromium") && have("chromedriver")
}

impl Browser {
    pub(crate) fn start(arguments: &[&str]) -> Browser {
        let profile = tempfile::tempdir().expect("a temporary directory");
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let said = BufReader::new(driver.stdout.take().expect("a pipe"));
        let port = said.lines().map_while(Result::ok).find_map(|line| {
            line.rsplit_once("started successfully on port ")?.1.trim_end_matches('.').parse::<u16>().ok()
        });
        let addr = SocketAddr::from(([127, 0, 0, 1], port.expect("chromedriver says its port")));
        let profile_argument = format!("--user-data-dir={}", profile.path().display());
        let mut all =
            vec!["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", &profile_argument];
        all.extend(arguments);
        let options = json!({ "args": all });
        let logs = json!({ "browser": "ALL" });
        let wanted = json!({ "goog:chromeOptions": options, "goog:loggingPrefs": logs });
        let wanted = json!({ "capabilities": { "alwaysMatch": wanted } });
        let mut browser = Browser { driver, addr, session: String::new(), _profile: profile };
        let session = browser.ask("POST", "/session", &wanted);
        session["sessionId"].as_str().expect("a session").clone_into(&mut browser.session);
        browser
    }

    pub(crate) fn open(&self, url: &str) {
        self.command("url", &json!({ "url": url }));
    }

    pub(crate) fn title(&self) -> String {
        let title = self.ask("GET", &format!("/session/{}/title", self.session), &Value::Null);
        title.as_str().unwrap_or_default().to_owned()
    }

    /// Runs a script in the page; what it returns.
    pub(crate) fn script(&self, script: &str) -> String {
        // `await` is allowed in it.
        let script = format!("return (async () => {{ {script} }})()");
        let value = self.command("execute/sync", &json!({ "script": script, "args": [] }));
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    }

    /// What the page, or the browser about it, has said on the console since the last look.
    pub(crate) fn console(&self) -> Vec<String> {
        let said = self.command("se/log", &json!({ "type": "browser" }));
        said.as_array().into_iter().flatten().map(|entry| entry["message"].to_string()).collect()
    }

    /// Takes the place of a device: a width and height, and whether its user prefers dark.
    pub(crate) fn pretend(&self, width: u32, height: u32, scheme: &str) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        for (command, arguments) in
            [("Emulation.setDeviceMetricsOverride", metrics), ("Emulation.setEmulatedMedia", media)]
        {
            self.command("goog/cdp/execute", &json!({ "cmd": command, "params": arguments }));
        }
    }

    /// The page as a PNG.
    pub(crate) fn screenshot(&self) -> Vec<u8> {
        let picture = self.ask("GET", &format!("/session/{}/screenshot", self.session), &Value::Null);
        let encoded = picture.as_str().expect("a picture");
        base64::engine::general_purpose::STANDARD.decode(encoded).expect("base64")
    }

    fn command(&self, name: &str, body: &Value) -> Value {
        self.ask("POST", &format!("/session/{}/{name}", self.session), body)
    }

    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, value) = self.try_ask(method, path, body).unwrap_or_else(|why| panic!("{method} {path}: {why}"));
        assert_eq!(status, 200, "{method} {path}: {value}");
        value
    }

    fn try_ask(&self, method: &str, path: &str, body: &Value) -> Result<(u16, Value), String> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut client = Client::try_connect(self.addr).map_err(|error| error.to_string())?;
        client.send(
            format!(
                "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                self.addr,
                body.len()
            )
            .as_bytes(),
        );
        let answer = client.response(Asked::Content, Duration::from_secs(60))?;
        let mut value: Value = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        Ok((answer.status, value["value"].take()))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser goes with its session, not with the driver.
        let _ = self.try_ask("DELETE", &format!("/session/{}", self.session), &Value::Null);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
