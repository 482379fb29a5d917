//! The program as a user runs it, or another build of it: how long, and with how much memory
//! and processor time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use gristmill_generator::{Cluster, Upload, Written};

use crate::processor::children_seconds;
use crate::server::{Server, psql};
use crate::timing::{Pair, Samples};
use crate::{Build, ENABLED_KEYS, Line, Options};

/// How often its memory is looked at. The peak stays to be seen until it ends.
const POLL: Duration = Duration::from_millis(5);

/// How often the program looks into an inbox: a payload is loaded after the second look.
const INBOX_POLL_MILLISECONDS: &str = "20";

/// Start-ups are short, so there are more of them.
const REPETITIONS_FACTOR: usize = 3;

pub(crate) struct Program<'a> {
    options: &'a Options,
    build: &'a Build,
    url: String,
    /// Its archive, and what it writes otherwise.
    folder: PathBuf,
}

/// How the program is given payloads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verb {
    /// One after another.
    Run,
    /// In an inbox, until it is empty.
    Watch,
}

/// What a command took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    pub(crate) seconds: f64,
    pub(crate) peak_bytes: u64,
    pub(crate) processor_seconds: f64,
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
            build: &options.build,
            url: server.url().to_string(),
            folder: server.folder().to_path_buf(),
        }
    }

    /// A build with a database and a folder of its own.
    pub(crate) fn apart(
        options: &'a Options,
        build: &'a Build,
        url: &str,
        folder: PathBuf,
    ) -> Self {
        Self {
            options,
            build,
            url: url.to_owned(),
            folder,
        }
    }

    /// The same, apart from this one.
    pub(crate) fn moved(&self, url: &str, folder: PathBuf) -> Self {
        Self::apart(self.options, self.build, url, folder)
    }

    /// A payload into a schema of its own, from tarball to every summary.
    pub(crate) fn load(&self, server: &Server, payload: &Path, written: &Written) -> Result<Run> {
        let schema = self.new_schema(server)?;
        server.settle()?;
        let spent = self.run(payload, &schema, &self.cache())?;
        let figures = self.psql(
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
        self.drop_schema(&schema)?;
        Ok(Run {
            seconds: spent.seconds,
            peak_bytes: spent.peak_bytes,
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
            let spent = self.run(&payload(number)?, &schema, &self.cache())?;
            warm.push(spent.seconds);
            let cache = self.folder.join(format!("cache-{repetition}"));
            let spent = self.run(&payload(number + 1)?, &schema, &cache)?;
            cold.push(spent.seconds);
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

    /// A new schema that is up to date, with the tag keys that the measurements use.
    pub(crate) fn new_schema(&self, server: &Server) -> Result<String> {
        let schema = server.new_schema();
        self.migrate(&schema)?;
        let keys: Vec<String> = ENABLED_KEYS
            .iter()
            .map(|key| format!("('{key}', true, 'OCP')"))
            .collect();
        let insert = format!(
            "INSERT INTO reporting_enabledtagkeys (key, enabled, provider_type) VALUES {}",
            keys.join(", ")
        );
        self.psql(&schema, &[&insert])?;
        Ok(schema)
    }

    /// Runs commands of psql in a schema of its database; returns what it prints.
    pub(crate) fn psql(&self, schema: &str, commands: &[&str]) -> Result<String> {
        psql(&self.url, schema, commands)
    }

    pub(crate) fn drop_schema(&self, schema: &str) -> Result<()> {
        let drop = format!("DROP SCHEMA {schema} CASCADE");
        self.psql("public", &["SET client_min_messages = error", &drop])
            .map(std::mem::drop)
    }

    /// The schema is made before: the first version had no option for that.
    fn migrate(&self, schema: &str) -> Result<()> {
        self.psql("public", &[&format!("CREATE SCHEMA {schema}")])?;
        let status = self
            .command(&self.cache())
            .args(["db", "migrate", "--schema", schema])
            .status()?;
        ensure!(status.success(), "`gristmill db migrate` failed");
        Ok(())
    }

    /// Runs a payload through the shipped pipeline.
    pub(crate) fn run(&self, payload: &Path, schema: &str, cache: &Path) -> Result<Spent> {
        let pipeline = self.shipped_pipeline();
        self.load_by(
            Verb::Run,
            &pipeline,
            &[payload.to_path_buf()],
            schema,
            cache,
        )
    }

    pub(crate) fn shipped_pipeline(&self) -> PathBuf {
        self.options.root.join("pipelines/ocp.toml")
    }

    /// Loads payloads by a pipeline, in one command.
    pub(crate) fn load_by(
        &self,
        verb: Verb,
        pipeline: &Path,
        payloads: &[PathBuf],
        schema: &str,
        cache: &Path,
    ) -> Result<Spent> {
        let mut command = self.command(cache);
        match verb {
            Verb::Run => command.arg("run").arg(pipeline).args(payloads),
            Verb::Watch => command
                .arg("watch")
                .arg(pipeline)
                .arg(self.inbox(payloads)?)
                .args(["--once", "--poll-milliseconds", INBOX_POLL_MILLISECONDS]),
        };
        command
            .arg("--stages")
            .arg(&self.build.stages)
            .args(["--schema", schema, "--json"]);
        let log = self.folder.join("log");
        command.stderr(fs::File::create(&log)?);
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
        ensure!(
            status.success(),
            "`{}` failed: {}",
            self.build.program.display(),
            fs::read_to_string(&log)?
        );
        Ok(Spent {
            seconds,
            peak_bytes,
            processor_seconds: children_seconds() - before,
        })
    }

    /// A new inbox with these payloads.
    fn inbox(&self, payloads: &[PathBuf]) -> Result<PathBuf> {
        let inbox = self.folder.join("inbox");
        if inbox.exists() {
            fs::remove_dir_all(&inbox)?;
        }
        fs::create_dir(&inbox)?;
        for payload in payloads {
            let name = payload.file_name().context("a payload without a name")?;
            fs::copy(payload, inbox.join(name))?;
        }
        Ok(inbox)
    }

    fn command(&self, cache: &Path) -> Command {
        let mut command = Command::new(&self.build.program);
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
