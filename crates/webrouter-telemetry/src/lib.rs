//! Metrics, access log, logging.
