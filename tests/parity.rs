//! `docs/parity.md`: each correction with a case that shows both numbers.
//!
//! The words are written by hand. What stands between `<!-- rows … -->`,
//! `<!-- case … -->` or `<!-- overview -->` and `<!-- end -->` is made here: from
//! the differences that `tables` keeps, or, where no data set shows the
//! correction, from small payloads. `UPDATE=1` writes the document anew; let it
//! write the differences first.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use crate::support::command::{file, run};
use crate::support::difference::{Row, check_file, read, written};
use crate::support::payload::{DAY, Payload, Report, write};
use crate::support::server::TestDatabase;
use crate::tables;

/// The corrections of the design, section 5.
const CORRECTIONS: &str = "ABCDEFGHIJKLM";

const NEXT_DAY: &str = "2026-01-11";

const SUMMARY: &str = "reporting_ocpusagelineitem_daily_summary";

#[test]
fn the_document_tells_of_every_difference() {
    let path = file("docs/parity.md");
    let text = fs::read_to_string(&path).expect("the document");
    check_file(&path, &made(&text));

    let headings: String = text
        .lines()
        .filter_map(|line| line.strip_prefix("## ")?.split_once(". "))
        .filter(|(letter, _)| letter.len() == 1)
        .map(|(letter, _)| letter)
        .collect();
    assert_eq!(headings, CORRECTIONS, "a section for each correction");
    for section in text.split("\n## ").skip(1) {
        let (heading, body) = section.split_once('\n').expect("more than a heading");
        assert!(body.contains("<!-- "), "`{heading}` shows no case");
    }
}

/// The document with its tables as they are now.
fn made(text: &str) -> String {
    let mut made = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        made += line;
        made.push('\n');
        let Some(words) = line.strip_prefix("<!-- ") else {
            continue;
        };
        let words = words.strip_suffix(" -->").expect("a comment on one line");
        let words: Vec<&str> = words.split(' ').collect();
        let table = match &words[..] {
            ["overview"] => overview(),
            ["rows", set, table, rest @ ..] => rows(set, table, rest),
            ["case", name] => case(name),
            _ => panic!("`{line}` is not known"),
        };
        made += &format!("\n{table}\n<!-- end -->\n");
        let end = lines.find(|line| *line == "<!-- end -->");
        assert!(end.is_some(), "`{line}` has no end");
    }
    made
}

/// Where the data sets differ, and why.
fn overview() -> String {
    let columns = [
        "data set",
        "table",
        "corrections",
        "rows only theirs",
        "rows only ours",
    ];
    let mut lines = Vec::new();
    for set in tables::NAMES {
        let folder = tables::folder(set).join("differences");
        let mut paths: Vec<PathBuf> = match fs::read_dir(folder) {
            Ok(entries) => entries.map(|entry| entry.expect("a file").path()).collect(),
            Err(_) => Vec::new(),
        };
        paths.sort();
        for path in paths {
            let (_, rows) = read(&path);
            let corrections = rows.iter().filter_map(|row| row[1].as_deref());
            let corrections: BTreeSet<char> = corrections.flat_map(str::chars).collect();
            let count = |side: &str| {
                let rows = rows.iter().filter(|row| row[0].as_deref() == Some(side));
                Some(rows.count().to_string())
            };
            let table = path.file_stem().expect("a name").to_string_lossy();
            lines.push(vec![
                Some((*set).to_string()),
                Some(table.into_owned()),
                Some(corrections.into_iter().collect()),
                count("-"),
                count("+"),
            ]);
        }
    }
    markdown(&columns, &lines)
}

/// Rows of a kept difference: those with `COLUMN=VALUE`, of which the columns
/// behind `show` are shown.
fn rows(set: &str, table: &str, words: &[&str]) -> String {
    let path = tables::folder(set).join(format!("differences/{table}.csv"));
    let (columns, rows) = read(&path);
    let position = |name: &str| {
        let position = columns.iter().position(|column| column == name);
        position.unwrap_or_else(|| panic!("`{}` has no column `{name}`", path.display()))
    };
    let mut words = words.iter();
    let wanted: Vec<(usize, &str)> = words
        .by_ref()
        .take_while(|word| **word != "show")
        .map(|word| word.split_once('=').expect("COLUMN=VALUE"))
        .map(|(column, value)| (position(column), value))
        .collect();
    let shown: Vec<&str> = words.copied().collect();
    let mut lines: Vec<Row> = rows
        .into_iter()
        .filter(|row| {
            let value = |column: usize| row[column].as_deref().unwrap_or(r"\N");
            wanted
                .iter()
                .all(|(column, wanted)| value(*column) == *wanted)
        })
        .map(|row| {
            let cells = shown.iter().map(|column| row[position(column)].clone());
            side(row[0].as_deref() == Some("+")).chain(cells).collect()
        })
        .collect();
    assert!(!lines.is_empty(), "{set} {table}: no such rows");
    lines.sort();
    markdown(&[&["of"], &shown[..]].concat(), &lines)
}

