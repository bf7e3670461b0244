//! The command line as a user meets it: texts, exit codes, nothing started on a mistake.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use webrouter_testkit::{Asked, Client, HttpOrigin, Origin, Router, Step, eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_webrouter");

fn webrouter(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments).env_clear();
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn output(mut command: Command) -> Output {
    command.output().expect("the binary runs")
}

/// Compares with a file beside the tests; `make golden` writes it.
#[track_caller]
fn check_golden(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().expect("a parent")).expect("the folder can be made");
        fs::write(&path, actual).expect("the golden file can be written");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == actual, "{name} has changed; `make golden` takes it over:\n{actual}");
}

#[test]
fn the_help_of_every_command() {
    let commands = [
        "",
        "run",
        "demo",
        "check",
        "routes",
        "endpoints",
        "drain",
        "explain",
        "doctor",
        "status",
        "hold",
        "lainlet",
        "completions",
        "man",
    ];
    let mut all = String::new();
    for command in commands {
        let arguments: Vec<&str> = [command, "--help"].into_iter().filter(|word| !word.is_empty()).collect();
        let output = output(webrouter(&arguments));
        assert_eq!(output.status.code(), Some(0), "{command}");
        all.push_str(&format!("$ webrouter {}\n{}\n", arguments.join(" "), text(&output.stdout)));
    }
    check_golden("help.txt", &all);
}

#[test]
fn completions_and_the_manual_page_are_written() {
    for arguments in [&["completions", "bash"][..], &["completions", "zsh"], &["man"]] {
        let output = output(webrouter(arguments));
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(text(&output.stdout).contains("webrouter"), "{arguments:?}");
    }
}

#[test]
fn wrong_use_is_exit_code_2() {
    for arguments in [
        &["rnu"][..],
        &["hold", "maybe"],
        &["explain"],
        &["lainlet"],
        &["doctor", "a/b"],
        &["run", "--config"],
        &["drain"],
        &["drain", "192.0.2.1"],
        &["drain", "192.0.2.1:0"],
        &["drain", "192.0.2.1:80", "--wait", "30"],
        &["drain", "192.0.2.1:80", "--wait", "30s", "--undo"],
        &["endpoints", "--state", "asleep"],
    ] {
        assert_eq!(output(webrouter(arguments)).status.code(), Some(2), "{arguments:?}");
    }
}

/// A folder with a configuration; nothing else may be in it after a refused start.
struct Folder(tempfile::TempDir);

impl Folder {
    fn with(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("webrouter.toml"), config).expect("written");
        Self(folder)
    }

    fn run(&self, environment: &[(&str, &str)]) -> Output {
        let mut command = webrouter(&["run", "--config", "webrouter.toml"]);
        command.current_dir(self.0.path()).envs(environment.iter().copied());
        output(command)
    }

    fn files(&self) -> Vec<PathBuf> {
        fs::read_dir(self.0.path()).expect("a folder").map(|entry| entry.expect("an entry").path()).collect()
    }
}

/// `run` refuses with exit code 2 and these parts in its report, and starts and writes nothing.
#[track_caller]
fn check_refused(config: &str, environment: &[(&str, &str)], parts: &[&str]) {
    let folder = Folder::with(config);
    let output = folder.run(environment);
    let report = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{report}");
    for part in parts {
        assert!(report.contains(part), "{part:?} is not in:\n{report}");
    }
    assert!(!report.contains('\u{1b}'), "colours without a terminal:\n{report}");
    assert_eq!(folder.files().len(), 1, "{:?}", folder.files());
    assert_eq!(text(&output.stdout), "");
}

