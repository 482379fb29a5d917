//! `gristmill tenants`: the schemas of a database that have tables of gristmill.

use chrono::NaiveDate;
use serde::Serialize;
use tokio::runtime::Runtime;

use super::{open_target, target_of, unreachable_database};
use crate::cli::TenantsCommand;
use crate::database::{self, SchemaAccess, SchemaName, Target, TenantCondition};
use crate::diagnostics::failure::Result;
use crate::ledger::status;
use crate::terminal::{self, grouped};

/// A tenant as it is shown. What it holds is known where it can be read.
#[derive(Serialize)]
struct ShownTenant {
    schema: String,
    state: &'static str,
    /// Why it cannot be used.
    reason: Option<String>,
    sources: Option<u64>,
    first_day: Option<NaiveDate>,
    last_day: Option<NaiveDate>,
}

/// # Errors
/// The database cannot be reached.
pub fn execute(command: &TenantsCommand, runtime: &Runtime) -> Result<()> {
    let TenantsCommand::List { database_url, json } = command;
    let target = target_of(
        database_url.as_ref(),
        SchemaName::default(),
        SchemaAccess::Read,
    );
    let tenants = runtime
        .block_on(database::tenants(&target))
        .map_err(|error| unreachable_database(&error))?;
    let mut shown = Vec::new();
    for tenant in tenants {
        let (state, reason) = match tenant.condition {
            TenantCondition::UpToDate => ("up to date", None),
            TenantCondition::Older => ("of an older gristmill", None),
            TenantCondition::Refused(ref reason) => ("refused", Some(reason.clone())),
            TenantCondition::Closed => ("not for this role", None),
        };
        let mut row = ShownTenant {
            schema: tenant.schema.to_string(),
            state,
            reason,
            sources: None,
            first_day: None,
            last_day: None,
        };
        if tenant.condition == TenantCondition::UpToDate {
            let target = Target {
                schema: tenant.schema,
                ..target.clone()
            };
            let held = status::held(&open_target(runtime, &target, 1)?)?;
            row.sources = u64::try_from(held.sources).ok();
            (row.first_day, row.last_day) = (held.first_day, held.last_day);
        }
        shown.push(row);
    }
    if *json {
        terminal::json(&shown);
        return Ok(());
    }
    let rows: Vec<Vec<String>> = shown.iter().map(ShownTenant::cells).collect();
    terminal::table(&["schema", "sources", "days", "state"], &[1], &rows);
    Ok(())
}

impl ShownTenant {
    fn cells(&self) -> Vec<String> {
        let days = match (self.first_day, self.last_day) {
            (Some(first), Some(last)) if first == last => first.to_string(),
            (Some(first), Some(last)) => format!("{first} to {last}"),
            _ => "–".to_owned(),
        };
        let state = match &self.reason {
            Some(reason) => format!("{}: {reason}", self.state),
            None => self.state.to_owned(),
        };
        vec![
            self.schema.clone(),
            self.sources.map_or_else(|| "–".to_owned(), grouped),
            days,
            state,
        ]
    }
}
