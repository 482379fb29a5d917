//! The four stages of the pod report, in the sandbox and without it, on one core.

use anyhow::Result;
use gristmill::chain::{Chain, Reader};
use gristmill::definition::BoundSet;
use gristmill::plan::{LoadPlan, Plan};
use gristmill_generator::{Cluster, Kind, Upload};

use crate::native::NativeChain;
use crate::timing::{Pair, Samples, time};
use crate::{ENABLED_KEYS, Line, Options, pods};

/// Repetitions are short here, so there are more of them.
const REPETITIONS_FACTOR: usize = 3;

/// A tenth of the largest payload's pods, in both.
pub(crate) fn compare(options: &Options, plan: &Plan) -> Result<Line> {
    let pods = pods(plan)?;
    let cluster = Cluster::of_nodes(
        (options.largest.nodes / 10).max(1),
        options.largest.pods_of_node,
    );
    let mut text = Vec::new();
    let rows = Upload::of_day(cluster).write_report(Kind::Pod, &mut text)?;
    let (mut sandboxed, mut native) = (Samples::default(), Samples::default());
    for _ in 0..options.repetitions * REPETITIONS_FACTOR {
        sandboxed.push(time(|| {
            in_the_sandbox(pods, &text, plan.chunk_bytes, rows)
        })?);
        native.push(time(|| natively(pods, &text, plan.chunk_bytes, rows))?);
    }
    let pair = Pair {
        left: &sandboxed,
        right: &native,
    };
    let rate = |samples: &Samples| format!("{:.0}", rows as f64 / samples.best() / 1e3);
    Ok(Line {
        what: "1 chain in the sandbox / natively".into(),
        value: format!("{:.2}", pair.ratio()),
        noise: format!("{:.2}", pair.noise()),
        target: "≤ 1.2",
        detail: format!(
            "{} against {} krows/s on one core",
            rate(&sandboxed),
            rate(&native)
        ),
    })
}

fn in_the_sandbox(pods: &LoadPlan, text: &[u8], chunk_bytes: usize, rows: u64) -> Result<()> {
    let words = |_: BoundSet| ENABLED_KEYS.map(str::to_string).to_vec();
    let mut reader = Reader::open(pods, &words)?;
    let mut chain = Chain::open(pods, &words)?;
    let mut out = 0;
    for (chunk, last) in chunks(text, chunk_bytes) {
        let read = reader.read(chunk, last)?;
        out += chain.feed(read)?.batch.rows as u64;
    }
    anyhow::ensure!(out == rows, "{out} of {rows} rows came out of the sandbox");
    Ok(())
}

fn natively(pods: &LoadPlan, text: &[u8], chunk_bytes: usize, rows: u64) -> Result<()> {
    let mut chain = NativeChain::open(pods)?;
    let mut out = 0;
    for (chunk, last) in chunks(text, chunk_bytes) {
        out += chain.feed(chunk, last)? as u64;
    }
    anyhow::ensure!(out == rows, "{out} of {rows} rows came out natively");
    Ok(())
}

fn chunks(text: &[u8], bytes: usize) -> impl Iterator<Item = (&[u8], bool)> {
    let count = text.len().div_ceil(bytes);
    text.chunks(bytes)
        .enumerate()
        .map(move |(index, chunk)| (chunk, index + 1 == count))
}
