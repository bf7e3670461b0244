//! Admin HTTP API: reads all, decides nothing.
