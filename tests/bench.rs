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
    assert_eq!(figures(&lines), "11111662234455777777777777777");
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
