//! Prints the table of `gristmill_bench::run`.

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use gristmill::database;
use gristmill::terminal;
use gristmill_bench::{Options, run};

fn main() -> ExitCode {
    terminal::show_log(database::NOTICES);
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [program, stages, rest @ ..] = &arguments[..] else {
        terminal::say("usage: gristmill-bench PROGRAM STAGES [--smoke] [--chain] [--engines]");
        return ExitCode::from(2);
    };
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let (program, stages) = (PathBuf::from(program), PathBuf::from(stages));
    let is_given = |option: &str| rest.iter().any(|argument| argument == option);
    let options = Options {
        chain_only: is_given("--chain"),
        engines_only: is_given("--engines"),
        ..match is_given("--smoke") {
            true => Options::smoke(program, stages, root),
            false => Options::full(program, stages, root),
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
        Ok(lines) => {
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
