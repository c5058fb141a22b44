//! A file that is moved, removed or replaced while the daemon runs.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rstest::rstest;

use super::{World, back_up};
use crate::support::process::Home;
use crate::support::stream::EventStream;

/// The files of a database, as SQLite names them.
const FILES: [&str; 3] = ["jobs.db", "jobs.db-wal", "jobs.db-shm"];

/// Moves the database, and back.
fn file(world: &World, is_back: bool) {
    let names = ["data/jobs.db", "elsewhere.db"];
    world.rename(names[usize::from(is_back)], names[usize::from(!is_back)]);
}

fn file_with_all_beside_it(world: &World, is_back: bool) {
    let folders = ["data", "elsewhere"];
    fs::create_dir_all(world.home.path("elsewhere")).expect("a folder");
    for name in FILES {
        let [there, elsewhere] = folders.map(|folder| format!("{folder}/{name}"));
        let (from, to) = if is_back { (elsewhere, there) } else { (there, elsewhere) };
        world.rename(&from, &to);
    }
}

fn folder(world: &World, is_back: bool) {
    let (from, to) = if is_back { ("moved", "data") } else { ("data", "moved") };
    world.rename(from, to);
}

fn name_by_name(world: &World, is_back: bool) {
    let (from, to) = (world.file("jobs.db"), world.home.path("other-name.db"));
    let (from, to) = if is_back { (to, from) } else { (from, to) };
    fs::hard_link(&from, to).expect("a link");
    fs::remove_file(from).expect("a file");
}

#[rstest]
#[case::file(file)]
#[case::file_with_all_beside_it(file_with_all_beside_it)]
#[case::folder(folder)]
#[case::name_by_name(name_by_name)]
#[actix_web::test]
async fn while_the_file_is_elsewhere_nothing_is_acknowledged_and_the_daemon_goes_on_when_it_is_back(
    #[case] move_it: fn(&World, bool),
) {
    let world = World::new();
    world.is_stored("before").await;
    world.is_healthy().await;

    move_it(&world, false);

    world.refuses("moved or removed").await;
    world.refuses("put it back").await;
    assert_eq!(world.total().await, 1, "what was known is still answered");
    assert!(!world.file("jobs.db").exists(), "no empty database is made in its place");

    move_it(&world, true);

    world.is_healthy().await;
    world.is_stored("meanwhile").await;
    world.is_stored("after").await;
    let world = world.restarted();
    assert_eq!(world.total().await, 3);
    assert!(world.verify().status.success());
}

#[actix_web::test]
async fn while_another_file_has_the_name_nothing_is_acknowledged() {
    let world = World::new();
    world.is_stored("before").await;
    world.rename("data/jobs.db", "aside.db");
    fs::write(world.file("jobs.db"), "no database").expect("a file");

    world.refuses("another file").await;
    assert_eq!(fs::read(world.file("jobs.db")).expect("the other file"), b"no database");

    world.rename("aside.db", "data/jobs.db");
    world.is_stored("meanwhile").await;
    let world = world.killed_and_started();
    assert_eq!(world.total().await, 2);
}

#[actix_web::test]
async fn a_symbolic_link_that_leads_elsewhere_is_another_file() {
    let home = Home::new();
    for folder in ["data", "other"] {
        fs::create_dir(home.path(folder)).expect("a folder");
    }
    let link = home.path("link.db");
    symlink("data/jobs.db", &link).expect("a link");
    let world = World::on(home, "link.db");
    world.is_stored("before").await;
    assert!(world.file("jobs.db-wal").exists(), "its log is beside the file and not the link");

    fs::remove_file(&link).expect("a link");
    world.refuses("moved or removed").await;
    fs::write(world.home.path("other/jobs.db"), "").expect("a file");
    symlink("other/jobs.db", &link).expect("a link");
    world.refuses("another file").await;

    fs::remove_file(&link).expect("a link");
    symlink("data/jobs.db", &link).expect("a link");
    world.is_stored("meanwhile").await;
}

#[actix_web::test]
async fn after_the_file_was_removed_a_restart_makes_another_and_keeps_the_last_of_the_old_one() {
    let world = World::new();
    world.is_stored("before").await;
    fs::remove_file(world.file("jobs.db")).expect("a file");
    world.refuses("moved or removed").await;

    let world = world.restarted();

    assert_eq!(world.total().await, 0);
    world.is_stored("meanwhile").await;
    let kept = |name: &str| name.starts_with("jobs.db-wal.orphaned-");
    let names = fs::read_dir(world.home.path("data")).expect("a folder").flatten();
    let kept = names.filter(|entry| kept(&entry.file_name().to_string_lossy())).count();
    assert_eq!(kept, 1, "the log of the old one is not applied to the new one, and not lost");
}

