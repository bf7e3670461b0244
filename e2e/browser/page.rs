//! An app of one page, which opens a WebSocket and says what it hears back in its title.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use webrouter_testkit::{Acceptor, Framing, Head, head_length, web_socket_accept};

pub(crate) struct Page {
    acceptor: Acceptor,
    web_sockets: Arc<AtomicUsize>,
}

impl Page {
    pub(crate) fn start() -> Page {
        let web_sockets = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&web_sockets);
        let serve = move |_, stream| _ = Visit { stream, ahead: Vec::new() }.serve(&counter);
        let acceptor = Acceptor::start(SocketAddr::from(([127, 0, 0, 1], 0)), serve).expect("a free port");
        Page { acceptor, web_sockets }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.acceptor.addr()
    }

    /// How many WebSockets were opened.
    pub(crate) fn web_sockets(&self) -> usize {
        self.web_sockets.load(Ordering::SeqCst)
    }
}

struct Visit {
    stream: TcpStream,
    ahead: Vec<u8>,
}

impl Visit {
    /// Serves requests until one becomes a WebSocket or the router closes.
    fn serve(&mut self, web_sockets: &AtomicUsize) -> std::io::Result<()> {
        loop {
            let length = loop {
                match head_length(&self.ahead) {
                    Some(length) => break length,
                    None => self.read()?,
                }
            };
            let head = Head::parse(&self.take(length)?).map_err(std::io::Error::other)?;
            if let Some(key) = head.value("sec-websocket-key") {
                web_sockets.fetch_add(1, Ordering::SeqCst);
                let accept = web_socket_accept(key);
                write!(
                    self.stream,
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Accept: {accept}\r\n\r\n"
                )?;
                return self.echo();
            }
            let content = match head.request_framing() {
                Framing::Length(length) => self.take(length)?.len(),
                _ => 0,
            };
            let counts = head.start_line.starts_with("POST ");
            let body = if counts { content.to_string() } else { PAGE.to_owned() };
            write!(
                self.stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )?;
        }
    }

    /// Sends every text back until the browser closes (RFC 6455 §5.2); texts are short here.
    fn echo(&mut self) -> std::io::Result<()> {
        loop {
            let header = self.take(2)?;
            let (kind, length) = (header[0] & 0x0f, usize::from(header[1] & 0x7f));
            let mask = self.take(4)?;
            let text: Vec<u8> =
                self.take(length)?.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
            self.stream.write_all(&[&[header[0], header[1] & 0x7f], &text[..]].concat())?;
            if kind == CLOSE {
                return Ok(());
            }
        }
    }

    fn take(&mut self, count: usize) -> std::io::Result<Vec<u8>> {
        while self.ahead.len() < count {
            self.read()?;
        }
        Ok(self.ahead.drain(..count).collect())
    }

    fn read(&mut self) -> std::io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer)? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.ahead.extend_from_slice(&buffer[..count]);
                Ok(())
            }
        }
    }
}

const CLOSE: u8 = 8;
const PAGE: &str = "<!doctype html><title>waiting</title><script>
const socket = new WebSocket('wss://' + location.host + '/ws');
let heard = 0;
socket.onopen = () => socket.send('hello');
socket.onmessage = message => {
  document.title = 'got ' + message.data + ' ' + ++heard;
  if (heard < 3) socket.send('hello');
};
socket.onerror = () => { document.title = 'failed'; };
</script>";
