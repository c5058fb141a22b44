//! The curves of a run: loss, learning rate and speed over its steps.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::thinning::keep_every_second;
use crate::domain::packed_log::PackedLog;

/// How many points a curve has at most. Once there are more, every two neighbours become one.
pub const POINTS_MAX: usize = 512;
/// How many checkpoints are remembered, the newest ones.
pub const CHECKPOINTS_MAX: usize = 256;

/// Curves over the steps of a run, all with as many points: one for every so many steps.
///
/// They follow from the log alone. Of a run that began again, what it did beyond the step where it
/// goes on is not shown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// The last step of each point.
    pub step: Vec<u64>,
    /// The mean loss, of the losses that were finite; null where there was none.
    pub loss: Vec<Option<f32>>,
    /// The last learning rate.
    pub learning_rate: Vec<Option<f32>>,
    /// The mean time of a step, in seconds, as the trainer measured it.
    pub seconds_per_step: Vec<Option<f32>>,
    /// The steps at which a checkpoint was saved.
    pub checkpoints: Vec<u64>,
}

/// Curves as they are kept: JSON, compressed where that saves something.
#[derive(Clone, PartialEq, Eq)]
pub struct PackedSeries(Arc<[u8]>);

impl fmt::Debug for PackedSeries {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PackedSeries({} bytes)", self.0.len())
    }
}

impl PackedSeries {
    /// Packs curves.
    pub fn pack(series: &Series) -> Self {
        let json = serde_json::to_string(series).expect("numbers and nulls are JSON");
        Self(PackedLog::pack(&json).as_stored().into())
    }

    /// Curves as they were stored.
    pub fn from_stored(packed: &[u8]) -> Self {
        Self(packed.into())
    }

    /// The packed form, to be stored.
    pub fn as_stored(&self) -> &[u8] {
        &self.0
    }

    /// The curves; none where what was stored cannot be read.
    pub fn unpack(&self) -> Series {
        let json = PackedLog::from_stored(0, self.0.to_vec()).unpack();
        serde_json::from_str(&json).unwrap_or_else(|error| {
            log::error!("the curves of a job are damaged: {error}");
            Series::default()
        })
    }
}

/// What a line tells of one step.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Told {
    pub(super) loss: Option<f64>,
    pub(super) learning_rate: Option<f64>,
    pub(super) seconds_per_step: Option<f64>,
}

/// The curves while they grow.
#[derive(Debug, Clone, Default)]
pub(super) struct Curves {
    points: Vec<Point>,
    /// Two to this power are the steps of one point.
    width_log2: u32,
    checkpoints: Vec<u64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Point {
    step: u64,
    loss: Mean,
    learning_rate: Option<f32>,
    seconds_per_step: Mean,
}

#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f64,
    count: u32,
}

/// Whether a number can be drawn: JSON has no infinite ones, and curves are of single precision.
fn fits(number: f64) -> bool {
    (number as f32).is_finite()
}

impl Mean {
    fn add(&mut self, value: Option<f64>) {
        if let Some(value) = value.filter(|value| fits(*value)) {
            self.sum += value;
            self.count += 1;
        }
    }

    fn join(&mut self, other: Self) {
        self.sum += other.sum;
        self.count += other.count;
    }

    fn value(self) -> Option<f32> {
        (self.count > 0).then(|| (self.sum / f64::from(self.count)) as f32)
    }
}

impl Curves {
    /// Takes in what was told at `step`.
    pub(super) fn take(&mut self, step: u64, told: Told) {
        if told.loss.is_none() && told.learning_rate.is_none() && told.seconds_per_step.is_none() {
            return;
        }
        let nth = |step: u64| step >> self.width_log2;
        let is_of_last = self.points.last().is_some_and(|last| nth(last.step) == nth(step));
        if !is_of_last {
            self.points.push(Point::default());
        }
        if let Some(point) = self.points.last_mut() {
            point.step = step;
            point.loss.add(told.loss);
            point.seconds_per_step.add(told.seconds_per_step);
            point.learning_rate = told
                .learning_rate
                .filter(|rate| fits(*rate))
                .map(|rate| rate as f32)
                .or(point.learning_rate);
        }
        if self.points.len() > POINTS_MAX {
            self.thin_out();
        }
    }