/// The first cell of a row.
fn side(is_ours: bool) -> impl Iterator<Item = Option<String>> {
    let name = if is_ours {
        "gristmill"
    } else {
        "existing product"
    };
    std::iter::once(Some(name.to_string()))
}

fn markdown(columns: &[&str], rows: &[Row]) -> String {
    let mut text = format!(
        "| {} |\n|{}\n",
        columns.join(" | "),
        "---|".repeat(columns.len())
    );
    for row in rows {
        let cells = row
            .iter()
            .enumerate()
            .map(|(column, cell)| match cell.as_deref() {
                None => "null".to_string(),
                Some("") => "blank".to_string(),
                Some(cell) if column == 0 || cell.parse::<f64>().is_ok() && cell != "nan" => {
                    cell.into()
                }
                Some(cell) => format!("`{cell}`"),
            });
        let _ = writeln!(text, "| {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    text
}

/// A case that no data set has: theirs as the specification tells it, ours as it
/// is.
fn case(name: &str) -> String {
    let (columns, theirs, ours): (&[&str], &[&[&str]], Vec<Row>) = match name {
        "clusters" => (
            &["cluster", "node", "role", "namespace of what is left"],
            &[
                &["one", "n1", "master", "Worker unallocated"],
                &["two", "n1", "worker", "Worker unallocated"],
            ],
            two_clusters().query_rows(&format!(
                "SELECT summary.cluster_id, summary.node, node.node_role, summary.namespace
                FROM {SUMMARY} AS summary
                JOIN reporting_ocp_clusters AS cluster
                    ON cluster.cluster_id = summary.cluster_id
                JOIN reporting_ocp_nodes AS node
                    ON node.cluster_id = cluster.uuid
                WHERE summary.namespace LIKE '% unallocated'
                ORDER BY 1"
            )),
        ),
        "tags" => (
            &["key", "value", "cluster_ids"],
            &[&["app", "shop", "{one}"]],
            two_clusters()
                .query_rows("SELECT key, value, cluster_ids FROM reporting_ocptags_values"),
        ),
        "additive" => (&["pod_usage_cpu_core_hours"], &[&["4"]], shared_hour()),
        "rejects" => (
            &[
                "namespace",
                "pod_request_cpu_core_hours",
                "rows in quarantine",
            ],
            &[&["unknown", "1", "0"], &["endless", r"\N", "0"]],
            rejects(),
        ),
        "gpu" => (
            &["namespace", "model_name", "gpu_count"],
            &[],
            newer_gpu_report().query_rows(
                "SELECT namespace, model_name, gpu_count FROM reporting_ocp_gpu_summary_p",
            ),
        ),
        "grouping" => (
            &["runs", "usage_start", "usage_end", "usage, GiB-months"],
            &[
                &["one", DAY, NEXT_DAY, "0.1344"],
                &["two", DAY, DAY, "0.0672"],
                &["two", NEXT_DAY, NEXT_DAY, "0.1344"],
            ],
            machines_by_runs(),
        ),
        "capacity" => (
            &["uploads", "rows of n1"],
            &[&["1", "1"], &["2", "2"]],
            fractional_capacity(),
        ),
        _ => panic!("there is no case `{name}`"),
    };
    let theirs = theirs.iter().map(|row| {
        let cells = row
            .iter()
            .map(|cell| (*cell != r"\N").then(|| (*cell).to_string()));
        side(false).chain(cells).collect()
    });
    let mut lines: Vec<Row> = theirs.collect();
    if lines.is_empty() {
        let none = vec![Some("none".to_string()); columns.len()];
        lines.push(side(false).chain(none).collect());
    }
    lines.extend(ours.into_iter().map(|row| side(true).chain(row).collect()));
    markdown(&[&["of"], columns].concat(), &lines)
}

/// A database, and what is loaded into it, each payload by a run of its own.
fn loaded(payloads: &[Payload]) -> TestDatabase {
    let database = TestDatabase::migrated();
    database.execute(
        "INSERT INTO reporting_enabledtagkeys (key, enabled, provider_type)
        VALUES ('app', true, 'OCP')",
    );
    let folder = tempfile::tempdir().expect("a folder");
    let base = file("pipelines/ocp-max.toml");
    let text = format!("extends = {base:?}\n[limits]\nrejected-rows = \"100 %\"\n");
    let pipeline = write(folder.path(), "patient.toml", text.as_bytes());
    for (number, payload) in payloads.iter().enumerate() {
        let payload = payload.write(folder.path(), &format!("{number}.tar.gz"));
        run(&database, &pipeline, &[payload])
            .env("GRISTMILL_DATA", folder.path())
            .succeeds();
    }
    database
}

/// A report with all columns that the pipeline knows for its kind. What a row does
/// not say is blank.
fn report(kind: &str, rows: &[Vec<(&str, String)>]) -> String {
    let text = fs::read_to_string(file("pipelines/ocp.toml")).expect("the pipeline");
    let pipeline: toml::Table = text.parse().expect("TOML");
    let columns = pipeline["reports"][kind]["columns"]
        .as_table()
        .expect("columns");
    let columns: Vec<String> = columns.keys().cloned().collect();
    let rows = rows.iter().map(|row| {
        let cells = columns.iter().map(|column| {
            let cell = row.iter().find(|(name, _)| name == column);
            Some(cell.map_or(String::new(), |(_, cell)| cell.clone()))
        });
        cells.collect()
    });
    written(&columns, rows)
}

/// The first hour of a day, and these cells.
fn hour<'a>(day: &str, cells: &[(&'a str, &str)]) -> Vec<(&'a str, String)> {
    let times = [
        (
            "report_period_start",
            "2026-01-01 00:00:00 +0000 UTC".to_string(),
        ),
        (
            "report_period_end",
            "2026-02-01 00:00:00 +0000 UTC".to_string(),
        ),
        ("interval_start", format!("{day} 00:00:00 +0000 UTC")),
        ("interval_end", format!("{day} 00:59:59 +0000 UTC")),
    ];
    let cells = cells
        .iter()
        .map(|(name, cell)| (*name, (*cell).to_string()));
    times.into_iter().chain(cells).collect()
}

