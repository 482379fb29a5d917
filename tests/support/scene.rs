//! A place for something to go wrong in.

use std::path::PathBuf;

use chrono::{Datelike, Months, NaiveDate, Utc};
use tempfile::TempDir;

use super::command::{Ended, file, run, same};
use super::cost::Cost;
use super::payload::{Payload, Report, write};
use super::server::TestDatabase;

/// A database with a good payload in it, and a folder for bad ones.
pub(crate) struct Scene {
    pub(crate) database: TestDatabase,
    folder: TempDir,
    pipeline: PathBuf,
}

impl Scene {
    pub(crate) fn new() -> Scene {
        Scene::with_pipeline("")
    }

    /// With additions to the pipeline.
    #[track_caller]
    pub(crate) fn with_pipeline(additions: &str) -> Scene {
        let folder = tempfile::tempdir().expect("a folder");
        let base = file("pipelines/ocp.toml");
        let text = format!("extends = {base:?}\n{additions}");
        let scene = Scene {
            database: TestDatabase::migrated(),
            pipeline: write(folder.path(), "pipeline.toml", text.as_bytes()),
            folder,
        };
        run(
            &scene.database,
            "pipelines/ocp.toml",
            &[Payload::usual(1).write(scene.folder.path(), "good.tar.gz")],
        )
        .succeeds();
        scene
    }

    /// One whose share of rejected rows holds for payloads of a few rows, too.
    #[track_caller]
    pub(crate) fn without_floor(additions: &str) -> Scene {
        Scene::with_pipeline(&format!("limits.rejected-rows-floor = 0\n{additions}"))
    }

    #[track_caller]
    pub(crate) fn load(&self, payload: &[u8]) -> Ended {
        self.load_at_a_cost(payload).0
    }

    #[track_caller]
    pub(crate) fn load_at_a_cost(&self, payload: &[u8]) -> (Ended, Cost) {
        let path = write(self.folder.path(), "bad.tar.gz", payload);
        run(&self.database, &self.pipeline, &[path])
            .calling(self.folder.path(), "[FOLDER]")
            .ends_at_a_cost()
    }

    /// The payload fails with these words and leaves no trace but its record.
    #[track_caller]
    pub(crate) fn fails(&self, payload: &[u8], words: &str) {
        let before = self.database.digests_of_published();
        let ended = self.load(payload);
        assert_eq!(ended.code, Some(1), "exit code\n{ended}");
        same("stderr", &ended.stderr, words);
        let after = self.database.digests_of_published();
        assert_eq!(after, before, "something was left behind");
    }

    /// It is refused before a row of it is read.
    #[track_caller]
    pub(crate) fn refuses(&self, payload: &[u8], reason: &str) {
        self.fails(
            payload,
            &format!(
                "error: payload `[FOLDER]/bad.tar.gz` is refused\n  {reason}\n\n\
                hint: nothing of it was published; \
                ask the operator of the cluster for a new upload"
            ),
        );
    }

    /// A better payload of the day is published after all that.
    #[track_caller]
    pub(crate) fn still_loads(&self) {
        let better = Payload::numbered(50).file("pods.csv", Report::pods().hours(0..10).text());
        let ended = self.load(&better.tarball());
        assert_eq!(ended.code, Some(0), "{ended}");
        self.has_usage("5");
    }

    /// So it is by the shipped pipeline, after what a stage of this one did.
    #[track_caller]
    pub(crate) fn loads_without_the_stage(&self) {
        let better = Payload::numbered(50).file("pods.csv", Report::pods().hours(0..10).text());
        let path = better.write(self.folder.path(), "better.tar.gz");
        run(&self.database, "pipelines/ocp.toml", &[path]).succeeds();
        self.has_usage("5");
    }

    /// The summary's core-hours.
    #[track_caller]
    pub(crate) fn has_usage(&self, expected: &str) {
        let usage = self.database.query_value(
            "SELECT trim_scale(sum(pod_usage_cpu_core_hours))
            FROM reporting_ocpusagelineitem_daily_summary
            WHERE namespace = 'app'",
        );
        assert_eq!(usage.as_deref(), Some(expected));
    }
}

/// The months that the shipped pipeline loads now, as messages have them.
pub(crate) fn loadable_months() -> String {
    let today = Utc::now().date_naive();
    let month = |day: NaiveDate| day.format("%Y-%m").to_string();
    let first = today.with_day(1).expect("a first day");
    let (back, ahead) = (first - Months::new(120), first + Months::new(2));
    format!("{} to {}", month(back), month(ahead))
}

/// A payload that wins the day.
pub(crate) fn later(report: &Report) -> Vec<u8> {
    Payload::numbered(2)
        .file("pods.csv", report.text())
        .manifest("date", "2026-01-12T00:00:00Z")
        .tarball()
}

/// The details of each row in quarantine, and whether its raw text is there.
const QUARANTINE: &str = "
    SELECT
        file,
        line,
        stage,
        length(component_digest),
        column_name,
        code,
        message,
        convert_from(raw, 'UTF8') LIKE '2026-01-01 %,app,bad,%',
        generation IS NOT NULL,
        run.state
    FROM gristmill_quarantine
    JOIN gristmill_run AS run
        ON run.id = gristmill_quarantine.run_id
    ORDER BY gristmill_quarantine.id";

/// Compares the rows in quarantine, written with bars in between.
#[track_caller]
pub(crate) fn check_quarantine(database: &TestDatabase, expected: &[&str]) {
    let rows: Vec<String> = database
        .query_rows(QUARANTINE)
        .into_iter()
        .map(|row| {
            let cells = row.into_iter().map(|cell| cell.unwrap_or("null".into()));
            cells.collect::<Vec<_>>().join("|")
        })
        .collect();
    assert_eq!(rows, expected);
}