#[rstest]
#[case::over_the_old_one(false)]
#[case::after_that_was_moved(true)]
#[actix_web::test]
async fn a_backup_in_the_place_of_the_file_is_used_after_a_restart_and_untouched_until_then(
    #[case] is_kept: bool,
) {
    let world = World::new();
    world.is_stored("before").await;
    let world = back_up(world);
    world.is_stored("later").await;
    // The file itself has changed since the backup.
    let world = world.restarted();
    for number in 0..20 {
        world.is_stored(&format!("since-{number}")).await;
    }
    if is_kept {
        world.rename("data/jobs.db", "old.db");
    }
    let backup = fs::read(world.home.path("backup.db")).expect("a backup");
    world.rename("backup.db", "data/jobs.db");

    world.refuses("another file").await;
    world.refuses("restart").await;
    assert_eq!(fs::read(world.file("jobs.db")).expect("the backup"), backup);

    let world = world.restarted();
    assert_eq!(world.total().await, 1);
    world.is_stored("meanwhile").await;
    assert!(world.verify().status.success());
    if is_kept {
        world.process.stop();
        fs::rename(world.home.path("old.db"), world.home.path("data/jobs.db")).expect("a file");
        let world = World::on(world.home, "data/jobs.db");
        assert_eq!(world.total().await, 22, "the old one was left complete");
    }
}

#[actix_web::test]
async fn a_copy_that_is_put_back_has_all_that_was_acknowledged_after_a_restart() {
    let world = World::new();
    world.is_stored("before").await;
    // As `mv` does it from one file system to another, and back.
    fs::copy(world.file("jobs.db"), world.home.path("copy.db")).expect("a copy");
    fs::remove_file(world.file("jobs.db")).expect("a file");
    world.refuses("moved or removed").await;
    world.rename("copy.db", "data/jobs.db");
    world.refuses("another file").await;

    let world = world.restarted();

    assert_eq!(world.total().await, 1);
    assert!(world.verify().status.success());
}

#[rstest]
#[case::the_log(&["jobs.db-wal"])]
#[case::its_index(&["jobs.db-shm"])]
#[case::both(&["jobs.db-wal", "jobs.db-shm"])]
#[actix_web::test]
async fn files_beside_the_database_that_are_removed_take_nothing_with_them(
    #[case] names: &[&str],
    #[values(false, true)] are_replaced: bool,
) {
    let world = World::new();
    for number in 0..5 {
        world.is_stored(&format!("before-{number}")).await;
    }
    for name in names {
        fs::remove_file(world.file(name)).expect("a file");
        if are_replaced {
            fs::write(world.file(name), "").expect("a file");
        }
    }
    // A reader that is at it just then may be in the way.
    while world.deliver("after").await.0 != 200 {}

    world.is_healthy().await;
    assert!(FILES.iter().all(|name| world.file(name).exists()));
    let world = world.killed_and_started();
    assert_eq!(world.total().await, 6);
    assert!(world.verify().status.success());
}

#[actix_web::test]
async fn while_the_file_comes_and_goes_each_acknowledged_webhook_is_kept_and_told_once() {
    let world = World::new();
    world.is_stored("first").await;
    let mut stream = EventStream::open(&world.url, None).await;
    let mut seen = stream.next().await.json()["seq"].as_u64().expect("a position");
    let (there, elsewhere) = (world.file("jobs.db"), world.home.path("elsewhere.db"));
    let has_ended = Arc::new(AtomicBool::new(false));
    let mover = {
        let has_ended = has_ended.clone();
        thread::spawn(move || {
            let mut moves = 0;
            while !has_ended.load(Ordering::Acquire) {
                fs::rename(&there, &elsewhere).expect("a file");
                fs::rename(&elsewhere, &there).expect("a file");
                moves += 1;
            }
            moves
        })
    };
    let mut refused = 0;
    for number in 0..100 {
        while world.deliver(&format!("job-{number}")).await.0 != 200 {
            refused += 1;
        }
    }
    has_ended.store(true, Ordering::Release);
    let moves = mover.join().expect("the files are moved");
    world.is_stored("last").await;

    assert!(refused > 0 && moves > 0, "{refused} refused, {moves} moves");
    loop {
        let event = stream.next().await;
        let Some(id) = event.id.as_ref().and_then(|id| id.parse::<u64>().ok()) else { continue };
        assert!(id == seen || id == seen + 1, "{id} after {seen}");
        seen = id;
        if event.data.contains("\"last\"") {
            break;
        }
    }
    assert_eq!(world.total().await, 102);
    let world = world.restarted();
    assert_eq!(world.total().await, 102);
    assert!(world.verify().status.success());
}
