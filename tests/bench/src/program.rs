//! The program as a user runs it: how long, and with how much memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use gristmill_generator::{Cluster, Upload, Written};

use crate::server::Server;
use crate::timing::{Pair, Samples};
use crate::{Line, Options};

/// How often its memory is looked at. The peak stays to be seen until it ends.
const POLL: Duration = Duration::from_millis(5);

/// Start-ups are short, so there are more of them.
const REPETITIONS_FACTOR: usize = 3;

pub(crate) struct Program<'a> {
    options: &'a Options,
    url: String,
    folder: PathBuf,
}

/// A payload that was run.
pub(crate) struct Run {
    pub(crate) seconds: f64,
    pub(crate) peak_bytes: u64,
    pub(crate) table_bytes: u64,
    pub(crate) index_bytes: u64,
    pub(crate) archive_bytes: u64,
}

impl<'a> Program<'a> {
    pub(crate) fn new(options: &'a Options, server: &Server) -> Self {
        Self {
            options,
            url: server.url().to_string(),
            folder: server.folder().to_path_buf(),
        }
    }

    /// A payload into a schema of its own, from tarball to every summary.
    pub(crate) fn load(&self, server: &Server, payload: &Path, written: &Written) -> Result<Run> {
        let schema = server.new_schema();
        self.migrate(&schema)?;
        server.enable_tags(&schema)?;
        server.settle()?;
        let (seconds, peak_bytes) = self.run(payload, &schema, &self.cache())?;
        let figures = server.psql(
            &schema,
            &["SELECT
                (SELECT sum(pg_table_size(relid)) FROM pg_partition_tree('reporting_ocpusagelineitem_pod_staging')),
                (SELECT sum(pg_indexes_size(relid)) FROM pg_partition_tree('reporting_ocpusagelineitem_pod_staging')),
                (SELECT sum(bytes) FROM gristmill_archive),
                (SELECT count(*) FROM reporting_ocpusagelineitem_pod_staging),
                (SELECT count(*) FROM reporting_ocpusagelineitem_daily_summary)"],
        )?;
        let figures: Vec<u64> = figures
            .split('|')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .with_context(|| format!("`{figures}` are no figures"))?;
        let [table_bytes, index_bytes, archive_bytes, rows, summary_rows] = figures[..] else {
            bail!("{} figures", figures.len());
        };
        ensure!(rows == written.rows[0], "{rows} pod rows are in staging");
        ensure!(summary_rows > 0, "nothing was summarized");
        server.drop_schema(&schema)?;
        Ok(Run {
            seconds,
            peak_bytes,
            table_bytes,
            index_bytes,
            archive_bytes,
        })
    }

    /// Ten pod rows into a database that knows the cluster, with and without
    /// compiled components.
    pub(crate) fn start_up(&self, server: &Server) -> Result<Vec<Line>> {
        let schema = server.new_schema();
        self.migrate(&schema)?;
        let payload = |number: u32| -> Result<PathBuf> {
            let upload = Upload {
                hours: 0..1,
                number,
                ..Upload::of_day(Cluster::of_nodes(2, 5))
            };
            let path = self.folder.join("ten-rows.tar.gz");
            upload.write_tarball(&path)?;
            Ok(path)
        };
        self.run(&payload(1)?, &schema, &self.cache())?;
        let (mut warm, mut cold) = (Samples::default(), Samples::default());
        for repetition in 0..self.options.repetitions * REPETITIONS_FACTOR {
            let number = 2 + 2 * repetition as u32;
            warm.push(self.run(&payload(number)?, &schema, &self.cache())?.0);
            let cache = self.folder.join(format!("cache-{repetition}"));
            cold.push(self.run(&payload(number + 1)?, &schema, &cache)?.0);
        }
        let line = |what: &str, samples: &Samples, target| Line {
            what: what.to_string(),
            value: format!("{:.0} ms", samples.best() * 1e3),
            noise: format!(
                "{:.2}",
                Pair {
                    left: samples,
                    right: samples
                }
                .noise()
            ),
            target,
            detail: "ten pod rows, to every summary".into(),
        };
        Ok(vec![
            line("6 start-up, components compiled", &warm, "≤ 250 ms"),
            line("6 start-up, components to compile", &cold, ""),
        ])
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.folder.join("cache")
    }

    pub(crate) fn migrate(&self, schema: &str) -> Result<()> {
        let status = self
            .command(&self.cache())
            .args(["db", "migrate", "--create-schema", "--schema", schema])
            .status()?;
        ensure!(status.success(), "`gristmill db migrate` failed");
        Ok(())
    }

    /// Runs a payload; returns the seconds and the most memory that it took.
    pub(crate) fn run(&self, payload: &Path, schema: &str, cache: &Path) -> Result<(f64, u64)> {
        let pipeline = self.options.root.join("pipelines/ocp.toml");
        let (seconds, peak_bytes, _) = self.run_by(&pipeline, payload, schema, cache)?;
        Ok((seconds, peak_bytes))
    }

    /// The same by a pipeline; returns the seconds of processor time besides.
    pub(crate) fn run_by(
        &self,
        pipeline: &Path,
        payload: &Path,
        schema: &str,
        cache: &Path,
    ) -> Result<(f64, u64, f64)> {
        let mut command = self.command(cache);
        command
            .arg("run")
            .arg(pipeline)
            .arg(payload)
            .arg("--stages")
            .arg(&self.options.stages)
            .args(["--schema", schema, "--json"]);
        let started = Instant::now();
        let before = children_seconds();
        let mut child = command.spawn().context("the program cannot be run")?;
        let status_file = format!("/proc/{}/status", child.id());
        let mut peak_bytes = 0;
        let status = loop {
            peak_bytes = peak_bytes.max(peak(&status_file));
            match child.try_wait()? {
                Some(status) => break status,
                None => std::thread::sleep(POLL),
            }
        };
        let seconds = started.elapsed().as_secs_f64();
        ensure!(status.success(), "`gristmill run` failed");
        Ok((seconds, peak_bytes, children_seconds() - before))
    }

    fn command(&self, cache: &Path) -> Command {
        let mut command = Command::new(&self.options.program);
        command
            .env("DATABASE_URL", &self.url)
            .env("GRISTMILL_DATA", &self.folder)
            .env("GRISTMILL_CACHE", cache)
            .env_remove("GRISTMILL_SCHEMA")
            .env_remove("OCP_POSTGRES_PIPELINE")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

/// The processor time of our children that have ended, in seconds.
fn children_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = fields.split(' ').skip(13).take(2);
    ticks
        .filter_map(|field| field.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

/// The most memory that a process has held so far; 0 when it is gone.
fn peak(status_file: &str) -> u64 {
    fs::read_to_string(status_file)
        .ok()
        .and_then(|status| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("VmHWM:"))?;
            line.trim().strip_suffix("kB")?.trim().parse().ok()
        })
        .map_or(0, |kibibytes: u64| kibibytes * 1024)
}
