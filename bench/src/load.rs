//! The loader for what wrk does badly: a new connection for every request, and bodies of many megabytes. Below it, the
//! loads that neither can do.
//!
//! Closed loop, one thread. After the window no request is started; those under way are waited for, so that the
//! proxy's CPU belongs to exactly the requests that are counted.

pub(crate) mod clients;
mod echo;
pub(crate) mod h2load;
mod handshakes;

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};

use crate::readiness::{Readiness, Ready, Slots};

pub(crate) use echo::Echo;
pub(crate) use handshakes::Handshakes;

/// Whether a connection serves one request or many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reuse {
    /// `Connection: close`, a new connection for every request.
    NewConnection,
    /// All requests of a client on one connection.
    KeepAlive,
}

/// What to ask for, and how.
pub(crate) struct Plan {
    /// The proxy.
    pub(crate) target: SocketAddr,
    /// Host names, one picked at random for every request.
    pub(crate) hosts: Vec<String>,
    /// The path.
    pub(crate) path: &'static str,
    /// Bytes every body must have.
    pub(crate) body: usize,
    /// One request per connection or many.
    pub(crate) reuse: Reuse,
    /// Concurrent clients.
    pub(crate) clients: usize,
    /// How long requests are started.
    pub(crate) window: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Outcome {
    /// Whole answers with status 200 and the right length.
    pub(crate) good: u64,
    /// Everything else.
    pub(crate) bad: u64,
    /// Wall-clock time.
    pub(crate) elapsed: Duration,
}

/// How long requests under way may take after the window.
const GRACE: Duration = Duration::from_secs(10);
/// This many failures end the run: it is not a measurement any more.
const TOO_MANY: u64 = 100;

/// Runs a plan to its end.
pub(crate) fn run(plan: &Plan) -> io::Result<Outcome> {
    let requests: Vec<Vec<u8>> = plan.hosts.iter().map(|host| request(plan, host)).collect();
    let mut readiness = Readiness::open()?;
    let mut clients: Slots<Client> = Slots::empty();
    let mut outcome = Outcome::default();
    let mut ready: Vec<Ready> = Vec::new();
    let mut buffer = vec![0; 256 * 1024];
    let started = Instant::now();
    let (window_ends, deadline) = (started + plan.window, started + plan.window + GRACE);
    let mut open = 0;
    for number in 0..plan.clients {
        Client::open(plan, number, &readiness, &mut clients)?;
        open += 1;
    }
    while open > 0 && outcome.bad < TOO_MANY {
        let Some(left) = deadline.checked_duration_since(Instant::now()) else {
            outcome.bad += open;
            break;
        };
        readiness.wait(&mut ready, left)?;
        for event in &ready {
            let Some(client) = clients.at(event.token) else {
                continue;
            };
            let mut step = client.advance(plan, &requests, &mut buffer, event.hung_up);
            while step == Step::Answered && plan.reuse == Reuse::KeepAlive && Instant::now() < window_ends {
                outcome.good += 1;
                client.stage = Stage::Idle;
                step = client.advance(plan, &requests, &mut buffer, false);
            }
            match step {
                Step::Waiting => continue,
                Step::Answered => outcome.good += 1,
                Step::Failed => outcome.bad += 1,
            }
            let number = client.number;
            clients.remove(event.token);
            open -= 1;
            if Instant::now() < window_ends && outcome.bad < TOO_MANY {
                Client::open(plan, number, &readiness, &mut clients)?;
                open += 1;
            }
        }
    }
    outcome.elapsed = started.elapsed();
    Ok(outcome)
}

/// Starts a connection without waiting for it, from `source` when that is given.
pub(crate) fn connect(target: SocketAddr, source: Option<Ipv4Addr>) -> io::Result<TcpStream> {
    let socket =
        socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)?;
    if let Some(source) = source {
        bind(&socket, &SocketAddr::new(IpAddr::V4(source), 0))?;
    }
    match rustix::net::connect(&socket, &target) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
        Err(errno) => return Err(errno.into()),
    }
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A source address for each client: the ports of one would be used up in seconds.
fn source_of(number: usize) -> Ipv4Addr {
    let [.., third, fourth] = u32::try_from(number).unwrap_or(0).to_be_bytes();
    Ipv4Addr::new(127, 9, third, fourth.saturating_add(1))
}

