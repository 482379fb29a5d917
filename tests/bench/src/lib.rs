//! Measures gristmill side by side with what bounds it, in one run: its stages
//! without the sandbox, and Postgres's own COPY of the same finished rows.
//!
//! Every figure is the best of several repetitions that alternate with those of
//! what it is compared with, on a server of its own with the settings of an
//! ordinary one. Beside every ratio stands that of a thing to itself: what is
//! within it is noise.

mod chain;
mod copy;
mod engines;
mod native;
mod processor;
mod program;
mod server;
mod settings;
mod shapes;
mod timing;

use std::path::{Path, PathBuf};

use anyhow::Result;
use gristmill::pipeline::definition;
use gristmill::pipeline::plan::{self, LoadPlan, Plan, ReportAction, Surroundings};
use gristmill::stage::Engine;

use gristmill_generator::{Cluster, Size, Upload, Written};

pub use self::chain::chunks;
pub use self::native::{NativeChain, NativeTransform, open_parser};
use self::program::Program;
use self::server::Server;
pub use self::shapes::{Ratio, SHAPES_HEADER, ShapeLine};
use self::timing::{Pair, Samples};

/// The label keys that the measured pipelines keep, as a site would enable them.
pub const ENABLED_KEYS: [&str; 5] = ["app", "cost_center", "environment", "tier", "version"];

/// A program with its stages.
#[derive(Clone, Debug)]
pub struct Build {
    pub program: PathBuf,
    /// The folder of the components.
    pub stages: PathBuf,
}

/// The measurements, and their settings.
pub struct Options {
    /// The program.
    pub build: Build,
    /// An earlier build, to be measured in turn with it on every shape.
    pub base: Option<Build>,
    /// The repository.
    pub root: PathBuf,
    /// The largest payload; there are others of a third and a tenth of its nodes.
    pub largest: Cluster,
    /// How often each thing is measured.
    pub repetitions: usize,
    /// Batches of a report at work at the same time.
    pub workers: usize,
    /// The first figure alone, which needs no server.
    pub chain_only: bool,
    /// The engines alone, by the nodes of the payloads.
    pub engines_only: bool,
    pub engine_nodes: [u32; 3],
    /// The shapes alone.
    pub shapes_only: bool,
    /// What is many in a shape, divided by this.
    pub shapes_divisor: u32,
    pub shapes_repetitions: u32,
}

impl Options {
    /// A day of a thousand nodes.
    pub fn full(build: Build, root: PathBuf) -> Self {
        Self {
            build,
            base: None,
            root,
            largest: Cluster::of(Size::ThousandNodes),
            repetitions: 4,
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            chain_only: false,
            engines_only: false,
            engine_nodes: [84, 1_000, 5_000],
            shapes_only: false,
            shapes_divisor: 1,
            shapes_repetitions: 3,
        }
    }

    /// All of it, but so small that the figures mean nothing.
    pub fn smoke(build: Build, root: PathBuf) -> Self {
        Self {
            largest: Cluster::of_nodes(10, 5),
            repetitions: 2,
            engine_nodes: [2, 10, 20],
            shapes_divisor: 50,
            shapes_repetitions: 2,
            ..Self::full(build, root)
        }
    }
}

/// One line of the table.
#[derive(Debug)]
pub struct Line {
    pub what: String,
    pub value: String,
    /// The same thing against itself.
    pub noise: String,
    pub target: &'static str,
    pub detail: String,
}

/// The tables.
#[derive(Debug, Default)]
pub struct Figures {
    pub lines: Vec<Line>,
    pub shapes: Vec<ShapeLine>,
}

/// Measures everything and returns the tables; `say` is told what is going on.
///
/// # Errors
/// Something does not run.
pub fn run(options: &Options, say: &dyn Fn(&str)) -> Result<Figures> {
    let plan = plan(&options.root, &options.build.stages)?;
    let mut figures = Figures::default();
    if options.chain_only {
        figures.lines = chain::compare(options, &plan)?;
        return Ok(figures);
    }
    let server = Server::start()?;
    let program = Program::new(options, &server);
    if options.engines_only {
        figures.lines = engines::lines(options, &server, &program, say)?;
        return Ok(figures);
    }
    let lines = &mut figures.lines;
    if !options.shapes_only {
        lines.extend(general(options, &server, &program, &plan, say)?);
    }
    let (shapes, more) = shapes::measure(options, &server, &plan, say)?;
    lines.extend(more);
    figures.shapes = shapes;
    Ok(figures)
}

