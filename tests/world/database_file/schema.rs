//! Tables of a program that is newer than this one.

use std::fs;
use std::path::Path;

use rstest::rstest;

use crate::support::daemon::{Backend, TestDatabase};
use crate::support::process::{Home, Process};

/// How the program ends where a restart would not help.
const LASTING: Option<i32> = Some(78);

#[rstest]
fn a_schema_of_a_newer_program_is_refused_with_both_versions(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values("serve", "verify")] command: &str,
) {
    let home = Home::new();
    let database = TestDatabase::new(backend);
    let mut first = Process::start(home.serve_with(&database.url));
    first.url();
    first.stop();
    database.execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('20991231000001')");

    let mut arguments = vec![command, "--database-url", &database.url];
    if command == "serve" {
        arguments.extend(["--bind", "127.0.0.1:0"]);
    }
    let output = home.run(&arguments);

    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), LASTING, "{said}");
    let last = said.lines().last().expect("a line");
    let newest = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite"))
        .expect("the migrations")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().replace('-', ""))
        .max()
        .expect("a migration");
    let newest = newest.split('_').next().expect("a version");
    for word in ["20991231000001", newest, env!("CARGO_PKG_VERSION")] {
        assert!(last.contains(word), "{word}: {said}");
    }
    database.execute("DELETE FROM __diesel_schema_migrations WHERE version = '20991231000001'");
    let mut again = Process::start(home.serve_with(&database.url));
    again.url();
    again.stop();
}
