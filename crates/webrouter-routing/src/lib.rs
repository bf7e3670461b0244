//! What goes where. Pure: no runtime, file, socket, clock or log.
//!
//! ```text
//! raw entry ─ parse ─► Proc ─► Contribution ─┐
//!                                            ├─ merge ─► Snapshot (RouteTable, upstreams, rejections)
//!                      Contribution ─────────┘                │
//!                                              request ─ lookup(host, path) ─► Outcome
//! ```

pub mod annotation;
pub mod certificate;
pub mod contribution;
pub mod diff;
pub mod domains;
pub mod duration;
pub mod endpoint;
mod excerpt;
pub mod host;
pub mod merge;
pub mod mountpoint;
pub mod name;
pub mod path;
pub mod pin;
pub mod policy;
pub mod rejection;
pub mod route;
pub mod snapshot;
pub mod table;
pub mod version;
