//! What is not taken, and why.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Everything that is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rejections {
    /// The snapshot they are of.
    pub generation: u64,
    /// The rejections.
    pub rejections: Vec<Rejection>,
}

/// An entry, or a part of it, that is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rejection {
    /// Who said it.
    pub source: String,
    /// The entry.
    pub entry: String,
    /// A stable word: `bad_name`, `unreadable_entry`, `unreadable_annotation`, `bad_mountpoint`, `bad_healthcheck`,
    /// `bad_endpoint`, `bad_policy`, `too_many_mountpoints`, `more`, `owned`, `bad_certificate`.
    pub kind: String,
    /// What is wrong.
    pub reason: String,
    /// Who owns the claimed mountpoint, for the kind `owned`.
    pub owner: Option<Claimant>,
    /// What its owner can do about it.
    pub advice: String,
}

/// One proc as one source knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Claimant {
    /// Who told us.
    pub source: String,
    /// The entry.
    pub entry: String,
}
