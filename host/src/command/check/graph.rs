//! A plan as a person reads it: the way of each report kind from its file to its
//! table, with the schema on every edge.

use std::path::Path;
use std::time::Duration;

use super::added;
use crate::pipeline::definition::UnknownReports;
use crate::pipeline::plan::{LoadPlan, Plan, ReportAction, ReportPlan, StagePlan, TransformPlan};
use crate::rows::column::{Field, Schema};
use crate::stage::RowEffect;

/// Characters of a line.
const WIDTH: usize = 100;

pub(super) fn text(plan: &Plan) -> String {
    let mut lines = vec![format!("pipeline {} ({})", plan.name, plan.path.display())];
    for kind in &plan.reports {
        lines.push(String::new());
        report(kind, &mut lines);
    }
    lines.push(String::new());
    lines.extend(of_the_pipeline(plan));
    lines.join("\n")
}

fn report(kind: &ReportPlan, lines: &mut Vec<String>) {
    let loaded = match &kind.action {
        ReportAction::Ignore => "read past",
        ReportAction::Load(load) => &load.table,
    };
    lines.push(format!("{} → {loaded}", kind.name));
    list("  a file with", &kind.detect, lines);
    let ReportAction::Load(load) = &kind.action else {
        return;
    };
    lines.push(String::new());
    stage(&load.parser, lines);
    let optional = load.columns.iter().filter(|column| !column.required);
    let optional: Vec<String> = optional.map(|column| column.name.clone()).collect();
    list("    may lack", &optional, lines);
    edge(&load.parsed, lines);
    for (position, next) in load.transforms.iter().enumerate() {
        stage(&next.stage, lines);
        columns_of(next, load.input_of(position), lines);
        edge(&next.output, lines);
    }
    table(load, lines);
}

/// A stage with its limits, its configuration and its sets.
fn stage(stage: &StagePlan, lines: &mut Vec<String>) {
    let limits = &stage.limits;
    lines.push(format!(
        "  {} ({} {}; {} memory, {} and {} output a batch)",
        stage.name,
        stage.component.world,
        file_name(&stage.component.path),
        bytes(limits.memory_bytes),
        time(limits.time_per_batch),
        bytes(limits.output_bytes),
    ));
    if stage.config != "{}" {
        config(&stage.config, lines);
    }
    for (name, set) in &stage.bind {
        lines.push(format!("    bind    {name} = {set}"));
    }
    for (topic, set) in &stage.learn {
        lines.push(format!("    learn   {topic} → {set}"));
    }
}

/// In one line, or in several when it is too long for one.
fn config(json: &str, lines: &mut Vec<String>) {
    let label = "    config  ";
    if label.len() + json.chars().count() <= WIDTH {
        lines.push(format!("{label}{json}"));
        return;
    }
    let pretty = serde_json::from_str::<serde_json::Value>(json)
        .and_then(|value| serde_json::to_string_pretty(&value))
        .unwrap_or_else(|_| json.to_string());
    let indent = " ".repeat(label.len());
    for (position, line) in pretty.lines().enumerate() {
        let start = if position == 0 { label } else { &indent };
        lines.push(format!("{start}{line}"));
    }
}

/// Tells what a transform does to the columns that reach it.
fn columns_of(transform: &TransformPlan, input: &Schema, lines: &mut Vec<String>) {
    let contract = &transform.contract;
    let added = added(transform, input);
    let (new, changed): (Vec<&Field>, Vec<&Field>) = contract
        .writes
        .iter()
        .partition(|field| added.contains(field));
    list("    reads  ", &names(&contract.reads), lines);
    list("    changes", &in_types(&changed, input), lines);
    list("    adds   ", &in_types(&new, input), lines);
    list("    drops  ", &contract.drops, lines);
    if contract.row_effect == RowEffect::Rearranges {
        lines.push("    may leave rows out, repeat them or change their order".to_string());
    }
}

/// Every column between two stages, those of a type together.
fn edge(schema: &Schema, lines: &mut Vec<String>) {
    let mut types: Vec<(String, Vec<String>)> = Vec::new();
    for field in &schema.fields {
        let named = field.column_type.to_string();
        match types.iter_mut().find(|(known, _)| *known == named) {
            Some((_, columns)) => columns.push(field.name.clone()),
            None => types.push((named, vec![field.name.clone()])),
        }
    }
    let width = types.iter().map(|(named, _)| named.len()).max();
    for (named, columns) in &types {
        let label = format!("   │ {named:<0$}", width.unwrap_or_default());
        list(&label, columns, lines);
    }
    lines.push("   ▼".to_string());
}

