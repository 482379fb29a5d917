//! `gristmill sources`: the clusters that payloads come from.

use tokio::runtime::Runtime;

use super::removal::show;
use super::{open, open_to_read};
use crate::cli::SourcesCommand;
use crate::diagnostics::failure::Result;
use crate::ledger::{removal, source};
use crate::payload::cluster_name;
use crate::pipeline::definition::EngineName;
use crate::terminal::{self, Table, grouped};

/// # Errors
/// A name is too long, the database cannot be reached, or it refuses the change.
pub fn execute(command: &SourcesCommand, runtime: &Runtime) -> Result<()> {
    match command {
        SourcesCommand::List { json, database } => {
            let database = open_to_read(runtime, database)?;
            let sources = source::list(&database)?;
            if *json {
                terminal::json(&sources);
                return Ok(());
            }
            let rows: Vec<Vec<String>> = sources
                .iter()
                .map(|source| {
                    vec![
                        source.cluster_alias.clone(),
                        source.cluster_id.clone(),
                        source.source_uuid.to_string(),
                        source.registered_at.format("%Y-%m-%d %H:%M").to_string(),
                        source.engine.clone().unwrap_or_default(),
                    ]
                })
                .collect();
            Table::new(
                &["alias", "cluster", "uuid", "registered (UTC)", "engine"],
                &[],
            )
            .sparing(&[4, 3, 2])
            .show(&rows);
        }
        SourcesCommand::Add {
            cluster_id,
            alias,
            uuid,
            database,
        } => {
            cluster_name::checked_id("--cluster-id", cluster_id)?;
            let alias = alias.as_deref().unwrap_or(cluster_id);
            cluster_name::checked_alias("--alias", alias)?;
            let database = open(runtime, database, 1)?;
            let uuid = uuid.unwrap_or_else(|| source::derived_uuid(cluster_id));
            source::register(&database, uuid, cluster_id, alias)?;
            terminal::text(&uuid.to_string());
        }
        SourcesCommand::Rename {
            cluster_id,
            alias,
            database,
        } => {
            cluster_name::checked_alias("--alias", alias)?;
            let database = open(runtime, database, 2)?;
            let renaming = source::rename(&database, cluster_id, alias)?;
            terminal::say(&format!("cluster `{cluster_id}` is called `{alias}` now"));
            if renaming.went_on {
                terminal::say("an earlier command was broken off; this one went on with it");
            }
            if renaming.days > 0 {
                let days = match renaming.days {
                    1 => "1 day".to_string(),
                    days => format!("{} days", grouped(days)),
                };
                terminal::say(&format!("the rows of {days} have the new name"));
            }
        }
        SourcesCommand::Remove(arguments) => {
            let database = open(runtime, &arguments.database, 2)?;
            let source = source::of_cluster(&database, &arguments.cluster_id)?;
            let removal = removal::remove_source(&database, &source, arguments.dry_run)?;
            show(&removal, arguments.json);
        }
        SourcesCommand::Set {
            cluster_id,
            engine,
            database,
        } => {
            let database = open(runtime, database, 1)?;
            let name = EngineName::named(engine);
            source::set_engine(&database, cluster_id, name)?;
            terminal::say(&match name {
                Some(_) => format!("cluster `{cluster_id}` has engine `{engine}` now"),
                None => format!("cluster `{cluster_id}` has the engine of its pipeline now"),
            });
        }
    }
    Ok(())
}
