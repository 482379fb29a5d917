//! `gristmill stage bench`: measures what a stage costs, by the size of its batches.

use serde_json::json;

use super::stage_alone::{fault, harness, unusable};
use super::{engine, metered_engine};
use crate::authoring::harness::measure::{Measurement, Subject, Supply};
use crate::cli::StageBenchArguments;
use crate::diagnostics::failure::{Failure, Result};
use crate::stage::Limits;
use crate::terminal;

/// # Errors
/// The component may not run, or the stage refuses the rows or breaks at each size.
pub fn execute(arguments: &StageBenchArguments) -> Result<()> {
    let path = &arguments.input.open.component;
    let (engine, metered_engine) = (engine()?, metered_engine()?);
    let inspection = engine.inspect_anew(path).map_err(unusable)?;
    let compile_time = inspection.compile_time.unwrap_or_default();
    let component = inspection.component.map_err(unusable)?;
    let metered = metered_engine.load(path, None).map_err(unusable)?;
    let (mut harness, input) = harness(&arguments.input, component.world)?;
    harness.settings.limits = Limits::MEASURING;
    let failed = |reason: &_| fault(&component, reason);
    let supply = Supply::of(&harness, &component, &input).map_err(|reason| failed(&reason))?;
    let opening = supply
        .opening(&component)
        .map_err(|reason| failed(&reason))?;
    let subject = Subject {
        timed: &component,
        metered: &metered,
    };
    let sizes = arguments.batch_rows.iter().map(|rows| *rows as usize);
    let rows = sizes.clone().max().unwrap_or_default();
    let rounds = usize::from(arguments.rounds);
    let mut measured: Vec<(usize, Measurement)> = Vec::new();
    let mut last = None;
    for size in sizes {
        match supply.measure(subject, size, rows, rounds) {
            Ok(numbers) => measured.push((size, numbers)),
            Err(reason) => {
                let failure = failed(&reason);
                terminal::say(&format!(
                    "batches of {} rows: {}",
                    terminal::grouped(size as u64),
                    failure.message
                ));
                last = Some(failure);
            }
        }
    }
    if arguments.json {
        terminal::json(&json!({
            "component": path,
            "sha256": component.digest,
            "bytes": component.bytes,
            "world": component.world.to_string(),
            "compile_seconds": compile_time.as_secs_f64(),
            "open_seconds": opening.as_secs_f64(),
            "batches": measured.iter().map(|(size, measured)| json!({
                "rows": size,
                "rows_per_second": measured.rows_per_second,
                "spread": measured.spread,
                "fuel_per_row": measured.fuel_per_row,
                "bytes_in_per_row": measured.bytes_in_per_row,
                "bytes_out_per_row": measured.bytes_out_per_row,
                "memory_bytes": measured.memory_bytes,
            })).collect::<Vec<_>>(),
        }));
    } else {
        show(&measured);
        terminal::say(&format!(
            "compiles in {:.0} ms, opens in {:.3} ms; {} bytes",
            1e3 * compile_time.as_secs_f64(),
            1e3 * opening.as_secs_f64(),
            terminal::grouped(component.bytes),
        ));
    }
    match last {
        Some(failure) if measured.is_empty() => Err(failure),
        Some(_) => Err(Failure::run("not every size of batch could be measured")),
        None => Ok(()),
    }
}

fn show(measured: &[(usize, Measurement)]) {
    let rows: Vec<Vec<String>> = measured
        .iter()
        .map(|(size, measured)| {
            vec![
                terminal::grouped(*size as u64),
                terminal::grouped(measured.rows_per_second as u64),
                format!("{:.1} %", 100.0 * measured.spread),
                format!("{:.1}", measured.fuel_per_row),
                format!("{:.1}", measured.bytes_in_per_row),
                format!("{:.1}", measured.bytes_out_per_row),
                format!(
                    "{:.1} MiB",
                    measured.memory_bytes as f64 / f64::from(1 << 20)
                ),
            ]
        })
        .collect();
    let header = [
        "rows a batch",
        "rows/s",
        "A/A spread",
        "fuel/row",
        "bytes in/row",
        "bytes out/row",
        "peak memory",
    ];
    terminal::table(&header, &[0, 1, 2, 3, 4, 5, 6], &rows);
}
