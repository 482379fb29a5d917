//! Arguments, exit codes and streams: data on standard output, all else on
//! standard error.

use std::fs;
use std::path::PathBuf;

use clap::CommandFactory;
use gristmill::cli::Cli;

use crate::support::command::{NO_DATABASE, gristmill, run};
use crate::support::payload::{CLUSTER, DAY, Payload, Report, write};
use crate::support::server::TestDatabase;

/// Derived from `CLUSTER`; rows in the tables of sites carry such ones.
const DERIVED_UUID: &str = "d605e503-d520-5c19-9fcf-69d6c252e092";

/// The verbs below one, and itself: each as the words to type.
fn verbs(command: &clap::Command, typed: &[String]) -> Vec<Vec<String>> {
    let mut verbs = vec![typed.to_vec()];
    for verb in command.get_subcommands() {
        let mut typed = typed.to_vec();
        typed.push(verb.get_name().to_string());
        verbs.extend(self::verbs(verb, &typed));
    }
    verbs
}

#[test]
fn every_verb_explains_itself() {
    let verbs = verbs(&Cli::command(), &[]);
    assert!(verbs.contains(&vec!["quarantine".into(), "discard".into()]));
    for verb in verbs {
        let ended = gristmill(&verb).argument("--help").succeeds().stderr_is("");
        let usage = format!("Usage: gristmill {}", verb.join(" "));
        assert!(ended.stdout.contains(usage.trim_end()), "{ended}");
    }
    let version = concat!("gristmill ", env!("CARGO_PKG_VERSION"));
    gristmill(["--version"]).succeeds().stdout_is(version);
}

