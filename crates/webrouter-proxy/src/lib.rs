//! The built-in data plane. The life of a request, each step one file:
//!
//! ```text
//! listener ─► arrival: tls ─► connection ─► exchange: http1::head ─► request ─► (table) ─► forward ─► upstream::…
//!                        └─► http2::server ──┘  http2::head                         │     headers · body · upgrade
//!                                                                               response ─► access log, metrics
//! ```
//!
//! One thread per core, each with its own listeners, pools and buffers; all they share is the pointer to the snapshot.
//! The request path waits for no discovery, no admin, no disk.

mod answer;
mod arrival;
mod attempt;
mod basic_auth;
mod body;
mod clients;
mod config;
mod connection;
mod core;
mod deadline;
mod error;
mod exchange;
mod failure;
pub mod fleet;
mod forward;
mod headers;
pub mod http1;
mod http2;
mod listener;
mod policy;
pub mod proxy_protocol;
mod redirect;
mod request;
mod response;
mod server;
mod splice;
mod sticky;
mod stream;
pub mod tls;
mod tunnels;
mod upgrade;
mod upload;
mod upstream;
pub mod websocket;

pub use config::{Limits, ListenerConfig, ProxyConfig, Scope, Security, Timeouts, UnknownHost};
pub use listener::{BindError, Listeners, bind};
pub use server::{Proxy, StartError, StopReport, start};
pub use sticky::StickyKey;
