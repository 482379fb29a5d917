//! The engines beside each other: whole runs of payloads of three sizes, with the processor
//! time of all that take part, memory, and what Postgres and the lake were given.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use gristmill_generator::{Cluster, Upload};

use crate::copy::Copies;
use crate::processor::processes;
use crate::program::{Program, Verb};
use crate::server::Server;
use crate::timing::{Pair, Samples};
use crate::{Line, Options};

/// Names a file with the sections `[lake]` and `[trino]` of servers that are there.
const SERVERS: &str = "GRISTMILL_BENCH_SERVERS";

/// Reading `/proc` takes a millisecond or two.
const SAMPLED_EVERY: Duration = Duration::from_millis(100);

/// A run of one payload with one engine.
struct EngineRun {
    seconds: f64,
    peak_bytes: u64,
    program_seconds: f64,
    postgres_seconds: f64,
    /// Those of it until publishing begins, and those of folding what was loaded.
    copy_and_fold_seconds: f64,
    trino_seconds: f64,
    wal_bytes: f64,
    staged_bytes: f64,
    /// The functions that fold or collect the hours of pods.
    fold_seconds: f64,
}

/// Measures every engine at every size.
///
/// # Errors
/// Something does not run.
pub(crate) fn lines(
    options: &Options,
    server: &Server,
    program: &Program<'_>,
    say: &dyn Fn(&str),
) -> Result<Vec<Line>> {
    let sections = match std::env::var_os(SERVERS) {
        Some(path) => fs::read_to_string(&path).with_context(|| format!("cannot read {path:?}"))?,
        None => String::new(),
    };
    let mut engines = vec!["postgres", "embedded"];
    if !sections.is_empty() {
        engines.push("trino");
    }
    server.count_functions()?;
    let mut lines = Vec::new();
    for nodes in options.engine_nodes {
        let upload = Upload::of_day(Cluster::of_nodes(nodes, options.largest.pods_of_node));
        let path = server.folder().join(format!("engines-{nodes}.tar.gz"));
        let written = upload.write_tarball(&path)?;
        let rows = written.rows[0];
        if nodes == options.largest.nodes {
            lines.push(load_and_fold(options, server, &path, say)?);
        }
        let mut whole: Option<(f64, f64, f64)> = None;
        for engine in &engines {
            let pipeline = pipeline(options, server.folder(), engine, &sections)?;
            // The second run: the servers have warmed up.
            let repetitions = if nodes > options.largest.nodes { 1 } else { 2 };
            let mut runs = Vec::new();
            for repetition in 1..=repetitions {
                say(&format!(
                    "engine {engine}, {rows} pod rows, {repetition} of {repetitions}"
                ));
                runs.push(run(server, program, &pipeline, &path)?);
            }
            let best = runs
                .into_iter()
                .min_by(|one, other| one.seconds.total_cmp(&other.seconds))
                .context("no run")?;
            let (seconds, postgres, copy_and_fold) = *whole.get_or_insert((
                best.seconds,
                best.postgres_seconds,
                best.copy_and_fold_seconds,
            ));
            lines.push(Line {
                what: format!("8 {engine}, {:.1} million pod rows", rows as f64 / 1e6),
                value: format!("{:.2}", best.seconds / seconds),
                noise: String::new(),
                target: "",
                detail: format!(
                    "{:.2} s; CPU program {:.1}, Postgres {:.1} ({:.2}), of it COPY and fold {:.1} ({:.2}), \
                     Trino {:.1} s; {:.0} MiB; WAL {:.0}, staged {:.0} MB; collecting pods {:.2} s",
                    best.seconds,
                    best.program_seconds,
                    best.postgres_seconds,
                    best.postgres_seconds / postgres,
                    best.copy_and_fold_seconds,
                    best.copy_and_fold_seconds / copy_and_fold,
                    best.trino_seconds,
                    best.peak_bytes as f64 / f64::from(1 << 20),
                    best.wal_bytes / 1e6,
                    best.staged_bytes / 1e6,
                    best.fold_seconds,
                ),
            });
        }
        fs::remove_file(&path)?;
    }
    Ok(lines)
}

