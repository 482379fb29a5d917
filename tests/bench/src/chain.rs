//! The four stages of the pod report, in the sandbox and without it, on one core.

use std::time::{Duration, Instant};

use anyhow::Result;
use gristmill::ingest::chain::{Breaks, Chain, Reader};
use gristmill::pipeline::definition::BoundSet;
use gristmill::pipeline::plan::{LoadPlan, Plan};
use gristmill_generator::{Cluster, Kind, Upload};

use crate::native::NativeChain;
use crate::timing::{Pair, Samples, time};
use crate::{ENABLED_KEYS, Line, Options, pods};

/// Repetitions are short here, so there are more of them.
const REPETITIONS_FACTOR: usize = 3;

/// Time in each stage, in the order of the chain, and last in all of it.
type Times = Vec<Samples>;

/// A tenth of the largest payload's pods, in both: the chain, then each stage.
pub(crate) fn compare(options: &Options, plan: &Plan) -> Result<Vec<Line>> {
    let pods = pods(plan)?;
    let cluster = Cluster::of_nodes(
        (options.largest.nodes / 10).max(1),
        options.largest.pods_of_node,
    );
    let mut text = Vec::new();
    let rows = Upload::of_day(cluster).write_report(Kind::Pod, &mut text)?;
    let stages: Vec<&str> = pods.stages().map(|stage| stage.name.as_str()).collect();
    let times = || -> Times { (0..=stages.len()).map(|_| Samples::default()).collect() };
    let (mut sandboxed, mut native) = (times(), times());
    for _ in 0..options.repetitions * REPETITIONS_FACTOR {
        in_the_sandbox(pods, &text, plan.chunk_bytes, rows, &mut sandboxed)?;
        natively(pods, &text, plan.chunk_bytes, rows, &mut native)?;
    }
    let pairs: Vec<Pair<'_>> = sandboxed
        .iter()
        .zip(&native)
        .map(|(left, right)| Pair { left, right })
        .collect();
    let line = |what: String, pair: &Pair<'_>, target| {
        let rate = |samples: &Samples| {
            let seconds = samples.best();
            format!(
                "{:.0} krows/s, {:.0} ns a row",
                rows as f64 / seconds / 1e3,
                seconds * 1e9 / rows as f64
            )
        };
        Line {
            what,
            value: format!("{:.2}", pair.ratio()),
            noise: format!("{:.2}", pair.noise()),
            target,
            detail: format!("{} against {}", rate(pair.left), rate(pair.right)),
        }
    };
    let mut lines = vec![line(
        "1 chain in the sandbox / natively".into(),
        &pairs[stages.len()],
        "≤ 1.2",
    )];
    for (stage, pair) in stages.iter().zip(&pairs) {
        lines.push(line(format!("1 of it, {stage}"), pair, ""));
    }
    Ok(lines)
}

fn in_the_sandbox(
    pods: &LoadPlan,
    text: &[u8],
    chunk_bytes: usize,
    rows: u64,
    times: &mut Times,
) -> Result<()> {
    let words = |_: BoundSet| ENABLED_KEYS.map(str::to_string).to_vec();
    let mut stage_time = vec![Duration::ZERO; times.len() - 1];
    let mut out = 0;
    let mut inflating = Duration::ZERO;
    let seconds = time(|| {
        let mut reader = Reader::open(pods, &words)?;
        let breaks = Breaks::of(pods);
        let mut chain = Chain::open(pods, &words, &breaks)?;
        for (chunk, last) in chunks(text, chunk_bytes) {
            let chunk = as_inflated(chunk, &mut inflating);
            let read = reader.read(chunk.into(), last)?;
            stage_time[0] += read.stage_time;
            let output = chain.feed(read)?;
            for (sum, time) in stage_time[1..].iter_mut().zip(&output.stage_time) {
                *sum += *time;
            }
            out += output.batch.rows as u64;
        }
        Ok(())
    })?;
    anyhow::ensure!(out == rows, "{out} of {rows} rows came out of the sandbox");
    push(times, &stage_time, seconds - inflating.as_secs_f64());
    Ok(())
}

fn natively(
    pods: &LoadPlan,
    text: &[u8],
    chunk_bytes: usize,
    rows: u64,
    times: &mut Times,
) -> Result<()> {
    let mut chain = NativeChain::open(pods)?;
    let mut out = 0;
    let mut inflating = Duration::ZERO;
    let seconds = time(|| {
        for (chunk, last) in chunks(text, chunk_bytes) {
            let chunk = as_inflated(chunk, &mut inflating);
            out += chain.feed(chunk, last)? as u64;
        }
        Ok(())
    })?;
    anyhow::ensure!(out == rows, "{out} of {rows} rows came out natively");
    push(times, &chain.stage_time, seconds - inflating.as_secs_f64());
    Ok(())
}

/// A chunk as a parser gets it in a run: it has just been inflated, and its bytes are in
/// the processor's cache. What that takes is no part of a chain.
fn as_inflated(chunk: &[u8], time: &mut Duration) -> Vec<u8> {
    let started = Instant::now();
    let chunk = chunk.to_vec();
    *time += started.elapsed();
    chunk
}

fn push(times: &mut Times, stage_time: &[Duration], seconds: f64) {
    let all = stage_time
        .iter()
        .map(Duration::as_secs_f64)
        .chain([seconds]);
    for (samples, seconds) in times.iter_mut().zip(all) {
        samples.push(seconds);
    }
}

/// Parts of a text, of so many bytes each, and which is the last.
pub fn chunks(text: &[u8], bytes: usize) -> impl Iterator<Item = (&[u8], bool)> {
    let count = text.len().div_ceil(bytes);
    text.chunks(bytes)
        .enumerate()
        .map(move |(index, chunk)| (chunk, index + 1 == count))
}
