//! Raw-byte client and origin, a scripted lainlet, a router process: what the tests speak with.
