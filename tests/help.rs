//! The examples of `--help`: each page has one, and each of them works.

use std::fs;

use clap::{Command, CommandFactory};
use gristmill::cli::Cli;

use crate::support::command::run;
use crate::support::payload::{Payload, Report};
use crate::support::walk::Reader;

/// The commands in the order in which a reader can follow their examples, and whether one
/// may also end with 1, because of what it finds.
const ORDER: [(&str, bool); 42] = [
    ("db migrate", false),
    ("db url", false),
    ("check", false),
    ("lock", false),
    ("schema", false),
    ("run", false),
    ("status", true),
    ("tenants list", false),
    ("export", false),
    ("runs discard", true),
    ("uploads list", false),
    ("uploads abandon", true),
    ("verify", false),
    ("db grant-reader", false),
    ("sources list", false),
    ("sources add", false),
    ("sources rename", false),
    ("sources set", false),
    ("tags list", false),
    ("tags enable", false),
    ("tags map", false),
    ("tags unmap", false),
    ("tags disable", false),
    ("quarantine list", false),
    ("quarantine show", false),
    ("quarantine replay", false),
    ("quarantine discard", false),
    ("replay", false),
    ("summarize", false),
    ("days remove", false),
    ("sources remove", false),
    ("log", false),
    ("watch", false),
    ("clean", false),
    ("archive adopt", false),
    ("stage new", false),
    ("stage build", false),
    ("stage test", false),
    ("stage run", false),
    ("stage inspect", false),
    ("stage bench", false),
    ("db stop", false),
];

/// Pages that list commands have the example of one of these.
const GROUPS: [&str; 11] = [
    "",
    "archive",
    "days",
    "db",
    "quarantine",
    "runs",
    "sources",
    "stage",
    "tags",
    "tenants",
    "uploads",
];

/// The example of each page of help, by its command.
fn examples() -> Vec<(String, Option<String>)> {
    fn add(command: &Command, name: &str, found: &mut Vec<(String, Option<String>)>) {
        let example = command.get_after_help().map(ToString::to_string);
        let example = example.and_then(|text| Some(text.strip_prefix("Example:\n  ")?.to_string()));
        found.push((name.to_string(), example));
        for verb in command.get_subcommands() {
            if verb.get_name() != "help" && !verb.is_hide_set() {
                let name = format!("{name} {}", verb.get_name());
                add(verb, name.trim(), found);
            }
        }
    }
    let mut found = Vec::new();
    add(&Cli::command(), "", &mut found);
    found
}

#[test]
fn every_page_of_help_has_an_example() {
    for (name, example) in examples() {
        let example = example.unwrap_or_else(|| panic!("`gristmill {name} --help` has none"));
        let command = example.split_once("gristmill ").map(|(_, words)| words);
        let is_of_page = GROUPS.contains(&name.as_str())
            || command.is_some_and(|words| words.starts_with(&name));
        assert!(is_of_page, "`{name}` has the example `{example}`");
        let is_run = GROUPS.contains(&name.as_str()) || ORDER.iter().any(|(run, _)| *run == name);
        assert!(is_run, "no test runs the example of `{name}`");
    }
}

/// As somebody would who goes through the pages of help.
#[test]
fn examples_work() {
    let mut reader = Reader::within();
    let folder = reader.folder().to_path_buf();
    fs::create_dir(folder.join("inbox")).expect("a folder");
    let rows = "pod,pod_usage_cpu_core_seconds\nweb,600\nidle,0\n";
    fs::write(folder.join("rows.csv"), rows).expect("rows");
    let pods = |hours| Report::pods().hours(hours);
    let payload = |number| Payload::numbered(number).manifest("cluster_id", "my-cluster");
    payload(1)
        .file("pods.csv", pods(0..3).text())
        .write(&folder, "upload.tar.gz");
    payload(2)
        .file("pods.csv", pods(0..4).text())
        .write(&folder.join("inbox"), "next.tar.gz");
    // A row in quarantine: of another cluster, so that there is one that stays.
    let odd = (0..200).fold(Report::pods(), |report, row| {
        let pod = format!("p{row}");
        report.row(row % 24, &[("pod", &pod)])
    });
    let odd = odd.row(3, &[("pod_usage_cpu_core_seconds", "odd")]);
    let odd = payload(3)
        .manifest("cluster_id", "odd-cluster")
        .file("pods.csv", odd.text())
        .write(&folder, "odd.tar.gz");
    let examples = examples();
    for (name, may_find) in ORDER {
        let (_, example) = examples
            .iter()
            .find(|(of, _)| of == name)
            .unwrap_or_else(|| panic!("there is no command `{name}`"));
        let example = example.as_deref().expect("an example");
        if name == "quarantine list" {
            run(
                &reader.database,
                "pipelines/ocp.toml",
                std::slice::from_ref(&odd),
            )
            .succeeds();
        }
        if name == "db grant-reader" {
            reader.database.execute(
                "DO $$ BEGIN CREATE ROLE analyst; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
            );
        }
        let example = example.replace("/srv/gristmill", "srv");
        let ended = match may_find {
            true => format!("{{ {example}; }} || test $? = 1"),
            false => example,
        };
        reader.shell(&ended);
    }
}
