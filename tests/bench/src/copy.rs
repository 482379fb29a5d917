//! From the tarball to staging, and `psql \copy` of the rows that came of it into
//! identical empty tables.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use gristmill::database::{Database, SchemaAccess, Target};
use gristmill::diagnostics::failure::Failure;
use gristmill::fold::FOLDS;
use gristmill::ingest::hours::ReusedHours;
use gristmill::ingest::{
    FoundReject, Ingest, Progress, RejectSink, Rejects, connections, describe,
};
use gristmill::ledger::source;
use gristmill::load::{LoadableMonths, Loader};
use gristmill::payload::Payload;
use gristmill::pipeline::definition::BoundSet;
use gristmill::pipeline::plan::{Plan, ReportAction};
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::processor::children_seconds;
use crate::server::Server;
use crate::timing::time;
use crate::{ENABLED_KEYS, Options};

/// A row that is rejected ends the measurement.
struct Nowhere;

impl RejectSink for Nowhere {
    fn keep(&self, _: &[FoundReject]) -> Result<(), Failure> {
        Ok(())
    }
}
/// The generation that is loaded into, the first of its schema.
const GENERATION: &str = "
    WITH manifests AS (
        INSERT INTO reporting_common_costusagereportmanifest (
            assembly_id, provider_id, billing_period_start_datetime, num_total_files
        )
        SELECT 'bench', source_uuid, '2026-10-01Z', 1 FROM gristmill_source
        RETURNING id, provider_id
    ),
    runs AS (
        INSERT INTO gristmill_run (pipeline, payload) VALUES ('bench', 'bench') RETURNING id
    )
    INSERT INTO gristmill_generation (manifest_id, run_id, source_uuid)
    SELECT manifest.id, run.id, manifest.provider_id
    FROM manifests AS manifest
    CROSS JOIN runs AS run";

/// What a copy cost.
pub(crate) struct Copied {
    pub(crate) seconds: f64,
    /// Of psql and of the server.
    pub(crate) processor_seconds: f64,
}

pub(crate) struct Copies<'a> {
    options: &'a Options,
    server: &'a Server,
    plan: &'a Plan,
    payloads: Vec<PathBuf>,
    /// The runtime on which the database asks its server.
    _runtime: Runtime,
    database: Database,
    source_uuid: Uuid,
    /// The schema that is loaded from the tarball, and the one for copies.
    schemas: [String; 2],
    tables: Vec<String>,
}

impl<'a> Copies<'a> {
    /// Makes the tables.
    pub(crate) fn open(options: &'a Options, server: &'a Server, plan: &'a Plan) -> Result<Self> {
        let runtime = Runtime::new()?;
        let schemas = [server.new_schema(), server.new_schema()];
        let open = |schema: &str| -> Result<Database> {
            let target = Target {
                url: Some(server.url().into()),
                schema: schema.parse().map_err(|error| anyhow::anyhow!("{error}"))?,
                data_directory: server.folder().to_path_buf(),
                lock_wait: gristmill::pipeline::plan::LOCK_WAIT,
                access: SchemaAccess::Fill { creates: true },
            };
            let connections = connections(options.workers) + 1;
            Ok(runtime.block_on(Database::open(&target, connections))?)
        };
        let database = open(&schemas[0])?;
        drop(open(&schemas[1])?);
        let source_uuid = Uuid::new_v4();
        source::register(&database, source_uuid, "bench", "bench")
            .map_err(|failure| anyhow::anyhow!("{failure}"))?;
        server.psql(&schemas[0], &[GENERATION])?;
        server.psql(&schemas[1], &["SELECT ensure_month('2026-10-01')"])?;
        let tables = plan
            .reports
            .iter()
            .filter_map(|report| match &report.action {
                ReportAction::Load(load) => Some(load.table.clone()),
                ReportAction::Ignore => None,
            });
        Ok(Self {
            options,
            server,
            plan,
            payloads: Vec::new(),
            database,
            source_uuid,
            schemas,
            tables: tables.collect(),
            _runtime: runtime,
        })
    }

    /// Loads payloads once, and writes what came of them to files of these formats.
    pub(crate) fn fill(&mut self, payloads: &[PathBuf], formats: &[&str]) -> Result<()> {
        self.payloads = payloads.to_vec();
        self.ingest()?;
        for table in &self.tables {
            for format in formats {
                let path = self.file(table, format);
                let copy = format!(
                    "\\copy (SELECT * FROM {table}) TO '{}' (FORMAT {format})",
                    path.display()
                );
                self.server.psql(&self.schemas[0], &[&copy])?;
            }
        }
        Ok(())
    }

