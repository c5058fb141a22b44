//! What is handed to a provider so that a job begins, and how we know whether it did.

mod fault;
mod input;
mod mark;
mod name;
mod order;
mod search;
mod secrets;

pub use self::fault::{is_providers_fault, next_attempt_id};
pub use self::input::{TrainerConfig, UnusableConfig};
pub use self::mark::submission_of_input;
pub use self::name::run_name_of_input;
pub use self::order::{Order, PROFILES, Payload, Target, profile_model, tagged};
pub use self::search::{Candidate, Known, Verdict, Wanted};
pub use self::secrets::{SecretInputs, take_secrets};

/// The parameter of a webhook's URL by which a provider tells us of which submission it speaks.
pub const SUBMISSION_PARAMETER: &str = "submission";
