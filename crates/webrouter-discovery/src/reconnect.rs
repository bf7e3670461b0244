//! How long to wait before the next attempt: doubling, bounded, jittered.

use std::time::Duration;

/// The pauses between attempts that fail in a row.
#[derive(Debug, Clone)]
pub(crate) struct Pauses {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Pauses {
    pub(crate) fn new(min: Duration, max: Duration) -> Self {
        Self { min, max: max.max(min), next: min }
    }

    /// The pause before the next attempt: between half and all of a step that doubles each time.
    pub(crate) fn next(&mut self) -> Duration {
        let step = self.next;
        self.next = (step * 2).min(self.max);
        jittered(step, 0.5)
    }

    /// An attempt has succeeded.
    pub(crate) fn reset(&mut self) {
        self.next = self.min;
    }
}

/// Takes away a random part of a duration, at most `share` of it, so that many instances do not move in step.
pub(crate) fn jittered(duration: Duration, share: f64) -> Duration {
    duration.mul_f64(1.0 - share * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_again_after_a_success() {
        let ms = Duration::from_millis;
        let mut pauses = Pauses::new(ms(200), ms(5000));
        for step in [200, 400, 800, 1600, 3200, 5000, 5000] {
            let pause = pauses.next();
            assert!(pause >= ms(step / 2) && pause <= ms(step), "{pause:?} for {step}");
        }
        pauses.reset();
        assert!(pauses.next() <= ms(200));
    }
}
