//! One report over several workers: whatever their number, the same comes of it.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use gristmill::database::{Database, SchemaAccess, Target};
use gristmill::diagnostics::failure::Failure;
use gristmill::ingest::hours::ReusedHours;
use gristmill::ingest::{
    FoundReject, Ingest, IngestedFile, Progress, RejectSink, Rejects, connections,
};
use gristmill::ledger::source;
use gristmill::load::{LoadableMonths, Loader};
use gristmill::payload::Payload as Opened;
use gristmill::pipeline::definition::{self, BoundSet};
use gristmill::pipeline::plan::{self, Plan, Surroundings};
use gristmill::stage::Engine;
use gristmill_generator::{Cluster, Upload};
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::support::command::{file, stages};
use crate::support::payload::{Payload, Report, write};
use crate::support::server::{TestDatabase, scratch};

/// Makes the generation that an ingest loads into.
const GENERATION: &str = "
    WITH manifests AS (
        INSERT INTO reporting_common_costusagereportmanifest (
            assembly_id, provider_id, billing_period_start_datetime, num_total_files
        )
        SELECT 'parallel', source_uuid, '2026-10-01Z', 1 FROM gristmill_source
        RETURNING id, provider_id
    ),
    runs AS (
        INSERT INTO gristmill_run (pipeline, payload) VALUES ('parallel', 'parallel') RETURNING id
    )
    INSERT INTO gristmill_generation (manifest_id, run_id, source_uuid)
    SELECT manifest.id, run.id, manifest.provider_id
    FROM manifests AS manifest
    CROSS JOIN runs AS run";

/// The smallest chunk that there is, so that a few hundred kilobytes are many batches.
const CHUNK: &str = "limits.chunk = \"64 KiB\"\n";

fn plan(folder: &Path, additions: &str) -> Plan {
    let base = file("pipelines/ocp.toml");
    let text = format!("extends = {base:?}\n{CHUNK}{additions}");
    let path = write(folder, "pipeline.toml", text.as_bytes());
    let loaded = definition::load(&path).unwrap_or_else(|_| panic!("a pipeline"));
    let engine = Engine::new(Some(&scratch().join("cache"))).expect("an engine");
    let surroundings = Surroundings {
        engine: &engine,
        stage_folders: &[stages().to_path_buf()],
        postgres_pipeline: None,
        asked_engine: None,
        lock: None,
    };
    plan::resolve(&loaded, &surroundings).unwrap_or_else(|_| panic!("a plan"))
}

/// All that can be seen of an ingest, but for its time.
fn ingest(plan: &Plan, payload: &Path, workers: usize) -> Result<Vec<String>, String> {
    let database = TestDatabase::migrated();
    let runtime = Runtime::new().expect("a runtime");
    let target = Target {
        url: Some(database.url().into()),
        schema: "gristmill".parse().expect("a name"),
        data_directory: scratch().join("data"),
        lock_wait: gristmill::pipeline::plan::LOCK_WAIT,
        access: SchemaAccess::Change,
    };
    let opened = runtime
        .block_on(Database::open(&target, connections(workers) + 1))
        .expect("a database");
    let uuid = Uuid::from_u128(7);
    source::register(&opened, uuid, "parallel", "parallel").expect("a source");
    database.execute(GENERATION);
    let loadable = LoadableMonths::now(&opened, plan.months).expect("months");
    let words = |_: BoundSet| vec!["app".to_string(), "tier".to_string()];
    let progress = Progress::default();
    let kept = Kept::default();
    let rejects = Rejects::new(&plan.budget, &kept);
    let files = Ingest {
        plan,
        words: &words,
        reused: &ReusedHours::default(),
        sink: &Loader::new(opened, 1, uuid, loadable),
        rejects: &rejects,
        progress: &progress,
        workers,
    }
    .run(&Opened::open(payload, None).expect("a payload"), &|_| true)
    .map_err(|failure| failure.to_string())?;
    // Whichever report taught a word first, the payload did.
    let mut words: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let of_sets = file.learned.words.iter();
            let words = of_sets
                .flat_map(|(set, words)| words.iter().map(move |word| format!("{set:?} {word}")));
            words.chain(file.learned.ignored_columns.iter().cloned())
        })
        .collect();
    words.sort();
    let mut seen: Vec<String> = files.iter().map(shown).collect();
    seen.sort();
    let rows_rejected = rejects.rows();
    let mut kept = kept.0.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(kept.len() as u64, rows_rejected);
    kept.sort_by_key(|found| (found.file.clone(), found.reject.row.line, found.batch));
    seen.extend(kept.iter().map(|found| format!("{found:?}\n")));
    let mut first: Vec<String> = files
        .iter()
        .map(|file| format!("{} {:?}", file.name, file.rejected))
        .collect();
    first.sort();
    seen.extend(first);
    seen.extend(words);
    let log = progress.log.lock().unwrap_or_else(PoisonError::into_inner);
    seen.push(format!("{log:?}"));
    for row in database.digests_of_staged() {
        seen.push(format!("{row:?}"));
    }
    Ok(seen)
}

/// The rejected rows, which come in any order.
#[derive(Default)]
struct Kept(Mutex<Vec<FoundReject>>);

impl RejectSink for Kept {
    fn keep(&self, rejects: &[FoundReject]) -> Result<(), Failure> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(rejects);
        Ok(())
    }
}

fn shown(file: &IngestedFile) -> String {
    format!(
        "{} {:?} {} bytes, {} read, {} filtered, {} loaded, {} rejected, {:?}, {:?}",
        file.name,
        file.kind,
        file.bytes,
        file.rows_read,
        file.rows_filtered,
        file.rows_loaded,
        file.rejected.rows(),
        file.hours,
        file.read,
    )
}

