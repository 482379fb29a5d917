//! The command line as it is typed. This room reads arguments and does nothing with them.

mod archive;
mod connections;
mod export;
mod log;
mod records;
mod removal;
mod runs;
mod stage;
mod tenants;
mod verify;

use std::path::PathBuf;

use chrono::NaiveDate;
use clap::{Args, Parser, Subcommand, ValueEnum};
use uuid::Uuid;

pub use self::archive::{AdoptArguments, ArchiveCommand};
pub use self::connections::ConnectionsArguments;
pub use self::export::{ExportArguments, ExportFormat};
pub use self::log::LogArguments;
pub use self::records::RecordArguments;
pub use self::removal::{
    DaysCommand, DaysRemoveArguments, SourceRemoveArguments, UploadState, UploadsCommand,
};
pub use self::runs::RunsCommand;
pub(crate) use self::stage::typed;
pub use self::stage::{
    RunFormat, StageBenchArguments, StageInputArguments, StageInspectArguments, StageOpenArguments,
    StageRunArguments, StageTestArguments,
};
pub use self::tenants::{CreationArguments, TenantsCommand};
pub use self::verify::VerifyArguments;
use crate::authoring::project::{Kind, Language};
use crate::database::{DatabaseUrl, SchemaName};
use crate::diagnostics::days::DayOrMonth;

/// Loads OpenShift usage reports into daily cost-management tables, through stages
/// that a pipeline file names.
#[derive(Debug, Parser)]
#[command(
    name = "gristmill",
    version,
    max_term_width = 100,
    override_usage = "gristmill <COMMAND>",
    arg_required_else_help = true,
    after_help = "Example:\n  gristmill run pipelines/ocp.toml upload.tar.gz"
)]
pub struct Cli {
    /// Show tables in full, however wide the terminal is
    #[arg(long, global = true)]
    pub wide: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run payloads through a pipeline and publish their days
    #[command(
        after_help = "Example:\n  gristmill run pipelines/ocp.toml upload.tar.gz --show-summary"
    )]
    Run(RunArguments),
    /// Type-check a whole pipeline; needs no database
    #[command(after_help = "Example:\n  gristmill check pipelines/ocp.toml")]
    Check(CheckArguments),
    /// Write the components of a pipeline and their digests into `gristmill.lock`, for
    /// `--locked`
    #[command(after_help = "Example:\n  gristmill lock pipelines/ocp.toml")]
    Lock(LockArguments),
    /// Print the JSON Schema of the pipeline file, for editors
    #[command(after_help = "Example:\n  gristmill schema")]
    Schema,
    /// Run payloads as they appear in a folder
    #[command(after_help = "Example:\n  gristmill watch pipelines/ocp.toml inbox --once")]
    Watch(WatchArguments),
    /// Work on one stage alone
    #[command(after_help = "Example:\n  gristmill stage new night-discount --lang javascript")]
    #[command(subcommand)]
    Stage(StageCommand),
    /// The clusters that payloads come from
    #[command(after_help = "Example:\n  gristmill sources list")]
    #[command(subcommand)]
    Sources(SourcesCommand),
    /// The uploads of clusters: what payloads brought, and what some of them lack
    #[command(subcommand, after_help = "Example:\n  gristmill uploads list")]
    Uploads(UploadsCommand),
    /// The days that are loaded
    #[command(
        subcommand,
        after_help = "Example:\n  gristmill days remove --source my-cluster --from 2026-01-10 --dry-run"
    )]
    Days(DaysCommand),
    /// The schemas of a database, one for each tenant
    #[command(subcommand, after_help = "Example:\n  gristmill tenants list")]
    Tenants(TenantsCommand),
    /// The label keys that become tags
    #[command(after_help = "Example:\n  gristmill tags list")]
    #[command(subcommand)]
    Tags(TagsCommand),
    /// Show how every source stands; exit code 1 when one needs attention
    #[command(after_help = "Example:\n  gristmill status")]
    Status(StatusArguments),
    /// The runs of payloads
    #[command(
        subcommand,
        after_help = "Example:\n  gristmill runs discard 7 --reason no-report"
    )]
    Runs(RunsCommand),
    /// The rows that stages or the tables refused
    #[command(after_help = "Example:\n  gristmill quarantine list")]
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// Run archived payloads through a pipeline again, in place of what they made
    #[command(
        after_help = "Example:\n  gristmill replay pipelines/ocp.toml --source my-cluster --from 2026-01-10 --to 2026-01-12"
    )]
    Replay(ReplayArguments),
    /// Load archived payloads into scratch schemas by two engines, and compare their tables;
    /// exit code 1 when they differ
    #[command(
        after_help = "Example:\n  gristmill verify pipelines/ocp.toml --engine embedded --source my-cluster --from 2026-01-10"
    )]
    Verify(VerifyArguments),
    /// Summarize loaded days again, after a change of tag mappings or cost categories
    #[command(after_help = "Example:\n  gristmill summarize --source my-cluster --from 2026-01")]
    Summarize(SummarizeArguments),
    /// Remove staged rows, records, archived payloads and summaries that are past
    /// retention
    #[command(after_help = "Example:\n  gristmill clean --retention-months 13 --dry-run")]
    Clean(CleanArguments),
    /// Show what people changed by hand, who and when: removals, discarded rows, abandoned
    /// uploads, changed tags, renamed and adopted things
    #[command(after_help = "Example:\n  gristmill log")]
    Log(LogArguments),
    /// Write a table's rows of some days as CSV or Parquet
    #[command(
        after_help = "Example:\n  gristmill export gristmill_day_view --from 2026-10 --format parquet --output days.parquet"
    )]
    Export(ExportArguments),
    /// The archive of payloads
    #[command(after_help = "Example:\n  gristmill archive adopt")]
    #[command(subcommand)]
    Archive(ArchiveCommand),
    /// The database
    #[command(after_help = "Example:\n  gristmill db migrate")]
    #[command(subcommand)]
    Db(DbCommand),
}