fn request(plan: &Plan, host: &str) -> Vec<u8> {
    let connection = match plan.reuse {
        Reuse::NewConnection => "Connection: close\r\n",
        Reuse::KeepAlive => "",
    };
    format!("GET {} HTTP/1.1\r\nHost: {host}\r\n{connection}\r\n", plan.path).into_bytes()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Waiting,
    Answered,
    Failed,
}

enum Stage {
    Idle,
    Head(Vec<u8>),
    Body { left: usize },
}

struct Client {
    number: usize,
    stream: TcpStream,
    stage: Stage,
}

impl Client {
    fn open(plan: &Plan, number: usize, readiness: &Readiness, clients: &mut Slots<Client>) -> io::Result<()> {
        let source = match plan.reuse {
            Reuse::NewConnection => Some(source_of(number)),
            Reuse::KeepAlive => None,
        };
        let stream = connect(plan.target, source)?;
        let token = readiness.watch(&stream)?;
        clients.insert(token, Client { number, stream, stage: Stage::Idle });
        Ok(())
    }

    fn advance(&mut self, plan: &Plan, requests: &[Vec<u8>], buffer: &mut [u8], hung_up: bool) -> Step {
        if matches!(self.stage, Stage::Idle) {
            let Some(request) = requests.get(fastrand::usize(..requests.len())) else {
                return Step::Failed;
            };
            match self.stream.write(request) {
                Ok(count) if count == request.len() => self.stage = Stage::Head(Vec::new()),
                Err(error) if pending(&error) => return Step::Waiting,
                _ => return Step::Failed,
            }
            if !hung_up {
                return Step::Waiting;
            }
        }
        loop {
            let bytes = match self.stream.read(buffer) {
                Ok(0) => return Step::Failed,
                Ok(count) => buffer.get(..count).unwrap_or_default(),
                Err(error) if pending(&error) => return Step::Waiting,
                Err(_) => return Step::Failed,
            };
            let received = bytes.len();
            let left = match &mut self.stage {
                Stage::Idle => return Step::Failed,
                Stage::Body { left } => left.checked_sub(bytes.len()),
                Stage::Head(head) => {
                    head.extend_from_slice(bytes);
                    match answer_length(head) {
                        Answer::Partial => continue,
                        Answer::Good { head: length, body } if body == plan.body => {
                            body.checked_sub(head.len() - length)
                        }
                        Answer::Good { .. } | Answer::Bad => None,
                    }
                }
            };
            match left {
                None => return Step::Failed,
                Some(0) => return Step::Answered,
                Some(left) => self.stage = Stage::Body { left },
            }
            if received < buffer.len() && !hung_up {
                return Step::Waiting;
            }
        }
    }
}

/// What a response head promises.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The head is not complete.
    Partial,
    /// Status 200 with a length: bytes of the head, bytes of the body.
    Good {
        /// Bytes of the head.
        head: usize,
        /// Bytes of the body.
        body: usize,
    },
    /// Another status, no length, or not HTTP.
    Bad,
}

/// Reads a response head as far as it is there.
pub(crate) fn answer_length(bytes: &[u8]) -> Answer {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut fields);
    match response.parse(bytes) {
        Ok(httparse::Status::Partial) => Answer::Partial,
        Ok(httparse::Status::Complete(head)) if response.code == Some(200) => response
            .headers
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case("content-length"))
            .and_then(|field| std::str::from_utf8(field.value).ok()?.parse().ok())
            .map_or(Answer::Bad, |body| Answer::Good { head, body }),
        _ => Answer::Bad,
    }
}

fn pending(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests;
