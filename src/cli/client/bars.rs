//! Progress bars on standard error, where that is a terminal. Elsewhere nothing of them is written.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// How often a bar without an end turns.
const TURN: Duration = Duration::from_millis(150);

/// A bar for something of which nobody knows how much there is.
pub(super) fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_style(style("{spinner} {wide_msg}"));
    bar.enable_steady_tick(TURN);
    bar
}

/// The bars of several jobs, with a line of text under them.
pub(super) struct JobBars {
    all: MultiProgress,
    summary: ProgressBar,
}

impl JobBars {
    pub(super) fn new() -> Self {
        let all = MultiProgress::new();
        let summary = all.add(ProgressBar::new_spinner().with_style(style("{spinner} {wide_msg}")));
        // Bars are not drawn at every change, and each turn of this one draws what was left out.
        summary.enable_steady_tick(TURN);
        Self { all, summary }
    }

    /// Whether there is nobody to look at them.
    pub(super) fn is_hidden(&self) -> bool {
        self.all.is_hidden()
    }

    /// Says something above the bars.
    pub(super) fn say(&self, text: &str) {
        // Whoever closed it does not want to know.
        let _ = self.all.println(text);
    }

    /// Says something under the bars.
    pub(super) fn summarize(&self, text: &str) {
        self.summary.set_message(text.to_owned());
    }

    /// A bar for one more job.
    pub(super) fn add(&self) -> ProgressBar {
        let bar = ProgressBar::new(1_000).with_style(style("{prefix} [{bar:10}] {wide_msg}"));
        self.all.insert_before(&self.summary, bar)
    }

    /// Takes a bar away.
    pub(super) fn remove(&self, bar: &ProgressBar) {
        self.all.remove(bar);
    }
}

/// A style without colours. A template is a constant of ours, and a wrong one is replaced by a plain bar.
fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}