#[derive(Debug, Args)]
pub struct DatabaseArguments {
    /// The database; without it gristmill starts its own server
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<DatabaseUrl>,
    /// The tenant's schema
    #[arg(long, env = "GRISTMILL_SCHEMA", value_name = "NAME", default_value_t)]
    pub schema: SchemaName,
}

#[derive(Debug, Args)]
pub struct PipelineArguments {
    /// The pipeline file
    #[arg(value_name = "PIPELINE")]
    pub pipeline: PathBuf,
    /// A folder with stage components, looked at after the pipeline's own
    #[arg(long, value_name = "DIR")]
    pub stages: Vec<PathBuf>,
    /// Refuse every component but the ones in the `gristmill.lock` beside the pipeline
    #[arg(long)]
    pub locked: bool,
}

#[derive(Debug, Args)]
pub struct LockArguments {
    /// The pipeline file; the lock is written beside it
    #[arg(value_name = "PIPELINE")]
    pub pipeline: PathBuf,
    /// A folder with stage components, looked at after the pipeline's own
    #[arg(long, value_name = "DIR")]
    pub stages: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct WatchArguments {
    #[command(flatten)]
    pub pipeline: PipelineArguments,
    /// The folder that payloads appear in
    #[arg(value_name = "INBOX")]
    pub inbox: PathBuf,
    /// Run the payloads that are there, and stop
    #[arg(long)]
    pub once: bool,
    /// Look into the folder at this interval, in milliseconds
    #[arg(
        long,
        value_name = "MILLISECONDS",
        default_value_t = 1_000,
        value_parser = clap::value_parser!(u64).range(10..=3_600_000)
    )]
    pub poll_milliseconds: u64,
    /// Run at most this many payloads at a time, of different sources
    #[arg(
        long,
        value_name = "N",
        default_value_t = 2,
        value_parser = clap::value_parser!(u32).range(1..=16)
    )]
    pub payloads_at_once: u32,
    /// Where loaded payloads go; `done` below the inbox when absent
    #[arg(long, value_name = "DIR")]
    pub done: Option<PathBuf>,
    /// Where refused payloads go; `failed` below the inbox when absent
    #[arg(long, value_name = "DIR")]
    pub failed: Option<PathBuf>,
    /// Print the result of each payload as a line of JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub connections: ConnectionsArguments,
    #[command(flatten)]
    pub creation: CreationArguments,
    #[command(flatten)]
    pub database: DatabaseArguments,
}

