//! Whole runs of payloads of many shapes, by the program and, where one is given, by an earlier
//! build in turn with it; each beside Postgres's own copy of the hourly rows.

mod payloads;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use gristmill::pipeline::plan::Plan;
use gristmill_generator::{Cluster, Upload};

use self::payloads::{Shape, shapes};
pub use self::table::{Ratio, SHAPES_HEADER, ShapeLine};
use crate::copy::Copies;
use crate::engines::pipeline;
use crate::program::{Program, Verb};
use crate::server::Server;
use crate::timing::Samples;
use crate::{Line, Options};

/// How many functions of a run are told of.
const FUNCTIONS_SHOWN: usize = 3;

/// What something took, each time.
#[derive(Debug, Default)]
pub(crate) struct Cost {
    wall: Samples,
    /// Processor time: of the program, of the server, of both.
    program: Samples,
    server: Samples,
    processor: Samples,
    peak_bytes: u64,
    /// Of the fastest run: the time of each function by itself, as a share of the run, the
    /// largest first.
    functions: Vec<(String, f64)>,
}

/// A shape that was measured.
pub(crate) struct Measured {
    shape: Shape,
    rows: u64,
    today: Cost,
    base: Option<Cost>,
    copy: Option<Cost>,
}

/// Measures all shapes; returns the table and what follows from it.
///
/// # Errors
/// Something does not run.
pub(crate) fn measure(
    options: &Options,
    server: &Server,
    plan: &Plan,
    say: &dyn Fn(&str),
) -> Result<(Vec<ShapeLine>, Vec<Line>)> {
    let program = Program::new(options, server);
    let base = match &options.base {
        Some(build) => Some(Program::base(options, build, server)?),
        None => None,
    };
    for program in [Some(&program), base.as_ref()].into_iter().flatten() {
        compile(program, server)?;
    }
    server.count_functions()?;
    let bench = Bench {
        options,
        server,
        plan,
        program,
        base,
    };
    let mut measured = Vec::new();
    for shape in shapes(options.shapes_divisor) {
        say(&format!("shape: {}", shape.name));
        let shape = bench.measure(shape)?;
        say(&format!("  {}", shape.line().summary()));
        measured.push(shape);
    }
    server.leave_functions()?;
    let lines = measured.iter().map(Measured::line).collect();
    Ok((lines, table::figures(&measured)?))
}

/// Has the components compiled, which else the first shape would pay for.
fn compile(program: &Program<'_>, server: &Server) -> Result<()> {
    let path = server.folder().join("compiles.tar.gz");
    Upload::of_day(Cluster::of_nodes(2, 5)).write_tarball(&path)?;
    let schema = program.new_schema(server)?;
    program.run(&path, &schema, &program.cache())?;
    program.drop_schema(&schema)
}

struct Bench<'a> {
    options: &'a Options,
    server: &'a Server,
    plan: &'a Plan,
    program: Program<'a>,
    base: Option<Program<'a>>,
}

/// A program in its place for a shape.
struct Side<'b> {
    program: &'b Program<'b>,
    pipeline: PathBuf,
    /// The schema with what was loaded before.
    kept_schema: Option<String>,
    cost: Cost,
}

