//! The harness of `make bench` still runs, at a size where its figures mean nothing.

use std::path::Path;

use gristmill_bench::{Line, Options};

use crate::support::command::{root, stages};

fn smoke() -> Options {
    let program = Path::new(env!("CARGO_BIN_EXE_gristmill")).to_path_buf();
    Options::smoke(program, stages().to_path_buf(), root().to_path_buf())
}

fn figures(lines: &[Line]) -> String {
    lines
        .iter()
        .filter_map(|line| line.what.chars().next())
        .collect()
}

#[test]
fn every_figure_is_measured() {
    let lines = gristmill_bench::run(&smoke(), &|_| ()).expect("it runs");
    assert_eq!(figures(&lines), "111116622344557777777777777777");
    for line in lines {
        let number: String = line
            .value
            .chars()
            .take_while(|character| character.is_ascii_digit() || *character == '.')
            .collect();
        let value: f64 = number.parse().expect("a figure");
        assert!(value > 0.0 && value.is_finite(), "{line:?}");
    }
}

#[test]
fn the_engines_are_measured_alone() {
    let options = Options {
        engines_only: true,
        ..smoke()
    };
    let lines = gristmill_bench::run(&options, &|_| ()).expect("it runs");
    // Two engines at three sizes, and the load with its fold.
    assert_eq!(figures(&lines), "8888888");
    let embedded: Vec<&Line> = lines
        .iter()
        .filter(|line| line.what.contains("embedded"))
        .collect();
    assert_eq!(embedded.len(), 3);
}

/// Nothing is told of a server then, because there is none.
#[test]
fn the_chain_is_measured_alone() {
    let options = Options {
        chain_only: true,
        ..smoke()
    };
    let says = |line: &str| panic!("it says `{line}`");
    let lines = gristmill_bench::run(&options, &says).expect("it runs");
    assert_eq!(figures(&lines), "11111");
}