#[derive(Debug, Args)]
pub struct RunArguments {
    #[command(flatten)]
    pub pipeline: PipelineArguments,
    /// Tarballs, directories or CSV files; all CSV files together are one payload
    #[arg(value_name = "PAYLOAD", required = true)]
    pub payloads: Vec<PathBuf>,
    /// The cluster of CSV files, alone or in a directory, which have no manifest to say it
    #[arg(long, value_name = "ID")]
    pub cluster_id: Option<String>,
    /// Keep what a stage breaks at or refuses in this folder, as cases for `stage test`
    #[arg(long, value_name = "DIR")]
    pub capture: Option<PathBuf>,
    /// Show the daily summary of the days that the payloads cover, by namespace
    #[arg(long)]
    pub show_summary: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub connections: ConnectionsArguments,
    #[command(flatten)]
    pub creation: CreationArguments,
    #[command(flatten)]
    pub database: DatabaseArguments,
}

#[derive(Debug, Args)]
pub struct CheckArguments {
    #[command(flatten)]
    pub pipeline: PipelineArguments,
    /// Ask Trino and the object storage of the pipeline, too: a row is written, folded and
    /// removed there
    #[arg(long)]
    pub connect: bool,
    /// Print the plan as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum StageCommand {
    /// Make the project of a new stage, build it and run its cases
    #[command(after_help = "Example:\n  gristmill stage new night-discount --lang javascript")]
    New(StageNewArguments),
    /// Build the component of a project
    #[command(after_help = "Example:\n  gristmill stage build night-discount")]
    Build(StageBuildArguments),
    /// Run the case files of stages; no database, no network
    #[command(after_help = "Example:\n  gristmill stage test night-discount")]
    Test(StageTestArguments),
    /// Show what a stage does to rows
    #[command(
        after_help = "Example:\n  gristmill stage run night-discount/night_discount.wasm --in rows.csv --config factor=0.2"
    )]
    Run(StageRunArguments),
    /// Show what a component is, what it imports and whether it may run
    #[command(
        after_help = "Example:\n  gristmill stage inspect night-discount/night_discount.wasm"
    )]
    Inspect(StageInspectArguments),
    /// Measure what a stage costs, by the size of its batches
    #[command(
        after_help = "Example:\n  gristmill stage bench night-discount/night_discount.wasm --in rows.csv --batch-rows 1000"
    )]
    Bench(StageBenchArguments),
}

#[derive(Debug, Args)]
pub struct StageNewArguments {
    /// The stage's name in kebab-case; its folder is made here
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The language to write it in
    #[arg(long, value_enum)]
    pub lang: Language,
    /// The kind of stage
    #[arg(long, value_enum, default_value = "transform")]
    pub kind: Kind,
}

#[derive(Debug, Args)]
pub struct StageBuildArguments {
    /// The project's folder
    #[arg(value_name = "DIR", default_value = ".")]
    pub folder: PathBuf,
}

#[derive(Debug, Subcommand)]
pub enum SourcesCommand {
    /// List the sources
    #[command(after_help = "Example:\n  gristmill sources list --json")]
    List {
        /// Print them as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        database: DatabaseArguments,
    },
    /// Register a cluster
    #[command(
        after_help = "Example:\n  gristmill sources add --cluster-id other-cluster --alias Production"
    )]
    Add {
        /// The cluster's id, as its payloads have it
        #[arg(long, value_name = "ID")]
        cluster_id: String,
        /// Its name for people; the id when absent
        #[arg(long, value_name = "NAME")]
        alias: Option<String>,
        /// The source's uuid; derived from the cluster's id when absent
        #[arg(long)]
        uuid: Option<Uuid>,
        #[command(flatten)]
        database: DatabaseArguments,
    },
    /// Give a source another alias
    #[command(
        after_help = "Example:\n  gristmill sources rename --cluster-id other-cluster --alias Northern"
    )]
    Rename {
        /// The cluster's id
        #[arg(long, value_name = "ID")]
        cluster_id: String,
        /// The new name
        #[arg(long, value_name = "NAME")]
        alias: String,
        #[command(flatten)]
        database: DatabaseArguments,
    },
    /// Remove a cluster with all that there is of it in any table; running its payloads
    /// again brings it back
    #[command(
        after_help = "Example:\n  gristmill sources remove --cluster-id other-cluster --dry-run"
    )]
    Remove(SourceRemoveArguments),
    /// Change how a source is treated
    #[command(
        after_help = "Example:\n  gristmill sources set --cluster-id other-cluster --engine postgres"
    )]
    Set {
        /// The cluster's id
        #[arg(long, value_name = "ID")]
        cluster_id: String,
        /// The engine that folds its hours into days, before that of the pipeline; `pipeline`
        /// for the pipeline's
        #[arg(long, value_parser = ["postgres", "embedded", "trino", "auto", "pipeline"])]
        engine: String,
        #[command(flatten)]
        database: DatabaseArguments,
    },
}

