//! `gristmill stage run`: shows what a stage does to some rows.

use serde_json::{Map, Value, json};

use super::engine;
use super::stage_alone::{fault, harness, name, unusable};
use crate::authoring::harness::{Outcome, view};
use crate::cli::{RunFormat, StageRunArguments};
use crate::diagnostics::failure::{Failure, Result};
use crate::rows::batch::Values;
use crate::rows::column::Schema;
use crate::stage::{Contract, RowEffect};
use crate::terminal;

/// Rows that a transform gets at a time: about what a chunk of a report completes.
const BATCH_ROWS: usize = 8_000;

/// # Errors
/// The component may not run, or the stage refuses the rows or breaks.
pub fn execute(arguments: &StageRunArguments) -> Result<()> {
    let engine = engine()?;
    let path = &arguments.input.open.component;
    let component = engine.load(path, None).map_err(unusable)?;
    let (mut harness, input) = harness(&arguments.input, component.world)?;
    harness.batch_rows = Some(BATCH_ROWS);
    let mut log = Vec::new();
    let outcome = harness.run_logged(&component, &input, &mut log);
    let log: Vec<_> = log.into_iter().map(|line| (name(path), line)).collect();
    terminal::log(None, &log);
    let outcome = outcome.map_err(|reason| fault(&component, &reason))?;
    match arguments.format {
        RunFormat::Table | RunFormat::List => show(&outcome, arguments),
        RunFormat::Csv => {
            let text = outcome.output().text().map_err(Failure::run)?;
            terminal::csv(text.trim_end_matches('\n'));
        }
        RunFormat::Json => terminal::json(&as_json(&outcome)),
    }
    if arguments.format == RunFormat::Csv {
        for reject in outcome.rejected().rows.iter().take(arguments.rows) {
            terminal::say(&format!("rejected: {}", reject.join(", ")));
        }
    }
    if arguments.format != RunFormat::Json {
        for (topic, words) in &outcome.facts {
            if !words.is_empty() {
                terminal::say(&format!("learned {topic}: {}", words.join(", ")));
            }
        }
        terminal::say(&format!(
            "{} rows in, {} out, {} rejected, {} left out",
            terminal::grouped(outcome.rows_in() as u64),
            terminal::grouped(outcome.rows_out() as u64),
            terminal::grouped(outcome.rejects.len() as u64),
            terminal::grouped(outcome.filtered),
        ));
    }
    Ok(())
}

fn show(outcome: &Outcome, arguments: &StageRunArguments) {
    let view = view::of(outcome, arguments.rows, arguments.all_columns);
    let (header, rows) = match arguments.format {
        RunFormat::List => view.list(),
        _ => view.table(),
    };
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    terminal::table(&header, &[0], &rows);
    if view.hidden_columns > 0 {
        terminal::say(&format!(
            "{} more columns go round the stage; `--all-columns` shows them",
            view.hidden_columns
        ));
    }
    if view.hidden_rows > 0 {
        terminal::say(&format!(
            "{} more rows; `--rows N` shows more",
            terminal::grouped(view.hidden_rows as u64)
        ));
    }
}

fn as_json(outcome: &Outcome) -> Value {
    let mut rows = Vec::new();
    let mut places = Vec::new();
    for batch in &outcome.batches {
        let columns: Vec<Values<'_>> = batch.columns.iter().filter_map(Values::of).collect();
        for row in 0..batch.rows {
            let cells = outcome.schema.names().zip(&columns);
            let cells: Map<String, Value> = cells
                .map(|(name, values)| (name.to_string(), cell(values, row)))
                .collect();
            rows.push(Value::Object(cells));
            places.push(batch.places.lines.get(row).copied());
        }
    }
    let place = if outcome.input.is_some() {
        "row"
    } else {
        "line"
    };
    let rejects = outcome.rejects.iter().map(|reject| {
        let mut value = json!({
            "column": reject.column,
            "code": reject.code,
            "message": reject.message,
        });
        value[place] = json!(reject.line);
        value
    });
    let mut value = json!({
        "columns": fields(&outcome.schema),
        "rows": rows,
        "rejects": rejects.collect::<Vec<_>>(),
        "rows_in": outcome.rows_in(),
        "rows_left_out": outcome.filtered,
        "facts": outcome.facts,
        "contract": outcome.input.as_ref().map(|(_, contract)| contract_json(contract)),
    });
    // For each row the input row, or the line of the file, that it came from.
    value[if outcome.input.is_some() {
        "source_rows"
    } else {
        "source_lines"
    }] = json!(places);
    value
}

pub(super) fn fields(schema: &Schema) -> Vec<Value> {
    let fields = schema.fields.iter();
    fields
        .map(|field| json!({"name": field.name, "type": field.column_type.to_string()}))
        .collect()
}

pub(super) fn contract_json(contract: &Contract) -> Value {
    let fields = |fields: &[crate::rows::column::Field]| {
        self::fields(&Schema {
            fields: fields.to_vec(),
        })
    };
    json!({
        "reads": fields(&contract.reads),
        "writes": fields(&contract.writes),
        "drops": contract.drops,
        "row_effect": match contract.row_effect {
            RowEffect::Keeps => "keeps",
            RowEffect::Rearranges => "rearranges",
        },
    })
}

/// Numbers and truths as such; what JSON has no number for as text.
fn cell(values: &Values<'_>, row: usize) -> Value {
    if values.is_null(row) {
        return Value::Null;
    }
    match values {
        Values::Boolean(values) => json!(values.value(row)),
        Values::Int64(values) => json!(values.value(row)),
        Values::Float64(values) if values.value(row).is_finite() => json!(values.value(row)),
        _ => json!(values.cell(row)),
    }
}
