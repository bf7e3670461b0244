//! TLS (placeholder while it is being built elsewhere).
#![allow(missing_docs)]
use crate::config::Scope;
use crate::stream::TlsStream;
use tokio::net::TcpStream;
use webrouter_routing::snapshot::Snapshot;

#[derive(Debug)]
pub struct Acceptor;
#[derive(Debug)]
pub(crate) struct ClientCertificate {
    pub(crate) subject: Option<String>,
}
pub(crate) enum Protocol {
    Http1,
    Http2,
}
pub(crate) struct Handshaken {
    pub(crate) stream: TlsStream,
    pub(crate) protocol: Protocol,
    pub(crate) certificate: Option<ClientCertificate>,
}
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub(crate) struct TlsError;
impl Acceptor {
    pub(crate) async fn accept(&self, _stream: TcpStream, _scope: Scope) -> Result<Handshaken, TlsError> {
        Err(TlsError)
    }
    pub(crate) fn demands_client_certificate(&self, _host: &str) -> bool {
        false
    }
    pub(crate) fn serves(&self, _table: &Snapshot, _host: &str) -> bool {
        false
    }
}
