//! A pipeline file, and the verbs that look at it alone.

use std::path::PathBuf;

use clap::Args;

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

#[derive(Debug, Args)]
pub struct LockArguments {
    /// The pipeline file; the lock is written beside it
    #[arg(value_name = "PIPELINE")]
    pub pipeline: PathBuf,
    /// A folder with stage components, looked at after the pipeline's own
    #[arg(long, value_name = "DIR")]
    pub stages: Vec<PathBuf>,
}
