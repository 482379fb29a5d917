//! The program: reads the command line, dispatches, prints the last word and picks
//! the exit code.

use std::env;
use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use clap::Parser;
use gristmill::cli::{Cli, Command, StageCommand};
use gristmill::command::{
    archive, check, clean, days, db, export, lock, log, quarantine, replay, run, runs, schema,
    sources, stage_bench, stage_build, stage_inspect, stage_new, stage_run, stage_test, status,
    summarize, tags, tenants, uploads, verify, watch,
};
use gristmill::database;
use gristmill::diagnostics::failure::{Failure, Result};
use gristmill::stage::{COMPILE_COMMAND, compile_for_parent};
use gristmill::terminal;
use tokio::runtime::{Builder, Runtime};

fn main() -> ExitCode {
    terminal::open();
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    if let Some((command, rest)) = arguments.split_first()
        && command == COMPILE_COMMAND
    {
        return compile(rest);
    }
    terminal::show_log(database::NOTICES);
    let mut options = arguments.iter().take_while(|argument| *argument != "--");
    if options.any(|argument| argument == "--json") {
        terminal::speak_json();
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(refusal) => return terminal::refusal(&refusal, &without_passwords),
    };
    if cli.wide {
        terminal::show_wide();
    }
    match execute(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal::last_word(&failure);
            ExitCode::from(failure.exit as u8)
        }
    }
}

/// A text about the arguments, without those that seem to hold a password.
fn without_passwords(text: &str) -> String {
    let arguments = env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    database::without_passwords(text, arguments)
}

/// The task of a child process that this program starts of itself.
fn compile(arguments: &[OsString]) -> ExitCode {
    let arguments: Vec<String> = arguments
        .iter()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let (mut component, mut code, mut words) = (io::stdin(), io::stdout(), io::stderr());
    let exit = compile_for_parent(&arguments, &mut component, &mut code, &mut words);
    ExitCode::from(exit)
}

fn execute(cli: &Cli) -> Result<()> {
    match &cli.command {
        Command::Run(arguments) => run::execute(arguments, &runtime()?),
        Command::Check(arguments) => check::execute(arguments, runtime),
        Command::Lock(arguments) => lock::execute(arguments),
        Command::Schema => schema::execute(),
        Command::Watch(arguments) => watch::execute(arguments, &runtime()?),
        Command::Stage(StageCommand::New(arguments)) => stage_new::execute(arguments),
        Command::Stage(StageCommand::Build(arguments)) => stage_build::execute(arguments),
        Command::Stage(StageCommand::Test(arguments)) => stage_test::execute(arguments),
        Command::Stage(StageCommand::Run(arguments)) => stage_run::execute(arguments),
        Command::Stage(StageCommand::Inspect(arguments)) => stage_inspect::execute(arguments),
        Command::Stage(StageCommand::Bench(arguments)) => stage_bench::execute(arguments),
        Command::Sources(command) => sources::execute(command, &runtime()?),
        Command::Uploads(command) => uploads::execute(command, &runtime()?),
        Command::Days(command) => days::execute(command, &runtime()?),
        Command::Tenants(command) => tenants::execute(command, &runtime()?),
        Command::Tags(command) => tags::execute(command, &runtime()?),
        Command::Status(arguments) => status::execute(arguments, &runtime()?),
        Command::Runs(command) => runs::execute(command, &runtime()?),
        Command::Quarantine(command) => quarantine::execute(command, &runtime()?),
        Command::Replay(arguments) => replay::execute(arguments, &runtime()?),
        Command::Verify(arguments) => verify::execute(arguments, &runtime()?),
        Command::Summarize(arguments) => summarize::execute(arguments, &runtime()?),
        Command::Clean(arguments) => clean::execute(arguments, &runtime()?),
        Command::Log(arguments) => log::execute(arguments, &runtime()?),
        Command::Export(arguments) => export::execute(arguments, &runtime()?),
        Command::Archive(command) => archive::execute(command, &runtime()?),
        Command::Db(command) => db::execute(command, &runtime()?),
    }
}

/// For what talks to a database.
fn runtime() -> Result<Runtime> {
    Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::environment("cannot start").because(error))
}