impl Bench<'_> {
    fn measure(&self, shape: Shape) -> Result<Measured> {
        let folder = self.server.folder().join("shape");
        fs::create_dir(&folder)?;
        let given = Payloads::write(&folder, "given", &shape.given)?;
        let first = Payloads::write(&folder, "first", &shape.uploads_of(0))?;
        let copies = match shape.is_copied {
            true => Some(self.copies(&first)?),
            false => None,
        };
        // The first version knew no other engine.
        let base = self.base.as_ref().filter(|_| shape.engine == "postgres");
        let mut today = self.side(&self.program, &shape, &given)?;
        let mut base = base
            .map(|base| self.side(base, &shape, &given))
            .transpose()?;
        let mut copy = copies.is_some().then(Cost::default);
        for repetition in 0..self.options.shapes_repetitions {
            let uploads = shape.uploads_of(repetition);
            let payloads = Payloads::write(&folder, "measured", &uploads)?;
            if let (Some(copies), Some(copy)) = (&copies, &mut copy) {
                let copied = copies.text_with_processor_time()?;
                copy.wall.push(copied.seconds);
                copy.processor.push(copied.processor_seconds);
            }
            for side in [Some(&mut today), base.as_mut()].into_iter().flatten() {
                self.run(side, &shape, &payloads)?;
            }
        }
        for side in [Some(&today), base.as_ref()].into_iter().flatten() {
            if let Some(schema) = &side.kept_schema {
                side.program.drop_schema(schema)?;
            }
        }
        copies.map(Copies::remove).transpose()?;
        fs::remove_dir_all(&folder)?;
        Ok(Measured {
            shape,
            rows: first.rows,
            today: today.cost,
            base: base.map(|side| side.cost),
            copy,
        })
    }

    /// The hourly rows of payloads, ready to be copied.
    fn copies<'p>(&'p self, payloads: &'p Payloads) -> Result<Copies<'p>> {
        let (server, paths) = (self.server, &payloads.paths);
        let copies = Copies::prepare(self.options, server, self.plan, paths, &["text"])?;
        let rows = copies.rows_of_all()?;
        ensure!(
            rows == payloads.rows,
            "{rows} rows would be copied, and the payloads have {}",
            payloads.rows
        );
        Ok(copies)
    }

    fn side<'b>(
        &self,
        program: &'b Program<'b>,
        shape: &Shape,
        given: &Payloads,
    ) -> Result<Side<'b>> {
        let pipeline = match shape.engine {
            "postgres" => program.shipped_pipeline(),
            engine => pipeline(self.options, self.server.folder(), engine, "")?,
        };
        let kept_schema = match given.paths.is_empty() {
            true => None,
            false => {
                let schema = program.new_schema(self.server)?;
                let cache = program.cache();
                program.load_by(Verb::Run, &pipeline, &given.paths, &schema, &cache)?;
                Some(schema)
            }
        };
        Ok(Side {
            program,
            pipeline,
            kept_schema,
            cost: Cost::default(),
        })
    }

    /// Runs a shape once.
    fn run(&self, side: &mut Side<'_>, shape: &Shape, payloads: &Payloads) -> Result<()> {
        let program = side.program;
        let schema = match &side.kept_schema {
            Some(schema) => schema.clone(),
            None => program.new_schema(self.server)?,
        };
        self.server.settle()?;
        let functions = function_seconds(program, &schema)?;
        let days = summarized_days(program, &schema)?;
        self.server.notice_ended();
        let before = self.server.processor_seconds();
        let spent = program.load_by(
            shape.verb,
            &side.pipeline,
            &payloads.paths,
            &schema,
            &program.cache(),
        )?;
        self.server.notice_ended();
        let server_seconds = self.server.processor_seconds() - before;
        ensure!(
            summarized_days(program, &schema)? - days == payloads.days,
            "not every day of `{}` was summarized",
            shape.name
        );
        let cost = &mut side.cost;
        if cost.wall.best() > spent.seconds {
            let after = function_seconds(program, &schema)?;
            cost.functions = shares(&functions, &after, spent.seconds);
        }
        cost.wall.push(spent.seconds);
        cost.program.push(spent.processor_seconds);
        cost.server.push(server_seconds);
        cost.processor
            .push(spent.processor_seconds + server_seconds);
        cost.peak_bytes = cost.peak_bytes.max(spent.peak_bytes);
        match side.kept_schema {
            Some(_) => Ok(()),
            None => program.drop_schema(&schema),
        }
    }
}

/// Files of uploads.
struct Payloads {
    paths: Vec<PathBuf>,
    rows: u64,
    /// Days of clusters.
    days: u64,
}

impl Payloads {
    fn write(folder: &Path, name: &str, uploads: &[Upload]) -> Result<Self> {
        let mut payloads = Self {
            paths: Vec::new(),
            rows: 0,
            days: 0,
        };
        let mut days = std::collections::BTreeSet::new();
        for (index, upload) in uploads.iter().enumerate() {
            let path = folder.join(format!("{name}-{index:02}.tar.gz"));
            payloads.rows += upload.write_tarball(&path)?.rows_of_all();
            payloads.paths.push(path);
            for day in upload.day..upload.day + upload.hours.end.div_ceil(24) {
                days.insert((upload.cluster.id(), upload.month, day));
            }
        }
        payloads.days = days.len() as u64;
        Ok(payloads)
    }
}

/// How many days of clusters have a summary.
fn summarized_days(program: &Program<'_>, schema: &str) -> Result<u64> {
    let count = program.psql(
        schema,
        &["SELECT count(DISTINCT (source_uuid, usage_start))
        FROM reporting_ocpusagelineitem_daily_summary"],
    )?;
    Ok(count.parse()?)
}

/// The time in each function of a schema, without that in those that it called.
fn function_seconds(program: &Program<'_>, schema: &str) -> Result<BTreeMap<String, f64>> {
    let found = program.psql(
        "public",
        &[&format!(
            "SELECT funcname, sum(self_time) / 1000 FROM pg_stat_user_functions
            WHERE schemaname = '{schema}' GROUP BY funcname"
        )],
    )?;
    let functions = found.lines().map(|line| {
        let (name, seconds) = line.split_once('|').context("a function")?;
        Ok((name.to_owned(), seconds.parse()?))
    });
    functions.collect()
}

fn shares(
    before: &BTreeMap<String, f64>,
    after: &BTreeMap<String, f64>,
    seconds: f64,
) -> Vec<(String, f64)> {
    let mut shares: Vec<(String, f64)> = after
        .iter()
        .map(|(name, in_all)| {
            let earlier = before.get(name).copied().unwrap_or_default();
            (name.clone(), (in_all - earlier) / seconds)
        })
        .collect();
    shares.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    shares.truncate(FUNCTIONS_SHOWN);
    shares
}
