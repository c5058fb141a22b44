//! D: people are told, in the way in which each receiver takes it.
