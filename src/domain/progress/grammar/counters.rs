//! Counts in prose: epochs, steps, batches, percentages.

/// Which epoch, as the words around it have it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) enum EpochForm {
    /// This epoch is under way, or something was measured in it.
    #[default]
    Under,
    /// A heading: the epoch begins.
    Begins,
    /// So many epochs are done, fractions of them too.
    Done,
    /// This epoch has ended.
    Ended,
}

/// What a count in prose counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) enum Counted {
    /// Steps, without a word on whether they begin again in each epoch.
    #[default]
    Steps,
    /// Iterations, which are as likely those of an epoch.
    Iterations,
    /// Steps over the whole run.
    Whole,
    /// Batches, which begin again in each epoch.
    Batches,
    /// Examples of one epoch.
    Examples,
    /// Rounds of boosting, over the whole run.
    Rounds,
    /// Thousands of steps of the whole run.
    Thousands,
    /// No word says what, so that a count beyond its own total is none.
    Bare,
}

/// A count and what it goes up to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in super::super) struct Count<T> {
    pub(in super::super) done: T,
    pub(in super::super) total: Option<T>,
    pub(in super::super) counted: Counted,
}

/// The epoch, and how many there are.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in super::super) struct Epochs<T> {
    pub(in super::super) epoch: Option<T>,
    pub(in super::super) total: Option<T>,
    pub(in super::super) form: EpochForm,
}

/// A percentage that the trainer itself tells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) struct Percentage<T> {
    pub(in super::super) number: T,
    /// It is of one epoch.
    pub(in super::super) is_of_epoch: bool,
}

/// All counts of a line.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in super::super) struct Counters<T> {
    pub(in super::super) epochs: Epochs<T>,
    /// A count within the epoch, in the same words as the epoch.
    pub(in super::super) batches: Option<Count<T>>,
    pub(in super::super) steps: Option<Count<T>>,
    pub(in super::super) percentage: Option<Percentage<T>>,
}
