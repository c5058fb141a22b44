//! A: what is acknowledged is in the file that has the name.
