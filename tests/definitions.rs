//! Pipeline files, and what `gristmill check` says of them with no database in
//! reach.
//!
//! `definitions/NAME.toml` is checked; beside it is all that the program said: on
//! standard error in `NAME.err`, or on standard output in `NAME.plan` where there
//! is nothing wrong. `UPDATE=1` writes these files anew.

use std::env;
use std::fs;

use crate::support::command::{Ended, file, gristmill, same};

const FOLDER: &str = "tests/definitions";

#[track_caller]
fn check(name: &str, code: i32) {
    let ended = gristmill(["check"])
        .argument(format!("{FOLDER}/{name}.toml"))
        .with_stages()
        .ends_with(code);
    check_words(name, code, &ended);
}

/// One stream is as in the golden file; the other is silent.
#[track_caller]
fn check_words(name: &str, code: i32, ended: &Ended) {
    let (extension, said, silent) = match code {
        0 => ("plan", &ended.stdout, &ended.stderr),
        _ => ("err", &ended.stderr, &ended.stdout),
    };
    same("the other stream", silent, "");
    let golden = file(FOLDER).join(format!("{name}.{extension}"));
    if env::var_os("UPDATE").is_some() {
        fs::write(&golden, said).expect("a golden file");
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    same(&golden.display().to_string(), said, &expected);
}

macro_rules! definitions {
    ($($name:ident => $code:literal,)*) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name), $code);
            }
        )*

        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

definitions! {
    site => 0,
    site_limits => 0,
    not_toml => 2,
    unknown_key => 2,
    bad_quantity => 2,
    circle => 2,
    extends_nothing => 2,
    missing_component => 3,
    not_a_component => 2,
    wrong_digest => 2,
    refused_config => 2,
    limit_of_the_pipeline => 2,
    misspelt_stage => 2,
    transform_first => 2,
    report_without_stages => 2,
    missing_column => 2,
    type_clash => 2,
    unknown_table => 2,
    column_without_place => 2,
    column_of_another_type => 2,
    column_that_the_table_needs => 2,
    unknown_coverage => 2,
    engine_trino => 2,
    engine_unknown => 2,
    several_problems => 2,
}

#[test]
fn every_definition_is_checked() {
    let mut files: Vec<String> = fs::read_dir(file(FOLDER))
        .expect("the folder")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .map(|path| {
            path.file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    files.sort();
    let mut names: Vec<&str> = NAMES.to_vec();
    names.sort_unstable();
    assert_eq!(files, names);
}

/// The environment overrides the engine of the file, either way.
#[test]
fn the_environment_chooses_the_engine() {
    for (switch, definition, code, words) in [
        ("true", "engine_trino", 0, ""),
        (
            "false",
            "site",
            2,
            "error: the aggregation engine `trino` (OCP_POSTGRES_PIPELINE=false) does not exist yet; \
            only `postgres` does\n\
            hint: use `engine = \"postgres\"`, or OCP_POSTGRES_PIPELINE=true\n\n\
            error: pipeline `tests/definitions/site.toml` has a problem",
        ),
        (
            "maybe",
            "site",
            2,
            "error: OCP_POSTGRES_PIPELINE is `maybe`; it must be `true` or `false`\n\n\
            error: pipeline `tests/definitions/site.toml` has a problem",
        ),
    ] {
        gristmill(["check"])
            .argument(format!("{FOLDER}/{definition}.toml"))
            .with_stages()
            .env("OCP_POSTGRES_PIPELINE", switch)
            .ends_with(code)
            .stderr_is(words);
    }
}

/// A module that is no component is what a toolchain makes that knows WebAssembly,
/// but not this contract.
#[test]
fn a_core_module_is_not_a_component() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("core.wasm"), b"\0asm\x01\0\0\0").expect("a module");
    let base = file("pipelines/ocp.toml");
    let text = format!("extends = {base:?}\n[stages.csv-parse]\ncomponent = \"core.wasm\"\n");
    let pipeline = folder.path().join("core.toml");
    fs::write(&pipeline, text).expect("a pipeline");
    let ended = gristmill(["check"])
        .argument(&pipeline)
        .with_stages()
        .calling(folder.path(), "[FOLDER]")
        .ends_with(2);
    for words in [
        "error: stage `csv-parse`: `[FOLDER]/core.wasm` is not a WebAssembly component: ",
        "[FOLDER]/core.toml:3:13",
        "hint: build it for `wasm32-wasip2`; a core module is not a component",
    ] {
        assert!(ended.stderr.contains(words), "{ended}");
    }
}

#[test]
fn a_pipeline_that_runs_is_a_pipeline_that_checks() {
    for pipeline in ["pipelines/ocp.toml", "pipelines/ocp-max.toml"] {
        let plan = gristmill(["check", pipeline, "--json"])
            .with_stages()
            .succeeds()
            .json();
        let reports = plan["reports"].as_array().expect("reports");
        assert_eq!(reports.len(), 6, "{pipeline}");
        assert_eq!(reports[0]["stages"][1]["name"], "effective-usage");
        assert_eq!(reports[0]["into"], "reporting_ocpusagelineitem_pod_staging");
    }
}
