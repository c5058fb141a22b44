//! The door of a daemon that wants to know who comes in.

use askama::Template;

/// The page.
#[derive(Debug, Template)]
#[template(path = "login.html")]
pub(crate) struct LoginPage {
    pub(crate) assets: String,
    /// Where to go then.
    pub(crate) next: String,
    /// The key that was given is none.
    pub(crate) is_refused: bool,
}