#[test]
fn wrong_arguments_are_the_users_mistake() {
    for arguments in [
        &["grind"][..],
        &["run"],
        &["run", "pipelines/ocp.toml"],
        &["check"],
        &["sources", "add"],
        &["sources", "add", "--cluster-id", "c", "--uuid", "u"],
        &["db", "migrate", "--schema", "no good; name"],
    ] {
        let ended = gristmill(arguments).ends_with(2).stdout_is("");
        assert!(ended.stderr.contains("error: "), "{ended}");
    }
    let nothing = gristmill([] as [&str; 0]).ends_with(2).stdout_is("");
    assert!(
        nothing.stderr.contains("Usage: gristmill <COMMAND>"),
        "{nothing}"
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let database = TestDatabase::migrated();
    run(
        &database,
        "pipelines/no.toml",
        &[PathBuf::from("no.tar.gz")],
    )
    .ends_with(2)
    .stdout_is("")
    .stderr_is(
        "error: cannot read pipeline file `pipelines/no.toml`: \
            No such file or directory (os error 2)\n\n\
            error: pipeline `pipelines/no.toml` has a problem",
    );
    let ended = run(
        &database,
        "pipelines/ocp.toml",
        &[PathBuf::from("no.tar.gz")],
    )
    .ends_with(2);
    assert!(
        ended
            .stderr
            .starts_with("error: cannot read payload `no.tar.gz`\n  No such file or directory"),
        "{ended}"
    );
}

#[test]
fn a_database_out_of_reach_is_named_without_its_password() {
    let payload = PathBuf::from("tests/data/small/payloads/20261001T235959-cost-mgmt.tar.gz");
    let by_option = |command: crate::support::command::Gristmill| {
        command
            .without_env("DATABASE_URL")
            .argument("--database-url")
            .argument(NO_DATABASE)
    };
    let unreachable = "error: could not connect to `postgresql://nobody@127.0.0.1:1/nothing`\n  \
        Connection refused (os error 111)\n\n\
        hint: check that the server runs, and the host and port of the database URL";
    for command in [
        gristmill(["sources", "list"]),
        gristmill(["db", "migrate"]),
        gristmill(["run", "pipelines/ocp.toml"])
            .argument(payload)
            .with_stages(),
    ] {
        command.ends_with(3).stdout_is("").stderr_is(unreachable);
    }
    let remark = "warning: a password on the command line can be read by everybody on this machine; \
        DATABASE_URL keeps it private\n";
    by_option(gristmill(["sources", "list"]))
        .ends_with(3)
        .stdout_is("")
        .stderr_is(&format!("{remark}{unreachable}"));
}

#[test]
fn a_run_ends_with_one_table() {
    let database = TestDatabase::migrated();
    let folder = tempfile::tempdir().expect("a folder");
    let good = Payload::usual(1).write(folder.path(), "good.tar.gz");
    let bad = write(folder.path(), "bad.tar.gz", b"?");
    run(&database, "pipelines/ocp.toml", &[good, bad])
        .calling(folder.path(), "[FOLDER]")
        .ends_with(1)
        .stdout_is(
            "\
┌────────────────────────────────────────────────────────────────────────────────────────────────────────────┐
│ payload       state       days won     rows read   loaded   left out   quarantined   summary rows     time │
╞════════════════════════════════════════════════════════════════════════════════════════════════════════════╡
│ good.tar.gz   published   2026-01-10           3        3          0             0              2 [TIME] │
│ bad.tar.gz    failed      –                    0        0          0             0              0 [TIME] │
└────────────────────────────────────────────────────────────────────────────────────────────────────────────┘",
        )
        .stderr_is(
            "error: payload `[FOLDER]/bad.tar.gz` is refused\n  \
            it is not a whole gzip-compressed tar archive: unexpected end of file\n\n\
            hint: nothing of it was published; \
            ask the operator of the cluster for a new upload\n\
            error: 1 of 2 payloads failed",
        );
}

#[test]
fn json_is_all_there_is_on_standard_output() {
    let database = TestDatabase::migrated();
    let folder = tempfile::tempdir().expect("a folder");
    let good = Payload::usual(1).write(folder.path(), "good.tar.gz");
    let bad = write(folder.path(), "bad.tar.gz", b"?");
    let runs = run(&database, "pipelines/ocp.toml", &[bad, good])
        .argument("--json")
        .argument("--show-summary")
        .ends_with(1)
        .json();
    assert_eq!(runs[0]["state"], "failed");
    assert!(runs[0]["error"].is_string());
    let good = &runs[1];
    for (key, value) in [
        ("state", serde_json::json!("published")),
        ("cluster_id", serde_json::json!(CLUSTER)),
        ("source_uuid", serde_json::json!(DERIVED_UUID)),
        (
            "manifest",
            serde_json::json!("00000000-0000-4000-8000-000000000001"),
        ),
        (
            "days",
            serde_json::json!([{"day": "2026-01-10", "hours": 3, "outcome": "won"}]),
        ),
        ("waiting_for", serde_json::json!([])),
        ("rows_read", serde_json::json!(3)),
        ("rows_loaded", serde_json::json!(3)),
        ("rows_filtered", serde_json::json!(0)),
        ("rows_rejected", serde_json::json!(0)),
        ("summary_rows_inserted", serde_json::json!(2)),
        ("summary_rows_deleted", serde_json::json!(0)),
        ("error", serde_json::Value::Null),
    ] {
        assert_eq!(good[key], value, "{key}");
    }
}

#[test]
fn the_summary_is_shown_on_demand() {
    let database = TestDatabase::migrated();
    let folder = tempfile::tempdir().expect("a folder");
    let payload = Payload::usual(1).write(folder.path(), "good.tar.gz");
    let ended = run(&database, "pipelines/ocp.toml", &[payload])
        .argument("--show-summary")
        .succeeds();
    for words in ["2026-01-10", "Worker unallocated", "app", "1.500"] {
        assert!(ended.stdout.contains(words), "{ended}");
    }
    let left_out = "left out here: requests, limits and the memory used, which are other columns";
    assert!(ended.stderr.contains(left_out), "{ended}");
    let bad = write(folder.path(), "bad.tar.gz", b"?");
    let ended = run(&database, "pipelines/ocp.toml", &[bad])
        .calling(folder.path(), "[FOLDER]")
        .argument("--show-summary")
        .ends_with(1);
    let none = "left out here: 1 of 1 payloads, which published no day: [FOLDER]/bad.tar.gz\n";
    assert!(ended.stderr.contains(none), "{ended}");
}

/// However much was loaded: all of it is in the sum, and a command shows the rows.
#[test]
fn a_summary_fits_a_screen() {
    let database = TestDatabase::migrated();
    let folder = tempfile::tempdir().expect("a folder");
    let namespaces: Vec<String> = (10..70).map(|number| format!("team-{number}")).collect();
    let report = namespaces.iter().fold(Report::pods(), |report, namespace| {
        report.row(0, &[("namespace", namespace.as_str())])
    });
    let payload = Payload::numbered(1)
        .file("pods.csv", report.text())
        .write(folder.path(), "many.tar.gz");
    let ended = run(&database, "pipelines/ocp.toml", &[payload])
        .argument("--show-summary")
        .succeeds();
    let (_, summary) = ended.stdout.split_once("\n┌").expect("two tables");
    let hint = ended.stderr.lines().last().unwrap_or_default();
    assert!(summary.lines().count() < 25, "{ended}");
    for words in ["team-10", "others", "all"] {
        assert!(summary.contains(words), "{ended}");
    }
    let rows = database
        .query_value("SELECT count(*)::text FROM reporting_ocpusagelineitem_daily_summary")
        .expect("a count");
    let sum = summary.lines().find(|line| line.starts_with("│ all "));
    let summed = sum.and_then(|sum| sum.split_whitespace().nth(2));
    assert_eq!(summed, Some(rows.as_str()), "{ended}");
    let command = "psql \"$DATABASE_URL\" -c 'TABLE ";
    assert!(hint.starts_with(&format!("all rows: {command}")), "{ended}");
}

#[test]
fn sources_are_added_renamed_and_listed() {
    let database = TestDatabase::migrated();
    let sources = |arguments: &[&str]| {
        gristmill(["sources"])
            .arguments(arguments)
            .database(&database)
    };
    let uuid = "00000000-0000-4000-8000-0000000000aa";
    let add = [
        "add",
        "--cluster-id",
        "c1",
        "--alias",
        "One",
        "--uuid",
        uuid,
    ];
    sources(&add).succeeds().stdout_is(uuid).stderr_is("");
    // The same again changes nothing.
    sources(&add).succeeds().stdout_is(uuid);
    sources(&["add", "--cluster-id", CLUSTER])
        .succeeds()
        .stdout_is(DERIVED_UUID);
    sources(&["rename", "--cluster-id", "c1", "--alias", "Uno"])
        .succeeds()
        .stdout_is("")
        .stderr_is("cluster `c1` is called `Uno` now");

    let listed = sources(&["list", "--json"]).succeeds().json();
    let rows: Vec<[&str; 3]> = listed
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| {
            ["cluster_alias", "cluster_id", "source_uuid"]
                .map(|key| row[key].as_str().unwrap_or("?"))
        })
        .collect();
    assert_eq!(
        rows,
        [["Uno", "c1", uuid], [CLUSTER, CLUSTER, DERIVED_UUID]]
    );
    let table = sources(&["list"]).succeeds();
    for words in ["alias", "cluster", "uuid", "Uno", uuid] {
        assert!(table.stdout.contains(words), "{table}");
    }

    for (arguments, words) in [
        (
            ["rename", "--cluster-id", "c9", "--alias", "Nine"].to_vec(),
            "error: there is no source for cluster `c9`\n\n\
            hint: `gristmill sources list` shows the sources",
        ),
        (
            ["add", "--cluster-id", "c2", "--uuid", uuid].to_vec(),
            "error: cannot register cluster `c2`\n  \
            source 00000000-0000-4000-8000-0000000000aa is already registered \
            with cluster id `c1`, not `c2`",
        ),
    ] {
        sources(&arguments)
            .ends_with(1)
            .stdout_is("")
            .stderr_is(words);
    }
}

