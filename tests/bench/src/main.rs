//! Prints the table of `gristmill_bench::run`.

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use gristmill::database;
use gristmill::terminal;
use gristmill_bench::{Build, Figures, Options, SHAPES_HEADER, ShapeLine, run};

const USAGE: &str = "usage: gristmill-bench PROGRAM STAGES [--smoke] [--chain | --engines | --shapes] \
                     [--base PROGRAM --base-stages DIR]";

fn main() -> ExitCode {
    terminal::show_log(database::NOTICES);
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [program, stages, rest @ ..] = &arguments[..] else {
        terminal::say(USAGE);
        return ExitCode::from(2);
    };
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let build = |program: &String, stages: &String| Build {
        program: PathBuf::from(program),
        stages: PathBuf::from(stages),
    };
    let position = |option: &str| rest.iter().position(|argument| argument == option);
    let is_given = |option: &str| position(option).is_some();
    let value = |option: &str| position(option).and_then(|position| rest.get(position + 1));
    let base = match (value("--base"), value("--base-stages")) {
        (Some(program), Some(stages)) => Some(build(program, stages)),
        _ if is_given("--base") || is_given("--base-stages") => {
            terminal::say(USAGE);
            return ExitCode::from(2);
        }
        _ => None,
    };
    let build = build(program, stages);
    let options = Options {
        chain_only: is_given("--chain"),
        engines_only: is_given("--engines"),
        shapes_only: is_given("--shapes"),
        base,
        ..match is_given("--smoke") {
            true => Options::smoke(build, root),
            false => Options::full(build, root),
        }
    };
    let started = Instant::now();
    let say = |line: &str| {
        terminal::say(&format!(
            "{:5.0} s  {line}",
            started.elapsed().as_secs_f64()
        ))
    };
    match run(&options, &say) {
        Ok(Figures { lines, shapes }) => {
            if !shapes.is_empty() {
                let rows: Vec<Vec<String>> = shapes.iter().map(ShapeLine::cells).collect();
                terminal::table(&SHAPES_HEADER, &[1, 2, 3, 5, 6, 7, 8, 9], &rows);
            }
            let rows: Vec<Vec<String>> = lines
                .into_iter()
                .map(|line| {
                    vec![
                        line.what,
                        line.value,
                        line.noise,
                        line.target.into(),
                        line.detail,
                    ]
                })
                .collect();
            terminal::table(&["what", "is", "A/A", "target", "measured"], &[1, 2], &rows);
            ExitCode::SUCCESS
        }
        Err(error) => {
            terminal::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
