//! Listening sockets: one per core and address, so that a connection never moves between cores.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;
use webrouter_telemetry::metrics::Limit;

use crate::clients::Presence;
use crate::config::{ListenerConfig, ProxyConfig, Scope, Security};
use crate::connection;
use crate::core::Core;
use crate::deadline::at_once;

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {error}{}", fix(error))]
pub struct BindError {
    /// The configured address.
    pub address: SocketAddr,
    /// What the system says.
    pub error: io::Error,
}

fn fix(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; stop the program that has the port, or choose another in [listen]",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need CAP_NET_BIND_SERVICE, or choose a higher one",
        io::ErrorKind::AddrNotAvailable => "; this machine does not have the address",
        _ => "",
    }
}

/// Bound sockets, not yet served.
#[derive(Debug)]
pub struct Listeners {
    pub(crate) per_core: Vec<Vec<(StdListener, Scope, Security)>>,
    addresses: Vec<ListenerConfig>,
}

impl Listeners {
    /// Where the sockets are bound: port 0 has become the port that was taken.
    pub fn addresses(&self) -> &[ListenerConfig] {
        &self.addresses
    }
}

/// Binds every listener for every core, or none.
pub fn bind(config: &ProxyConfig) -> Result<Listeners, BindError> {
    let mut listeners =
        Listeners { per_core: (0..config.threads.max(1)).map(|_| Vec::new()).collect(), addresses: Vec::new() };
    for listener in &config.listeners {
        let failed = |error| BindError { address: listener.address, error };
        let address = claim(listener.address).map_err(failed)?;
        for core in &mut listeners.per_core {
            let socket = socket(address).map_err(failed)?;
            socket.set_reuse_port(true).and_then(|()| socket.bind(&address.into())).map_err(failed)?;
            // Accepted sockets inherit it.
            socket.set_tcp_nodelay(true).map_err(failed)?;
            socket.listen(BACKLOG).map_err(failed)?;
            core.push((socket.into(), listener.scope, listener.security));
        }
        listeners.addresses.push(ListenerConfig { address, ..*listener });
    }
    Ok(listeners)
}

/// Makes sure that nobody else listens here: sockets that share a port would quietly share its connections too.
fn claim(address: SocketAddr) -> io::Result<SocketAddr> {
    let probe = socket(address)?;
    probe.bind(&address.into())?;
    probe.local_addr()?.as_socket().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// Accepts until the core stops; what waits in the backlog then is served too.
pub(crate) async fn accept(
    core: Rc<Core>,
    listener: TcpListener,
    kind: (Scope, Security),
    mut stopping: watch::Receiver<Option<Instant>>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(Option::is_some) => break,
        };
        admit(&core, accepted, kind).await;
    }
    while let Some(Ok(accepted)) = at_once(listener.accept()) {
        admit(&core, Ok(accepted), kind).await;
    }
}

async fn admit(core: &Rc<Core>, accepted: io::Result<(tokio::net::TcpStream, SocketAddr)>, kind: (Scope, Security)) {
    match accepted {
        Ok((stream, peer)) => match Presence::enter(core) {
            Some(presence) => {
                tokio::task::spawn_local(connection::serve(Rc::clone(core), presence, stream, peer, kind));
            }
            None => {
                core.metrics.refused(Limit::Connections);
                tokio::task::spawn_local(connection::refuse(stream, kind.1));
            }
        },
        Err(error) if is_of_one_connection(&error) => {}
        Err(error) => {
            core.metrics.refused(Limit::FileDescriptors);
            if core.clients.begins_to_refuse() {
                tracing::error!(%error, "cannot accept connections; raise the limit of open files (ulimit -n)");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

const BACKLOG: i32 = 4096;