#[test]
fn an_unknown_cluster_registers_itself_unless_told_otherwise() {
    let database = TestDatabase::migrated();
    let folder = tempfile::tempdir().expect("a folder");
    let payload = Payload::usual(1).write(folder.path(), "good.tar.gz");
    let base = crate::support::command::file("pipelines/ocp.toml");
    let strict = format!("extends = {base:?}\n[sources]\nregister = false\n");
    let strict = write(folder.path(), "strict.toml", strict.as_bytes());
    let payloads = [payload];
    run(&database, &strict, &payloads).ends_with(1).stderr_is(
        "error: cluster `test-cluster` is not a registered source\n\n\
        hint: `gristmill sources add --cluster-id test-cluster` registers it",
    );
    let count = "SELECT count(*) FROM gristmill_source";
    assert_eq!(database.query_value(count).as_deref(), Some("0"));

    run(&database, "pipelines/ocp.toml", &payloads).succeeds();
    let uuid = database.query_value("SELECT source_uuid FROM gristmill_source");
    assert_eq!(uuid.as_deref(), Some(DERIVED_UUID));
    // Now that it is known, it may.
    run(
        &database,
        &strict,
        &[Payload::usual(2).write(folder.path(), "next.tar.gz")],
    )
    .succeeds();
}

#[test]
fn a_folder_and_a_single_report_are_payloads_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let report = Report::pods().hours(0..3);
    let single = write(folder.path(), "pods.csv", report.text().as_bytes());
    let unpacked = folder.path().join("unpacked");
    fs::create_dir(&unpacked).expect("a folder");
    Payload::usual(1).write_unpacked(&unpacked);

    let database = TestDatabase::migrated();
    run(
        &database,
        "pipelines/ocp.toml",
        std::slice::from_ref(&single),
    )
    .calling(folder.path(), "[FOLDER]")
    .ends_with(2)
    .stderr_is(
        "error: `[FOLDER]/pods.csv` is a single report without a manifest, \
            so its cluster is unknown\n\n\
            hint: name the cluster with `--cluster-id ID`",
    );
    for (payload, options) in [(unpacked, vec![]), (single, vec!["--cluster-id", CLUSTER])] {
        let database = TestDatabase::migrated();
        for state in ["published", "unchanged"] {
            let runs = run(
                &database,
                "pipelines/ocp.toml",
                std::slice::from_ref(&payload),
            )
            .arguments(&options)
            .argument("--json")
            .succeeds()
            .json();
            assert_eq!(runs[0]["state"], state);
        }
        let usage = database.query_value(
            "SELECT trim_scale(sum(pod_usage_cpu_core_hours))
            FROM reporting_ocpusagelineitem_daily_summary
            WHERE namespace = 'app'",
        );
        assert_eq!(usage.as_deref(), Some("1.5"));
    }
}

