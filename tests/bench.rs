//! The harness of `make bench` still runs, at a size where its figures mean nothing.

use std::path::Path;

use gristmill_bench::Options;

use crate::support::command::{root, stages};

#[test]
fn every_figure_is_measured() {
    let program = Path::new(env!("CARGO_BIN_EXE_gristmill")).to_path_buf();
    let options = Options::smoke(program, stages().to_path_buf(), root().to_path_buf());
    let lines = gristmill_bench::run(&options, &|_| ()).expect("it runs");
    let figures: Vec<char> = lines
        .iter()
        .filter_map(|line| line.what.chars().next())
        .collect();
    assert_eq!(
        figures,
        [
            '1', '1', '1', '1', '1', '6', '6', '2', '2', '3', '4', '4', '5', '5'
        ]
    );
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
