//! The pure heart: what a job is, what a source said about it, and what follows from that.
//!
//! Nothing here knows actix, diesel, a socket or a clock. Time is always an argument.

pub mod activity;
pub mod audit;
pub mod breaker;
pub mod budget;
pub mod content_coding;
pub mod cost;
pub mod event;
pub mod forwarded;
pub mod growing_log;
pub mod job;
pub mod job_query;
pub mod job_texts;
pub mod job_view;
pub mod liveness;
pub mod log;
pub mod log_lines;
pub mod model_filter;
pub mod notification;
pub mod observation;
pub mod pacing;
pub mod packed_log;
pub mod poll_plan;
pub mod poll_round;
pub mod polling_policy;
pub mod private_address;
pub mod progress;
pub mod proxy;
pub mod queue;
pub mod queue_view;
pub mod rate_budget;
pub mod session;
pub mod signature;
pub mod simpletuner_event;
pub mod submission;
pub mod timeline;
pub mod timestamp;
pub mod trainers_word;
pub mod web_origin;
pub mod webhook_silence;
pub mod webhook_urls;
pub mod words;