    /// Loads the payloads into empty tables.
    pub(crate) fn ingest(&self) -> Result<f64> {
        self.ingest_by(false)
    }

    /// Loads the payloads, and folds them meanwhile.
    pub(crate) fn ingest_folded(&self) -> Result<f64> {
        let parts = FOLDS.iter().flat_map(|fold| fold.parts);
        let parts: Vec<&str> = parts.map(|part| part.table).collect();
        let truncate = format!("TRUNCATE {}", parts.join(", "));
        self.server.psql(&self.schemas[0], &[&truncate])?;
        self.ingest_by(true)
    }

    fn ingest_by(&self, folds: bool) -> Result<f64> {
        self.empty(&self.schemas[0])?;
        let loadable = LoadableMonths::now(&self.database, self.plan.months)
            .map_err(|failure| anyhow::anyhow!("{failure}"))?;
        time(|| {
            let loader = Loader::new(self.database.clone(), 1, self.source_uuid, loadable);
            let loader = if folds { loader.embedded() } else { loader };
            for payload in &self.payloads {
                self.load(payload, &loader)?;
            }
            Ok(())
        })
    }

    fn load(&self, payload: &Path, loader: &Loader) -> Result<()> {
        let words = |_: BoundSet| ENABLED_KEYS.map(str::to_string).to_vec();
        let payload =
            Payload::open(payload, None).map_err(|failure| anyhow::anyhow!("{failure}"))?;
        let files = Ingest {
            plan: self.plan,
            words: &words,
            reused: &ReusedHours::default(),
            sink: loader,
            rejects: &Rejects::new(&self.plan.budget, &Nowhere),
            progress: &Progress::default(),
            workers: self.options.workers,
        }
        .run(&payload, &|_| true)
        .map_err(|failure| anyhow::anyhow!("{failure}"))?;
        loader
            .fold(&|_| ())
            .map_err(|failure| anyhow::anyhow!("{failure}"))?;
        match files
            .iter()
            .find_map(|file| file.rejected.first(None).pop())
        {
            None => Ok(()),
            Some(reject) => bail!("a row was rejected: {}", describe(reject)),
        }
    }

    /// Copies the finished rows as text.
    pub(crate) fn text(&self) -> Result<f64> {
        Ok(self.copy("text")?.seconds)
    }

    /// The same, with the processor time of psql and of the server.
    pub(crate) fn text_with_processor_time(&self) -> Result<Copied> {
        self.copy("text")
    }

    /// Copies the finished rows in binary.
    pub(crate) fn binary(&self) -> Result<f64> {
        Ok(self.copy("binary")?.seconds)
    }

    fn copy(&self, format: &str) -> Result<Copied> {
        let schema = &self.schemas[1];
        self.empty(schema)?;
        let commands: Vec<String> = self
            .tables
            .iter()
            .map(|table| {
                let path = self.file(table, format);
                format!("\\copy {table} FROM '{}' (FORMAT {format})", path.display())
            })
            .collect();
        let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
        let processor_seconds = || children_seconds() + self.server.processor_seconds();
        let before = processor_seconds();
        let seconds = time(|| self.server.psql(schema, &commands).map(drop))?;
        self.server.notice_ended();
        let copied = Copied {
            seconds,
            processor_seconds: processor_seconds() - before,
        };
        ensure!(
            self.rows(&self.schemas[0])? == self.rows(schema)?,
            "the copy has other rows than were loaded"
        );
        Ok(copied)
    }

    /// How many rows a copy has.
    pub(crate) fn rows_of_all(&self) -> Result<u64> {
        let rows = self.rows(&self.schemas[0])?;
        let counts = rows.split('|').map(|count| Ok(count.parse::<u64>()?));
        counts.sum()
    }

    fn rows(&self, schema: &str) -> Result<String> {
        let mut counts = String::new();
        for table in &self.tables {
            let separator = if counts.is_empty() { "" } else { ", " };
            let _ = write!(counts, "{separator}(SELECT count(*) FROM {table})");
        }
        self.server.psql(schema, &[&format!("SELECT {counts}")])
    }

    fn empty(&self, schema: &str) -> Result<()> {
        let truncate = format!("TRUNCATE {}", self.tables.join(", "));
        self.server.psql(schema, &[&truncate])?;
        self.server.settle()
    }

    fn file(&self, table: &str, format: &str) -> PathBuf {
        self.server.folder().join(format!("{table}.{format}"))
    }
}
