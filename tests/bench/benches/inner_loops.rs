//! The loops that run for every row of a pod report, each by itself: the stages without
//! the sandbox, digests of hours and COPY's format. `make bench` measures all of them
//! together, and against their bounds.

use std::env;
use std::hint::black_box;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, ensure};
use criterion::{BatchSize, Bencher, Criterion, Throughput};
use gristmill::ingest::chain::{Breaks, Chain, Reader};
use gristmill::ingest::hours;
use gristmill::load;
use gristmill::pipeline::definition::BoundSet;
use gristmill::pipeline::plan::LoadPlan;
use gristmill::rows::batch;
use gristmill_bench::{ENABLED_KEYS, NativeChain, NativeTransform, chunks, open_parser};
use gristmill_generator::{Cluster, Kind, Upload};
use gristmill_stage::{Batch, Output, Parser as _};
use uuid::Uuid;

/// Of a hundred nodes with fifty pods each: 10,000 rows in three chunks.
const HOURS: u32 = 2;

fn main() -> Result<()> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let plan = gristmill_bench::plan(root, &stages(root)?)?;
    let report = Report::new(gristmill_bench::pods(&plan)?, plan.chunk_bytes)?;
    let mut criterion = Criterion::default().without_plots().configure_from_args();
    report.bench(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}

/// The folder of the components, as the tests find it. None of them is measured.
fn stages(root: &Path) -> Result<PathBuf> {
    let folder = match env::var_os("GRISTMILL_TEST_STAGES") {
        Some(folder) => PathBuf::from(folder),
        None => root
            .join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
            .join("stages"),
    };
    ensure!(
        folder.join("csv_parse.wasm").is_file(),
        "there are no stages in `{}`; run `make stages` first",
        folder.display()
    );
    Ok(folder)
}

/// A report, and its batches at each place of their way.
struct Report<'p> {
    pods: &'p LoadPlan,
    chunks: Vec<(Vec<u8>, bool)>,
    rows: u64,
    bytes: u64,
    /// The batch that reaches each transform, in the order of the chain.
    reaching: Vec<Vec<Batch>>,
    /// Behind the parser, in the host.
    read: Vec<batch::Batch>,
    /// Behind the last transform, in the host.
    finished: Vec<batch::Batch>,
}

impl<'p> Report<'p> {
    fn new(pods: &'p LoadPlan, chunk_bytes: usize) -> Result<Self> {
        let mut text = Vec::new();
        let upload = Upload {
            hours: 0..HOURS,
            ..Upload::of_day(Cluster::of_nodes(100, 50))
        };
        let rows = upload.write_report(Kind::Pod, &mut text)?;
        let chunks: Vec<(Vec<u8>, bool)> = chunks(&text, chunk_bytes)
            .map(|(chunk, last)| (chunk.to_vec(), last))
            .collect();

        let mut reaching: Vec<Vec<Batch>> = vec![Vec::new(); pods.transforms.len()];
        let mut native = NativeChain::open(pods)?;
        for (chunk, last) in &chunks {
            let mut places = reaching.iter_mut();
            native.feed_watched(chunk.clone(), *last, &mut |batch| {
                places
                    .next()
                    .into_iter()
                    .for_each(|place| place.push(batch.clone()));
            })?;
        }

        let words = |_: BoundSet| ENABLED_KEYS.map(str::to_string).to_vec();
        let breaks = Breaks::of(pods);
        let mut reader = Reader::open(pods, &words)?;
        let mut chain = Chain::open(pods, &words, &breaks)?;
        let (mut read, mut finished) = (Vec::new(), Vec::new());
        for (chunk, last) in &chunks {
            let batch = reader.read(chunk.clone().into(), *last)?;
            read.push(batch.batch.clone());
            finished.push(chain.feed(batch)?.batch);
        }
        for batches in [&read, &finished] {
            let found: usize = batches.iter().map(|batch| batch.rows).sum();
            ensure!(found as u64 == rows, "{found} of {rows} rows came through");
        }
        Ok(Self {
            pods,
            rows,
            bytes: text.len() as u64,
            chunks,
            reaching,
            read,
            finished,
        })
    }

