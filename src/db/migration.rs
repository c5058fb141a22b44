//! The version of the tables: brought up to date at the start, and refused where it is unknown.

use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::connection::Connection;
use super::error::{Obstacle, StoreError};
use super::on_each_backend;

const SQLITE_MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES_MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/postgres");

diesel::table! {
    /// Where diesel notes the migrations that were applied.
    __diesel_schema_migrations (version) {
        /// The name of the migration's folder, without what stands behind `_`.
        version -> Text,
    }
}

/// Why the tables cannot be used by this program.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// They were made by a program that this one knows nothing of, so neither their meaning nor what must hold of
    /// them is known. Nothing was changed.
    #[error(
        "its schema has version {database}, and jobsyncd {} knows none after {program}: start the jobsyncd that \
         used it last, or a newer one, or name another database",
        env!("CARGO_PKG_VERSION")
    )]
    Unknown {
        /// The newest version in the database that this program does not know.
        database: String,
        /// The newest version that this program knows.
        program: String,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Connection {
    /// Brings the tables up to date.
    ///
    /// # Errors
    /// Where this program does not know the tables' version, or a migration fails, which leaves the tables as
    /// they were.
    pub fn migrate(&mut self) -> Result<(), SchemaError> {
        // Asking makes the table of migrations where there is none.
        let noted = match self {
            Self::Sqlite(connection) => connection.applied_migrations().map(drop),
            Self::Postgres(connection) => connection.applied_migrations().map(drop),
        };
        noted.map_err(failed)?;
        self.require_known_schema()?;
        let migrated = match self {
            Self::Sqlite(connection) => {
                connection.run_pending_migrations(SQLITE_MIGRATIONS).map(drop)
            }
            Self::Postgres(connection) => {
                connection.run_pending_migrations(POSTGRES_MIGRATIONS).map(drop)
            }
        };
        Ok(migrated.map_err(failed)?)
    }

    /// Looks whether this program knows each migration that was applied.
    ///
    /// # Errors
    /// Where it does not, or the database fails.
    pub fn require_known_schema(&mut self) -> Result<(), SchemaError> {
        let known = match self {
            Self::Sqlite(_) => versions(MigrationSource::<Sqlite>::migrations(&SQLITE_MIGRATIONS)),
            Self::Postgres(_) => versions(MigrationSource::<Pg>::migrations(&POSTGRES_MIGRATIONS)),
        };
        let known = known.map_err(failed)?;
        let applied: Vec<String> = on_each_backend!(self, |c| {
            __diesel_schema_migrations::table.select(__diesel_schema_migrations::version).load(c)
        })
        .map_err(StoreError::from)?;
        let unknown = applied.into_iter().filter(|version| !known.contains(version)).max();
        match unknown {
            None => Ok(()),
            Some(database) => {
                let program = known.into_iter().max().unwrap_or_default();
                Err(SchemaError::Unknown { database, program })
            }
        }
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn versions<B: diesel::backend::Backend>(
    migrations: Result<Vec<Box<dyn Migration<B>>>, Failure>,
) -> Result<Vec<String>, Failure> {
    Ok(migrations?.iter().map(|migration| migration.name().version().to_string()).collect())
}

fn failed(error: Failure) -> StoreError {
    log::error!("the database cannot be brought up to date: {error}");
    StoreError::Unavailable(Obstacle::of_message(&error.to_string()))
}
