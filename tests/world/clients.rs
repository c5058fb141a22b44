//! E: SimpleTuner's own clients, unchanged.
