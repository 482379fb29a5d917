//! Whole runs of payloads of many shapes, by the program and, where one is given, by an earlier
//! build in turn with it; each beside Postgres's own copy of the hourly rows.

mod payloads;
mod place;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use gristmill::pipeline::plan::Plan;
use gristmill_generator::Upload;

use self::payloads::{Shape, shapes};
use self::place::Place;
pub use self::table::{Ratio, SHAPES_HEADER, ShapeLine};
use crate::copy::Copies;
use crate::engines::pipeline;
use crate::program::Verb;
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
    let today = Place::new(options, &options.build, server)?;
    let base = match &options.base {
        Some(build) => Some(Place::new(options, build, server)?),
        None => None,
    };
    server.count_functions()?;
    let mut bench = Bench {
        options,
        server,
        today,
        base,
        copies: Copies::open(options, server, plan)?,
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

struct Bench<'a> {
    options: &'a Options,
    server: &'a Server,
    today: Place<'a>,
    base: Option<Place<'a>>,
    copies: Copies<'a>,
}

/// A program at a shape.
struct Side<'b, 'a> {
    server: &'b Server,
    place: &'b Place<'a>,
    pipeline: PathBuf,
    /// Where something was loaded before, which every repetition adds to.
    kept: Option<Place<'a>>,
    cost: Cost,
}

impl Bench<'_> {
    fn measure(&mut self, shape: Shape) -> Result<Measured> {
        let folder = self.server.folder().join("shape");
        fs::create_dir(&folder)?;
        let given = Payloads::write(&folder, "given", &shape.given)?;
        let mut payloads = Payloads::write(&folder, "measured", &shape.uploads_of(0))?;
        let rows = payloads.rows;
        if shape.is_copied {
            self.copies.fill(&payloads.paths, &["text"])?;
            let copied = self.copies.rows_of_all()?;
            ensure!(copied == rows, "{copied} of {rows} rows would be copied");
        }
        let pipeline = match shape.engine {
            "postgres" => self.today.shipped_pipeline(),
            engine => pipeline(self.options, self.server.folder(), engine, "")?,
        };
        // The first version knew no other engine.
        let base = self.base.as_ref().filter(|_| shape.engine == "postgres");
        let mut sides = Vec::new();
        for place in [Some(&self.today), base].into_iter().flatten() {
            sides.push(Side::new(self.server, place, &pipeline, &given)?);
        }
        let mut copy = shape.is_copied.then(Cost::default);
        for repetition in 0..self.options.shapes_repetitions {
            if repetition > 0 && !shape.given.is_empty() {
                payloads = Payloads::write(&folder, "measured", &shape.uploads_of(repetition))?;
            }
            if let Some(copy) = &mut copy {
                let copied = self.copies.text_with_processor_time()?;
                copy.wall.push(copied.seconds);
                copy.processor.push(copied.processor_seconds);
            }
            for side in &mut sides {
                side.run(&shape, &payloads)?;
            }
        }
        let mut costs = Vec::new();
        for side in sides {
            if let Some(kept) = side.kept {
                kept.remove(self.server)?;
            }
            costs.push(side.cost);
        }
        fs::remove_dir_all(&folder)?;
        let mut costs = costs.into_iter();
        Ok(Measured {
            shape,
            rows,
            today: costs.next().context("it was not measured")?,
            base: costs.next(),
            copy,
        })
    }
}

impl<'b, 'a> Side<'b, 'a> {
    fn new(
        server: &'b Server,
        place: &'b Place<'a>,
        pipeline: &Path,
        given: &Payloads,
    ) -> Result<Self> {
        let kept = match given.paths.is_empty() {
            true => None,
            false => {
                let copy = place.copied(server)?;
                copy.load(Verb::Run, pipeline, &given.paths)?;
                Some(copy)
            }
        };
        Ok(Self {
            server,
            place,
            pipeline: pipeline.to_path_buf(),
            kept,
            cost: Cost::default(),
        })
    }

    /// Runs a shape once.
    fn run(&mut self, shape: &Shape, payloads: &Payloads) -> Result<()> {
        match self.kept.take() {
            Some(kept) => {
                self.run_in(&kept, shape, payloads)?;
                self.kept = Some(kept);
                Ok(())
            }
            None => {
                let copy = self.place.copied(self.server)?;
                self.run_in(&copy, shape, payloads)?;
                copy.remove(self.server)
            }
        }
    }

    fn run_in(&mut self, place: &Place<'_>, shape: &Shape, payloads: &Payloads) -> Result<()> {
        self.server.settle()?;
        let (functions, days) = (place.function_seconds()?, place.summarized_days()?);
        self.server.notice_ended();
        let before = self.server.processor_seconds();
        let spent = place.load(shape.verb, &self.pipeline, &payloads.paths)?;
        self.server.notice_ended();
        let server_seconds = self.server.processor_seconds() - before;
        ensure!(
            place.summarized_days()? - days == payloads.days,
            "not every day of `{}` was summarized",
            shape.name
        );
        let cost = &mut self.cost;
        if cost.wall.best() > spent.seconds {
            cost.functions = shares(&functions, &place.function_seconds()?, spent.seconds);
        }
        cost.wall.push(spent.seconds);
        cost.program.push(spent.processor_seconds);
        cost.server.push(server_seconds);
        cost.processor
            .push(spent.processor_seconds + server_seconds);
        cost.peak_bytes = cost.peak_bytes.max(spent.peak_bytes);
        Ok(())
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
        let mut days = BTreeSet::new();
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

/// The heaviest functions of a run, each as its share of the time.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_functions_are_those_of_the_run_alone() {
        let times = |times: [(&str, f64); 4]| {
            let times = times.map(|(name, seconds)| (name.to_owned(), seconds));
            BTreeMap::from(times)
        };
        let before = times([("a", 9.0), ("b", 1.0), ("c", 0.0), ("d", 0.0)]);
        let after = times([("a", 9.5), ("b", 3.0), ("c", 1.0), ("e", 0.1)]);
        let expected = [("b", 0.5), ("c", 0.25), ("a", 0.125)];
        assert_eq!(
            shares(&before, &after, 4.0),
            expected.map(|(name, share)| (name.to_owned(), share))
        );
    }
}
