//! The time left.

/// Steps that must be seen before their speed says anything: the first ones compile and warm caches.
const STEPS_NEEDED: u64 = 10;

/// Seconds that `steps_left` will take at the run's own speed; `None` before ten steps of this run
/// (resumed ones count from where they resumed) or while the speed is unknown.
pub(super) fn seconds_left(
    steps_taken: u64,
    steps_left: u64,
    seconds_per_step: Option<f64>,
) -> Option<f64> {
    let seconds = seconds_per_step? * steps_left as f64;
    (steps_taken >= STEPS_NEEDED && seconds.is_finite()).then_some(seconds)
}
