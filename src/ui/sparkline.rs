//! The small curve of a loss beside a job.

use crate::domain::progress::Series;

use super::text::significant;

const WIDTH: usize = 96;
const HEIGHT: usize = 24;
/// Points that such a small curve can show.
const POINTS_MAX: usize = 48;

/// A curve as the points of an SVG polyline.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sparkline {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) points: String,
    /// What it shows, for who cannot see it.
    pub(crate) words: String,
}

impl Sparkline {
    /// The curve of the loss; None of fewer than two points.
    pub(crate) fn of_loss(series: &Series) -> Option<Self> {
        let known: Vec<_> = series
            .step
            .iter()
            .zip(&series.loss)
            .filter_map(|(&step, loss)| Some((step as f64, f64::from((*loss)?))))
            .collect();
        let points = thinned(&known);
        let (&(first_step, first), &(last_step, last)) = (points.first()?, points.last()?);
        if last_step <= first_step {
            return None;
        }
        let losses = points.iter().map(|(_, loss)| *loss);
        let (least, most) = losses
            .fold((f64::MAX, f64::MIN), |(least, most), loss| (least.min(loss), most.max(loss)));
        let spread = if most > least { most - least } else { 1.0 };
        let place = |(step, loss): &(f64, f64)| {
            let x = (step - first_step) / (last_step - first_step) * WIDTH as f64;
            // A pixel is left free above and below, for the width of the line.
            let y = 1.0 + (most - loss) / spread * (HEIGHT - 2) as f64;
            format!("{x:.1},{y:.1}")
        };
        Some(Self {
            width: WIDTH,
            height: HEIGHT,
            points: points.iter().map(place).collect::<Vec<_>>().join(" "),
            words: format!("Loss from {} to {}", significant(first), significant(last)),
        })
    }
}

/// The means of so many neighbours that few enough points are left.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let width = points.len().div_ceil(POINTS_MAX).max(1);
    let mean = |group: &[(f64, f64)]| {
        let sum: f64 = group.iter().map(|(_, loss)| loss).sum();
        group.last().map(|(step, _)| (*step, sum / group.len() as f64))
    };
    points.chunks(width).filter_map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(losses: &[Option<f32>]) -> Series {
        Series {
            step: (1..=losses.len() as u64).collect(),
            loss: losses.to_vec(),
            ..Series::default()
        }
    }

    #[test]
    fn a_curve_spans_its_box_and_says_what_it_shows() {
        let curve = Sparkline::of_loss(&series(&[Some(0.5), None, Some(0.25)])).expect("a curve");
        assert_eq!(curve.points, "0.0,1.0 96.0,23.0");
        assert_eq!(curve.words, "Loss from 0.500 to 0.250");
    }

    #[test]
    fn a_long_curve_is_thinned_out() {
        let losses: Vec<_> = (0..512).map(|step| Some(1.0 / (1.0 + step as f32))).collect();
        let curve = Sparkline::of_loss(&series(&losses)).expect("a curve");
        assert!(curve.points.split(' ').count() <= POINTS_MAX);
    }

    #[test]
    fn of_one_point_there_is_no_curve() {
        assert_eq!(Sparkline::of_loss(&series(&[Some(0.5), None])), None);
        assert_eq!(Sparkline::of_loss(&Series::default()), None);
    }
}
