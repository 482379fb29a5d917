//! Every fuzz target over its corpus and what becomes of that when bytes change,
//! the same on every machine. `make fuzz` goes on from here.

#[path = "fuzz/targets.rs"]
mod targets;

use std::fs;
use std::panic::catch_unwind;
use std::time::Duration;

use crate::support::command::file;
use crate::support::torture::{Work, figure};

/// Inputs made of each corpus.
const MUTATIONS: u32 = 1_500;

/// The same under torture, and how long that may take.
const MUTATIONS_UNDER_TORTURE: u32 = 100_000;
const TIME_UNDER_TORTURE: Duration = Duration::from_secs(30);

/// Bytes of an input.
const BYTES_MAX: usize = 4 << 10;

#[track_caller]
fn survives(name: &str, target: fn(&[u8])) {
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "there is no corpus of `{name}`");
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let work = Work::new(MUTATIONS, MUTATIONS_UNDER_TORTURE, TIME_UNDER_TORTURE);
    let mutated = (0..)
        .take_while(|done| work.goes_on(*done))
        .map(|_| mutate(&corpus, &mut random));
    let mut inputs = 0;
    for input in corpus.iter().cloned().chain(mutated) {
        let result = catch_unwind(|| target(&input));
        assert!(
            result.is_ok(),
            "`{name}` does not survive {:?}\n{input:?}",
            String::from_utf8_lossy(&input)
        );
        inputs += 1;
    }
    figure("inputs of noise survived", inputs);
}

#[test]
fn csv_is_read_as_the_library_reads_it_whatever_the_chunks() {
    survives("csv", targets::csv);
}

#[test]
fn what_stages_return_is_refused_or_usable() {
    survives("stage_output", targets::stage_output);
}

#[test]
fn manifests_are_refused_or_trusted() {
    survives("manifest", targets::manifest);
}

#[test]
fn tarballs_are_refused_or_read() {
    survives("tarball", targets::tarball);
}

#[test]
fn pipeline_files_are_read_or_their_problem_is_shown() {
    survives("definition", targets::definition);
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = file("tests/fuzz/corpus").join(name);
    let entries = fs::read_dir(folder).expect("a folder of inputs");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an input").path())
        .collect();
    paths.sort();
    let read = |path| fs::read(path).expect("an input");
    paths.into_iter().map(read).collect()
}

/// Numbers that look random and are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % bound.max(1)
    }
}

/// One input of the corpus with some bytes changed, cut, repeated or put in from
/// another.
fn mutate(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    const TELLING: &[u8] = b"\",\n\r\0\xff\x7f0{}[]:|=";
    let mut input = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(4) {
        let place = random.below(input.len());
        let length = random.below(32).min(input.len() - place);
        match random.below(5) {
            0 if !input.is_empty() => input[place] ^= 1 << random.below(8),
            1 => input.insert(place, TELLING[random.below(TELLING.len())]),
            2 => drop(input.drain(place..place + length)),
            3 => {
                let repeated = input[place..place + length].to_vec();
                input.splice(place..place, repeated);
            }
            _ => {
                let other = &corpus[random.below(corpus.len())];
                let from = random.below(other.len());
                let part = &other[from..(from + length).min(other.len())];
                input.splice(place..place, part.iter().copied());
            }
        }
    }
    input.truncate(BYTES_MAX);
    input
}