/// Loading and folding in the host against `\copy` of the same hours as text.
fn load_and_fold(
    options: &Options,
    server: &Server,
    payload: &Path,
    say: &dyn Fn(&str),
) -> Result<Line> {
    let plan = crate::plan(&options.root, &options.build.stages)?;
    let mut copies = Copies::open(options, server, &plan)?;
    copies.fill(&[payload.to_path_buf()], &["text"])?;
    let (mut folded, mut text) = (Samples::default(), Samples::default());
    for repetition in 1..=options.repetitions {
        say(&format!(
            "load and fold, {repetition} of {}",
            options.repetitions
        ));
        // Before the copy, which is compared with what was loaded hour by hour.
        copies.ingest()?;
        text.push(copies.text()?);
        folded.push(copies.ingest_folded()?);
    }
    let pair = Pair {
        left: &folded,
        right: &text,
    };
    Ok(Line {
        what: "8 load and fold / \\copy as text".into(),
        value: format!("{:.2}", pair.ratio()),
        noise: format!("{:.2}", pair.noise()),
        target: "≤ 0.8",
        detail: format!("{:.2} s against {:.2} s", folded.best(), text.best()),
    })
}

/// The shipped pipeline with an engine, and with further sections.
pub(crate) fn pipeline(
    options: &Options,
    folder: &Path,
    engine: &str,
    sections: &str,
) -> Result<PathBuf> {
    let path = folder.join(format!("{engine}.toml"));
    let base = options.root.join("pipelines/ocp.toml");
    let base = base.canonicalize()?;
    let text = format!("extends = {base:?}\n\n[summarize]\nengine = \"{engine}\"\n\n{sections}");
    fs::write(&path, text)?;
    Ok(path)
}

fn run(
    server: &Server,
    program: &Program<'_>,
    pipeline: &Path,
    payload: &Path,
) -> Result<EngineRun> {
    let schema = program.new_schema(server)?;
    server.settle()?;
    let wal = || -> Result<f64> {
        let lsn = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')";
        Ok(server.psql("public", &[lsn])?.parse()?)
    };
    let (wal_before, before) = (wal()?, processor_times());
    let payloads = [payload.to_path_buf()];
    let (ran, samples) = while_sampled(|| {
        program.load_by(Verb::Run, pipeline, &payloads, &schema, &program.cache())
    })?;
    server.notice_ended();
    let after = processor_times();
    let spent = |name: &str| {
        let at = |times: &BTreeMap<String, f64>| times.get(name).copied().unwrap_or_default();
        at(&after) - at(&before)
    };
    let staged = server.psql(
        &schema,
        &["SELECT sum(pg_total_relation_size(tree.relid))
        FROM monthly_tables() AS monthly
        CROSS JOIN LATERAL pg_partition_tree(monthly.table_name::regclass) AS tree
        WHERE monthly.is_staging"],
    )?;
    let folding = server.psql(
        &schema,
        &[&format!(
            "SELECT coalesce(sum(total_time), 0) / 1000 FROM pg_stat_user_functions
            WHERE schemaname = '{schema}' AND funcname IN ('collect_daily_pods', 'node_capacities_of_day')"
        )],
    )?;
    let fold_seconds: f64 = folding.parse()?;
    let published = server.psql(
        &schema,
        &["SELECT extract(epoch FROM min(published_at)) FROM gristmill_day"],
    )?;
    let published: f64 = published.parse().context("no day was published")?;
    let until_published = samples
        .iter()
        .take_while(|(time, _)| *time < published)
        .last()
        .map_or(0.0, |(_, seconds)| {
            seconds - before.get("postgres").copied().unwrap_or_default()
        });
    let summary = server.psql(
        &schema,
        &["SELECT count(*) FROM reporting_ocpusagelineitem_daily_summary"],
    )?;
    ensure!(summary != "0", "nothing was summarized");
    let run = EngineRun {
        seconds: ran.seconds,
        peak_bytes: ran.peak_bytes,
        program_seconds: ran.processor_seconds,
        postgres_seconds: spent("postgres"),
        copy_and_fold_seconds: until_published + fold_seconds,
        trino_seconds: spent("java"),
        wal_bytes: wal()? - wal_before,
        staged_bytes: staged.parse()?,
        fold_seconds,
    };
    program.drop_schema(&schema)?;
    Ok(run)
}

/// Does something, and notes meanwhile, by the time since the epoch, which processor time
/// Postgres has had.
fn while_sampled<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Vec<(f64, f64)>)> {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let mut samples = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let time = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
                let seconds = processor_times().get("postgres").copied();
                samples.push((time, seconds.unwrap_or_default()));
                std::thread::sleep(SAMPLED_EVERY);
            }
            Ok(samples)
        });
        let worked = work();
        done.store(true, Ordering::Relaxed);
        let samples: Result<_> = sampler.join().expect("the sampler does not panic");
        Ok((worked?, samples?))
    })
}

/// The processor time, in seconds, of all processes of a name, with that of those of their
/// children that have ended.
fn processor_times() -> BTreeMap<String, f64> {
    let mut times = BTreeMap::new();
    for process in processes() {
        *times.entry(process.name).or_default() += process.seconds;
    }
    times
}
