//! The harness of `make bench` still runs, at a size where its figures mean nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use gristmill_bench::{Build, Line, Options, ShapeLine};

use crate::support::command::{root, stages};

fn smoke() -> Options {
    let build = Build {
        program: Path::new(env!("CARGO_BIN_EXE_gristmill")).to_path_buf(),
        stages: stages().to_path_buf(),
    };
    Options::smoke(build, root().to_path_buf())
}

fn figures(lines: &[Line]) -> String {
    lines
        .iter()
        .filter_map(|line| line.what.chars().next())
        .collect()
}

#[track_caller]
fn are_figures(lines: &[Line]) {
    for line in lines {
        let number: String = line
            .value
            .chars()
            .take_while(|character| character.is_ascii_digit() || *character == '.')
            .collect();
        let value: f64 = number.parse().unwrap_or_else(|_| panic!("{line:?}"));
        assert!(value > 0.0 && value.is_finite(), "{line:?}");
    }
}

#[test]
fn every_figure_is_measured() {
    let options = Options {
        shapes_repetitions: 1,
        ..smoke()
    };
    let measured = gristmill_bench::run(&options, &|_| ()).expect("it runs");
    assert_eq!(
        figures(&measured.lines),
        "111116622344557777777777777779999"
    );
    are_figures(&measured.lines);
    assert!(measured.shapes.iter().all(|line| line.to_base.is_none()));
}

/// The earlier build is the same program, which notes that it is called.
#[test]
fn the_shapes_are_measured_alone_and_in_turn_with_an_earlier_build() {
    let folder = tempfile::tempdir().expect("a folder");
    let (program, calls) = (folder.path().join("earlier"), folder.path().join("calls"));
    let Build {
        program: today,
        stages,
    } = smoke().build;
    let script = format!(
        "#!/bin/sh\necho \"$1\" >> '{}'\nexec '{}' \"$@\"\n",
        calls.display(),
        today.display()
    );
    fs::write(&program, script).expect("a file");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a program");
    let options = Options {
        shapes_only: true,
        base: Some(Build { program, stages }),
        ..smoke()
    };
    let measured = gristmill_bench::run(&options, &|_| ()).expect("it runs");
    assert_eq!(figures(&measured.lines), "99999999");
    are_figures(&measured.lines);

    for part in [
        "many pods",
        "many namespaces",
        "many volumes",
        "change every hour",
        "many VMs and GPUs",
        "30 small days",
        "four growing uploads",
        "ten clusters",
        "into 90 days",
        "all six kinds",
    ] {
        let mut names = measured.shapes.iter().map(|line| line.name);
        assert!(names.any(|name| name.contains(part)), "{part}");
    }
    for line in &measured.shapes {
        assert!(line.rows > 0 && line.seconds > 0.0, "{line:?}");
        assert!(line.peak_bytes > 0, "{line:?}");
        let heaviest = line.functions.first().map(|(_, share)| *share);
        assert!(heaviest.is_some_and(|share| share > 0.0), "{line:?}");
        assert_eq!(line.cells().len(), gristmill_bench::SHAPES_HEADER.len());
    }
    let embedded = |line: &&ShapeLine| line.name.ends_with("embedded");
    assert_eq!(measured.shapes.iter().filter(embedded).count(), 2);
    for line in &measured.shapes {
        // The first version had no other engine.
        assert_eq!(line.to_base.is_none(), embedded(&line), "{line:?}");
    }
    let calls = fs::read_to_string(&calls).expect("calls");
    for verb in ["db", "run", "watch"] {
        assert!(calls.lines().any(|call| call == verb), "{verb}");
    }
}

#[test]
fn the_engines_are_measured_alone() {
    let options = Options {
        engines_only: true,
        ..smoke()
    };
    let lines = gristmill_bench::run(&options, &|_| ())
        .expect("it runs")
        .lines;
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
    let measured = gristmill_bench::run(&options, &says).expect("it runs");
    assert_eq!(figures(&measured.lines), "11111");
    assert!(measured.shapes.is_empty());
}