/// Each by itself would hold the day alone, and volumes and labels would never count.
#[test]
fn reports_that_are_given_together_are_one_payload() {
    let folder = tempfile::tempdir().expect("a folder");
    let reports = folder.path().join("reports");
    fs::create_dir(&reports).expect("a folder");
    let pods = Report::pods().hours(0..3);
    let volumes = Report::volumes().hours(0..3);
    let files = [
        write(&reports, "pods.csv", pods.text().as_bytes()),
        write(&reports, "volumes.csv", volumes.text().as_bytes()),
    ];
    // What is not a report, or not whole, does not count.
    write(&reports, "notes.txt", b"of mine");
    write(&reports, ".pods.csv", b"half of i");
    let database = TestDatabase::migrated();
    let load = |payloads: &[PathBuf]| {
        run(&database, "pipelines/ocp.toml", payloads).calling(folder.path(), "[FOLDER]")
    };
    let named = ["--cluster-id", CLUSTER, "--json"];
    let runs = load(&files).arguments(named).succeeds().json();
    assert_eq!(runs.as_array().map(Vec::len), Some(1), "{runs:#}");
    assert_eq!(runs[0]["state"], "published");
    assert_eq!(runs[0]["row_accounting"].as_array().map(Vec::len), Some(2));
    let summed = "
        SELECT string_agg(DISTINCT data_source, ' ' ORDER BY data_source)
        FROM reporting_ocpusagelineitem_daily_summary
        WHERE namespace = 'app'";
    assert_eq!(database.query_value(summed).as_deref(), Some("Pod Storage"));

    // The same ones in another order, or as they lie in their folder, are the same upload.
    let [pods, volumes] = files;
    for payloads in [vec![volumes, pods], vec![reports.clone()]] {
        let runs = load(&payloads).arguments(named).succeeds().json();
        assert_eq!(runs[0]["state"], "unchanged", "{runs:#}");
    }
    let ended = load(std::slice::from_ref(&reports)).ends_with(2);
    ended.stderr_is(
        "error: `[FOLDER]/reports` is a folder of reports without a manifest, so its cluster is unknown\n\n\
        hint: name the cluster with `--cluster-id ID`",
    );
    // And they are archived as a payload that can be replayed.
    gristmill(["replay", "pipelines/ocp.toml"])
        .with_stages()
        .arguments(["--source", CLUSTER, "--from", DAY])
        .database(&database)
        .succeeds();
    assert_eq!(database.query_value(summed).as_deref(), Some("Pod Storage"));
}

#[test]
fn a_tenant_has_a_schema_of_its_own() {
    let database = TestDatabase::empty();
    let folder = tempfile::tempdir().expect("a folder");
    let payload = Payload::usual(1).write(folder.path(), "good.tar.gz");
    for tenant in ["one", "two"] {
        run(
            &database,
            "pipelines/ocp.toml",
            std::slice::from_ref(&payload),
        )
        .arguments(["--create-schema", "--schema", tenant])
        .succeeds();
    }
    let rows = "
        SELECT
            (SELECT count(*) FROM one.reporting_ocpusagelineitem_daily_summary),
            (SELECT count(*) FROM two.reporting_ocpusagelineitem_daily_summary)";
    assert_eq!(
        database.query_rows(rows),
        [["2", "2"].map(|count| Some(count.to_string()))]
    );
}
