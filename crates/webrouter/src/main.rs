//! The webrouter binary.
mod config;
mod lainlet;

fn main() {}
