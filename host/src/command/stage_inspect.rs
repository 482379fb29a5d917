//! `gristmill stage inspect`: shows what a component is, what it imports, and whether it
//! may run. Inspecting a component that may not run is no failure; what is no component is
//! one.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::engine;
use super::stage_alone::{settings, unusable};
use super::stage_run::contract_json;
use crate::cli::StageInspectArguments;
use crate::diagnostics::failure::{Failure, Result};
use crate::rows::column::{Field, Schema};
use crate::stage::{
    CONTRACT_VERSION, Component, Contract, Inspection, RowEffect, Settings, StageError, Verdict,
    WantedColumn, World,
};
use crate::terminal;

/// # Errors
/// The file cannot be read or is no component, or the configuration is none.
pub fn execute(arguments: &StageInspectArguments) -> Result<()> {
    let engine = engine()?;
    let path = &arguments.open.component;
    let settings = settings(&arguments.open)?;
    let schema = Arc::new(Schema {
        fields: arguments
            .schema
            .iter()
            .map(|(name, column_type)| Field {
                name: name.clone(),
                column_type: *column_type,
            })
            .collect(),
    });
    let inspection = engine.inspect(path).map_err(unusable)?;
    let opened = inspection
        .component
        .as_ref()
        .ok()
        .map(|component| open(component, &settings, &schema));
    if arguments.json {
        terminal::json(&as_json(path, &inspection, opened.as_ref()));
    } else {
        terminal::text(&as_text(
            path,
            &inspection,
            &settings,
            &schema,
            opened.as_ref(),
        ));
    }
    match inspection.component {
        Err(refusal) if !inspection.is_component => {
            let mut failure = Failure::run(refusal.message);
            failure.hint = refusal.hint;
            Err(failure.at(path.display().to_string()))
        }
        _ => Ok(()),
    }
}

/// The contract of a transform; nothing of a parser, whose contract is the columns
/// that it is asked for.
type Opened = std::result::Result<Option<Contract>, StageError>;

fn open(component: &Component, settings: &Settings, schema: &Arc<Schema>) -> Opened {
    match component.world {
        World::Transform => component
            .open_transform(settings, schema)
            .map(|transform| Some(transform.contract().clone())),
        World::Parser => {
            let wanted: Vec<WantedColumn> = schema
                .fields
                .iter()
                .map(|field| WantedColumn {
                    name: field.name.clone(),
                    column_type: field.column_type,
                    required: true,
                    empty_is_null: false,
                })
                .collect();
            component.open_parser(settings, &wanted).map(|_| None)
        }
    }
}

fn as_text(
    path: &Path,
    inspection: &Inspection,
    settings: &Settings,
    schema: &Schema,
    opened: Option<&Opened>,
) -> String {
    let mut lines = vec![path.display().to_string()];
    let mut row = |key: &str, value: String| lines.push(format!("  {key:<11}{value}"));
    let built_for = match (inspection.world, inspection.version.as_deref()) {
        (Some(world), Some(CONTRACT_VERSION)) => format!("{world} {CONTRACT_VERSION}"),
        (Some(world), Some(version)) => {
            format!("{world}; built for {version}, this host speaks {CONTRACT_VERSION}")
        }
        _ => "none of the stage contract".to_string(),
    };
    row("world", built_for);
    row(
        "size",
        format!("{} bytes", terminal::grouped(inspection.bytes)),
    );
    row("sha256", inspection.digest.clone());
    if let Some(time) = inspection.compile_time {
        let cached = match inspection.cached {
            true => ", and is in the cache",
            false => "",
        };
        row(
            "compiles",
            format!("in {:.2} s{cached}", time.as_secs_f64()),
        );
    }
    match &inspection.component {
        Ok(_) => row("may run", "yes".into()),
        Err(unusable) => {
            row("may run", format!("no: {}", unusable.message));
            if let Some(hint) = &unusable.hint {
                row("", hint.clone());
            }
        }
    }
    if !inspection.imports.is_empty() {
        lines.push("imports".into());
        let names = inspection.imports.iter().map(|import| import.name.len());
        let width = names.max().unwrap_or_default();
        for import in &inspection.imports {
            let verdict = in_words(import.verdict);
            lines.push(format!("  {:<width$}  {verdict}", import.name));
        }
    }
    if let Some(opened) = opened {
        lines.push(format!("opened with config {}", settings.config));
        lines.extend(contract_lines(opened, schema));
    }
    lines.join("\n")
}

fn in_words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Contract => "the contract",
        Verdict::OtherVersion => "the contract, in a version that this host does not speak",
        Verdict::Inert => "inert, answers nothing",
        Verdict::Absent => "not there, a call of it ends the stage",
        Verdict::Refused => "refused",
    }
}

fn contract_lines(opened: &Opened, schema: &Schema) -> Vec<String> {
    let columns = |fields: &[Field]| {
        let fields = fields.iter();
        fields
            .map(|field| format!("{} {}", field.name, field.column_type))
            .collect::<Vec<_>>()
    };
    let mut lines = Vec::new();
    let mut list = |key: &str, items: Vec<String>| {
        for (position, item) in items.into_iter().enumerate() {
            let key = if position == 0 { key } else { "" };
            lines.push(format!("  {key:<11}{item}"));
        }
    };
    match opened {
        Ok(Some(contract)) => {
            list("reads", columns(&contract.reads));
            list("writes", columns(&contract.writes));
            list("drops", contract.drops.clone());
            let rows = match contract.row_effect {
                RowEffect::Keeps => "each comes out once, in its place, or is rejected",
                RowEffect::Rearranges => "may be left out, repeated or reordered",
            };
            list("rows", vec![rows.to_string()]);
        }
        Ok(None) if schema.fields.is_empty() => {
            list("gives", vec!["the columns that a pipeline asks for".into()]);
        }
        Ok(None) => list("gives", columns(&schema.fields)),
        Err(error) => {
            list(
                "refuses",
                error.to_string().lines().map(str::to_string).collect(),
            );
            if matches!(error, StageError::Schema { .. }) {
                let hint = "`--schema COLUMN=TYPE,…` says which columns reach it";
                list("", vec![hint.into()]);
            }
        }
    }
    lines
}

fn as_json(path: &Path, inspection: &Inspection, opened: Option<&Opened>) -> Value {
    let unusable = inspection.component.as_ref().err();
    let imports = inspection.imports.iter().map(|import| {
        let verdict = match import.verdict {
            Verdict::Contract => "contract",
            Verdict::OtherVersion => "other-version",
            Verdict::Inert => "inert",
            Verdict::Absent => "absent",
            Verdict::Refused => "refused",
        };
        json!({"name": import.name, "verdict": verdict})
    });
    let contract = opened
        .and_then(|opened| opened.as_ref().ok())
        .and_then(Option::as_ref);
    let refusal = opened.and_then(|opened| opened.as_ref().err());
    json!({
        "component": path,
        "bytes": inspection.bytes,
        "sha256": inspection.digest,
        "cached": inspection.cached,
        "compile_seconds": inspection.compile_time.map(|time| time.as_secs_f64()),
        "world": inspection.world.map(|world| world.to_string()),
        "version": inspection.version,
        "host_version": CONTRACT_VERSION,
        "may_run": unusable.is_none(),
        "reason": unusable.map(|unusable| &unusable.message),
        "hint": unusable.and_then(|unusable| unusable.hint.as_ref()),
        "imports": imports.collect::<Vec<_>>(),
        "contract": contract.map(contract_json),
        "refuses": refusal.map(StageError::to_string),
    })
}