/// Everything but the engines and the shapes.
fn general(
    options: &Options,
    server: &Server,
    program: &Program<'_>,
    plan: &Plan,
    say: &dyn Fn(&str),
) -> Result<Vec<Line>> {
    let payloads = Payloads::write(options, server, say)?;
    let mut lines = Vec::new();
    say("the chain, in the sandbox and without it");
    lines.extend(chain::compare(options, plan)?);
    say("start-up");
    lines.extend(program.start_up(server)?);
    lines.extend(Scales::measure(options, server, program, &payloads, plan, say)?.lines());
    say("planner settings of functions");
    lines.extend(settings::lines(options, server, program)?);
    Ok(lines)
}

/// The payloads of a tenth, a third and all of the rows.
struct Payloads {
    tenth: (PathBuf, Written),
    third: (PathBuf, Written),
    whole: (PathBuf, Written),
}

impl Payloads {
    fn write(options: &Options, server: &Server, say: &dyn Fn(&str)) -> Result<Self> {
        let payload = |nodes: u32| -> Result<(PathBuf, Written)> {
            let largest = &options.largest;
            let upload = Upload::of_day(Cluster::of_nodes(nodes.max(1), largest.pods_of_node));
            let path = server.folder().join(format!("{nodes}-nodes.tar.gz"));
            let written = upload.write_tarball(&path)?;
            say(&format!(
                "made a payload of {nodes} nodes: {} rows, {} of them of pods, {:.1} MB of reports in {:.1} MB",
                written.rows_of_all(),
                written.rows[0],
                written.report_bytes as f64 / 1e6,
                written.bytes as f64 / 1e6,
            ));
            Ok((path, written))
        };
        let nodes = options.largest.nodes;
        Ok(Self {
            tenth: payload(nodes / 10)?,
            third: payload(nodes * 3 / 10)?,
            whole: payload(nodes)?,
        })
    }
}

/// The time and memory of loading, by size.
struct Scales {
    tenth: Samples,
    third: Samples,
    whole: Samples,
    peak_bytes: [u64; 3],
    ingest: Samples,
    text: Samples,
    binary: Samples,
    written: Written,
    table_bytes: f64,
    index_bytes: f64,
    archive_bytes: f64,
}

impl Scales {
    fn measure(
        options: &Options,
        server: &Server,
        program: &Program<'_>,
        payloads: &Payloads,
        plan: &Plan,
        say: &dyn Fn(&str),
    ) -> Result<Self> {
        let written = payloads.whole.1.clone();
        let mut scales = Self {
            tenth: Samples::default(),
            third: Samples::default(),
            whole: Samples::default(),
            peak_bytes: [0; 3],
            ingest: Samples::default(),
            text: Samples::default(),
            binary: Samples::default(),
            written,
            table_bytes: 0.0,
            index_bytes: 0.0,
            archive_bytes: 0.0,
        };
        let mut copies = copy::Copies::open(options, server, plan)?;
        copies.fill(std::slice::from_ref(&payloads.whole.0), &["text", "binary"])?;
        for repetition in 1..=options.repetitions {
            say(&format!("loading, {repetition} of {}", options.repetitions));
            scales.ingest.push(copies.ingest()?);
            scales.text.push(copies.text()?);
            scales.binary.push(copies.binary()?);
            let sizes = [
                (&payloads.tenth, &mut scales.tenth),
                (&payloads.third, &mut scales.third),
                (&payloads.whole, &mut scales.whole),
            ];
            for (index, ((path, written), samples)) in sizes.into_iter().enumerate() {
                let run = program.load(server, path, written)?;
                samples.push(run.seconds);
                scales.peak_bytes[index] = scales.peak_bytes[index].max(run.peak_bytes);
                let rows = written.rows[0] as f64;
                scales.table_bytes = run.table_bytes as f64 / rows;
                scales.index_bytes = run.index_bytes as f64 / rows;
                scales.archive_bytes = run.archive_bytes as f64 / written.rows_of_all() as f64;
            }
        }
        Ok(scales)
    }

