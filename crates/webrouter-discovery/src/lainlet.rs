//! The lainlet source: its wire, its states, its settings.

pub mod translate;
pub mod wire;
