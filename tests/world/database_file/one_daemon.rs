//! One daemon a file.

use std::fs;
use std::os::unix::fs::symlink;

use rstest::rstest;

use super::serve;
use crate::support::process::{Home, Process};

/// Other ways to the same file: an absolute path by what is in the home.
fn prepare_links(home: &Home) {
    for folder in ["data", "elsewhere"] {
        fs::create_dir(home.path(folder)).expect("a folder");
    }
    symlink("data/jobs.db", home.path("link.db")).expect("a link");
    symlink(home.path("link.db"), home.path("elsewhere/link-to-link.db")).expect("a link");
    symlink("data", home.path("folder-link")).expect("a link");
}

#[rstest]
fn a_file_has_one_daemon_however_its_path_is_spelt(
    #[values(
        "data/jobs.db",
        "link.db",
        "elsewhere/link-to-link.db",
        "folder-link/jobs.db",
        "elsewhere/../data/jobs.db",
        "./data//./jobs.db",
        "hard-link.db",
        "HOME/data/jobs.db",
        "HOME/elsewhere/../link.db"
    )]
    path: &str,
    #[values(true, false)] is_second: bool,
) {
    let home = Home::new();
    prepare_links(&home);
    let spelt = path.replace("HOME", &home.folder.path().display().to_string());
    let (first, second) = if is_second || path == "hard-link.db" {
        ("data/jobs.db", spelt.as_str())
    } else {
        (spelt.as_str(), "data/jobs.db")
    };
    let mut running = Process::start(serve(&home, first));
    running.url();
    if path == "hard-link.db" {
        fs::hard_link(home.path("data/jobs.db"), home.path(path)).expect("a link");
    }

    let output = serve(&home, second).output().expect("it runs");

    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.lines().last().is_some_and(|line| line.contains("another jobsyncd")), "{said}");
    running.stop();
    let mut next = Process::start(serve(&home, second));
    next.url();
    next.stop();
}