#[test]
fn a_mistake_in_the_configuration_is_reported_and_nothing_starts() {
    let rest =
        "[admin]\nlisten = \"127.0.0.1:0\"\n[state]\ndirectory = \"state\"\n[source.file]\npath = \"apps.toml\"\n";
    let file = |text: &str| format!("{text}\n{rest}");
    check_refused(&file("[listen]\nhtpp = []"), &[], &["webrouter.toml:2:1", "`htpp`", "did you mean `http`?"]);
    check_refused(&file("[listen]\nhttps = [\"443\"]"), &[], &["webrouter.toml:2:10", "`443`", "\"0.0.0.0:443\""]);
    check_refused(&file("[timeouts]\nconnect = 5"), &[], &["webrouter.toml:2:11", "connect = 5", "\"5s\""]);
    check_refused(
        &file("[engine]\nkind = \"tengine\""),
        &[],
        &["webrouter.toml:2:8", "tengine", "not in this version"],
    );
    check_refused(&file("[listen\n"), &[], &["webrouter.toml:1:8", "[listen"]);
    check_refused(&file(""), &[("LAINLET_PORT", "x")], &["LAINLET_PORT=\"x\"", "from 1 to 65535"]);
    check_refused("", &[], &["no source", "[source.lainlet]", "[source.file]"]);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let output = output(webrouter(&["run", "--config", "/nowhere/webrouter.toml"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("/nowhere/webrouter.toml"), "{}", text(&output.stderr));
}

#[test]
fn a_taken_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    for section in ["http = [\"{}\"]\n[admin]\nlisten = \"127.0.0.1:0\"", "http = []\n[admin]\nlisten = \"{}\""] {
        let folder = Folder::with(&format!(
            "[source.file]\npath = \"apps.toml\"\n[state]\ndirectory = \"state\"\n[access_log]\nstdout = true\n[listen]\n{}\n",
            section.replace("{}", &address)
        ));
        let output = folder.run(&[]);
        let report = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{report}");
        assert!(report.contains(&address) && report.contains("choose another"), "{report}");
    }
}

#[test]
fn without_an_instance_a_client_command_says_so() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
    for command in [
        &["status"][..],
        &["routes"],
        &["explain", "http://x/"],
        &["hold", "accept"],
        &["endpoints"],
        &["drain", "[::1]:80"],
    ] {
        let admin = free.to_string();
        let output = output(webrouter(&[command, &["--admin", &admin]].concat()));
        let report = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{report}");
        assert!(
            report.contains(&format!("nothing listens at {admin}")) && report.contains("webrouter run"),
            "{report}"
        );
    }
}

const APPS: &str = "[apps.\"demo.web.web\"]\nmountpoint = [\"demo.lain.local\"]\nendpoints = [\"127.0.0.1:1\"]\n";

#[test]
fn check_reads_the_file_source_and_tells_rejections() {
    let check = |apps: &str, arguments: &[&str]| {
        let router = Router::builder(BINARY).apps(apps);
        router.run_to_end(&[&["check"], arguments].concat())
    };
    let (code, out, err) = check(APPS, &[]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.contains("1 routes, 1 procs, 1 endpoints"), "{out}");

    let bad = format!("{APPS}[apps.\"other.web.web\"]\nmountpoint = [\"demo.lain.local\", \"a b\"]\nendpoints = []\n");
    let (code, out, _) = check(&bad, &[]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("other.web.web") && out.contains("demo.web.web") && out.contains("a b"), "{out}");
    let (code, out, _) = check(&bad, &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, json["rejections"].as_array().map(Vec::len)), (Some(1), Some(2)), "{out}");
}

#[test]
fn check_does_not_wait_for_a_lainlet_that_it_does_not_ask() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
    let check = |arguments: &[&str]| {
        let begun = std::time::Instant::now();
        let router = Router::builder(BINARY).lainlet(nobody);
        let (code, out, _) = router.run_to_end(&[&["check"], arguments].concat());
        assert!(begun.elapsed() < std::time::Duration::from_secs(8), "{:?}", begun.elapsed());
        (code, out)
    };
    let (code, out) = check(&[]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("not asked") && out.contains("--live") && !out.contains("0 routes"), "{out}");
    let (code, out) = check(&["--live"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("failed"), "{out}");
}

