//! The tests of the program as its users meet it, in reading order.

/// Uploads that add to a day instead of replacing it.
mod additive;
/// How a database is named: its URL, and the variables of `psql`.
mod addresses;
/// Each aggregate of `sql/`, with given and expected rows.
mod aggregates;
/// The payloads that are kept.
mod archive;
/// What the archive holds of a payload, from when on, and whether it is that.
mod archived_bytes;
/// Payloads and rows that are wrong.
mod bad_input;
/// The harness of `make bench`.
mod bench;
/// README and the book: passages, commands, links.
mod book;
/// The bound on all that one payload leaves besides rows that load.
mod budget;
/// The checks that CI does not skip.
mod ci;
/// `gristmill clean`: all that is past retention.
mod clean;
/// Arguments, exit codes and streams.
mod cli;
/// Two schemas, row by row.
mod comparison;
/// How many connections a command takes.
mod connections;
/// Stages that break at some rows, and what becomes of the others.
mod containment;
/// Runs that are broken off: killed, cut off, out of room, or beside each other.
mod crash;
/// A stage that gristmill has never seen.
mod custom_stage;
mod day_sizes;
/// Pipeline files, and what `gristmill check` says of them.
mod definitions;
/// Servers of an engine that are away.
mod engine_away;
/// Peculiar days, by each engine and by several.
mod engine_cases;
/// What decides which engine folds.
mod engine_choice;
/// The engines that fold hours into days, beside each other.
mod engine_parity;
/// The servers of the engine `trino`, and what is asked of them.
mod engines;
/// Rows that are rejected again, among equals.
mod equal_rejects;
/// The example sites, with a stage in each language.
mod examples;
/// Values at the ends of what tables can hold, and beyond.
mod extremes;
/// The reasons of failures, for people and for programs.
mod failures;
/// The test that `docs/your-first-test.md` writes.
mod first;
/// Noise in place of what is read from outside.
mod fuzzing;
/// The numbers: shipped payloads against those of the existing product.
mod golden;
/// The examples of `--help`.
mod help;
/// The rows that a publish reads when there are months of history.
mod history;
/// Stages and components that want the host's memory.
mod host_memory;
/// Files that call themselves stages.
mod hostile;
/// A folder of payloads that somebody writes to who is not trusted.
mod hostile_inbox;
/// Parsers that break, lie or take too much.
mod hostile_parsers;
/// Payloads made to do harm.
mod hostile_payloads;
/// The files that `make install` places.
mod install;
/// The version of what becomes of a report's bytes.
mod load_version;
/// The Postgres server that gristmill starts itself.
mod local_server;
/// The components that `--locked` holds a pipeline to.
mod lock;
/// The record of what people did.
mod log;
/// How a schema is brought up to date.
mod migrations;
/// Reports that go over the end of a month.
mod months;
/// Stages of earlier versions of the contract.
mod museum;
/// The projects that `gristmill stage new` makes.
mod new_stage;
/// Tables, colours and progress on terminals.
mod on_a_terminal;
/// Whose an archive is.
mod owners;
/// README and the book, followed from command to command.
mod pages;
/// One report over several workers.
mod parallel;
/// The document that tells what is corrected.
mod parity;
/// The JSON Schema of the pipeline file.
mod pipeline_schema;
/// The case files of the stages.
mod plugins;
/// Poolers between us and the server.
mod poolers;
/// Properties of any payloads in any order.
mod properties;
/// The rows that were refused, and what people do with them.
mod quarantine;
/// What those get who only read: views of days, exports, rights.
mod readers;
/// Records of payloads that are past retention.
mod records;
/// The references of commands and of the pipeline file.
mod reference;
/// Relations between payloads.
mod relations;
/// Days and clusters that are taken back.
mod removal;
/// Clusters that get another alias.
mod renaming;
/// Payloads that come again, in any order.
mod repeat;
/// Days that are made once more.
mod replay;
/// Tables that are copied to another database as they change.
mod replication;
/// Partitions, and what goes when a month is over for long.
mod retention;
/// Uploads that reuse hours of earlier ones.
mod reuse;
/// Stages that break, lie or take too much.
mod sandbox;
/// Passwords and files that nobody else may see.
mod secrets;
/// Sessions that are the same everywhere.
mod sessions;
/// The statements of `sql/` and the tables they work on.
mod sql;
/// The cost of a stage.
mod stage_bench;
/// `gristmill stage inspect`.
mod stage_inspect;
/// `gristmill stage run`.
mod stage_run;
/// Case files of stages: verdicts, differences, budgets, updates, rounds.
mod stage_test;
/// The status of every source.
mod status;
/// Clusters that are called what another one is.
mod strangers;
/// Every table that a consumer reads, against the existing product's.
mod tables;
/// Where the values of tags were seen, after any history.
mod tag_values;
/// Which label keys become tags.
mod tags;
/// The names of tenants' schemas.
mod tenants;
/// The text of others on a terminal.
mod terminal;
/// The ids of texts that are stored once.
mod text_ids;
/// Stages that are shown each text once.
mod texts;
/// House rules that no compiler knows.
mod tidy;
/// Reports of a kind that the pipeline does not know.
mod unknown_reports;
/// Uploads of which files never come.
mod uploads;
/// The numbers once more, in a day small enough to check by hand.
mod vector;
/// Another engine measured by Postgres, on a site's own archive.
mod verify;
/// Stages that make the host wait, or want its memory, by way of WASI.
mod wasi;
/// Payloads that appear in a folder.
mod watch;
/// The guide for authors of stages, as it stands.
mod writing_a_stage;

mod support {
    /// The user that servers run as.
    pub(crate) mod account;
    /// Runs the program.
    pub(crate) mod command;
    /// Builds stages that do not ship.
    pub(crate) mod component;
    /// The contents of tables, whichever load brought them.
    pub(crate) mod contents;
    /// The cost of a run.
    pub(crate) mod cost;
    /// Rows of a table that another one lacks, kept in files.
    pub(crate) mod difference;
    /// Pipelines with another engine.
    pub(crate) mod engine;
    /// Tables against goldens.
    pub(crate) mod golden;
    /// Servers that are unlike the shared one.
    pub(crate) mod own_server;
    /// Pages in Markdown, as text.
    pub(crate) mod page;
    /// Payloads made by tests.
    pub(crate) mod payload;
    /// A pooler in front of a database.
    pub(crate) mod pooler;
    /// A place for something to go wrong in.
    pub(crate) mod scene;
    /// Databases.
    pub(crate) mod server;
    /// A database with an archive, for runs that are broken off.
    pub(crate) mod site;
    /// The tools that make components of other languages.
    pub(crate) mod tools;
    /// How much of something is done.
    pub(crate) mod torture;
    /// Pages as their readers follow them.
    pub(crate) mod walk;
}
