//! A: nothing is lost beside something strange, by a provider or in a request.
