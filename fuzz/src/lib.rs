//! What must hold of everything that reads what others wrote, whatever they wrote.
//!
//! Each module is one target of `cargo fuzz`: `check` takes any bytes and panics where a property does
//! not hold. `tests/fuzz.rs` runs the same functions over the corpus, and over random changes of it.

pub mod list_page;
pub mod log_fold;
pub mod log_progress;
mod observed;
pub mod query_strings;
pub mod signature_header;
pub mod webhook_body;
