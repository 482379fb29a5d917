//! `gristmill check`: type-checks a whole pipeline and shows its graph.

mod connect;
mod graph;

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::{engine, plan};
use crate::cli::CheckArguments;
use crate::diagnostics::failure::Result;
use crate::pipeline::plan::{LoadPlan, Plan, ReportAction, StagePlan, TransformPlan};
use crate::rows::column::{Field, Schema};
use crate::stage::{CONTRACT_VERSION, RowEffect, WantedColumn};
use crate::terminal;

/// # Errors
/// The pipeline has problems; they have been printed. Or its servers cannot do what they are
/// asked.
pub fn execute(
    arguments: &CheckArguments,
    runtime: impl FnOnce() -> Result<Runtime>,
) -> Result<()> {
    let engine = engine()?;
    let plan = plan(&arguments.pipeline, &engine)?;
    let connected = match arguments.connect {
        true => Some(connect::probe(&plan, &runtime()?)?),
        false => None,
    };
    if arguments.json {
        let mut plan = as_json(&plan);
        if let Some(report) = connected {
            plan["servers"] = json!({
                "trino_version": report.version,
                "catalog": report.catalog,
                "connector": report.connector,
                "schema": report.schema,
                "location": report.location,
            });
        }
        terminal::json(&plan);
    } else {
        // Stages name columns.
        terminal::text(&graph::text(&plan));
        if let Some(report) = connected {
            terminal::text(&connect::text(&report));
        }
    }
    Ok(())
}

fn as_json(plan: &Plan) -> Value {
    let reports: Vec<Value> = plan
        .reports
        .iter()
        .map(|kind| match &kind.action {
            ReportAction::Ignore => {
                json!({"name": kind.name, "detect": kind.detect, "ignore": true})
            }
            ReportAction::Load(load) => json!({
                "name": kind.name,
                "detect": kind.detect,
                "into": load.table,
                "file_columns": load.columns.iter().map(file_column).collect::<Vec<_>>(),
                "schema": schema(&load.parsed),
                "stages": stages(load),
                "columns": columns(load),
                "left_null": load.left_null,
            }),
        })
        .collect();
    json!({
        "name": plan.name,
        "path": plan.path,
        "contract": CONTRACT_VERSION,
        "coverage": plan.coverage,
        "unknown_reports": plan.unknown_reports.to_string(),
        "engine": plan.engines.choice(None).to_string(),
        "rejected_rows_max": plan.rejected_rows.share,
        "rejected_rows_floor": plan.rejected_rows.floor,
        "chunk_bytes": plan.chunk_bytes,
        "months_back": plan.months.back,
        "months_ahead": plan.months.ahead,
        "register_sources": plan.register_sources,
        "archive": {"keep": plan.archive.keep, "directory": plan.archive.directory},
        "reports": reports,
    })
}

/// The chain in order, each stage with the schema on the edge behind it.
fn stages(load: &LoadPlan) -> Vec<Value> {
    let mut parser = stage(&load.parser, &load.parsed);
    parser["adds"] = names(&load.parsed.fields);
    let transforms = load.transforms.iter().enumerate().map(|(position, next)| {
        let input = load.input_of(position);
        let contract = &next.contract;
        let mut stage = stage(&next.stage, &next.output);
        stage["reads"] = json!(fields(&contract.reads));
        stage["writes"] = json!(fields(&contract.writes));
        stage["adds"] = names(&added(next, input));
        stage["drops"] = json!(contract.drops);
        stage["row_effect"] = json!(match contract.row_effect {
            RowEffect::Keeps => "keeps",
            RowEffect::Rearranges => "rearranges",
        });
        stage
    });
    let mut stages: Vec<Value> = transforms.collect();
    stages.insert(0, parser);
    stages
}

fn stage(stage: &StagePlan, output: &Schema) -> Value {
    let config: Value = serde_json::from_str(&stage.config).unwrap_or_default();
    let bind: serde_json::Map<String, Value> = stage
        .bind
        .iter()
        .map(|(name, set)| (name.clone(), set.to_string().into()))
        .collect();
    let learn: serde_json::Map<String, Value> = stage
        .learn
        .iter()
        .map(|(topic, set)| (topic.clone(), set.to_string().into()))
        .collect();
    json!({
        "name": stage.name,
        "world": stage.component.world.to_string(),
        "component": stage.component.path,
        "sha256": stage.component.digest,
        "bytes": stage.component.bytes,
        "config": config,
        "bind": bind,
        "learn": learn,
        "memory_bytes": stage.limits.memory_bytes,
        "time_per_batch_ms": stage.limits.time_per_batch.as_millis() as u64,
        "output_per_batch_bytes": stage.limits.output_bytes,
        "output": schema(output),
    })
}

/// Which column of the table gets which column of the chain.
fn columns(load: &LoadPlan) -> Vec<Value> {
    let pairs = load.output().fields.iter().zip(&load.targets);
    pairs
        .map(|(field, target)| {
            json!({
                "column": field.name,
                "type": field.column_type.to_string(),
                "written_by": load.writer_of(&field.name).name,
                "table_column": target.column,
                "stored_as": target.storage.to_string(),
                "required": target.required,
            })
        })
        .collect()
}

fn file_column(wanted: &WantedColumn) -> Value {
    json!({
        "name": wanted.name,
        "type": wanted.column_type.to_string(),
        "optional": !wanted.required,
        "empty": if wanted.empty_is_null { "null" } else { "zero" },
    })
}

/// The columns that a transform adds.
fn added(transform: &TransformPlan, input: &Schema) -> Vec<Field> {
    let writes = transform.contract.writes.iter();
    writes
        .filter(|field| input.field(&field.name).is_none())
        .cloned()
        .collect()
}

fn names(fields: &[Field]) -> Value {
    fields.iter().map(|field| field.name.as_str()).collect()
}

fn schema(schema: &Schema) -> Vec<Value> {
    fields(&schema.fields)
}

fn fields(fields: &[Field]) -> Vec<Value> {
    fields
        .iter()
        .map(|field| json!({"name": field.name, "type": field.column_type.to_string()}))
        .collect()
}
