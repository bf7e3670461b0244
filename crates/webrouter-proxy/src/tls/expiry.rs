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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::Profile;
    use crate::tls::scene::Scene;
    use crate::tls::settings::Settings;

    #[test]
    fn who_ends_within_three_weeks_is_spoken_of_once_a_day() {
        let scene = Scene::new().with("lasting", &["demo.test"]);
        for (stem, left) in [("soon", 20 * DAY), ("later", 22 * DAY + DAY / 5)] {
            scene.authority.ending_pair(&["demo.test"], left).write(&scene.config.certificates, stem);
        }
        scene.authority.expired_pair(&["demo.test"]).write(&scene.config.certificates, "over");
        let settings = Settings::new(Profile::Intermediate).expect("settings");
        let read = || Inventory::read(&scene.config, &settings).map_err(|problem| problem.file).expect("an inventory");
        let (mut warnings, mut inventory, begun) = (Warnings::default(), read(), SystemTime::now());
        let mut check = |inventory: &Inventory, days: f64, expected: &[&str]| {
            let mut due: Vec<_> =
                warnings.due(inventory, begun + DAY.mul_f64(days)).into_iter().map(|due| due.0).collect();
            due.sort();
            assert_eq!(due, expected, "after {days} days");
        };
        check(&inventory, 0.0, &["over", "soon"]);
        check(&inventory, 0.9, &[]);
        check(&inventory, 1.0, &["over", "soon"]);
        check(&inventory, 1.5, &["later"]);
        scene.authority.ending_pair(&["demo.test"], 10 * DAY).write(&scene.config.certificates, "soon");
        scene.pair("over", &["demo.test"]);
        inventory = read();
        check(&inventory, 1.6, &["soon"]);
        check(&inventory, 2.7, &["later", "soon"]);
    }
}
