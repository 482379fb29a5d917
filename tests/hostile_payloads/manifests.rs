//! Manifests that are none, lie, or go too far.

use serde_json::{Value, json};

use super::{Case, published, refused, survives, upload};
use crate::support::payload::{Payload, Report};
use crate::support::scene::Scene;

/// A usual payload with this text for a manifest.
fn text(name: &'static str, manifest: &str, words: &'static str) -> Case {
    refused(name, Payload::usual(2).tarball_with(Some(manifest)), words)
}

/// A usual payload with another value in its manifest.
fn value(name: &'static str, key: &str, value: impl Into<Value>, words: &'static str) -> Case {
    let payload = Payload::usual(2).manifest(key, value);
    refused(name, payload.tarball(), words)
}

#[test]
fn text_that_is_no_manifest_is_refused() {
    let nested = "[".repeat(1 << 20);
    let deep = format!("{{\"cr_status\": {nested}");
    let long = format!("\"{}\"", "a".repeat(11 << 20));
    survives(
        &Scene::new(),
        vec![
            text("empty", "", "EOF while parsing"),
            text("not JSON", "uuid: x", "expected value"),
            text("an array", "[1, 2]", "invalid type"),
            text("null", "null", "invalid type: null"),
            text("two documents", "{} {}", "missing field `uuid`"),
            text("nested", &nested, "invalid type: sequence"),
            text("nested inside", &deep, "recursion limit exceeded"),
            text("too large", &long, "has more than 10485760 bytes"),
            text("BOM", "\u{feff}{}", "expected value"),
            text("NUL bytes", "\0\0\0\0", "expected value"),
            text(
                "a key twice",
                r#"{"uuid": "a", "uuid": "b"}"#,
                "duplicate field `uuid`",
            ),
            text(
                "a number that is none",
                r#"{"cr_status": 1e999}"#,
                "number out of range",
            ),
            text(
                "half a character",
                r#"{"uuid": "\ud800"}"#,
                "`manifest.json`",
            ),
        ],
    );
}

#[test]
fn values_that_no_operator_writes_are_refused() {
    let flood: Vec<String> = (0..400_000).map(|number| format!("{number}.csv")).collect();
    survives(
        &Scene::new(),
        vec![
            value(
                "uuid of version 1",
                "uuid",
                "00000000-0000-1000-8000-000000000002",
                "version 4",
            ),
            value(
                "uuid with SQL",
                "uuid",
                "'; DROP TABLE gristmill_run; --",
                "version 4 UUID",
            ),
            value(
                "long uuid",
                "uuid",
                "a".repeat(1 << 20),
                "not a version 4 UUID",
            ),
            value("uuid as a number", "uuid", 4, "invalid type: integer `4`"),
            value(
                "cluster with a folder",
                "cluster_id",
                "../other",
                "`../other`, not a plain name",
            ),
            value(
                "cluster with a line end",
                "cluster_id",
                "a\nb",
                "`a\\nb`, not a plain name",
            ),
            value(
                "cluster with a NUL",
                "cluster_id",
                "a\0b",
                "`a\\0b`, not a plain name",
            ),
            value(
                "cluster with an escape",
                "cluster_id",
                "\u{1b}[2J",
                "`\\u{1b}[2J`, not a plain",
            ),
            value(
                "cluster of 51",
                "cluster_id",
                "c".repeat(51),
                "at most 50 characters",
            ),
            value("no cluster", "cluster_id", "", "`cluster_id` is ``"),
            value(
                "cluster as a list",
                "cluster_id",
                json!(["a"]),
                "invalid type: sequence",
            ),
            value("files as text", "files", "pods.csv", "invalid type: string"),
            value(
                "files as numbers",
                "files",
                json!([1]),
                "invalid type: integer `1`",
            ),
            value("files of nothing", "files", json!([""]), "`files` names ``"),
            value(
                "files with a NUL",
                "files",
                json!(["a\0.csv"]),
                "`files` names `a\\0.csv`",
            ),
            value(
                "a file twice",
                "files",
                json!(["pods.csv", "pods.csv"]),
                "`pods.csv` twice",
            ),
            value(
                "a long name",
                "files",
                json!(["a".repeat(129)]),
                "at most 128 characters",
            ),
            value(
                "a flood of files",
                "files",
                flood.clone(),
                "lists more than 10000 files",
            ),
            value(
                "a flood of other files",
                "resource_optimization_files",
                flood,
                "more than 10000",
            ),
            value(
                "version with a NUL",
                "version",
                "4\0",
                "`version` is `4\\0`, not plain text",
            ),
            value(
                "long version",
                "version",
                "4".repeat(257),
                "at most 256 characters",
            ),
            value(
                "date of year 1",
                "date",
                "0001-01-01T00:00:00Z",
                "not in the years 1970 to 2099",
            ),
            value(
                "date of year 9999",
                "date",
                "9999-12-31T23:59:59Z",
                "not in the years",
            ),
            value(
                "date of year 200000",
                "date",
                "+200000-01-01T00:00:00",
                "not in the years",
            ),
            value(
                "date that never was",
                "date",
                "2026-02-30T00:00:00Z",
                "`2026-02-30T00:00:00Z` is not a time",
            ),
            value(
                "date as a number",
                "date",
                1_768_176_000,
                "invalid type: integer",
            ),
            value("long date", "date", "9".repeat(1 << 20), "…` is not a time"),
            value(
                "start behind the end",
                "start",
                "2026-01-11T00:00:00Z",
                "is after `end`",
            ),
            value(
                "start of another age",
                "start",
                "1812-06-24T00:00:00Z",
                "not in the years",
            ),
            value(
                "window of decades",
                "start",
                "2001-01-01T00:00:00Z",
                "more than 36 months apart",
            ),
            value(
                "end of year 9999",
                "end",
                "9999-01-01T00:00:00Z",
                "not in the years",
            ),
            value(
                "certified by word",
                "certified",
                "yes",
                "invalid type: string \"yes\"",
            ),
            value(
                "daily by number",
                "daily_reports",
                1,
                "invalid type: integer `1`",
            ),
            refused(
                "a list of other files",
                Payload::usual(2)
                    .manifest("files", json!(["else.csv"]))
                    .tarball(),
                "it holds `pods.csv`, which its manifest does not list",
            ),
        ],
    );
}

