//! B: a webhook URL is believed only with a route behind it.
