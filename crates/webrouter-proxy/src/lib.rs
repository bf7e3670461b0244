//! The built-in data plane. The life of a request, each step one file:
//!
//! ```text
//! listener ─► connection ─► exchange: http1::head ─► request ─► (table) ─► forward ─► upstream::{balance,pool,connect}
//!                                                                  │           headers · body · upgrade
//!                                                              response (pages, redirects) ─► access log, metrics
//! ```
//!
//! One thread per core, each with its own listeners, pools and buffers; all they share is the pointer to the snapshot.
//! The request path waits for no discovery, no admin, no disk.

mod answer;
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
pub mod fleet;
mod forward;
mod headers;
pub mod http1;
mod listener;
mod policy;
mod request;
mod response;
mod server;
mod splice;
mod sticky;
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
