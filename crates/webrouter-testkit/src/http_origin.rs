//! An origin that behaves: answers every request with its name, keeps connections alive, streams, upgrades.
//!
//! What it does is chosen by the last part of the path: `bytes-N` (N bytes with a length), `chunked-N` (N bytes in
//! chunks), `slow-N` (N lines, one each 50 ms), `count` (the size of the request body), `head` (the request's head), `hold` (answers when
//! released), `ws` (an upgrade that echoes); anything else is answered with the origin's name.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use crate::acceptor::{Acceptor, locked};
use crate::message::{Framing, Head, head_length, latin1};

/// The well-behaved origin; it goes when dropped.
pub struct HttpOrigin {
    acceptor: Acceptor,
    shared: Arc<Shared>,
}

struct Shared {
    name: String,
    served: AtomicUsize,
    holding: AtomicUsize,
    tunnels: AtomicUsize,
    stopped: AtomicBool,
    released: Mutex<bool>,
    release: Condvar,
}

impl HttpOrigin {
    /// An origin on a free port of 127.0.0.1 that answers with `name`.
    pub fn start(name: &str) -> HttpOrigin {
        HttpOrigin::start_at(name, SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// An origin on a given address.
    pub fn start_at(name: &str, addr: SocketAddr) -> HttpOrigin {
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            served: AtomicUsize::new(0),
            holding: AtomicUsize::new(0),
            tunnels: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            released: Mutex::new(false),
            release: Condvar::new(),
        });
        let for_connections = Arc::clone(&shared);
        let acceptor =
            Acceptor::start(addr, move |_, stream| serve(stream, &for_connections)).expect("a free loopback port");
        HttpOrigin { acceptor, shared }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.acceptor.addr()
    }

    /// How many requests were answered.
    pub fn served(&self) -> usize {
        self.shared.served.load(Ordering::SeqCst)
    }

    /// How many requests wait in `hold` now.
    pub fn holding(&self) -> usize {
        self.shared.holding.load(Ordering::SeqCst)
    }

    /// How many upgraded connections are open now.
    pub fn tunnels(&self) -> usize {
        self.shared.tunnels.load(Ordering::SeqCst)
    }

    /// How many connections are open now.
    pub fn open_connections(&self) -> usize {
        self.acceptor.open()
    }

    /// Lets every request in `hold`, and every later one, be answered.
    pub fn release(&self) {
        *locked(&self.shared.released) = true;
        self.shared.release.notify_all();
    }
}

impl Drop for HttpOrigin {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.release();
    }
}

fn serve(stream: TcpStream, shared: &Shared) {
    let mut connection = Connection { stream, ahead: Vec::new(), shared };
    while let Ok(true) = connection.exchange() {}
    let _ = connection.stream.shutdown(Shutdown::Both);
}

struct Connection<'a> {
    stream: TcpStream,
    ahead: Vec<u8>,
    shared: &'a Shared,
}

