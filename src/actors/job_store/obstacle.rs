//! What stands in the way of the database, without waiting in line behind those who use it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::db::database::Database;
use crate::db::error::{Obstacle, StoreError};

/// What stands in the way of the database, for who wants to know how it is without waiting in line
/// behind those who use it.
#[derive(Debug, Clone)]
pub struct StoreObstacle {
    database: Arc<Database>,
    last: Arc<Mutex<Option<Obstacle>>>,
}

impl StoreObstacle {
    /// Says how `database` is.
    pub fn of(database: Arc<Database>) -> Self {
        Self { database, last: Arc::default() }
    }

    /// That its file is not in its place, which is looked for at once; else what stood in the way of the last
    /// attempt to write, where that failed.
    pub fn current(&self) -> Option<Obstacle> {
        match self.database.check() {
            Err(StoreError::Unavailable(obstacle)) => Some(obstacle),
            // The next attempt to write finds that it is back.
            Ok(()) | Err(_) => self.lock().filter(|obstacle| !obstacle.is_displacement()),
        }
    }

    /// An attempt to write has failed.
    pub(super) fn is(&self, obstacle: Obstacle) {
        if self.lock().replace(obstacle) != Some(obstacle) {
            log::error!("nothing can be stored: {obstacle} ({:?})", self.database);
        }
    }

    /// Something could be written.
    pub(super) fn is_gone(&self) {
        if self.lock().take().is_some() {
            log::info!("the database can be written again");
        }
    }

    /// The file is where it belongs.
    pub(super) fn is_no_displacement(&self) {
        if self.lock().is_some_and(Obstacle::is_displacement) {
            self.is_gone();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Obstacle>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
