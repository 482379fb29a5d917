//! What decides which engine folds a payload's hours, and who tells which one did.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::command::{Gristmill, run};
use crate::support::engine;
use crate::support::payload::{CLUSTER, DAY, Payload, Report};
use crate::support::site::Site;

const BASE: &str = "pipelines/ocp.toml";

/// The day after the usual one.
const NEXT_DAY: &str = "2026-01-11";

/// Hours of two days, in which a pod used so much.
fn two_days(number: u32, hours: u32, usage: u32) -> Payload {
    let usage = usage.to_string();
    let mut pods = Report::pods();
    for day in [DAY, NEXT_DAY] {
        for hour in 0..hours {
            let start = format!("{day} {hour:02}:00:00 +0000 UTC");
            let end = format!("{day} {hour:02}:59:59 +0000 UTC");
            pods = pods.row(
                hour,
                &[
                    ("interval_start", &start),
                    ("interval_end", &end),
                    ("pod_usage_cpu_core_seconds", &usage),
                ],
            );
        }
    }
    Payload::numbered(number)
        .manifest("end", format!("{NEXT_DAY}T{:02}:59:59Z", hours - 1))
        .manifest("date", format!("2026-01-12T00:{number:02}:00Z"))
        .file(&format!("{number}.csv"), pods.text())
}

fn load(site: &Site, pipeline: PathBuf, payload: &Payload) -> Gristmill {
    let path = site.write(std::slice::from_ref(payload)).remove(0);
    run(&site.database, pipeline, &[path])
        .env("GRISTMILL_DATA", site.folder())
        .argument("--json")
}

fn set(site: &Site, engine: &str) -> Gristmill {
    site.command(&[
        "sources",
        "set",
        "--cluster-id",
        CLUSTER,
        "--engine",
        engine,
    ])
}

/// The engine of the source goes before that of the file, and the environment before both.
#[test]
fn the_environment_goes_before_the_source_and_the_source_before_the_file() {
    let site = Site::new();
    site.command(&["sources", "add", "--cluster-id", CLUSTER])
        .succeeds();
    let file = |engine: &str| engine::pipeline(BASE, engine);
    let mut number = 0;
    let mut folds = |pipeline: PathBuf, environment: Option<&str>| {
        number += 1;
        let command = load(&site, pipeline, &two_days(number, 2, number));
        let command = match environment {
            Some(value) => command.env("OCP_POSTGRES_PIPELINE", value),
            None => command,
        };
        let result = command.succeeds().json();
        result[0]["engine"].as_str().expect("an engine").to_string()
    };
    assert_eq!(folds(PathBuf::from(BASE), None), "postgres");
    assert_eq!(folds(file("embedded"), None), "embedded");
    assert_eq!(folds(file("embedded"), Some("true")), "postgres");
    set(&site, "embedded").succeeds();
    assert_eq!(folds(PathBuf::from(BASE), None), "embedded");
    assert_eq!(folds(PathBuf::from(BASE), Some("true")), "postgres");
    set(&site, "postgres").succeeds();
    assert_eq!(folds(file("embedded"), None), "postgres");
    let listed = site
        .command(&["sources", "list", "--json"])
        .succeeds()
        .json();
    assert_eq!(listed[0]["engine"], "postgres");
    set(&site, "pipeline").succeeds();
    assert_eq!(folds(file("embedded"), None), "embedded");
    assert_eq!(folds(PathBuf::from(BASE), None), "postgres");
    // By size, as the file says.
    set(&site, "auto").succeeds();
    assert_eq!(folds(file("embedded"), None), "postgres");
    let below = "[summarize.auto]\nbelow = \"embedded\"\n";
    assert_eq!(folds(engine::with(BASE, "below", below), None), "embedded");

    let unknown = site
        .command(&[
            "sources",
            "set",
            "--cluster-id",
            "other",
            "--engine",
            "embedded",
        ])
        .ends_with(1);
    assert!(
        unknown
            .stderr
            .contains("there is no source for cluster `other`"),
        "{unknown}"
    );
    set(&site, "duckdb").ends_with(2);
}

