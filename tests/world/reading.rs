//! F: what a look at the code found.
