//! The built-in data plane.