#[test]
fn auto_below_its_limit_is_what_the_file_says() {
    for (name, auto, expected) in [
        ("auto", "", "postgres"),
        ("auto-postgres", "below = \"postgres\"", "postgres"),
        ("auto-embedded", "below = \"embedded\"", "embedded"),
        (
            "auto-limit",
            "below = \"embedded\"\ntrino-from = \"1 MiB\"",
            "embedded",
        ),
    ] {
        let site = Site::new();
        // With a limit there must be a Trino to go to, though nobody asks it.
        let text = format!(
            "[summarize]
            engine = \"auto\"
            [summarize.auto]
            {auto}
            [lake]
            location = \"s3://nowhere/lake\"
            [trino]
            url = \"http://127.0.0.1:1\"
            catalog = \"lake\"\n"
        );
        let pipeline = engine::with(BASE, name, &text);
        let found = load(&site, pipeline, &two_days(1, 2, 60)).succeeds();
        assert_eq!(found.json()[0]["engine"], expected, "{name}: {found}");
    }
}

/// The engines of a source's days, as `status` has them: first day, last day, engines, and
/// whether there is a time.
#[track_caller]
fn engines(status: &Value) -> Vec<Value> {
    let stretches = status["sources"][0]["engines"].as_array().expect("a list");
    let told = stretches.iter().map(|stretch| {
        let has_time = stretch["fold_seconds"]
            .as_f64()
            .is_some_and(|time| time > 0.0);
        json!([
            stretch["first_day"],
            stretch["last_day"],
            stretch["engines"],
            has_time
        ])
    });
    told.collect()
}

fn status(site: &Site) -> Value {
    site.command(&["status", "--json"]).ends().json()
}

#[test]
fn status_and_results_say_which_engine_made_which_day() {
    let site = Site::new();
    let postgres = || PathBuf::from(BASE);
    let embedded = || engine::pipeline(BASE, "embedded");
    let result = load(&site, postgres(), &two_days(1, 2, 60))
        .succeeds()
        .json();
    assert_eq!(result[0]["engine"], "postgres");
    assert_eq!(result[0]["fold_seconds"], Value::Null);
    let found = status(&site);
    assert_eq!(
        engines(&found),
        [json!([DAY, NEXT_DAY, ["postgres"], false])]
    );
    assert_eq!(found["sources"][0]["last_runs"][0]["engine"], "postgres");
    let table = site.command(&["status"]).ends().stdout;
    assert!(!table.contains("engine"), "{table}");

    // The hours of the first are reused: the days are of both engines.
    let result = load(&site, embedded(), &two_days(2, 4, 60))
        .succeeds()
        .json();
    assert_eq!(result[0]["rows_reused"], 4);
    assert_eq!(result[0]["engine"], "embedded");
    assert!(result[0]["fold_seconds"].is_f64(), "{result:#}");
    let found = status(&site);
    assert_eq!(
        engines(&found),
        [json!([DAY, NEXT_DAY, ["postgres", "embedded"], true])]
    );
    let runs = &found["sources"][0]["last_runs"];
    assert_eq!(runs[0]["engine"], "embedded");
    assert!(runs[0]["fold_seconds"].is_f64(), "{runs:#}");
    assert_eq!(runs[1]["engine"], "postgres");
    assert_eq!(runs[1]["fold_seconds"], Value::Null);
    let table = site.command(&["status"]).ends().stdout;
    assert!(table.contains(&format!("{DAY} to {NEXT_DAY}")), "{table}");
    assert!(table.contains("postgres, embedded"), "{table}");

    // One of the days, by one of them.
    let replay = |pipeline: PathBuf, day: &str| {
        let replayed = site
            .command(&["replay", "--source", CLUSTER, "--from", day, "--json"])
            .argument(pipeline)
            .with_stages()
            .succeeds();
        replayed.json()["engines"].clone()
    };
    assert!(replay(embedded(), NEXT_DAY)["embedded"].is_f64());
    assert_eq!(
        engines(&status(&site)),
        [
            json!([DAY, DAY, ["postgres", "embedded"], true]),
            json!([NEXT_DAY, NEXT_DAY, ["embedded"], true]),
        ]
    );
    assert_eq!(replay(postgres(), DAY), json!({ "postgres": null }));
    assert_eq!(
        engines(&status(&site)),
        [
            json!([DAY, DAY, ["postgres"], false]),
            json!([NEXT_DAY, NEXT_DAY, ["embedded"], true]),
        ]
    );
    // It is known for as long as the day is, whatever becomes of what is staged.
    site.database
        .execute("SELECT forget_generation(id) FROM gristmill_generation; TRUNCATE gristmill_fold");
    assert_eq!(
        engines(&status(&site))[1],
        json!([NEXT_DAY, NEXT_DAY, ["embedded"], true])
    );

    // Nothing new is nobody's.
    let result = load(&site, embedded(), &two_days(2, 4, 60)).ends().json();
    assert_eq!(result[0]["state"], "unchanged", "{result:#}");
    assert_eq!(result[0]["engine"], Value::Null);
}