    fn bench(&self, criterion: &mut Criterion) -> Result<()> {
        let mut group = criterion.benchmark_group("pods");

        group.throughput(self.throughput(self.bytes));
        group.bench_function("csv-parse", |bencher| self.parse(bencher));
        group.bench_function("digests of hours", |bencher| self.digest(bencher));

        group.throughput(Throughput::Elements(self.rows));
        for name in ["effective-usage", "unit-conversion"] {
            let position = self.position(name)?;
            group.bench_function(name, |bencher| self.transform(position, bencher));
        }

        let filter = self.position("label-filter")?;
        let sets = self.reaching[filter]
            .iter()
            .map(|batch| batch.dictionary(0).values().len() as u64);
        group.throughput(Throughput::Elements(sets.sum()));
        group.bench_function("label-filter, sets seen before", |bencher| {
            self.transform(filter, bencher);
        });
        group.bench_function("label-filter, new sets", |bencher| {
            self.transform_new(filter, bencher);
        });

        let bytes: usize = self.copy().iter().map(Vec::len).sum();
        group.throughput(self.throughput(bytes as u64));
        group.bench_function("COPY's format", |bencher| {
            bencher.iter_with_large_drop(|| self.copy());
        });
        group.finish();
        Ok(())
    }

    fn throughput(&self, bytes: u64) -> Throughput {
        Throughput::ElementsAndBytes {
            elements: self.rows,
            bytes,
        }
    }

    fn position(&self, name: &str) -> Result<usize> {
        let mut transforms = self.pods.transforms.iter();
        transforms
            .position(|transform| transform.stage.name == name)
            .ok_or_else(|| anyhow!("the pods go through no `{name}`"))
    }

    fn parse(&self, bencher: &mut Bencher<'_>) {
        let open = || {
            (
                open_parser(self.pods).expect("it opens"),
                self.chunks.clone(),
            )
        };
        bencher.iter_batched(
            open,
            |(mut parser, chunks)| {
                let parse = |(chunk, last)| parser.parse(chunk, last).expect("it parses");
                let parsed: Vec<_> = chunks.into_iter().map(parse).collect();
                (parser, parsed)
            },
            BatchSize::LargeInput,
        );
    }

    fn digest(&self, bencher: &mut Bencher<'_>) {
        bencher.iter(|| {
            for batch in &self.read {
                black_box(hours::of_batch(batch, None).expect("every row has its hour"));
            }
        });
    }

    fn copy(&self) -> Vec<Vec<u8>> {
        let copy = |batch| load::copy_bytes(batch, self.pods, Uuid::nil());
        self.finished.iter().map(copy).collect()
    }

    /// One that has had all of the batches before.
    fn transform(&self, position: usize, bencher: &mut Bencher<'_>) {
        let batches = &self.reaching[position];
        let mut transform = self.open(position);
        let mut process = |batches: Vec<Batch>| -> Vec<Output> {
            let process = |batch| transform.process(batch).expect("it goes through");
            batches.into_iter().map(process).collect()
        };
        process(batches.clone());
        bencher.iter_batched(|| batches.clone(), process, BatchSize::LargeInput);
    }

    /// For each batch one that has had none.
    fn transform_new(&self, position: usize, bencher: &mut Bencher<'_>) {
        let open = || -> Vec<(NativeTransform, Batch)> {
            let batches = self.reaching[position].iter().cloned();
            batches.map(|batch| (self.open(position), batch)).collect()
        };
        bencher.iter_batched(
            open,
            |opened| {
                let process = |(mut transform, batch): (NativeTransform, Batch)| {
                    let output = transform.process(batch).expect("it goes through");
                    (transform, output)
                };
                opened.into_iter().map(process).collect::<Vec<_>>()
            },
            BatchSize::LargeInput,
        );
    }

    fn open(&self, position: usize) -> NativeTransform {
        NativeTransform::open(self.pods, position).expect("it opens")
    }
}
