//! Says in the log that a certificate ends soon: once a day for each.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use super::inventory::Inventory;

/// Whether a certificate that ends then needs somebody to act.
pub(super) fn is_soon(not_after: SystemTime, now: SystemTime) -> bool {
    not_after <= now + SOON
}

/// What was said, and when.
#[derive(Debug, Default)]
pub(super) struct Warnings(HashMap<String, Said>);

#[derive(Debug, PartialEq, Eq)]
struct Said {
    not_after: SystemTime,
    at: SystemTime,
}

impl Warnings {
    /// Says what has not been said today.
    pub(super) fn tell(&mut self, inventory: &Inventory, now: SystemTime) {
        for (stem, not_after) in self.due(inventory, now) {
            let ends = httpdate::fmt_http_date(not_after);
            match not_after.duration_since(now) {
                Ok(left) => tracing::warn!(%stem, ends, days = left.as_secs() / DAY.as_secs(), "certificate ends soon"),
                Err(_) => tracing::warn!(%stem, ends, "certificate has ended: clients refuse it"),
            }
        }
    }

    /// The certificates to speak of now.
    fn due(&mut self, inventory: &Inventory, now: SystemTime) -> Vec<(String, SystemTime)> {
        let ending: HashMap<String, SystemTime> = inventory.ending(now).collect();
        self.0.retain(|stem, said| ending.get(stem) == Some(&said.not_after));
        let mut due = Vec::new();
        for (stem, not_after) in ending {
            let said_today = self.0.get(&stem).is_some_and(|said| said.at + DAY > now);
            if !said_today {
                self.0.insert(stem.clone(), Said { not_after, at: now });
                due.push((stem, not_after));
            }
        }
        due
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);
const SOON: Duration = Duration::from_secs(21 * 24 * 3600);
