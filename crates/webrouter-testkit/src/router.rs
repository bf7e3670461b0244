//! The real binary as a process: started with a written configuration, watched by its files, killed when dropped.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

pub use rustix::process::Signal;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, kill_process, prlimit};
use tempfile::TempDir;

use crate::certificates::Pair;
use crate::client::{Asked, Client};
use crate::eventually::until;

/// A running webrouter.
pub struct Router {
    builder: RouterBuilder,
    dir: TempDir,
    child: Child,
    listening: Listening,
}

/// The addresses the process bound, as it reports them in `listening.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    /// Listeners for every host.
    pub http: Vec<SocketAddr>,
    /// Listeners for every host, with TLS.
    pub https: Vec<SocketAddr>,
    /// Listeners for external hosts only.
    pub external_http: Vec<SocketAddr>,
    /// Listeners for external hosts only, with TLS.
    pub external_https: Vec<SocketAddr>,
    /// The admin listener.
    pub admin: SocketAddr,
}

/// What to start; every listener is on a free loopback port.
#[derive(Clone)]
pub struct RouterBuilder {
    binary: PathBuf,
    sections: String,
    apps: Option<String>,
    listeners: Vec<&'static str>,
    listen: String,
    tls: String,
    admin: String,
    files: Vec<(String, String)>,
    pairs: Vec<(String, Pair)>,
    environment: Vec<(String, String)>,
}

impl RouterBuilder {
    /// Adds TOML sections as they are; `{dir}` becomes the temporary directory.
    #[must_use]
    pub fn section(mut self, toml: &str) -> RouterBuilder {
        self.sections.push_str(toml);
        self.sections.push('\n');
        self
    }

    /// Adds a file source with this content.
    #[must_use]
    pub fn apps(mut self, toml: &str) -> RouterBuilder {
        self.apps = Some(toml.to_owned());
        self
    }

    /// Adds a lainlet source with timings short enough for tests.
    #[must_use]
    pub fn lainlet(self, addr: SocketAddr) -> RouterBuilder {
        self.section(&format!(
            "[source.lainlet]\naddress = \"{addr}\"\nheartbeat = \"1s\"\nread_timeout = \"3s\"\nrefresh = \"2s\"\n"
        ))
    }

    /// Adds a listener for external hosts only.
    #[must_use]
    pub fn external_listener(mut self) -> RouterBuilder {
        self.listeners.push("external_http");
        self
    }

    /// Adds a listener with TLS for every host.
    #[must_use]
    pub fn https_listener(mut self) -> RouterBuilder {
        self.listeners.push("https");
        self
    }

    /// Adds a listener with TLS for external hosts only.
    #[must_use]
    pub fn external_https_listener(mut self) -> RouterBuilder {
        self.listeners.push("external_https");
        self
    }

    /// Adds a line to `[listen]`.
    #[must_use]
    pub fn listen(mut self, line: &str) -> RouterBuilder {
        self.listen.push_str(&format!("{line}\n"));
        self
    }

    /// Adds a line to `[tls]`, whose certificates are in the folder `ssl`.
    #[must_use]
    pub fn tls(mut self, line: &str) -> RouterBuilder {
        self.tls.push_str(&format!("{line}\n"));
        self
    }

    /// Adds a line to `[admin]`; `{dir}` becomes the temporary directory.
    #[must_use]
    pub fn admin(mut self, line: &str) -> RouterBuilder {
        self.admin.push_str(&format!("{line}\n"));
        self
    }

    /// Lays a pair into the folder `ssl`.
    #[must_use]
    pub fn pair(mut self, stem: &str, pair: &Pair) -> RouterBuilder {
        self.pairs.push((stem.to_owned(), pair.clone()));
        self
    }