impl Connection<'_> {
    /// Serves one request; true when another one may follow.
    fn exchange(&mut self) -> std::io::Result<bool> {
        let length = loop {
            if let Some(length) = head_length(&self.ahead) {
                break length;
            }
            if !self.read()? {
                return Ok(false);
            }
        };
        let bytes: Vec<u8> = self.ahead.drain(..length).collect();
        let head = Head::parse(&bytes).map_err(std::io::Error::other)?;
        let target = head.start_line.split(' ').nth(1).unwrap_or("/");
        let path = target.split('?').next().unwrap_or("/");
        let what = path.rsplit('/').next().unwrap_or_default();
        if what == "ws" && head.value("upgrade").is_some() {
            return self.tunnel();
        }
        let received = self.skip_body(head.request_framing())?;
        self.answer(what, received, &bytes)?;
        Ok(!head.values("connection").any(|v| v.eq_ignore_ascii_case("close")))
    }

    fn answer(&mut self, what: &str, received: u64, head: &[u8]) -> std::io::Result<()> {
        if what == "hold" {
            self.hold();
        }
        // Before it is written: who has read the answer may look at once.
        self.shared.served.fetch_add(1, Ordering::SeqCst);
        let number = |prefix| what.strip_prefix(prefix).and_then(|n| n.parse::<u64>().ok());
        if let Some(size) = number("bytes-") {
            write!(self.stream, "HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n")?;
            return self.write_zeros(size, |stream, bytes| stream.write_all(bytes));
        }
        if let Some(size) = number("chunked-") {
            self.stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            self.write_zeros(size, |stream, bytes| {
                write!(stream, "{:x}\r\n", bytes.len())?;
                stream.write_all(bytes)?;
                stream.write_all(b"\r\n")
            })?;
            return self.stream.write_all(b"0\r\n\r\n");
        }
        if let Some(lines) = number("slow-") {
            self.stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            for line in 0..lines {
                let text = format!("{} {line}\n", self.shared.name);
                write!(self.stream, "{:x}\r\n{text}\r\n", text.len())?;
                // The pace is what this answer is for.
                thread::sleep(Duration::from_millis(50));
            }
            return self.stream.write_all(b"0\r\n\r\n");
        }
        let body = match what {
            "count" => received.to_string(),
            "head" => latin1(head),
            _ => self.shared.name.clone(),
        };
        let mut answer =
            format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", body.len());
        if !head.starts_with(b"HEAD ") {
            answer.push_str(&body);
        }
        self.stream.write_all(answer.as_bytes())
    }

    fn hold(&self) {
        self.shared.holding.fetch_add(1, Ordering::SeqCst);
        let released = locked(&self.shared.released);
        let _guard = self.shared.release.wait_while(released, |released| !*released);
        self.shared.holding.fetch_sub(1, Ordering::SeqCst);
    }

    fn tunnel(&mut self) -> std::io::Result<bool> {
        self.stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")?;
        self.shared.tunnels.fetch_add(1, Ordering::SeqCst);
        let echoed = self.echo();
        self.shared.tunnels.fetch_sub(1, Ordering::SeqCst);
        echoed.map(|()| false)
    }

    fn echo(&mut self) -> std::io::Result<()> {
        loop {
            let bytes = std::mem::take(&mut self.ahead);
            self.stream.write_all(&bytes)?;
            if !self.read()? {
                return self.stream.shutdown(Shutdown::Write);
            }
        }
    }

    /// Reads the request body without keeping it; its size.
    fn skip_body(&mut self, framing: Framing) -> std::io::Result<u64> {
        match framing {
            Framing::None | Framing::Close => Ok(0),
            Framing::Length(length) => {
                self.skip(length)?;
                Ok(length as u64)
            }
            Framing::Chunked => {
                let mut total = 0;
                loop {
                    let line = self.line()?;
                    let size = usize::from_str_radix(&line, 16).map_err(std::io::Error::other)?;
                    if size == 0 {
                        while !self.line()?.is_empty() {}
                        return Ok(total);
                    }
                    self.skip(size + 2)?;
                    total += size as u64;
                }
            }
        }
    }

    fn skip(&mut self, count: usize) -> std::io::Result<()> {
        let mut left = count;
        while left > self.ahead.len() {
            left -= self.ahead.len();
            self.ahead.clear();
            if !self.read()? {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        self.ahead.drain(..left);
        Ok(())
    }

    fn line(&mut self) -> std::io::Result<String> {
        loop {
            if let Some(at) = crate::message::find(&self.ahead, b"\r\n") {
                let line = latin1(self.ahead.get(..at).unwrap_or_default());
                self.ahead.drain(..at + 2);
                return Ok(line);
            }
            if !self.read()? {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn write_zeros(
        &mut self,
        size: u64,
        write: impl Fn(&mut TcpStream, &[u8]) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        let block = [b'0'; 64 * 1024];
        let mut left = size;
        while left > 0 && !self.shared.stopped.load(Ordering::SeqCst) {
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
            write(&mut self.stream, block.get(..count).unwrap_or_default())?;
            left -= count as u64;
        }
        Ok(())
    }

    fn read(&mut self) -> std::io::Result<bool> {
        let mut buffer = [0; 64 * 1024];
        let count = self.stream.read(&mut buffer)?;
        self.ahead.extend_from_slice(buffer.get(..count).unwrap_or_default());
        Ok(count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Asked, Client};
    use crate::eventually::eventually;
    use crate::transport::End;

    const SOON: Duration = Duration::from_secs(5);

    #[test]
    fn keeps_the_connection_and_answers_with_its_name() {
        let origin = HttpOrigin::start("one");
        let mut client = Client::connect(origin.addr());
        for _ in 0..3 {
            assert_eq!(client.get("any.test", "/").map(|r| r.text()), Ok("one".to_owned()));
        }
        assert_eq!(origin.served(), 3);
        assert_eq!(origin.open_connections(), 1);
    }

    #[test]
    fn counts_a_chunked_upload_and_streams_bytes() {
        let origin = HttpOrigin::start("one");
        let mut client = Client::connect(origin.addr());
        let upload = b"POST /count HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        assert!(client.send_in_pieces(upload, 5));
        assert_eq!(client.response(Asked::Content, SOON).map(|r| r.text()), Ok("5".to_owned()));
        assert_eq!(client.get("a", "/chunked-70000").map(|r| r.body.len()), Ok(70000));
        assert_eq!(client.get("a", "/bytes-70000").map(|r| r.body.len()), Ok(70000));
    }

    #[test]
    fn echoes_after_an_upgrade_until_the_client_ends() {
        let origin = HttpOrigin::start("one");
        let mut client = Client::connect(origin.addr());
        client.send(b"GET /ws HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nearly");
        assert_eq!(client.response(Asked::Content, SOON).map(|r| r.status), Ok(101));
        assert_eq!(client.read_exactly(5, SOON), Ok(b"early".to_vec()));
        client.half_close();
        assert_eq!(client.read_to_end(SOON), End::Closed);
        eventually(SOON, "the tunnel is gone", || origin.tunnels() == 0);
    }
}
