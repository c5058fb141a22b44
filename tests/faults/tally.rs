//! What is counted, of one world or of many.

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// State changes of the provider's jobs.
    pub(crate) transitions: u64,
    /// Those that the daemon told of. One that came and went unseen is not told.
    pub(crate) told: u64,
    pub(crate) events: u64,
    pub(crate) webhooks: u64,
    pub(crate) calls: u64,
    pub(crate) faults: u64,
    pub(crate) crashes: u64,
    /// Attempts to hand a job to the provider.
    pub(crate) submissions: u64,
    /// Jobs that failed because nobody could tell whether they were taken.
    pub(crate) undecided: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.transitions += other.transitions;
        self.told += other.told;
        self.events += other.events;
        self.webhooks += other.webhooks;
        self.calls += other.calls;
        self.faults += other.faults;
        self.crashes += other.crashes;
        self.submissions += other.submissions;
        self.undecided += other.undecided;
    }
}