#[test]
fn client_commands_tell_people_and_programs() {
    let router = Router::builder(BINARY).apps(APPS).start();
    router.wait_ready();
    let admin = router.admin().to_string();
    let ask = |arguments: &[&str]| {
        let output = output(webrouter(&[arguments, &["--admin", &admin]].concat()));
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, out, err) = ask(&["status"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("ready") && out.contains("1 routes, 1 procs, 1 endpoints"), "{out}");
    let (code, out, err) = ask(&["routes"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("demo__upstream__web") && out.contains("127.0.0.1:1"), "{out}");
    let (code, out, err) = ask(&["explain", "http://demo.lain.local/x"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("demo.web.web") && out.contains("GET /x HTTP/1.1"), "{out}");
    assert_eq!(ask(&["explain", "http://nobody.test/"]).0, Some(1));
    assert!(out.contains("127.0.0.1:1 up"), "{out}");
    let (code, out, err) = ask(&["endpoints"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("127.0.0.1:1") && out.contains("demo__upstream__web") && out.contains("1 endpoints"), "{out}");
    let (code, out, err) = ask(&["endpoints", "--app", "other"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("no endpoints"), "{out}");
    let (code, _, err) = ask(&["hold", "accept"]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("nothing is held"), "{err}");
    for command in [&["status"][..], &["routes"], &["endpoints"], &["explain", "http://demo.lain.local/"]] {
        let (_, out, _) = ask(&[command, &["--json"]].concat());
        let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        assert!(json["generation"].is_u64(), "{out}");
    }
}

/// `webrouter` against the instance: its exit code, and what it says.
fn told(router: &Router, arguments: &[&str]) -> (Option<i32>, String) {
    let output = output(webrouter(&[arguments, &["--admin", &router.admin().to_string()]].concat()));
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[track_caller]
fn check_told(router: &Router, arguments: &[&str], code: i32, parts: &[&str]) {
    let (actual, text) = told(router, arguments);
    assert_eq!(actual, Some(code), "{arguments:?}: {text}");
    for part in parts {
        assert!(text.contains(part), "{arguments:?}: {part:?} is not in:\n{text}");
    }
}

#[test]
fn drain_counts_down_and_can_be_taken_back() {
    let (origin, other) = (HttpOrigin::start("one"), HttpOrigin::start("two"));
    let apps =
        |endpoints: &str| format!("[apps.\"demo.web.web\"]\nmountpoint = [\"demo.test\"]\nendpoints = [{endpoints}]\n");
    let (address, second) = (origin.addr().to_string(), other.addr().to_string());
    let router = Router::builder(BINARY).apps(&apps(&format!("\"{address}\""))).start();
    router.wait_ready();
    let mut client = Client::connect(router.http());
    client.send(b"GET /hold HTTP/1.1\r\nHost: demo.test\r\n\r\n");
    eventually(SOON, "the request is there", || origin.holding() == 1);

    check_told(&router, &["drain", &address], 0, &["1 requests in flight", "NOBODY ELSE serves demo__upstream__web"]);
    check_told(&router, &["drain", &address, "--wait", "200ms"], 1, &["1 requests in flight", "the time is up"]);
    check_told(&router, &["drain", &address, "--wait", "0s"], 1, &["the time is up"]);
    check_told(&router, &["endpoints", "--state", "draining"], 0, &[&address, "draining", "1 endpoints"]);
    check_told(&router, &["status"], 0, &["endpoints 1 draining", &format!("draining  {address}")]);
    check_told(&router, &["explain", "http://demo.test/"], 1, &["is being drained", &format!("{address} draining")]);

    // It leaves the table, as its platform stops it, while somebody waits for it.
    let admin = router.admin().to_string();
    let mut waiting = webrouter(&["drain", &address, "--wait", "60s", "--admin", &admin]);
    let mut waiting = waiting.stdout(std::process::Stdio::piped()).spawn().expect("the binary runs");
    let mut said = BufReader::new(waiting.stdout.take().expect("piped")).lines().map_while(Result::ok);
    assert!(said.any(|line| line == "1 requests in flight"), "it says how many there are");
    router.edit_apps(&apps(&format!("\"{second}\"")));
    eventually(SOON, "it leaves", || told(&router, &["endpoints", "--state", "leaving"]).1.contains(&address));
    check_told(&router, &["drain", &address, "--undo"], 1, &["no upstream holds", &address]);
    origin.release();
    assert_eq!(client.response(Asked::Content, SOON).map(|response| response.text()), Ok("one".to_owned()));
    assert_eq!(said.collect::<Vec<_>>(), ["0 requests in flight", "it can be stopped"]);
    assert_eq!(waiting.wait().expect("it ends").code(), Some(0));

    let (code, json) = told(&router, &["drain", &second, "--wait", "1s", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((code, &json["in_flight"], &json["draining"]), (Some(0), &0.into(), &true.into()), "{json}");
    check_told(&router, &["drain", &second, "--wait", "30s"], 0, &["0 requests in flight", "it can be stopped"]);
    check_told(&router, &["drain", &second, "--undo"], 0, &["gets requests"]);
    check_told(&router, &["endpoints"], 0, &["up"]);
}

/// The last request ends, and the endpoint leaves, between two questions: an instance cannot be made to do that on time.
#[test]
fn who_is_gone_after_a_drain_can_be_stopped() {
    let answer = |status: &str, body: &str| {
        let length = body.len();
        Step::answer(format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes())
    };
    let admin = Origin::start(answer("404 Not Found", r#"{"error": "no upstream holds it", "fix": "look"}"#));
    let address = admin.addr().to_string();
    let drain = || {
        let output = output(webrouter(&["drain", "192.0.2.1:80", "--wait", "10s", "--admin", &address]));
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    let there =
        r#"{"endpoint": "192.0.2.1:80", "upstreams": ["a"], "in_flight": 1, "draining": true, "exhausted": []}"#;
    admin.push(answer("200 OK", there));
    let (code, text) = drain();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.ends_with("1 requests in flight\n0 requests in flight\nit can be stopped\n"), "{text}");
    let (code, text) = drain();
    assert_eq!((code, text.as_str()), (Some(1), "webrouter: no upstream holds it; look\n"), "it was never there");
}

#[test]
fn sick_endpoints_are_told_with_the_evidence() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
    let checks = "healthcheck = \"/health\"\nhealth_interval = \"50ms\"\nhealth_fall = 1\n";
    let apps = format!("[apps.\"sick.web.web\"]\nmountpoint = [\"sick.test\"]\nendpoints = [\"{nobody}\"]\n{checks}");
    let router = Router::builder(BINARY).apps(&apps).start();
    router.wait_ready();
    let address = nobody.to_string();
    eventually(SOON, "it is down", || told(&router, &["endpoints", "--state", "down"]).1.contains(&address));
    let all_are_tried = "every endpoint is sick, so all are tried";
    check_told(&router, &["endpoints"], 0, &["connection refused", all_are_tried, "sick__upstream__web"]);
    check_told(&router, &["status"], 1, &["endpoints 1 down", "FAIL-OPEN", "sick__upstream__web"]);
    check_told(&router, &["explain", "http://sick.test/"], 0, &["down; probe", "connection refused", all_are_tried]);
    let (_, page) = router.admin_get("/");
    assert!(page.contains("Fail-open") && page.contains("connection refused"), "{page}");
    let (_, metrics) = router.admin_get("/metrics");
    let row = "webrouter_fail_open{upstream=\"sick__upstream__web\"} 1";
    assert!(metrics.lines().any(|line| line == row), "{metrics}");
}

const SOON: std::time::Duration = std::time::Duration::from_secs(10);