    fn lines(&self) -> Vec<Line> {
        let rows = self.written.rows_of_all();
        let rate = |samples: &Samples| {
            format!(
                "{:.2} s, {:.0} krows/s",
                samples.best(),
                rows as f64 / samples.best() / 1e3
            )
        };
        let ratio = |what: &str, left: &Samples, right: &Samples, target| {
            let pair = Pair { left, right };
            Line {
                what: what.to_string(),
                value: format!("{:.2}", pair.ratio()),
                noise: format!("{:.2}", pair.noise()),
                target,
                detail: format!("{} against {}", rate(left), rate(right)),
            }
        };
        let growth = Pair {
            left: &self.whole,
            right: &self.tenth,
        };
        let mebibytes = self
            .peak_bytes
            .map(|bytes| format!("{:.0}", bytes as f64 / f64::from(1 << 20)))
            .join(", ");
        vec![
            ratio(
                "2a ingest / \\copy as text",
                &self.ingest,
                &self.text,
                "≤ 0.75",
            ),
            ratio(
                "2b ingest / \\copy in binary",
                &self.ingest,
                &self.binary,
                "≤ 1.25",
            ),
            ratio(
                "3 whole run / \\copy as text",
                &self.whole,
                &self.text,
                "≤ 1.5",
            ),
            Line {
                what: "4 time at 10× / at 1×".into(),
                value: format!("{:.2}", growth.ratio()),
                noise: format!("{:.2}", growth.noise()),
                target: "≤ 10.5",
                detail: format!(
                    "{:.2}, {:.2} and {:.2} s",
                    self.tenth.best(),
                    self.third.best(),
                    self.whole.best()
                ),
            },
            Line {
                what: "4 peak memory at 1×, 3×, 10×".into(),
                value: format!("{mebibytes} MiB"),
                noise: String::new(),
                target: "≤ 200 MiB, flat",
                detail: "VmHWM of the program".into(),
            },
            Line {
                what: "5 staging, bytes a pod row".into(),
                value: format!("{:.0}", self.table_bytes + self.index_bytes),
                noise: String::new(),
                target: "≤ 266",
                detail: format!(
                    "{:.1} of table, {:.2} of index",
                    self.table_bytes, self.index_bytes
                ),
            },
            Line {
                what: "5 archive, bytes a row".into(),
                value: format!("{:.0}", self.archive_bytes),
                noise: String::new(),
                target: "",
                detail: format!(
                    "{:.0} of report",
                    self.written.report_bytes as f64 / rows as f64
                ),
            },
        ]
    }
}

/// The shipped pipeline of a repository, ready to run with the components of a folder.
///
/// # Errors
/// It has problems.
pub fn plan(root: &Path, stages: &Path) -> Result<Plan> {
    let engine = Engine::new(None).map_err(|error| anyhow::anyhow!("{error:#}"))?;
    let loaded = definition::load(&root.join("pipelines/ocp.toml"))
        .map_err(|_| anyhow::anyhow!("the pipeline cannot be read"))?;
    plan::resolve(
        &loaded,
        &Surroundings {
            engine: &engine,
            stage_folders: &[stages.to_path_buf()],
            postgres_pipeline: None,
            asked_engine: None,
            lock: None,
        },
    )
    .map_err(|problems| anyhow::anyhow!("the pipeline has {} problems", problems.len()))
}

/// How a plan loads pods.
///
/// # Errors
/// It does not.
pub fn pods(plan: &Plan) -> Result<&LoadPlan> {
    plan.reports
        .iter()
        .find_map(|report| match &report.action {
            ReportAction::Load(load) if report.name == "pod-usage" => Some(&**load),
            _ => None,
        })
        .ok_or_else(|| anyhow::anyhow!("the pipeline loads no pods"))
}
