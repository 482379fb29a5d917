//! The verbs that work on one stage alone, and their arguments.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::authoring::project::{Kind, Language};
use crate::rows::column::ColumnType;

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

#[derive(Debug, Args)]
pub struct StageTestArguments {
    /// Folders with a `cases.toml`, or components beside one
    #[arg(value_name = "STAGE", required = true)]
    pub targets: Vec<PathBuf>,
    /// A folder with stage components, for folders that hold none
    #[arg(long, value_name = "DIR")]
    pub stages: Vec<PathBuf>,
    /// Run only cases whose name contains this text
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
    /// Write the stage's output into the case files, as the expected one
    #[arg(long)]
    pub update: bool,
    /// Build the stages, run the cases, and do both again at every change
    #[arg(long, conflicts_with_all = ["update", "json"])]
    pub watch: bool,
    /// End after this many rounds of `--watch`
    #[arg(long, value_name = "N", hide = true, requires = "watch")]
    pub watch_rounds: Option<u64>,
    /// Write the results to this file as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Print the results as JSON
    #[arg(long)]
    pub json: bool,
}

/// The arguments with which a stage is opened.
#[derive(Debug, Args)]
pub struct StageOpenArguments {
    /// The component
    #[arg(value_name = "WASM")]
    pub component: PathBuf,
    /// Its configuration: JSON, TOML, or a file of either
    #[arg(long, value_name = "CONFIG")]
    pub config: Option<String>,
    /// Words of a set that is bound to it
    #[arg(long = "set", value_name = "NAME=WORD,…", value_parser = set)]
    pub sets: Vec<(String, Vec<String>)>,
}

/// The input of a stage.
#[derive(Debug, Args)]
pub struct StageInputArguments {
    #[command(flatten)]
    pub open: StageOpenArguments,
    /// The rows as CSV, or for a parser the file; standard input when absent
    #[arg(long = "in", value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// Types of columns whose cells look like another type (transforms)
    #[arg(long, value_name = "COLUMN=TYPE,…", value_delimiter = ',', value_parser = typed)]
    pub types: Vec<(String, ColumnType)>,
    /// The columns wanted of the file, `TYPE?` where it may lack them, or a TOML table as
    /// in a pipeline file; all of a CSV file when absent (parsers)
    #[arg(long, value_name = "COLUMN=TYPE,…")]
    pub columns: Option<String>,
}

/// The ways to show rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RunFormat {
    /// One row a line, with the changes in it
    Table,
    /// One changed cell a line, for rows that are too wide
    List,
    /// The rows that came out
    Csv,
    /// The rows that came out, the rejected ones, and the learned words
    Json,
}

#[derive(Debug, Args)]
pub struct StageRunArguments {
    #[command(flatten)]
    pub input: StageInputArguments,
    /// The way to show the rows
    #[arg(long, value_enum, default_value = "table")]
    pub format: RunFormat,
    /// Show at most this many rows in a table
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub rows: usize,
    /// Show the columns that go round the stage as well
    #[arg(long)]
    pub all_columns: bool,
}

#[derive(Debug, Args)]
pub struct StageInspectArguments {
    #[command(flatten)]
    pub open: StageOpenArguments,
    /// The columns that reach it, or are wanted of it
    #[arg(long, value_name = "COLUMN=TYPE,…", value_delimiter = ',', value_parser = typed)]
    pub schema: Vec<(String, ColumnType)>,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct StageBenchArguments {
    #[command(flatten)]
    pub input: StageInputArguments,
    /// Sizes of batches; the input is repeated as needed
    #[arg(
        long,
        value_name = "ROWS,…",
        value_delimiter = ',',
        default_value = "1000,8000,64000",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    pub batch_rows: Vec<u32>,
    /// Pairs of timed rounds for each size
    #[arg(
        long,
        value_name = "N",
        default_value_t = 5,
        value_parser = clap::value_parser!(u16).range(1..=1_000)
    )]
    pub rounds: u16,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// `name=word,word`; `name=` is a set of nothing.
fn set(text: &str) -> Result<(String, Vec<String>), String> {
    let (name, words) = text.split_once('=').ok_or("write NAME=WORD,WORD")?;
    let words = words.split(',').filter(|word| !word.is_empty());
    // As the host hands them over: sorted, each once.
    let mut words: Vec<String> = words.map(str::to_string).collect();
    words.sort();
    words.dedup();
    Ok((name.to_string(), words))
}

/// `column=type`.
pub(crate) fn typed(text: &str) -> Result<(String, ColumnType), String> {
    let (name, column_type) = text.split_once('=').ok_or("write COLUMN=TYPE")?;
    let column_type = column_type
        .parse()
        .map_err(|error: serde::de::value::Error| error.to_string())?;
    Ok((name.to_string(), column_type))
}
