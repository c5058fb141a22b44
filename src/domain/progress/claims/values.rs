//! What the numbers of a line amount to.

use super::super::grammar::announcements::Announced;
use super::super::grammar::bars::Speed;
use super::super::grammar::counters::EpochForm;
use super::super::line::{Label, LineReading};
use super::super::values::{clock_seconds, count, decimal, finite, seconds_per_step, total};
use super::Claims;

impl Claims<&[u8]> {
    /// What the line says.
    pub(in super::super) fn reading(&self) -> LineReading {
        self.values(|number| number)
    }
}

impl<T> Claims<T> {
    /// What the numbers amount to, where `text` tells what stands in the line for each.
    pub(in super::super) fn values<'a>(&self, text: impl Fn(&T) -> &'a [u8]) -> LineReading {
        let said = |number: &Option<T>| number.as_ref().map(&text);
        let (done, of) = self.counts(&text);
        let (epoch, total_epochs) = self.epochs(&text);
        let mut reading = LineReading {
            stage: self.stage,
            step: done,
            total_steps: of,
            epoch,
            total_epochs,
            loss: said(&self.loss).and_then(decimal),
            learning_rate: said(&self.learning_rate).and_then(finite),
            seconds_per_step: None,
            elapsed_seconds: said(&self.elapsed).and_then(clock_seconds),
            counter: self.counter,
            traits: self.traits,
            whole: said(&self.whole)
                .and_then(count)
                .map(|whole| whole.saturating_mul(self.whole_scale.max(1))),
            whole_total: said(&self.whole_total).and_then(total),
            announced: self.announced(&text),
            percent: said(&self.percent).and_then(finite).filter(|percent| *percent <= 100.0),
        };
        if self.counter.label == Label::Epochs {
            reading.epoch = done.map(|done| done as f64);
            reading.total_epochs = of;
            reading.traits.epoch_form = EpochForm::Done;
            (reading.step, reading.total_steps) = (None, None);
            return reading;
        }
        let steps_left = of.zip(done).and_then(|(of, done)| of.checked_sub(done));
        let speed = self.speed.as_ref();
        reading.seconds_per_step = speed
            .map(|speed| Speed { number: text(&speed.number), unit: speed.unit })
            .and_then(|speed| seconds_per_step(speed, steps_left.filter(|&left| left > 0)));
        reading
    }

    fn announced<'a>(&self, text: impl Fn(&T) -> &'a [u8]) -> Announced<u64> {
        let said = |number: &Option<T>| number.as_ref().map(&text);
        Announced {
            steps: said(&self.announced.steps).and_then(count),
            asked_steps: said(&self.announced.asked_steps).and_then(total),
            epochs: said(&self.announced.epochs).and_then(count),
            asked_epochs: said(&self.announced.asked_epochs).and_then(total),
            batches: said(&self.announced.batches).and_then(total),
        }
    }

    fn counts<'a>(&self, text: impl Fn(&T) -> &'a [u8]) -> (Option<u64>, Option<u64>) {
        let done = self.done.as_ref().map(&text).and_then(count);
        let of = self.total.as_ref().map(&text).and_then(total);
        let is_fraction = self.counter.label == Label::Bare && !self.counter.is_bar;
        if is_fraction && (of.is_none() || done > of) { (None, None) } else { (done, of) }
    }

    fn epochs<'a>(&self, text: impl Fn(&T) -> &'a [u8]) -> (Option<f64>, Option<u64>) {
        let epoch = self.epoch.as_ref().map(&text).and_then(finite);
        let Some(all) = self.total_epochs.as_ref().map(&text) else { return (epoch, None) };
        // tqdm's `Epoch 1/0` is none.
        let is_none = self.epoch.is_some()
            && count(all).is_some_and(|all| epoch.is_none_or(|epoch| epoch > all as f64));
        if is_none { (None, None) } else { (epoch, total(all)) }
    }
}
