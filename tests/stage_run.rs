//! `gristmill stage run`: what a stage does to rows.

use std::path::PathBuf;

use crate::support::command::{Gristmill, gristmill, stages};
use crate::support::component;
use crate::support::payload::{Report, write};

const ROWS: &str = "\
pod,usage,limit,pod_usage_cpu_core_seconds,seen
web,1,2,600,2026-01-10 05:00:00 +0000 UTC
db,,4,,
api,5,6,30,2026-01-10T06:00:00Z
";

/// The rows, in a file of a folder that goes with the test.
fn rows(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = write(folder.path(), "rows.csv", text.as_bytes());
    (folder, path)
}

fn hostile(behaviour: &str) -> Gristmill {
    gristmill(["stage", "run"])
        .argument(component::hostile().join("hostile.wasm"))
        .arguments(["--config", &format!("behaviour = \"{behaviour}\"")])
}

fn shipped(component: &str) -> Gristmill {
    gristmill(["stage", "run"])
        .without_env("DATABASE_URL")
        .argument(stages().join(component))
}

#[test]
fn a_table_shows_before_and_after() {
    let (_folder, path) = rows(ROWS);
    shipped("unit_conversion.wasm")
        .argument("--in")
        .argument(&path)
        .succeeds()
        .stdout_is(
            "\
┌─────────────────────────────────────────────────────────────────┐
│ row   - pod_usage_cpu_core_seconds   + pod_usage_cpu_core_hours │
╞═════════════════════════════════════════════════════════════════╡
│   0   600                            0.16666666666666666        │
│   1                                                             │
│   2   30                             0.008333333333333333       │
└─────────────────────────────────────────────────────────────────┘",
        )
        .stderr_is(
            "4 more columns go round the stage; `--all-columns` shows them\n\
            3 rows in, 3 out, 0 rejected, 0 left out",
        );
}

#[test]
fn rows_left_out_repeated_and_rejected_are_shown() {
    let (_folder, path) = rows(ROWS);
    hostile("rearranges")
        .argument("--in")
        .argument(&path)
        .succeeds()
        .stdout_is(
            "\
┌────────────────────────────────────────────────────────────────┐
│ row   pod       pod_usage_cpu_core_seconds   what became of it │
╞════════════════════════════════════════════════════════════════╡
│   0   web → a   600 → 1                                        │
│   0   web → a   600 → 1                      again             │
│   1   db                                     left out          │
│   2   api → a   30 → 1                                         │
└────────────────────────────────────────────────────────────────┘",
        )
        .stderr_is(
            "3 more columns go round the stage; `--all-columns` shows them\n\
            3 rows in, 3 out, 0 rejected, 1 left out",
        );
    let ended = hostile("rejects")
        .argument("--in")
        .argument(&path)
        .arguments(["--rows", "2", "--all-columns"])
        .succeeds()
        .stderr_is("1 more rows; `--rows N` shows more\n3 rows in, 2 out, 1 rejected, 0 left out");
    for words in [
        "rejected: disliked in pod: a name that nobody likes",
        "2026-01-10T05:00:00Z",
    ] {
        assert!(ended.stdout.contains(words), "{ended}");
    }
    assert!(!ended.stdout.contains("api"), "{ended}");
}

#[test]
fn a_list_has_a_line_for_each_change() {
    let (_folder, path) = rows(ROWS);
    hostile("rearranges")
        .argument("--in")
        .argument(&path)
        .arguments(["--format", "list"])
        .succeeds()
        .stdout_is(
            "\
┌───────────────────────────────────────────────────────────────────────┐
│ row   column                       before   after   what became of it │
╞═══════════════════════════════════════════════════════════════════════╡
│   0   pod                          web      a                         │
│   0   pod_usage_cpu_core_seconds   600      1                         │
│   0                                                 again             │
│   0   pod                          web      a                         │
│   0   pod_usage_cpu_core_seconds   600      1                         │
│   1                                                 left out          │
│   2   pod                          api      a                         │
│   2   pod_usage_cpu_core_seconds   30       1                         │
└───────────────────────────────────────────────────────────────────────┘",
        );
}

#[test]
fn what_came_out_is_csv() {
    let (_folder, path) = rows(ROWS);
    hostile("rejects")
        .argument("--in")
        .argument(&path)
        .arguments(["--format", "csv"])
        .succeeds()
        .stdout_is(
            "pod,usage,limit,pod_usage_cpu_core_seconds,seen\n\
            web,1,2,600,2026-01-10T05:00:00Z\n\
            api,5,6,30,2026-01-10T06:00:00Z",
        )
        .stderr_is(
            "rejected: 1, pod, disliked, a name that nobody likes\n\
            3 rows in, 2 out, 1 rejected, 0 left out",
        );
}

