//! The properties of `fuzz/` on every test run: over the corpus that the fuzzer found worth keeping, and
//! over random changes of it. What leads to new code is found by `make fuzz`.

#[path = "../fuzz/src/lib.rs"]
#[allow(missing_docs, unreachable_pub, reason = "its documentation is for who fuzzes")]
mod targets;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rstest::rstest;

/// How long the random changes of one target take.
const LASTING: Duration = Duration::from_secs(2);
/// What the syntaxes that are read are made of.
const TOKENS: [&[u8]; 20] = [
    b"\n",
    b"\r",
    b"\x1b[",
    b"#015",
    b"%",
    b"|",
    b"/",
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\\u0000",
    b"null",
    b"9999999999999999999",
    b"-1",
    b"1e999",
    b"SIGNED",
];

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let files = fs::read_dir(&folder).expect("a folder of the corpus");
    let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).expect("a file")).collect()
}

/// Changes a text in one place, or puts a piece of another one there.
fn change(random: &mut StdRng, text: &mut Vec<u8>, other: &[u8]) {
    let at = random.random_range(0..=text.len());
    let end = (at + random.random_range(0..=8)).min(text.len());
    let inserted = match random.random_range(0..4) {
        0 => Vec::new(),
        1 => vec![random.random()],
        2 => TOKENS.choose(random).expect("there are some").to_vec(),
        _ => {
            let from = random.random_range(0..=other.len());
            let length = random.random_range(0..=32).min(other.len() - from);
            other[from..from + length].to_vec()
        }
    };
    text.splice(at..end, inserted);
}

#[rstest]
#[case("list_page", targets::list_page::check)]
#[case("log_fold", targets::log_fold::check)]
#[case("log_progress", targets::log_progress::check)]
#[case("query_strings", targets::query_strings::check)]
#[case("signature_header", targets::signature_header::check)]
#[case("webhook_body", targets::webhook_body::check)]
fn the_properties_hold_for_the_corpus_and_what_is_like_it(
    #[case] target: &str,
    #[case] check: fn(&[u8]),
) {
    let corpus = corpus(target);
    assert!(!corpus.is_empty());
    corpus.iter().for_each(|text| check(text));

    let seed = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let begun = Instant::now();
    while begun.elapsed() < LASTING {
        let mut text = corpus.choose(&mut random).expect("there are some").clone();
        for _ in 0..random.random_range(1..=4) {
            let other = corpus.choose(&mut random).expect("there are some");
            change(&mut random, &mut text, other);
        }
        let checked = std::panic::catch_unwind(|| check(&text));
        assert!(checked.is_ok(), "seed {seed}: {:?}", String::from_utf8_lossy(&text));
    }
}
