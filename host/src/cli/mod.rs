//! The command line as it is typed. This room reads arguments and does nothing with them.

mod archive;
mod connections;
mod db;
mod export;
mod log;
mod payloads;
mod pipeline;
mod quarantine;
mod records;
mod removal;
mod runs;
mod source_days;
mod sources;
mod stage;
mod tags;
mod tenants;
mod upkeep;
mod verify;

use clap::{Parser, Subcommand};

pub use self::archive::{AdoptArguments, ArchiveCommand};
pub use self::connections::ConnectionsArguments;
pub use self::db::{DatabaseArguments, DbCommand};
pub use self::export::{ExportArguments, ExportFormat};
pub use self::log::LogArguments;
pub use self::payloads::{ReplayArguments, RunArguments, WatchArguments};
pub use self::pipeline::{CheckArguments, LockArguments, PipelineArguments};
pub use self::quarantine::{QuarantineCommand, QuarantineFilter, QuarantineState};
pub use self::records::RecordArguments;
pub use self::removal::{
    DaysCommand, DaysRemoveArguments, SourceRemoveArguments, UploadState, UploadsCommand,
};
pub use self::runs::RunsCommand;
pub use self::source_days::SourceDaysArguments;
pub use self::sources::SourcesCommand;
pub(crate) use self::stage::typed;
pub use self::stage::{
    RunFormat, StageBenchArguments, StageBuildArguments, StageCommand, StageInputArguments,
    StageInspectArguments, StageNewArguments, StageOpenArguments, StageRunArguments,
    StageTestArguments,
};
pub use self::tags::TagsCommand;
pub use self::tenants::{CreationArguments, TenantsCommand};
pub use self::upkeep::{CleanArguments, StatusArguments, SummarizeArguments};
pub use self::verify::VerifyArguments;

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
