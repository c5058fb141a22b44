//! The strip of numbers above the list.

/// What is running, and what became of the jobs of the last days.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub(crate) running: String,
    pub(crate) queued: String,
    /// Days, and what the jobs of so many days have cost.
    pub(crate) spent: Vec<(u32, String)>,
    pub(crate) success_rate: String,
    pub(crate) average_duration: String,
}
