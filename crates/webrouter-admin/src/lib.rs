//! Admin HTTP API: reads all, decides nothing.
//!
//! ```text
//! connection (bounded number, head time-out) ─► guard (Host, action field, token) ─► handlers ─► view · explain · doctor · dashboard
//!                                                                                │
//!                                  Discovery (snapshot, status, holds) · Fleet · Metrics · listeners · access log
//! ```
//! Beside it, `live` samples the traffic and tells those who listen what happens.
//!
//! It never changes routing data: a hold is accepted or refused by discovery, an endpoint is drained by the fleet. No foreign byte gets into the page
//! unescaped. What takes long is made off the runtime's threads, so that discovery never waits for a reader.

mod dashboard;
pub mod doctor;
mod explain;
mod gauges;
mod guard;
mod handlers;
mod live;
mod server;
mod state;
mod token;
mod traffic;
mod view;

pub use server::serve;
pub use state::{AdminState, UnknownHost};
pub use token::{BadToken, Token};
