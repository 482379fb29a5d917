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
    digest_in_a_stage => 2,
    refused_config => 2,
    limit_of_the_pipeline => 2,
    floor_without_share => 2,
    waits_out_of_range => 2,
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
    servers => 0,
    servers_wrong => 2,
    location_odd => 2,
    location_in_trino_odd => 2,
    secret_written => 2,
    password_in_the_clear => 2,
    password_and_token => 2,
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
            "error: OCP_POSTGRES_PIPELINE=false needs `[trino]` and `[lake]`, which the pipeline does not have\n\
            hint: say where Trino and its object storage are, or use `engine = \"postgres\"` or `\"embedded\"`\n\n\
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

/// The errors of a site that did not build its stages anew, or its gristmill.
#[test]
fn a_component_of_another_contract_is_told_what_to_do() {
    for (interface, version) in [("parser", "0.0.9"), ("transform", "0.2.0")] {
        let folder = tempfile::tempdir().expect("a folder");
        let text = format!(
            "(component (instance $stage) \
            (export \"gristmill:stage/{interface}@{version}\" (instance $stage)))"
        );
        let component = wat::parse_str(text).expect("a component");
        fs::write(folder.path().join("other.wasm"), component).expect("a component");
        let base = file("pipelines/ocp.toml");
        let text = format!("extends = {base:?}\n[stages.csv-parse]\ncomponent = \"other.wasm\"\n");
        let pipeline = folder.path().join("other.toml");
        fs::write(&pipeline, text).expect("a pipeline");
        gristmill(["check"])
            .argument(&pipeline)
            .with_stages()
            .calling(folder.path(), "[FOLDER]")
            .ends_with(2)
            .stderr_is(&format!(
                "error: stage `csv-parse`: component `[FOLDER]/other.wasm` was built for version \
                {version} of the stage contract; this host speaks 0.1.0\n \
                --> [FOLDER]/other.toml:3:13\n  |\n\
                3 | component = \"other.wasm\"\n  |             ^^^^^^^^^^^^\n\
                hint: build it again with `wit/released/0.1.0/stage.wit`, or run it with a \
                gristmill that speaks {version}\n\n\
                error: pipeline `[FOLDER]/other.toml` has a problem"
            ));
    }
}

#[test]
fn no_line_of_a_plan_is_wider_than_a_terminal() {
    let plan = gristmill(["check", "pipelines/ocp.toml"])
        .with_stages()
        .succeeds();
    let wide = plan.stdout.lines().find(|line| line.chars().count() > 100);
    assert_eq!(wide, None);
}

/// The facts of the text are in the JSON: the schema behind every stage, who wrote
/// what, and where it goes.
#[test]
fn a_plan_as_json_tells_each_column_from_file_to_table() {
    let plan = gristmill(["check", "pipelines/ocp.toml", "--json"])
        .with_stages()
        .succeeds()
        .json();
    let pods = &plan["reports"][0];
    let stages = pods["stages"].as_array().expect("stages");
    let named = |list: &serde_json::Value, name: &str| {
        let mut columns = list.as_array().expect("a list").iter();
        columns
            .find(|column| column["name"] == name)
            .map(|column| column["type"].clone())
    };
    assert_eq!(stages[0]["world"], "parser");
    let conversion = stages.last().expect("a stage");
    assert_eq!(conversion["config"], serde_json::json!({"gigabyte": "GiB"}));
    assert_eq!(conversion["memory_bytes"], 128 << 20);
    assert_eq!(conversion["time_per_batch_ms"], 2_000);
    assert_eq!(conversion["output_per_batch_bytes"], 64 << 20);
    let labels = &stages[2];
    assert_eq!(labels["bind"]["enabled-keys"], "enabled-tag-keys");
    assert_eq!(labels["learn"]["label-keys"], "tag-keys");
    for (stage, seconds, hours) in [(labels, true, false), (conversion, false, true)] {
        let has = |name: &str| named(&stage["output"], name).is_some();
        assert_eq!(has("pod_usage_cpu_core_seconds"), seconds, "{stage}");
        assert_eq!(has("pod_usage_cpu_core_hours"), hours, "{stage}");
    }
    assert_eq!(
        named(&stages[0]["output"], "pod_labels"),
        Some("dictionary".into())
    );
    assert_eq!(named(&labels["output"], "pod_labels"), Some("json".into()));
    let columns = pods["columns"].as_array().expect("columns");
    for (column, writer, table_column) in [
        ("pod", "csv-parse", "pod"),
        ("pod_labels", "label-filter", "pod_labels_id"),
        (
            "pod_usage_cpu_core_hours",
            "unit-conversion",
            "pod_usage_cpu_core_hours_e12",
        ),
    ] {
        let found = columns
            .iter()
            .find(|found| found["column"] == column)
            .expect("a column");
        assert_eq!(found["written_by"], writer, "{found}");
        assert_eq!(found["table_column"], table_column, "{found}");
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

/// The place is said, and the line is not shown.
#[test]
fn a_secret_in_a_file_is_not_repeated() {
    let said = fs::read_to_string(file(FOLDER).join("secret_written.err")).expect("a golden file");
    assert!(
        !said.contains("hunter2") && !said.contains("AKIAsecret"),
        "{said}"
    );
    for line in [4, 5, 8, 9] {
        assert!(
            said.contains(&format!("secret_written.toml:{line}:")),
            "{said}"
        );
    }
}