/// The usual row, of a day's first hour, with these cells other than usual.
fn row_of(report: Report, day: &str, cells: &[(&str, &str)]) -> Report {
    let (start, end) = (
        format!("{day} 00:00:00 +0000 UTC"),
        format!("{day} 00:59:59 +0000 UTC"),
    );
    let times = [
        ("interval_start", start.as_str()),
        ("interval_end", end.as_str()),
    ];
    report.row(0, &[&times[..], cells].concat())
}

/// Two clusters whose node has the same name and the same machine id; the one with
/// a master is loaded last.
fn two_clusters() -> TestDatabase {
    let payload = |number: u32, cluster: &str, role: &str| {
        let cells = [("node_role", role), ("pod_labels", "label_app:shop")];
        Payload::numbered(number)
            .manifest("cluster_id", cluster)
            .file("pods.csv", row_of(Report::pods(), DAY, &cells).text())
            .file(
                "nodes.csv",
                &report("node-labels", &[hour(DAY, &[("node", "n1")])]),
            )
    };
    loaded(&[payload(1, "two", "worker"), payload(2, "one", "master")])
}

/// Two additive uploads that share an hour.
fn shared_hour() -> Vec<Row> {
    let payload = |number: u32, hours: std::ops::Range<u32>| {
        let rows = hours.fold(Report::pods(), |report, hour| {
            report.row(hour, &[("pod_usage_cpu_core_seconds", "3600")])
        });
        Payload::numbered(number)
            .manifest("version", "2.0.0")
            .manifest("daily_reports", false)
            .file(&format!("{number}.csv"), rows.text())
    };
    loaded(&[payload(1, 0..2), payload(2, 1..3)]).query_rows(&format!(
        "SELECT trim_scale(sum(pod_usage_cpu_core_hours)) FROM {SUMMARY} WHERE namespace = 'app'"
    ))
}