#[derive(Debug, Subcommand)]
pub enum DbCommand {
    /// Bring the schema up to date
    #[command(after_help = "Example:\n  gristmill db migrate --schema tenant_one --create-schema")]
    Migrate {
        #[command(flatten)]
        database: DatabaseArguments,
        #[command(flatten)]
        creation: CreationArguments,
        /// Rename a schema that is too old for this gristmill, and make a new one in its place
        #[arg(long)]
        set_aside: bool,
    },
    /// Let a role read all tables, those of months to come included, and nothing else
    #[command(after_help = "Example:\n  gristmill db grant-reader analyst")]
    GrantReader {
        /// The role, which must be there
        #[arg(value_name = "ROLE")]
        role: String,
        #[command(flatten)]
        database: DatabaseArguments,
    },
    /// Print the database's URL, for psql and its like
    #[command(after_help = "Example:\n  gristmill db url")]
    Url {
        #[command(flatten)]
        database: DatabaseArguments,
    },
    /// Stop the server that gristmill started
    #[command(after_help = "Example:\n  gristmill db stop")]
    Stop,
}

#[derive(Debug, Subcommand)]
pub enum TagsCommand {
    /// List the keys that payloads have shown: enabled or not, and mapped to which
    #[command(after_help = "Example:\n  gristmill tags list")]
    List {
        /// Print them as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        database: DatabaseArguments,
    },
    /// Enable keys, which then become tags; at most 200 in all
    #[command(after_help = "Example:\n  gristmill tags enable app application")]
    Enable {
        /// The keys, as `list` shows them
        #[arg(value_name = "KEY", required = true)]
        keys: Vec<String>,
        #[command(flatten)]
        database: DatabaseArguments,
    },
    /// Disable keys, which then are no tags any more
    #[command(after_help = "Example:\n  gristmill tags disable application")]
    Disable {
        /// The keys
        #[arg(value_name = "KEY", required = true)]
        keys: Vec<String>,
        #[command(flatten)]
        database: DatabaseArguments,
    },
    /// Map a key to another one, whose name it then has
    #[command(after_help = "Example:\n  gristmill tags map app application")]
    Map {
        /// The key that is renamed
        #[arg(value_name = "CHILD")]
        child: String,
        /// The key that stays
        #[arg(value_name = "PARENT")]
        parent: String,
        #[command(flatten)]
        database: DatabaseArguments,
    },
    /// Undo mappings, so that keys have their own names again
    #[command(after_help = "Example:\n  gristmill tags unmap app")]
    Unmap {
        /// The keys that were renamed
        #[arg(value_name = "CHILD", required = true)]
        keys: Vec<String>,
        #[command(flatten)]
        database: DatabaseArguments,
    },
}

#[derive(Debug, Args)]
pub struct StatusArguments {
    /// Ignore gaps before this day
    #[arg(long, value_name = "DATE")]
    pub since: Option<NaiveDate>,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub database: DatabaseArguments,
}

