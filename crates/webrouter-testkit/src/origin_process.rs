//! A faulty origin as a process of its own, to be killed as a container is, or to run on another host.
//!
//! The process is the running test program once more, with one of its tests chosen; that test calls
//! [`OriginProcess::serve_if_asked`]. What it sees it writes to its standard output before it answers, so nothing is
//! forgotten when it is killed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::acceptor::locked;
use crate::eventually::until;
use crate::faulty_origin::{FaultyOrigin, Seen};
use crate::hosts::Host;

/// A running origin; killed when dropped.
pub struct OriginProcess {
    child: Child,
    /// The process ends when this is closed, however we end.
    _stdin: Option<ChildStdin>,
    addr: SocketAddr,
    heard: Arc<Mutex<Heard>>,
    listener: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Heard {
    addr: Option<SocketAddr>,
    seen: Vec<Seen>,
}

impl OriginProcess {
    /// Starts one on this host; `test` is the full name of the test that serves.
    pub fn start(name: &str, test: &str) -> OriginProcess {
        let program = std::env::current_exe().expect("a test knows its program");
        OriginProcess::spawn(Command::new(program), name, test, SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Starts one on another host.
    pub fn start_on(host: &Host, name: &str, test: &str) -> OriginProcess {
        let program = std::env::current_exe().expect("a test knows its program");
        OriginProcess::spawn(host.command(&program), name, test, SocketAddr::from((host.addr(), 0)))
    }

    fn spawn(mut command: Command, name: &str, test: &str, addr: SocketAddr) -> OriginProcess {
        let mut child = command
            .args([test, "--exact", "--nocapture", "--test-threads=1"])
            .env(NAME, name)
            .env(ADDR, addr.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts once more");
        let stdout = child.stdout.take().expect("a pipe was asked for");
        let heard = Arc::new(Mutex::new(Heard::default()));
        let for_thread = Arc::clone(&heard);
        let listener = thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                hear(&line, &mut locked(&for_thread));
            }
        });
        let stdin = child.stdin.take();
        let addr = until(Duration::from_secs(10), || locked(&heard).addr);
        let addr = addr.expect("the origin listens; is there a test of that name?");
        OriginProcess { child, _stdin: stdin, addr, heard, listener: Some(listener) }
    }

    /// Where it listens, or listened.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// SIGKILL: the kernel closes what it had open.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }

    /// Every request it told of; complete once it was killed.
    pub fn seen(&self) -> Vec<Seen> {
        locked(&self.heard).seen.clone()
    }

    /// Serves until the parent is gone, when this process was started as an origin; false when it was not.
    pub fn serve_if_asked() -> bool {
        let (Ok(name), Ok(addr)) = (std::env::var(NAME), std::env::var(ADDR)) else { return false };
        let addr = addr.parse().expect("the parent writes an address");
        let origin = FaultyOrigin::start_watched(&name, addr, |seen| {
            let id = seen.id.map(|id| id.to_string()).unwrap_or_default();
            say(&format!("{SEEN}{} {id}", seen.method));
        });
        say(&format!("{LISTENING}{}", origin.addr()));
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        true
    }
}

impl Drop for OriginProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// One line in one write; the test runner writes to the same place, so it begins on a line of its own.
fn say(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(format!("\n{text}\n").as_bytes());
    let _ = stdout.flush();
}

fn hear(line: &str, heard: &mut Heard) {
    if let Some(addr) = line.strip_prefix(LISTENING) {
        heard.addr = addr.parse().ok();
    } else if let Some((method, id)) = line.strip_prefix(SEEN).and_then(|rest| rest.split_once(' ')) {
        heard.seen.push(Seen { method: method.to_owned(), id: id.parse().ok(), at: Instant::now() });
    }
}

const NAME: &str = "WEBROUTER_TEST_ORIGIN_NAME";
const ADDR: &str = "WEBROUTER_TEST_ORIGIN_ADDR";
const LISTENING: &str = "origin listens on ";
const SEEN: &str = "origin sees ";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Client;

    /// Both sides: the parent, and, started by it, the origin.
    #[test]
    fn serves_until_it_is_killed_and_nothing_it_saw_is_lost() {
        if OriginProcess::serve_if_asked() {
            return;
        }
        let this = "origin_process::tests::serves_until_it_is_killed_and_nothing_it_saw_is_lost";
        let mut origin = OriginProcess::start("child", this);
        let mut client = Client::connect(origin.addr());
        assert_eq!(client.get("a.test", "/").map(|response| response.text()), Ok("child".to_owned()));
        origin.kill();
        assert!(client.get("a.test", "/").is_err());
        assert!(Client::try_connect(origin.addr()).is_err());
        assert_eq!(origin.seen().iter().map(|seen| seen.method.as_str()).collect::<Vec<_>>(), ["GET"]);
    }
}
