//! A new TLS connection with a full handshake for every request.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;

use super::clients::Client;
use super::{Answer, answer_length, source_of};

/// What to ask for.
pub(crate) struct Handshakes {
    /// The proxy.
    pub(crate) target: SocketAddr,
    /// Host names, one picked at random for every connection.
    pub(crate) hosts: Vec<String>,
    /// How hands are shaken.
    pub(crate) tls: Arc<ClientConfig>,
    /// Bytes every body must have.
    pub(crate) body: usize,
}

impl Client for Handshakes {
    async fn ask_until(&self, number: usize, window_ends: Instant) -> Result<u64> {
        let mut answers = 0;
        while Instant::now() < window_ends {
            let host = self.hosts.get(fastrand::usize(..self.hosts.len())).context("no hosts")?;
            self.ask(host, source_of(number)).await.with_context(|| format!("for {host}"))?;
            answers += 1;
        }
        Ok(answers)
    }
}

impl Handshakes {
    async fn ask(&self, host: &str, source: Ipv4Addr) -> Result<()> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((source, 0)))?;
        let stream = socket.connect(self.target).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(host.to_owned())?;
        let mut stream = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await?;
        match stream.get_ref().1.handshake_kind() {
            Some(HandshakeKind::Full) => {}
            other => bail!("not a plain full handshake: {other:?}"),
        }
        stream.write_all(format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes()).await?;
        let mut received = Vec::with_capacity(1024);
        loop {
            match answer_length(&received) {
                Answer::Good { head, body } if body == self.body && received.len() == head + body => return Ok(()),
                Answer::Good { head, body } if body == self.body && received.len() < head + body => {}
                Answer::Partial => {}
                wrong => bail!("wrong answer: {wrong:?}"),
            }
            if stream.read_buf(&mut received).await? == 0 {
                bail!("closed after {} bytes", received.len());
            }
        }
    }
}