    /// Lays a file into the temporary directory.
    #[must_use]
    pub fn file(mut self, name: &str, text: &str) -> RouterBuilder {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Sets an environment variable of the process.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> RouterBuilder {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it and waits until all its listeners are bound, or fails the test with its log.
    #[track_caller]
    pub fn start(self) -> Router {
        let dir = tempfile::tempdir().expect("a temporary directory");
        self.write_files(dir.path());
        let child = self.spawn(dir.path());
        let mut router = Router { builder: self, dir, child, listening: NOWHERE };
        router.wait_bound();
        router
    }

    /// Writes the files, runs `arguments` to the end; exit code, standard output and error.
    pub fn run_to_end(self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        self.write_files(dir.path());
        let output = self
            .command(dir.path())
            .args(arguments)
            .args(["--config", "webrouter.toml"])
            .output()
            .expect("the binary runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    fn write_files(&self, dir: &Path) {
        let mut toml = String::from("[listen]\nhttp = [\"127.0.0.1:0\"]\n");
        for listener in &self.listeners {
            toml.push_str(&format!("{listener} = [\"127.0.0.1:0\"]\n"));
        }
        toml.push_str(&self.listen);
        toml.push_str(&format!("[admin]\nlisten = \"127.0.0.1:0\"\n{}", self.admin));
        toml.push_str("[state]\ndirectory = \"{dir}/state\"\n");
        if !self.sections.contains("[access_log]") {
            toml.push_str("[access_log]\ndirectory = \"{dir}/log\"\n");
        }
        if let Some(apps) = &self.apps {
            toml.push_str("[source.file]\npath = \"{dir}/apps.toml\"\n");
            fs::write(dir.join("apps.toml"), apps).expect("apps.toml can be written");
        }
        if !self.pairs.is_empty() || !self.tls.is_empty() {
            toml.push_str(&format!("[tls]\ncertificates = \"{{dir}}/ssl\"\n{}", self.tls));
            fs::create_dir_all(dir.join("ssl")).expect("the certificate folder can be made");
        }
        for (stem, pair) in &self.pairs {
            pair.write(&dir.join("ssl"), stem);
        }
        for (name, text) in &self.files {
            fs::write(dir.join(name), text).expect("a file can be written");
        }
        toml.push_str(&self.sections);
        let toml = toml.replace("{dir}", &dir.display().to_string());
        fs::create_dir_all(dir.join("state")).expect("the state directory can be made");
        fs::create_dir_all(dir.join("log")).expect("the log directory can be made");
        fs::write(dir.join("webrouter.toml"), toml).expect("webrouter.toml can be written");
    }

    fn command(&self, dir: &Path) -> Command {
        let mut command = Command::new(&self.binary);
        command.current_dir(dir).stdin(Stdio::null());
        for name in SETTINGS {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    fn spawn(&self, dir: &Path) -> Child {
        let open = || File::options().create(true).append(true).open(dir.join("output")).expect("output file");
        self.command(dir)
            .args(["run", "--config", "webrouter.toml"])
            .stdout(open())
            .stderr(open())
            .spawn()
            .expect("the binary starts")
    }
}

impl Router {
    /// What to start: the path of the binary, `env!("CARGO_BIN_EXE_webrouter")` in a test.
    pub fn builder(binary: &str) -> RouterBuilder {
        RouterBuilder {
            binary: PathBuf::from(binary),
            sections: String::new(),
            apps: None,
            listeners: Vec::new(),
            listen: String::new(),
            tls: String::new(),
            admin: String::new(),
            files: Vec::new(),
            pairs: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// The listener for every host.
    pub fn http(&self) -> SocketAddr {
        self.listening.http.first().copied().expect("an http listener was asked for")
    }

    /// The listener for external hosts only.
    pub fn external_http(&self) -> SocketAddr {
        self.listening.external_http.first().copied().expect("an external listener was asked for")
    }

    /// The listener with TLS for every host.
    pub fn https(&self) -> SocketAddr {
        self.listening.https.first().copied().expect("an https listener was asked for")
    }

    /// The listener with TLS for external hosts only.
    pub fn external_https(&self) -> SocketAddr {
        self.listening.external_https.first().copied().expect("an external https listener was asked for")
    }

    /// The admin listener.
    pub fn admin(&self) -> SocketAddr {
        self.listening.admin
    }

    /// GET on the admin listener: status and body; status 0 and the reason when it does not answer.
    pub fn admin_get(&self, path: &str) -> (u16, String) {
        self.admin_ask("GET", path, "")
    }

    /// POST on the admin listener with a JSON body.
    pub fn admin_post(&self, path: &str, body: &str) -> (u16, String) {
        self.admin_ask("POST", path, body)
    }

    /// A request on the admin listener that acts: it carries the field that no page of another site can send unasked.
    pub fn admin_act(&self, method: &str, path: &str) -> (u16, String) {
        self.admin_send(method, path, "x-webrouter-action: 1\r\n", "")
    }

    /// One number of `/metrics`: the sum over all lines of this name whose labels contain `label`.
    pub fn metric(&self, name: &str, label: &str) -> f64 {
        let (_, text) = self.admin_get("/metrics");
        let lines = text.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])) && line.contains(label)
        });
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// `GET /v1/status`, or null when it does not answer.
    pub fn status(&self) -> serde_json::Value {
        serde_json::from_str(&self.admin_get("/v1/status").1).unwrap_or_default()
    }

    /// Waits until `/readyz` says so, or fails the test with the log.
    #[track_caller]
    pub fn wait_ready(&self) {
        let ready = until(PATIENCE, || (self.admin_get("/readyz").0 == 200).then_some(()));
        assert!(ready.is_some(), "not ready: {:?}\n{}", self.admin_get("/readyz"), self.output());
    }

    /// Replaces the file of the file source in one step, as an editor does.
    pub fn edit_apps(&self, toml: &str) {
        let new = self.path("apps.toml.new");
        fs::write(&new, toml).expect("apps.toml can be written");
        fs::rename(&new, self.path("apps.toml")).expect("apps.toml can be replaced");
    }

    /// A path below the temporary directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// An access log file's text; empty while there is none.
    pub fn access_log(&self, host: &str, upstream: &str) -> String {
        let name = format!("log/{host}___{upstream}.access.log");
        fs::read_to_string(self.path(&name)).unwrap_or_default()
    }

    /// What the process wrote to standard output and error.
    pub fn output(&self) -> String {
        let bytes = fs::read(self.path("output")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Waits for the process to exit; `None` when it does not by the deadline.
    pub fn wait_exit(&mut self, deadline: Duration) -> Option<ExitStatus> {
        until(deadline, || self.child.try_wait().ok().flatten())
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Stops it with SIGTERM, then starts it again with the same configuration and state; ports change.
    #[track_caller]
    pub fn restart(&mut self) {
        self.stop();
        self.start_again();
    }

    /// Kills it as a power cut would, then starts it again.
    #[track_caller]
    pub fn crash_and_restart(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.start_again();
    }

    /// Runs `meanwhile` while the process can open no file and no connection: its limit is where its first free number is.
    pub fn without_files<T>(&self, meanwhile: impl FnOnce() -> T) -> T {
        let process = self.child.id();
        let is_free = |number: &u64| fs::symlink_metadata(format!("/proc/{process}/fd/{number}")).is_err();
        let limit = |limit| prlimit(Some(Pid::from_child(&self.child)), Resource::Nofile, limit).expect("it runs");
        let inherited = getrlimit(Resource::Nofile);
        let before = limit(Rlimit { current: (0..).find(is_free), ..inherited });
        let done = meanwhile();
        limit(before);
        done
    }

    /// Resident memory now, in KiB; 0 when the process is gone.
    pub fn rss_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).unwrap_or_default();
        status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
            .unwrap_or(0)
    }

    #[track_caller]
    fn stop(&mut self) {
        self.signal(Signal::TERM);
        let exited = self.wait_exit(PATIENCE);
        assert!(exited.is_some(), "did not stop on SIGTERM:\n{}", self.output());
    }

    #[track_caller]
    fn start_again(&mut self) {
        let _ = fs::remove_file(self.path("state/listening.json"));
        self.child = self.builder.spawn(self.dir.path());
        self.wait_bound();
    }

    #[track_caller]
    fn wait_bound(&mut self) {
        let path = self.path("state/listening.json");
        let listening = until(PATIENCE, || {
            if !self.is_running() {
                return Some(None);
            }
            fs::read(&path).ok().and_then(|bytes| Listening::parse(&bytes)).map(Some)
        });
        let listening = listening.flatten();
        assert!(listening.is_some(), "the router bound no listener:\n{}", self.output());
        self.listening = listening.unwrap_or(NOWHERE);
    }

    fn admin_ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        self.admin_send(method, path, "", body)
    }

    fn admin_send(&self, method: &str, path: &str, fields: &str, body: &str) -> (u16, String) {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{fields}\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}",
            self.admin()
        );
        let answer = Client::try_connect(self.admin()).map_err(|error| error.to_string());
        let answer = answer.and_then(|mut client| {
            client.send(request.as_bytes());
            client.response(Asked::Content, Duration::from_secs(10))
        });
        match answer {
            Ok(response) => (response.status, response.text()),
            Err(why) => (0, why),
        }
    }
}

impl Listening {
    fn parse(json: &[u8]) -> Option<Listening> {
        let value: serde_json::Value = serde_json::from_slice(json).ok()?;
        let list = |name: &str| -> Option<Vec<SocketAddr>> {
            let list = value.get(name)?.as_array()?;
            list.iter().map(|addr| addr.as_str()?.parse().ok()).collect()
        };
        Some(Listening {
            http: list("http")?,
            https: list("https").unwrap_or_default(),
            external_http: list("external_http")?,
            external_https: list("external_https").unwrap_or_default(),
            admin: value.get("admin")?.as_str()?.parse().ok()?,
        })
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- output of the router\n{}", self.output());
        }
    }
}

/// A process that has not bound anything yet.
const NOWHERE: Listening = Listening {
    http: Vec::new(),
    https: Vec::new(),
    external_http: Vec::new(),
    external_https: Vec::new(),
    admin: SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0),
};
const PATIENCE: Duration = Duration::from_secs(15);
/// The caller's environment must not configure the process under test.
const SETTINGS: [&str; 9] = [
    "LAIN_DOMAIN",
    "LAINLET_ADDR",
    "LAINLET_PORT",
    "DEPLOYD_POD_INSTANCE_NO",
    "GRAPHITE_HOST",
    "GRAPHITE_PORT",
    "NGINX_PATH",
    "NGINX_LOG_PATH",
    "NGINX_SSL_PATH",
];