/// A pod whose usage is no number, and one whose usage has no bound.
fn rejects() -> Vec<Row> {
    let usage = |report, namespace, usage| {
        let cells = [
            ("namespace", namespace),
            ("pod_usage_cpu_core_seconds", usage),
        ];
        row_of(report, DAY, &cells)
    };
    let pods = row_of(Report::pods(), DAY, &[]);
    let pods = usage(usage(pods, "unknown", "NaN"), "endless", "inf");
    loaded(&[Payload::numbered(1).file("pods.csv", pods.text())]).query_rows(&format!(
        "SELECT
            reported.namespace,
            (
                SELECT trim_scale(sum(summary.pod_request_cpu_core_hours))
                FROM {SUMMARY} AS summary
                WHERE summary.namespace = reported.namespace
            ),
            (
                SELECT count(*)
                FROM gristmill_quarantine AS held
                WHERE convert_from(held.raw, 'UTF8') LIKE '%,' || reported.namespace || ',%'
            )
        FROM (VALUES ('unknown'), ('endless')) AS reported (namespace)"
    ))
}

/// A GPU report with all columns of the newest operator.
fn newer_gpu_report() -> TestDatabase {
    let cells = [
        ("node", "n1"),
        ("namespace", "app"),
        ("pod", "a"),
        ("gpu_uuid", "GPU-1"),
        ("gpu_model_name", "NVIDIA A100"),
        ("gpu_vendor_name", "nvidia_com_gpu"),
        ("gpu_memory_capacity_mib", "40960"),
        ("gpu_pod_uptime", "3600"),
        ("gpu_pod_utilization", "0.5"),
        ("gpu_max_slices", "7"),
    ];
    let payload = Payload::numbered(1)
        .file("pods.csv", row_of(Report::pods(), DAY, &[]).text())
        .file("gpus.csv", &report("gpu-usage", &[hour(DAY, &cells)]));
    loaded(&[payload])
}

/// A virtual machine whose volume fills over two days, in one run and in two.
fn machines_by_runs() -> Vec<Row> {
    let payload = |number: u32, days: &[(&str, &str)]| {
        let (mut pods, mut volumes, mut machines) = (Report::pods(), Report::volumes(), Vec::new());
        for (day, used) in days {
            pods = row_of(pods, day, &[]);
            let used = [("persistentvolumeclaim_usage_byte_seconds", *used)];
            volumes = row_of(volumes, day, &used);
            let cells = [
                ("node", "n1"),
                ("resource_id", "i-1"),
                ("namespace", "app"),
                ("vm_name", "machine"),
                ("vm_persistentvolumeclaim_name", "d1"),
            ];
            machines.push(hour(day, &cells));
        }
        let time = |day: Option<&(&str, &str)>| format!("{}T00:00:00Z", day.expect("a day").0);
        Payload::numbered(number)
            .manifest("start", time(days.first()))
            .manifest("end", time(days.last()))
            .file("pods.csv", pods.text())
            .file("volumes.csv", volumes.text())
            .file("machines.csv", &report("vm-usage", &machines))
    };
    // Half of 100 GiB, and all of it, for an hour.
    let (first, second) = ((DAY, "193273528320000"), (NEXT_DAY, "386547056640000"));
    let mut rows = Vec::new();
    for (runs, payloads) in [
        ("one", vec![payload(1, &[first, second])]),
        ("two", vec![payload(1, &[first]), payload(2, &[second])]),
    ] {
        rows.extend(loaded(&payloads).query_rows(&format!(
            "SELECT
                '{runs}',
                usage_start,
                usage_end,
                round(persistentvolumeclaim_usage_gigabyte_months, 4)
            FROM reporting_ocp_vm_summary_p
            ORDER BY usage_start"
        )));
    }
    rows
}

/// A node of 3.995 cores, by the number of uploads so far.
fn fractional_capacity() -> Vec<Row> {
    let payload = |number: u32, day: &str| {
        let cells = [("node_capacity_cpu_cores", "3.995")];
        Payload::numbered(number)
            .manifest("start", format!("{day}T00:00:00Z"))
            .manifest("end", format!("{day}T23:59:59Z"))
            .file("pods.csv", row_of(Report::pods(), day, &cells).text())
            .file(
                "nodes.csv",
                &report("node-labels", &[hour(day, &[("node", "n1")])]),
            )
    };
    let payloads = [payload(1, DAY), payload(2, NEXT_DAY)];
    (1..=2)
        .flat_map(|uploads| {
            loaded(&payloads[..uploads]).query_rows(&format!(
                "SELECT {uploads}, count(*) FROM reporting_ocp_nodes"
            ))
        })
        .collect()
}
