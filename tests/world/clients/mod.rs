//! E: SimpleTuner's own clients, unchanged. Each file is a subject; what the clients send and read was taken from
//! their source.

mod event_stream;
mod hardware;
mod names;
mod short_ids;
mod spending_limit;
