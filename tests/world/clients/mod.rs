//! E: SimpleTuner's own clients, unchanged. Each file is a subject; what the clients send and read was taken from
//! their source.

mod command_line;
mod event_stream;
mod hardware;
mod names;
mod other_routes;
mod retry;
mod short_ids;
mod spending_limit;
mod token;