/// Keys of no importance may have any value.
#[test]
fn what_an_operator_may_write_is_read() {
    let report = Report::pods().hours(0..5);
    let with = |number: u32, key: &str, value: Value| {
        let payload = upload(number).manifest(key, value);
        payload.file("pods.csv", report.text()).tarball()
    };
    let scene = Scene::new();
    survives(
        &scene,
        vec![
            published("no window", with(2, "start", "0001-01-01T00:00:00Z".into())),
            published("window null", with(3, "start", Value::Null)),
            published("no version", with(4, "version", Value::Null)),
            published("version with SQL", with(5, "version", "'; --".into())),
            published("status as text", with(6, "cr_status", "\0".into())),
            published(
                "status with NUL",
                with(
                    7,
                    "cr_status",
                    json!({"clusterVersion": "4\0", "upload": {"upload": "\0"}}),
                ),
            ),
            published(
                "status of other types",
                with(
                    8,
                    "cr_status",
                    json!({"clusterVersion": [1e300], "upload": 7}),
                ),
            ),
            published("unknown key", with(9, "\u{1b}[2J", "x".into())),
            published(
                "no files",
                upload(10).manifest("files", Value::Null).tarball(),
            ),
        ],
    );
}

/// A cluster may be called anything that is one name; it is text and no more.
#[test]
fn clusters_are_called_what_they_like() {
    let scene = Scene::new();
    let clusters = [
        "'; DROP TABLE x; --",
        "$(reboot)`id`",
        "%s %n {0}",
        "ç🦀\u{202e}",
    ];
    let cases = clusters.iter().zip(20..).map(|(cluster, number)| {
        let payload = upload(number).manifest("cluster_id", *cluster);
        let report = Report::pods().row(0, &[("namespace", "elsewhere")]);
        published(cluster, payload.file("pods.csv", report.text()).tarball())
    });
    survives(&scene, cases.collect());
    let known = scene
        .database
        .query_rows("SELECT cluster_id FROM gristmill_source ORDER BY registered_at OFFSET 1");
    let known: Vec<String> = known.into_iter().flatten().flatten().collect();
    assert_eq!(known, clusters);
}