/// The same with one worker and with four; returns what.
#[track_caller]
fn check(plan: &Plan, payload: &Path) -> Result<Vec<String>, String> {
    let alone = ingest(plan, payload, 1);
    for _ in 0..2 {
        let together = ingest(plan, payload, 4);
        assert!(
            together == alone,
            "four workers gave\n{together:#?}\nand one gave\n{alone:#?}"
        );
    }
    alone
}

/// Rows of some 300 bytes, hour by hour.
fn rows(count: u32, mut cells: impl FnMut(u32) -> Vec<(&'static str, String)>) -> Report {
    (0..count).fold(Report::pods(), |report, row| {
        let pod = format!("pod-{row}");
        let mut cells = cells(row);
        if cells.iter().all(|(name, _)| *name != "pod") {
            cells.push(("pod", pod));
        }
        let cells: Vec<(&str, &str)> = cells
            .iter()
            .map(|(name, cell)| (*name, cell.as_str()))
            .collect();
        report.row(row * 24 / count, &cells)
    })
}

fn payload(folder: &Path, text: &str) -> std::path::PathBuf {
    Payload::numbered(1)
        .file("pods.csv", text)
        .write(folder, "payload.tar.gz")
}

#[test]
fn a_generated_day_of_all_reports() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = plan(folder.path(), "");
    let path = folder.path().join("day.tar.gz");
    let written = Upload::of_day(Cluster::of_nodes(10, 10))
        .write_tarball(&path)
        .expect("a payload");
    assert_eq!(written.rows[0], 2_400);
    let seen = check(&plan, &path).expect("it loads");
    assert!(
        seen.iter()
            .any(|file| file.contains(" 2400 read, 0 filtered, 2400 loaded, ")),
        "{seen:#?}"
    );
}

#[test]
fn line_ends_in_quotes_and_carriage_returns_do_not_matter() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = plan(folder.path(), "");
    let report = rows(1_500, |row| match row % 3 {
        0 => vec![("pod", format!("\"pod\n{row},\"\"a\"\"\r\n\""))],
        1 => vec![(
            "pod_labels",
            format!("label_app:a{}|label_tier:{}", row % 7, row % 5),
        )],
        _ => vec![],
    });
    let lines: Vec<&str> = report.text().split_inclusive('\n').collect();
    // Every other line ends as on Windows, also inside of quotes.
    let text: String = lines
        .iter()
        .enumerate()
        .map(|(number, line)| match number % 2 {
            0 => line.trim_end_matches(['\r', '\n']).to_string() + "\r\n",
            _ => (*line).to_string(),
        })
        .collect();
    let seen = check(&plan, &payload(folder.path(), &text)).expect("it loads");
    assert!(
        seen[0].contains(" 1500 read, 0 filtered, 1500 loaded, "),
        "{}",
        seen[0]
    );
}

#[test]
fn rejected_rows_keep_their_lines_and_their_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = plan(folder.path(), "");
    // By the parser, and by the load, which cannot hold what is too large.
    let report = rows(1_500, |row| match row % 100 {
        17 => vec![("pod_usage_cpu_core_seconds", "much".to_string())],
        18 => vec![("pod", "\"two\nlines\"".to_string())],
        57 => vec![("pod_usage_cpu_core_seconds", "1e30".to_string())],
        _ => vec![],
    });
    let seen = check(&plan, &payload(folder.path(), report.text())).expect("it loads");
    let text = seen.concat();
    let at = |what: &str, line: u32| {
        let found = text.find(&format!("line: Some({line}), column: Some(\"pod_usage"));
        found.unwrap_or_else(|| panic!("no {what} at line {line}:\n{text}"))
    };
    // The header is line 1, and every hundred rows one of them has two lines.
    let places: Vec<usize> = (0..15)
        .flat_map(|hundred| {
            let before = hundred * 101;
            [at("parser's", before + 19), at("load's", before + 60)]
        })
        .collect();
    assert!(places.is_sorted(), "{places:?}");
    assert!(
        seen[0].contains(" 1500 read, 0 filtered, 1470 loaded, "),
        "{}",
        seen[0]
    );
}

#[test]
fn a_stray_quote_swallows_what_it_swallows() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = plan(folder.path(), "");
    // A quote in the middle of a cell means nothing; one at its beginning opens a
    // field that ends where the next one like it closes it, many lines on.
    let report = rows(1_500, |row| match row {
        200 | 900 => vec![("pod", format!("pod\"-{row}"))],
        400 | 700 => vec![("pod", format!("\"pod-{row}"))],
        1_200 => vec![("pod_labels", "\"label_app:a".to_string())],
        _ => vec![],
    });
    let seen = check(&plan, &payload(folder.path(), report.text())).expect("it loads");
    let text = seen.concat();
    assert!(text.contains("code: \"malformed-quotes\""), "{text}");
    assert!(text.contains("code: \"unterminated-quote\""), "{text}");
}

#[test]
fn the_first_failure_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = plan(
        folder.path(),
        "stages.csv-parse.config.record-bytes-max = 1000\n",
    );
    let long = "x".repeat(2_000);
    let report = rows(1_500, |row| match row {
        1_000 | 1_400 => vec![("pod", long.clone())],
        _ => vec![],
    });
    let failure = check(&plan, &payload(folder.path(), report.text())).expect_err("a failure");
    assert!(failure.contains("line 1002"), "{failure}");
}