    /// The run goes on from `step`: what came after it is void.
    pub(super) fn go_back(&mut self, step: u64) {
        self.points.retain(|point| point.step < step);
        self.checkpoints.retain(|&saved| saved <= step);
    }

    /// A checkpoint was saved at `step`.
    pub(super) fn save_checkpoint(&mut self, step: u64) {
        if self.checkpoints.last() == Some(&step) {
            return;
        }
        if self.checkpoints.len() == CHECKPOINTS_MAX {
            self.checkpoints.remove(0);
        }
        self.checkpoints.push(step);
    }

    fn thin_out(&mut self) {
        // Where points are far apart, one doubling may not join any two.
        while self.points.len() > POINTS_MAX {
            if self.width_log2 == u64::BITS - 1 {
                // Steps that went up and down are in no order: no width joins them.
                keep_every_second(&mut self.points);
                continue;
            }
            self.width_log2 += 1;
            let nth = |step: u64| step >> self.width_log2;
            let mut joined: Vec<Point> = Vec::with_capacity(POINTS_MAX);
            for point in self.points.drain(..) {
                match joined.last_mut() {
                    Some(last) if nth(last.step) == nth(point.step) => {
                        last.step = point.step;
                        last.loss.join(point.loss);
                        last.seconds_per_step.join(point.seconds_per_step);
                        last.learning_rate = point.learning_rate.or(last.learning_rate);
                    }
                    _ => joined.push(point),
                }
            }
            self.points = joined;
        }
    }

    /// The curves so far.
    pub(super) fn series(&self) -> Series {
        let points = self.points.iter();
        Series {
            step: points.clone().map(|point| point.step).collect(),
            loss: points.clone().map(|point| point.loss.value()).collect(),
            learning_rate: points.clone().map(|point| point.learning_rate).collect(),
            seconds_per_step: points.map(|point| point.seconds_per_step.value()).collect(),
            checkpoints: self.checkpoints.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(loss: f64) -> Told {
        Told { loss: Some(loss), ..Told::default() }
    }

    #[test]
    fn a_curve_has_no_more_points_than_said_and_keeps_its_shape() {
        let mut curves = Curves::default();
        for step in 1..=100_000 {
            curves.take(step, loss(1.0 / step as f64));
            assert!(curves.points.len() <= POINTS_MAX);
        }
        let series = curves.series();
        assert!(series.step.len() > POINTS_MAX / 3, "{}", series.step.len());
        assert_eq!(series.step.last(), Some(&100_000));
        assert!(series.step.is_sorted() && series.loss.is_sorted_by(|a, b| a >= b));
    }

    #[test]
    fn what_a_run_did_before_it_began_again_further_back_is_void() {
        let mut curves = Curves::default();
        for step in 1..=10 {
            curves.take(step, loss(0.5));
        }
        curves.save_checkpoint(5);
        curves.save_checkpoint(10);
        curves.go_back(6);
        curves.take(6, loss(0.25));
        let series = curves.series();
        assert_eq!(series.step, [1, 2, 3, 4, 5, 6]);
        assert_eq!((series.loss[5], series.checkpoints), (Some(0.25), vec![5]));
    }

    #[test]
    fn a_loss_that_is_no_number_leaves_a_gap() {
        let mut curves = Curves::default();
        curves.take(1, loss(0.5));
        curves.take(2, loss(f64::NAN));
        assert_eq!(curves.series().loss, [Some(0.5), None]);
    }

    #[test]
    fn curves_survive_being_packed() {
        let mut curves = Curves::default();
        for step in 1..=2_000 {
            curves.take(step, loss(1.0 / step as f64));
        }
        let series = curves.series();
        let packed = PackedSeries::pack(&series);
        assert_eq!(PackedSeries::from_stored(packed.as_stored()).unpack(), series);
        assert!(packed.as_stored().len() < 8_192, "{packed:?}");
        assert_eq!(PackedSeries::from_stored(b"{").unpack(), Series::default());
    }

    #[test]
    fn steps_that_are_far_apart_are_thinned_out_too() {
        let mut curves = Curves::default();
        for step in 0..2_000_u64 {
            curves.take(step * 1_000_003, loss(0.5));
        }
        assert!(curves.points.len() <= POINTS_MAX);
    }
}
