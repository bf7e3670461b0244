//! The webrouter binary.
mod config;

fn main() {}
