//! What a count counts that is told beside the counter that is believed in.

use super::super::line::{Label, LineReading};
use super::super::stage::Stage;
use super::Run;
use super::place::{Place, is_round};
use super::track::Track;

impl Run {
    /// A counter that is not the one that is believed in.
    pub(super) fn place_beside(&mut self, main: &Track, step: u64, reading: &LineReading) -> Place {
        let Some(total) = reading.total_steps else {
            // Where gradients are accumulated, batches are counted beside the steps of the run.
            let is_finer = reading.whole.is_some_and(|whole| step > whole);
            if is_finer
                && reading.counter.label == Label::Batches
                && self.announced.batches.is_some()
            {
                return Place::Within;
            }
            // A step without a total tells of the same steps, late or early; or of the run's where the
            // counter that is known is the epoch's.
            let is_echo = main.counter.is_bar && self.whole.is_some_and(|whole| step <= whole.done);
            return if is_echo { Place::Echo } else { Place::Whole };
        };
        if reading.counter.is_bar
            && main.total.is_none()
            && self.whole == Some(*main)
            && step >= main.done
            && (main.done > 0 || reading.counter.label != Label::Bare || is_round(total))
        {
            // The same steps, now with their total.
            return Place::Whole;
        }
        let is_confirmed =
            main.carries_loss || self.announced.steps == main.total && main.total.is_some();
        let prior = self.prior(reading);
        if self.fits_announced(reading) && self.announced.steps != main.total {
            self.forget_counters();
            return Place::Whole;
        }
        if !reading.counter.is_bar && !main.counter.is_bar {
            return self.place_of_prose(prior, reading);
        }
        if reading.loss.is_some() {
            return self.place_of_lossy(main, is_confirmed, prior, reading);
        }
        if main.is_near(Some(total))
            && main.done.abs_diff(step) <= (main.done / 10).max(5)
            && !main.is_over()
        {
            // Ranks draw bars of their own.
            return Place::Echo;
        }
        if !reading.counter.is_bar {
            // A count in prose beside a bar, without a loss.
            let tells_run = prior == Place::Whole && main.total.is_none();
            return if tells_run { Place::Whole } else { Place::Echo };
        }
        self.place_of_bar(main, is_confirmed, prior, reading)
    }

    /// Another count in prose than the one in prose that is believed in: of the epoch beside one of the run,
    /// or the other way round.
    fn place_of_prose(&self, prior: Place, reading: &LineReading) -> Place {
        match prior {
            Place::Within if self.within.is_none() => Place::Within,
            Place::Whole if self.whole.is_none() => Place::Whole,
            _ if reading.counter.label == Label::StepsOfEpoch => Place::Within,
            Place::Whole if !self.restart_announced => Place::Echo,
            place => place,
        }
    }

    /// A bar without losses beside the counter that is believed in.
    fn place_of_bar(
        &mut self,
        main: &Track,
        is_confirmed: bool,
        prior: Place,
        reading: &LineReading,
    ) -> Place {
        let seems_over = main.is_over() || (main.done <= 1 && self.says_training);
        if !is_confirmed && main.counter.label == Label::Bare && seems_over {
            // The nameless bar before was of some preparation.
            self.forget_counters();
            return self.prior(reading);
        }
        let is_named = matches!(
            reading.counter.label,
            Label::OfEpoch | Label::ManySteps | Label::Steps | Label::Train
        );
        if is_named && !is_confirmed {
            if self.whole == Some(*main) {
                self.forget_counters();
            }
            return prior;
        }
        if is_named && prior == Place::Within && self.within.is_none() && !main.is_over() {
            return Place::Within;
        }
        Place::Other(if self.has_begun() { Stage::Validation } else { Stage::Preprocessing })
    }

    /// A bar with losses beside the counter that is believed in.
    fn place_of_lossy(
        &mut self,
        main: &Track,
        is_confirmed: bool,
        prior: Place,
        reading: &LineReading,
    ) -> Place {
        if !reading.counter.is_bar {
            return if main.total.is_some() && main.counter.is_bar { Place::Echo } else { prior };
        }
        if is_confirmed && !main.is_over() {
            return if prior == Place::Within && self.within.is_none() {
                Place::Within
            } else {
                Place::Echo
            };
        }
        let has_other_length = main.total != reading.total_steps;
        if !is_confirmed
            && has_other_length
            && main.counter.is_bar
            && !main.is_over()
            && self.whole == Some(*main)
        {
            // It is drawn within the other one.
            self.outer = self.whole.take();
            self.epochs.index = self.outer.map_or(0, |outer| outer.done);
            return Place::Within;
        }
        if is_confirmed
            && self.within == Some(*main)
            && !main.is_near(reading.total_steps)
            && prior == Place::Within
        {
            // The second bar of an epoch goes through other data.
            return Place::Other(Stage::Validation);
        }
        if is_confirmed {
            // Another part of the training begins.
            self.known.restarts = self.known.restarts.saturating_add(1);
        }
        self.forget_counters();
        prior
    }
}
