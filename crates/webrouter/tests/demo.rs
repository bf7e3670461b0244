//! The demo does what it says, and leaves nothing behind.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use webrouter_testkit::{Asked, Client, until};

/// A demo that is killed if the test fails.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_apps_answer_a_container_moves_and_nothing_is_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_webrouter"));
    command.args(["demo", "--port", "0"]).env_clear().env("TMPDIR", folder.path()).stdout(Stdio::piped());
    let mut demo = Demo(command.spawn().expect("the binary starts"));
    let mut lines = BufReader::new(demo.0.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let router = lines.find_map(|line| line.trim().strip_prefix("router   http://").map(str::to_owned));
    let router: SocketAddr = router.expect("it tells the router").trim_end_matches('/').parse().expect("an address");

    assert!(ask(router, "hello", "/").contains("hello from container"));
    assert!(ask(router, "slow", "/").contains("line 10 of 10 from container "));
    assert!(ask(router, "chat", "/").contains("open a WebSocket here"));
    assert!(lines.any(|line| line.starts_with("moved hello/1 from ")), "a container moves");
    assert!(ask(router, "hello", "/").contains("hello from container"));

    kill_process(Pid::from_child(&demo.0), Signal::TERM).expect("it runs");
    let exit = until(Duration::from_secs(10), || demo.0.try_wait().ok().flatten()).expect("it ends");
    assert_eq!(exit.code(), Some(0));
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "files are left");
}

/// The body of a 200 answer.
#[track_caller]
fn ask(router: SocketAddr, app: &str, path: &str) -> String {
    let mut client = Client::connect(router);
    client.send(format!("GET {path} HTTP/1.1\r\nHost: {app}.lain.local\r\n\r\n").as_bytes());
    let response = client.response(Asked::Content, Duration::from_secs(10)).expect("an answer");
    assert_eq!(response.status, 200, "{}", response.text());
    response.text()
}