#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// List rows, the newest first
    #[command(after_help = "Example:\n  gristmill quarantine list --code not-a-number")]
    List {
        #[command(flatten)]
        filter: QuarantineFilter,
        /// Rows of this state
        #[arg(long, value_enum, default_value_t = QuarantineState::Open)]
        state: QuarantineState,
        /// List at most this many
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
        /// Print them as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        database: DatabaseArguments,
    },
    /// Show all details of a row, and its raw text
    #[command(after_help = "Example:\n  gristmill quarantine show 1")]
    Show {
        /// The row, as `list` numbers it
        #[arg(value_name = "ROW")]
        id: i64,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        database: DatabaseArguments,
    },
    /// Run the archived payloads of open rows again; rows that load now are resolved
    #[command(
        after_help = "Example:\n  gristmill quarantine replay pipelines/ocp.toml --source my-cluster"
    )]
    Replay {
        #[command(flatten)]
        pipeline: PipelineArguments,
        /// Payloads of this cluster: its id, its alias or the source's uuid, or exactly
        /// `cluster:ID`, `alias:NAME` or `uuid:UUID`
        #[arg(long, value_name = "CLUSTER")]
        source: Option<String>,
        /// The payload of this run
        #[arg(long, value_name = "RUN")]
        run: Option<i64>,
        /// Print the result of each payload as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        connections: ConnectionsArguments,
        #[command(flatten)]
        database: DatabaseArguments,
    },
    /// Mark open rows as discarded; they are kept
    #[command(after_help = "Example:\n  gristmill quarantine discard 1 --reason checked")]
    Discard {
        /// The rows, as `list` numbers them
        #[arg(value_name = "ROW")]
        ids: Vec<i64>,
        #[command(flatten)]
        filter: QuarantineFilter,
        /// The reason, which is kept with the rows
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        database: DatabaseArguments,
    },
}

#[derive(Debug, Args)]
pub struct QuarantineFilter {
    /// Rows of this cluster: its id, its alias or the source's uuid, or exactly
    /// `cluster:ID`, `alias:NAME` or `uuid:UUID`
    #[arg(long, value_name = "CLUSTER")]
    pub source: Option<String>,
    /// Rows of this run
    #[arg(long, value_name = "RUN")]
    pub run: Option<i64>,
    /// Rows that this stage rejected; `load` for the table
    #[arg(long, value_name = "NAME")]
    pub stage: Option<String>,
    /// Rows with this reason, such as `not-a-number`
    #[arg(long, value_name = "CODE")]
    pub code: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum QuarantineState {
    /// Needs attention
    Open,
    /// Came through in a later run
    Resolved,
    /// A person has discarded it
    Discarded,
    All,
}

#[derive(Debug, Args)]
pub struct ReplayArguments {
    #[command(flatten)]
    pub pipeline: PipelineArguments,
    /// The cluster: its id, its alias or the source's uuid, or exactly
    /// `cluster:ID`, `alias:NAME` or `uuid:UUID`
    #[arg(long, value_name = "CLUSTER")]
    pub source: String,
    /// The first day, or month (2026-10)
    #[arg(long, value_name = "DATE")]
    pub from: DayOrMonth,
    /// The last day or month; `--from` when absent
    #[arg(long, value_name = "DATE")]
    pub to: Option<DayOrMonth>,
    /// Print the difference as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub connections: ConnectionsArguments,
    #[command(flatten)]
    pub creation: CreationArguments,
    #[command(flatten)]
    pub database: DatabaseArguments,
}

#[derive(Debug, Args)]
pub struct SummarizeArguments {
    /// The cluster: its id, its alias or the source's uuid, or exactly
    /// `cluster:ID`, `alias:NAME` or `uuid:UUID`
    #[arg(long, value_name = "CLUSTER")]
    pub source: String,
    /// The first day, or month (2026-10)
    #[arg(long, value_name = "DATE")]
    pub from: DayOrMonth,
    /// The last day or month; `--from` when absent
    #[arg(long, value_name = "DATE")]
    pub to: Option<DayOrMonth>,
    /// Only update the cost categories and tag names of summarized rows, in place
    #[arg(long)]
    pub reclassify: bool,
    /// Print the difference as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub database: DatabaseArguments,
}

#[derive(Debug, Args)]
pub struct CleanArguments {
    /// Keep staged rows for this many days; longer where a summary needs them
    #[arg(long, value_name = "DAYS", default_value_t = 7)]
    pub retention_days: u16,
    /// Keep summaries and archived payloads for this many months; all when absent
    #[arg(
        long,
        env = "RETAIN_NUM_MONTHS",
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(3..=120)
    )]
    pub retention_months: Option<u16>,
    #[command(flatten)]
    pub records: RecordArguments,
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub database: DatabaseArguments,
}
