//! Every target on every input of its corpus, and on a bounded number of mutations of them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test support")]

#[path = "../../server/tests/support/effort.rs"]
mod effort;

use effort::effort;
use fuzzing::mutator::Mutator;
use fuzzing::{TARGETS, Target};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

const INPUTS: usize = 200_000;
const INPUTS_LONG: usize = 10_000_000;
/// Inputs do not grow beyond this, so that each costs little.
const BYTES_MAX: usize = 16 * 1024;

#[test]
fn no_input_breaks_a_promise() {
    for target in TARGETS {
        let corpus = corpus(target.name);
        assert!(!corpus.is_empty(), "{} has a corpus", target.name);
        corpus.iter().for_each(|input| attempt(target, input));
        let mut mutator = Mutator::new(0);
        for _ in 0..effort(INPUTS, INPUTS_LONG) {
            let mut input = mutator.input(&corpus);
            input.truncate(BYTES_MAX);
            attempt(target, &input);
        }
    }
}

#[test]
fn every_target_has_a_program_for_libfuzzer() {
    let programs = fuzz().join("fuzz_targets");
    let mut found: Vec<String> = fs::read_dir(programs)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    found.sort();
    assert_eq!(found, TARGETS.map(|target| target.name));
}

fn attempt(target: Target, input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err() {
        panic!("{} breaks at \"{}\"", target.name, input.escape_ascii());
    }
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = fuzz().join("corpus").join(target);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| fs::read(file).unwrap()).collect()
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}
