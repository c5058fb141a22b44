//! C: proxies, monitors and the service manager.
