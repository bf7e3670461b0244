//! The webrouter binary.

fn main() {}