/// Which column of the table gets which column of the chain, by who wrote it last.
fn table(load: &LoadPlan, lines: &mut Vec<String>) {
    lines.push(format!("  {}", load.table));
    for writer in load.stages() {
        let written: Vec<String> = load
            .output()
            .fields
            .iter()
            .zip(&load.targets)
            .filter(|(field, _)| load.writer_of(&field.name).name == writer.name)
            .map(|(field, target)| stored(&field.name, &target.column))
            .collect();
        if !written.is_empty() {
            lines.push(format!("    by {}", writer.name));
            list("     ", &written, lines);
        }
    }
    if !load.left_null.is_empty() {
        lines.push("    by none: null".to_string());
        list("     ", &load.left_null, lines);
    }
}

/// A column and what the table calls it, where that is another name.
fn stored(name: &str, column: &str) -> String {
    if name == column {
        return name.to_string();
    }
    let whole = format!("{name} as {column}");
    match column.strip_prefix(name) {
        // With its indent and comma it would not fit a line.
        Some(end) if whole.chars().count() + 7 > WIDTH => format!("{name} as …{end}"),
        _ => whole,
    }
}

fn of_the_pipeline(plan: &Plan) -> Vec<String> {
    let archive = match (&plan.archive.keep, &plan.archive.directory) {
        (false, _) => "loaded payloads are not kept".to_string(),
        (true, None) => "loaded payloads are kept in the data folder".to_string(),
        (true, Some(directory)) => format!("loaded payloads are kept in {}", directory.display()),
    };
    let sources = match plan.register_sources {
        true => "an unknown cluster registers itself",
        false => "a payload of an unknown cluster is refused",
    };
    vec![
        format!("days     are won by {}", plan.coverage),
        format!("summary  is made by {}", plan.engines.choice(None)),
        match plan.unknown_reports {
            UnknownReports::Skip => "unknown  reports are read past with a warning".to_string(),
            UnknownReports::Refuse => "unknown  reports refuse their payload".to_string(),
        },
        format!(
            "rows     at most {} % of a payload's may be rejected{}",
            plan.rejected_rows.share * 100.0,
            match plan.rejected_rows.floor {
                0 => String::new(),
                rows => format!(", or {rows} of them"),
            }
        ),
        format!(
            "chunks   of {} of a report go to its parser",
            bytes(plan.chunk_bytes as u64)
        ),
        format!("sources  {sources}"),
        format!("archive  {archive}"),
    ]
}

fn names(fields: &[Field]) -> Vec<String> {
    fields.iter().map(|field| field.name.clone()).collect()
}

/// Fields with their types; a type that changes with the one before.
fn in_types(fields: &[&Field], input: &Schema) -> Vec<String> {
    fields
        .iter()
        .map(|field| {
            let before = input.field(&field.name).map(|before| before.column_type);
            match before {
                Some(before) if before != field.column_type => {
                    format!("{} ({before} → {})", field.name, field.column_type)
                }
                Some(_) => field.name.clone(),
                None => format!("{} ({})", field.name, field.column_type),
            }
        })
        .collect()
}

/// A list under a label, in lines of bounded width; nothing for an empty one. A
/// label that draws an edge goes on drawing it.
fn list(label: &str, words: &[String], lines: &mut Vec<String>) {
    if words.is_empty() {
        return;
    }
    let draws = |character| if character == '│' { '│' } else { ' ' };
    let indent: String = label.chars().map(draws).collect();
    let mut line = label.to_string();
    for (position, word) in words.iter().enumerate() {
        if position > 0 {
            line.push(',');
            // The space before the word and the comma after it.
            if line.chars().count() + word.chars().count() + 2 > WIDTH {
                lines.push(std::mem::replace(&mut line, indent.clone()));
            }
        }
        line.push(' ');
        line.push_str(word);
    }
    lines.push(line);
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// In the largest unit that makes it a whole number.
fn bytes(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = units
        .iter()
        .find(|(shift, _)| bytes > 0 && bytes.is_multiple_of(1 << shift));
    match whole {
        Some((shift, unit)) => format!("{} {unit}", bytes >> shift),
        None => format!("{bytes} B"),
    }
}

fn time(time: Duration) -> String {
    match time.subsec_nanos() {
        0 => format!("{} s", time.as_secs()),
        _ => format!("{} ms", time.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_read_as_a_pipeline_file_writes_them() {
        assert_eq!(bytes(128 << 20), "128 MiB");
        assert_eq!(bytes(1_000_000), "1000000 B");
        assert_eq!(time(Duration::from_millis(1_500)), "1500 ms");
        assert_eq!(time(Duration::from_secs(2)), "2 s");
    }

    #[test]
    fn a_list_keeps_within_the_width_and_on_its_edge() {
        let mut lines = Vec::new();
        list("   │ text", &vec!["x".repeat(40); 5], &mut lines);
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH));
        assert!(lines.iter().all(|line| line.starts_with("   │ ")));
        assert_eq!(lines.len(), 3);
    }
}
