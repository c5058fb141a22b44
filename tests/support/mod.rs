//! What the integration tests start besides the daemon itself.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each integration test is a crate of its own and uses its own part of this"
)]

pub mod cog;
pub mod daemon;
pub mod forward_proxy;
pub mod leash;
pub mod postgres;
pub mod process;
pub mod receiver;
pub mod reports;
pub mod stream;
pub mod tls;
pub mod webhook;
