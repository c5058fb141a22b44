//! A file that stays where it is, and into which somebody else writes.

use std::fs;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use rstest::rstest;
use serde_json::Value;

use super::{World, back_up};

fn garbage(_: &World) -> Vec<u8> {
    b"no database".repeat(1_000)
}

fn nothing(_: &World) -> Vec<u8> {
    Vec::new()
}

fn backup(world: &World) -> Vec<u8> {
    fs::read(world.home.path("backup.db")).expect("a backup")
}

/// A daemon on a file that has changed since its backup, with more in the log beside it.
async fn with_backup(jobs: usize) -> World {
    let world = World::new();
    world.is_stored("before").await;
    let world = back_up(world);
    for number in 0..jobs {
        world.is_stored(&format!("later-{number}")).await;
    }
    let world = world.restarted();
    world.is_stored("last").await;
    world
}

#[rstest]
#[case::garbage(garbage, 1)]
#[case::garbage_over_much(garbage, 100)]
#[case::nothing(nothing, 1)]
#[case::nothing_over_much(nothing, 100)]
#[case::backup(backup, 100)]
#[actix_web::test]
async fn what_is_written_over_the_file_in_its_place_is_noticed_and_can_be_put_back(
    #[case] other: fn(&World) -> Vec<u8>,
    #[case] jobs: usize,
) {
    let world = with_backup(jobs).await;
    let sound = fs::read(world.file("jobs.db")).expect("the database");
    let other = other(&world);
    fs::write(world.file("jobs.db"), &other).expect("the same file");

    world.refuses("another program").await;
    world.refuses("put back what was there").await;
    assert_eq!(fs::read(world.file("jobs.db")).expect("the file"), other, "it is left alone");

    fs::write(world.file("jobs.db"), sound).expect("the same file");
    world.is_healthy().await;
    world.is_stored("meanwhile").await;
    world.is_stored("after").await;
    let world = world.killed_and_started();
    assert_eq!(world.total().await, jobs + 4);
    assert!(world.verify().status.success());
}

#[rstest]
#[case::and_then_restarted(false)]
#[case::and_restarted_at_once(true)]
#[actix_web::test]
async fn a_backup_that_is_copied_into_the_file_is_used_after_a_restart(#[case] is_at_once: bool) {
    let world = with_backup(100).await;
    fs::write(world.file("jobs.db"), backup(&world)).expect("the same file");
    if !is_at_once {
        world.refuses("another program").await;
    }

    let world = world.restarted();

    assert_eq!(world.total().await, 1);
    world.is_stored("meanwhile").await;
    assert!(world.verify().status.success());
}

#[actix_web::test]
async fn another_program_may_write_into_the_database_as_sqlite_does() {
    let world = with_backup(1).await;
    let path = world.file("jobs.db").display().to_string();
    let mut other = SqliteConnection::establish(&path).expect("a connection");
    other
        .batch_execute(
            "UPDATE jobs SET user_id = 'somebody'; PRAGMA wal_checkpoint(TRUNCATE); VACUUM",
        )
        .expect("it is written");
    drop(other);

    world.is_stored("meanwhile").await;
    world.is_healthy().await;
    let jobs = world.get("/api/cloud/jobs").await.1;
    let is_somebodys = |job: &&Value| job["user_id"] == "somebody";
    assert_eq!(jobs["jobs"].as_array().expect("jobs").iter().filter(is_somebodys).count(), 3);
}
