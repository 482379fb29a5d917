//! `gristmill check`: type-checks a whole pipeline and shows its graph.

use serde_json::{Value, json};

use super::{engine, plan};
use crate::cli::CheckArguments;
use crate::failure::Result;
use crate::plan::{LoadPlan, Plan, ReportAction, StagePlan};
use crate::report;
use crate::schema::{Field, Schema};

/// Characters of a line of the graph.
const WIDTH: usize = 96;

/// # Errors
/// The pipeline has problems; they have been printed.
pub fn execute(arguments: &CheckArguments) -> Result<()> {
    let engine = engine()?;
    let plan = plan(&arguments.pipeline, &engine)?;
    if arguments.json {
        report::json(&as_json(&plan));
    } else {
        report::data(&as_text(&plan));
    }
    Ok(())
}

fn as_text(plan: &Plan) -> String {
    let mut lines = vec![format!("pipeline {} ({})", plan.name, plan.path.display())];
    for kind in &plan.reports {
        lines.push(String::new());
        lines.push(format!("{}: {}", kind.name, kind.detect.join(", ")));
        match &kind.action {
            ReportAction::Ignore => lines.push("  read past".to_string()),
            ReportAction::Load(load) => graph(load, &mut lines),
        }
    }
    lines.push(String::new());
    lines.push(format!(
        "days are won by {} and summarized by postgres",
        plan.coverage
    ));
    lines.join("\n")
}

/// The chain, with the schema on every edge.
fn graph(load: &LoadPlan, lines: &mut Vec<String>) {
    stage_line(&load.parser, lines);
    wrapped("gives ", &fields(&load.parsed.fields), lines);
    for transform in &load.transforms {
        stage_line(&transform.stage, lines);
        let contract = &transform.contract;
        wrapped("reads ", &fields(&contract.reads), lines);
        wrapped("writes", &fields(&contract.writes), lines);
        wrapped("drops ", &contract.drops, lines);
        wrapped("gives ", &fields(&transform.output.fields), lines);
    }
    lines.push(format!("  {}", load.table));
    let columns: Vec<String> = load
        .targets
        .iter()
        .map(|target| target.column.clone())
        .collect();
    wrapped("stores", &columns, lines);
}

fn stage_line(stage: &StagePlan, lines: &mut Vec<String>) {
    lines.push(format!(
        "  {} [{} MiB, {:?} a batch]",
        stage.name,
        stage.limits.memory_bytes >> 20,
        stage.limits.time_per_batch
    ));
}

fn fields(fields: &[Field]) -> Vec<String> {
    fields
        .iter()
        .map(|field| format!("{} {}", field.name, field.column_type))
        .collect()
}

/// A list under a label, in lines of bounded width.
fn wrapped(label: &str, words: &[String], lines: &mut Vec<String>) {
    let mut line = format!("    {label}");
    let indent = line.len();
    for (position, word) in words.iter().enumerate() {
        if position > 0 {
            line.push(',');
            if line.len() + word.len() >= WIDTH {
                lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
            }
        }
        line.push(' ');
        line.push_str(word);
    }
    if !words.is_empty() {
        lines.push(line);
    }
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
                "schema": schema(&load.parsed),
                "stages": stages(load),
                "columns": load.targets.iter().map(|target| &target.column).collect::<Vec<_>>(),
            }),
        })
        .collect();
    json!({
        "name": plan.name,
        "coverage": plan.coverage,
        "engine": "postgres",
        "rejected_rows_max": plan.rejected_rows_max,
        "reports": reports,
    })
}

fn stages(load: &LoadPlan) -> Vec<Value> {
    let outputs = std::iter::once(&load.parsed)
        .chain(load.transforms.iter().map(|transform| &transform.output));
    load.stages()
        .zip(outputs)
        .map(|(stage, output)| {
            json!({
                "name": stage.name,
                "component": stage.component.path,
                "sha256": stage.component.digest,
                "memory_bytes": stage.limits.memory_bytes,
                "time_per_batch_ms": stage.limits.time_per_batch.as_millis() as u64,
                "output": schema(output),
            })
        })
        .collect()
}

fn schema(schema: &Schema) -> Vec<Value> {
    schema
        .fields
        .iter()
        .map(|field| json!({"name": field.name, "type": field.column_type.to_string()}))
        .collect()
}
