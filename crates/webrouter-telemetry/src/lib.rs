//! Metrics, access log, logging: what webrouter tells about itself.
//!
//! Owns every metric name, the access log files and the rule that no foreign byte reaches a log, label or file
//! unescaped. It must not decide anything, and nothing here may make a request wait or fail.

pub mod access_log;
pub mod cause;
pub mod flight_recorder;
pub mod graphite;
pub mod logging;
pub mod metrics;

pub use cause::Cause;