#[test]
fn json_holds_all_of_it_with_types() {
    let (_folder, path) = rows("pod,pod_labels,n\nweb,label_app:web|label_tier:x,1\ndb,,2\n");
    let ran = shipped("label_filter.wasm")
        .argument("--in")
        .argument(&path)
        .arguments(["--set", "enabled-keys=tier,app", "--types", "n=int64"])
        .arguments(["--format", "json"])
        .succeeds()
        .stderr_is("")
        .json();
    assert_eq!(
        ran,
        serde_json::json!({
            "columns": [
                {"name": "pod", "type": "dictionary"},
                {"name": "pod_labels", "type": "json"},
                {"name": "n", "type": "int64"},
            ],
            "rows": [
                {"pod": "web", "pod_labels": "{\"app\":\"web\",\"tier\":\"x\"}", "n": 1},
                {"pod": "db", "pod_labels": "{}", "n": 2},
            ],
            "source_rows": [0, 1],
            "rejects": [],
            "rows_in": 2,
            "rows_left_out": 0,
            "facts": {"label-keys": ["app", "tier"]},
            "contract": {
                "reads": [{"name": "pod_labels", "type": "dictionary"}],
                "writes": [{"name": "pod_labels", "type": "json"}],
                "drops": [],
                "row_effect": "keeps",
            },
        })
    );
}

/// From standard input, with the columns that the header has.
#[test]
fn a_parser_makes_rows_of_bytes() {
    let (_folder, path) = rows("pod,x\nweb,1\ndb,abc\n\"a\"b,2\n");
    shipped("csv_parse.wasm")
        .reading(&path)
        .arguments(["--columns", "pod=dictionary,x=float64,y=int64?"])
        .succeeds()
        .stdout_is(
            "\
┌─────────────────────────────────────────────────────────────────────────────────────────────┐
│ line   pod   x   y   what became of it                                                      │
╞═════════════════════════════════════════════════════════════════════════════════════════════╡
│    2   web   1                                                                              │
│    3                 rejected: not-a-number in x: expected a number, found `abc`            │
│    4                 rejected: malformed-quotes in pod: there is text after a closing quote │
└─────────────────────────────────────────────────────────────────────────────────────────────┘",
        )
        .stderr_is("3 rows in, 1 out, 2 rejected, 0 left out");
    shipped("csv_parse.wasm")
        .argument("--in")
        .argument(write(_folder.path(), "good.csv", b"pod,x\nweb,1\n,\n"))
        .arguments(["--format", "csv"])
        .succeeds()
        .stdout_is("pod,x\nweb,1\n,");
}

#[test]
fn a_whole_report_goes_through() {
    let report = Report::pods().hours(0..24).text().to_string();
    let (_folder, path) = rows(&report);
    let ran = shipped("effective_usage.wasm")
        .argument("--in")
        .argument(&path)
        .arguments(["--config", "{\"method\": \"max\"}", "--format", "json"])
        .succeeds()
        .json();
    assert_eq!(ran["rows"].as_array().map(Vec::len), Some(24));
    assert_eq!(ran["source_rows"][23], 23);
}

#[test]
fn what_cannot_run_says_why() {
    let (folder, path) = rows(ROWS);
    let text = write(folder.path(), "text.wasm", b"no component");
    let component = stages().join("effective_usage.wasm");
    let hostile = component::hostile().join("hostile.wasm");
    for (component, arguments, code, words) in [
        (
            folder.path().join("no.wasm"),
            &[][..],
            3,
            "error: cannot read component `[FOLDER]/no.wasm`: No such file",
        ),
        (
            text,
            &[],
            2,
            "error: `[FOLDER]/text.wasm` is not WebAssembly",
        ),
        (
            component.clone(),
            &[],
            2,
            "error: stage `effective_usage` refused to open: \
            column `pod_request_cpu_core_seconds`: is missing",
        ),
        (
            component.clone(),
            &["--config", "method = \"mean\""],
            2,
            "error: stage `effective_usage` refused to open: config key `method`: \
            unknown variant `mean`",
        ),
        (
            component.clone(),
            &["--config", "method"],
            2,
            "error: `--config` is neither a JSON object nor TOML: ",
        ),
        (
            component.clone(),
            &["--types", "pod=float64"],
            2,
            "error: the input cannot be used: input column `pod` does not hold float64",
        ),
        (
            component.clone(),
            &["--types", "pod=number"],
            2,
            "unknown variant `number`, expected one of `boolean`",
        ),
        (
            component,
            &["--columns", "pod=utf8"],
            2,
            "error: `--columns` is for parsers",
        ),
        (
            hostile.clone(),
            &["--config", "behaviour = \"refuses\""],
            1,
            "error: stage `hostile` refused the input: column `pod`: today is a holiday",
        ),
        (
            hostile,
            &["--config", "behaviour = \"panics\""],
            1,
            "error: stage `hostile` broke: trapped: `unreachable` instruction executed\n\
            it said: panicked at src/lib.rs:",
        ),
    ] {
        let ended = gristmill(["stage", "run"])
            .argument(component)
            .arguments(arguments)
            .argument("--in")
            .argument(&path)
            .calling(folder.path(), "[FOLDER]")
            .ends_with(code)
            .stdout_is("");
        assert!(ended.stderr.contains(words), "{words}\n{ended}");
    }
}
