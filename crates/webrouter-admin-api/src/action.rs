//! What an operator can do.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A decision about a held update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldAction {
    /// Apply it now.
    Accept,
    /// Keep what is in force.
    Refuse,
}

/// The decision was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HoldResolved {
    /// The decision.
    pub action: HoldAction,
    /// The snapshot in force after it.
    pub generation: u64,
}
