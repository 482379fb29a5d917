//! The case files of the stages, run against the components that ship.

use std::fs;
use std::path::PathBuf;

use crate::support::command::{Gristmill, file, gristmill, stages};
use crate::support::server::scratch;

/// The folders of the stages; the SDK is none.
#[track_caller]
pub(crate) fn folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = fs::read_dir(file("plugins"))
        .expect("the folder")
        .map(|entry| entry.expect("a folder").path())
        .filter(|path| path.is_dir() && !path.ends_with("sdk"))
        .collect();
    folders.sort();
    folders
}

fn stage_test() -> Gristmill {
    gristmill(["stage", "test"])
        .without_env("DATABASE_URL")
        .with_stages()
}

#[test]
fn every_case_of_every_stage_passes() {
    let cases: usize = folders()
        .iter()
        .map(|folder| fs::read_to_string(folder.join("cases.toml")).expect("cases"))
        .map(|text| text.matches("[[case]]").count())
        .sum();
    let ended = stage_test()
        .arguments(folders())
        .succeeds()
        .stderr_is(&format!("{cases} cases passed"));
    assert_eq!(ended.stdout.lines().count(), cases, "{ended}");
}

#[test]
fn results_come_as_json_too() {
    let verdicts = stage_test()
        .arguments(["plugins/effective-usage", "--json", "--filter", "with max"])
        .succeeds()
        .json();
    let expected = serde_json::json!([{
        "stage": "effective-usage",
        "case": "request above usage wins with max",
        "passed": true,
        "differences": [],
    }]);
    assert_eq!(verdicts, expected);
}

/// Tests a copy of a stage whose case file is changed.
#[track_caller]
fn changed(change: &[(&str, &str)]) -> Gristmill {
    let folder = tempfile::tempdir_in(scratch()).expect("a folder").keep();
    let component = "effective_usage.wasm";
    let copy = folder.join(component);
    fs::copy(stages().join(component), &copy).expect("the component");
    let mut cases = fs::read_to_string(file("plugins/effective-usage/cases.toml")).expect("cases");
    for (old, new) in change {
        assert!(cases.contains(old), "{old} is not there to be changed");
        cases = cases.replacen(old, new, 1);
    }
    fs::write(folder.join("cases.toml"), cases).expect("a case file");
    stage_test().argument(&copy).calling(&folder, "[FOLDER]")
}

#[test]
fn a_wrong_expectation_fails_with_its_row_and_column() {
    changed(&[("web,600,900,4096,1024,600,1024", "web,600,900,4096,1024,601,1024")])
        .arguments(["--filter", "unused"])
        .ends_with(1)
        .stdout_is(
            "FAILED effective_usage: unused requests are not charged by default\n         \
            output, row 0, column `pod_effective_usage_cpu_core_seconds`: expected `601`, got `600`",
        )
        .stderr_is("error: 1 of 1 cases failed");
}

#[test]
fn a_wrong_error_fails() {
    changed(&[(
        "error = \"column `pod_request_cpu_core_seconds`: is missing\"",
        "error = \"too bad\"",
    )])
    .arguments(["--filter", "without requests"])
    .ends_with(1)
    .stdout_is(
        "FAILED effective_usage: refuses a report without requests\n         \
            expected the error `too bad`, \
            got the error `column `pod_request_cpu_core_seconds`: is missing`",
    )
    .stderr_is("error: 1 of 1 cases failed");
}

#[test]
fn a_case_file_that_is_wrong_is_the_authors_mistake() {
    changed(&[("name = \"unused", "nam = \"unused")])
        .ends_with(2)
        .stdout_is("")
        .stderr_is(
            "error: unknown field `nam`, expected one of `name`, `config`, `sets`, `types`, \
            `columns`, `chunk-bytes`, `input`, `output`, `rejects`, `facts`, `error`\n \
            --> [FOLDER]/cases.toml:4:1\n  \
            |\n\
            4 | nam = \"unused requests are not charged by default\"\n  \
            | ^^^",
        );
}

#[test]
fn a_component_that_is_not_there_is_missing() {
    gristmill(["stage", "test", "plugins/sdk"])
        .ends_with(3)
        .stdout_is("")
        .stderr_is(
            "error: component `sdk.wasm` of stage `sdk` was not found\n\n\
            hint: build it for `wasm32-wasip2`, or name its folder with `--stages DIR`",
        );
}

#[test]
fn a_filter_that_leaves_nothing_is_a_mistake() {
    stage_test()
        .arguments(["plugins/effective-usage", "--filter", "no such case"])
        .ends_with(2)
        .stdout_is("")
        .stderr_is(
            "error: no case was run\n\n\
            hint: `--filter` leaves out the cases whose name does not hold its text",
        );
}
