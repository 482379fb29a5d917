//! House rules that no compiler knows. Each test reads files and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use gristmill::stage::CONTRACT_VERSION;

use crate::plugins;
use crate::sql;
use crate::support::command::{file, root};

/// Folders that hold what is made, not what is written.
const MADE: [&str; 4] = ["target", ".git", ".gristmill", "corpus"];

/// Files that were not written as text.
const BINARY: [&str; 3] = ["gz", "wasm", "png"];

/// Every written file, as its path from the top and its text.
fn files() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() {
                if !MADE.contains(&name.as_ref()) {
                    folders.push(path);
                }
            } else if !BINARY
                .iter()
                .any(|extension| has_extension(&path, extension))
            {
                let text = fs::read_to_string(&path)
                    .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                let shown = path.strip_prefix(root()).expect("a path from the top");
                found.push((shown.display().to_string(), text));
            }
        }
    }
    found.sort();
    found
}

fn sources() -> impl Iterator<Item = (String, String)> {
    files()
        .into_iter()
        .filter(|(path, _)| path.ends_with(".rs"))
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension()
        .is_some_and(|extension| extension == wanted)
}

/// Whether a source file names something outside of its comments.
fn is_named_in_code(name: &str, text: &str) -> bool {
    text.lines()
        .any(|line| !line.trim_start().starts_with("//") && line.contains(name))
}

/// Names everything that breaks a rule.
#[track_caller]
fn check(rule: &str, breaches: Vec<String>) {
    assert!(breaches.is_empty(), "{rule}:\n  {}", breaches.join("\n  "));
}

#[test]
fn every_source_file_says_what_it_is_for() {
    let silent = sources()
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(path, _)| path);
    check("a source file begins with `//!`", silent.collect());
}

#[test]
fn only_the_report_prints() {
    let printers = sources().filter(|(path, text)| {
        let prints = ["println!", "print!(", "eprint!("]
            .iter()
            .any(|call| text.contains(call));
        let theirs = ["host/src/", "host/local-postgres/", "plugins/"]
            .iter()
            .any(|folder| path.starts_with(folder));
        theirs && prints && path != "host/src/terminal/mod.rs"
    });
    check(
        "only `host/src/terminal/mod.rs` prints",
        printers.map(|(path, _)| path).collect(),
    );
}

#[test]
fn only_the_stage_knows_that_stages_are_webassembly() {
    let knowing = sources().filter(|(path, text)| {
        is_named_in_code("wasmtime", text)
            && path.starts_with("host/src/")
            && room(path) != Some("stage")
    });
    check(
        "only `host/src/stage` names wasmtime",
        knowing.map(|(path, _)| path).collect(),
    );
}

/// The room of the host that a file is in.
fn room(path: &str) -> Option<&str> {
    let (room, _) = path.strip_prefix("host/src/")?.split_once('/')?;
    Some(room)
}

/// Rooms and those that each may know, as `docs/architecture.md` lists them.
fn rooms() -> BTreeMap<String, BTreeSet<String>> {
    let page = fs::read_to_string(file("docs/architecture.md")).expect("a page");
    let (_, list) = page.split_once("| Room |").expect("a list of rooms");
    let rows = list
        .lines()
        .skip(2)
        .map_while(|row| row.strip_prefix("| `"));
    rows.map(|row| {
        let (room, cells) = row.split_once("/` |").expect("a room");
        let (_, known) = cells.split_once("| ").expect("those that it knows");
        let known = known.split('`').skip(1).step_by(2).map(str::to_owned);
        (room.to_owned(), known.collect())
    })
    .collect()
}

/// The rooms that a text names as `crate::room`.
fn rooms_named(text: &str) -> BTreeSet<&str> {
    let is_of_a_name = |character: char| character.is_alphanumeric() || character == '_';
    let named = text.split("crate::").skip(1).map(|rest| {
        let end = rest.find(|character| !is_of_a_name(character));
        &rest[..end.unwrap_or(rest.len())]
    });
    named.filter(|name| !name.is_empty()).collect()
}

#[test]
fn rooms_know_those_below_them_alone() {
    let rooms = rooms();
    let mut breaches = Vec::new();
    let mut found = BTreeSet::new();
    for (path, text) in sources() {
        let Some(room) = room(&path) else {
            continue;
        };
        found.insert(room.to_owned());
        let Some(may_know) = rooms.get(room) else {
            breaches.push(format!("{path}: the page has no room `{room}`"));
            continue;
        };
        let strange = rooms_named(&text).into_iter().filter(|named| {
            *named != room && rooms.contains_key(*named) && !may_know.contains(*named)
        });
        breaches.extend(strange.map(|named| format!("{path} knows `{named}`")));
    }
    check("a room knows what docs/architecture.md says", breaches);
    assert!(found.iter().eq(rooms.keys()), "every room is there");
    // Arrows go one way: whatever is known was listed, and knows nothing of those above.
    for (room, known) in &rooms {
        for below in known {
            assert!(
                rooms.contains_key(below) && !rooms[below].contains(room),
                "`{room}` and `{below}` know one another"
            );
        }
    }
}

#[test]
fn the_walk_names_each_file_once() {
    let page = fs::read_to_string(file("docs/architecture.md")).expect("a page");
    let (_, walk) = page.split_once("## A walk").expect("a walk");
    let (walk, _) = walk.split_once("\n## ").expect("its end");
    let named: Vec<&str> = walk
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| word.ends_with(".rs"))
        .collect();
    assert!(named.len() > 40, "a walk of the whole way");
    let mut seen = BTreeSet::new();
    let wrong = named.iter().filter(|name| {
        let is_there = file("host/src").join(name).is_file();
        !seen.insert(**name) || !is_there
    });
    check(
        "a file of the walk is there, and named once",
        wrong.map(|name| (*name).to_owned()).collect(),
    );
}

#[test]
fn three_rooms_alone_speak_to_the_database() {
    let speakers = sources().filter(|(path, text)| {
        let is_one = room(path).is_some_and(|room| ["database", "ledger", "load"].contains(&room));
        is_named_in_code("sqlx", text) && path.starts_with("host/src/") && !is_one
    });
    check(
        "only `database`, `ledger` and `load` name sqlx",
        speakers.map(|(path, _)| path).collect(),
    );
}

/// The host's list of the tables that the migrations make.
const STAGING_TABLES: &str = "host/src/pipeline/staging/tables.rs";

/// `host/src/database/local.rs` tells it all of gristmill.
#[test]
fn the_launcher_of_the_local_server_knows_nothing_of_gristmill() {
    let mut seen = 0;
    let knowing: Vec<String> = sources()
        .filter(|(path, _)| path.starts_with("host/local-postgres/"))
        .inspect(|_| seen += 1)
        .filter(|(_, text)| text.to_lowercase().contains("gristmill"))
        .map(|(path, _)| path)
        .collect();
    assert!(seen > 0, "it has source files");
    check("the launcher knows no application", knowing);
}

/// A kind of report is a section of a pipeline, a table and statements.
#[test]
fn the_host_has_no_code_for_gpus() {
    let knowing = sources()
        .filter(|(path, _)| path.starts_with("host/") && path != STAGING_TABLES)
        .filter(|(_, text)| text.to_lowercase().contains("gpu"))
        .map(|(path, _)| path);
    check("the host knows no kind of report", knowing.collect());
}

#[test]
fn no_file_knows_the_machine_that_it_was_written_on() {
    let places = ["work", "root", "tmp"].map(|folder| format!("/{folder}/"));
    let breaches = files().into_iter().flat_map(|(path, text)| {
        let lines: Vec<String> = text
            .lines()
            .enumerate()
            .filter(|(_, line)| places.iter().any(|place| names(line, place)))
            .map(|(number, line)| format!("{path}:{}: {}", number + 1, line.trim()))
            .collect();
        match path.starts_with("tests/") {
            true => Vec::new(),
            false => lines,
        }
    });
    check("a file names no folder of a machine", breaches.collect());
}

/// Whether the line has a path that begins there.
fn names(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(position, _)| {
        let before = line[..position].chars().next_back();
        before.is_none_or(|character| !character.is_alphanumeric() && !"._-/*}".contains(character))
    })
}

#[test]
fn every_statement_has_a_header_and_is_alone() {
    let breaches = sql::statements().into_iter().filter_map(|(name, text)| {
        let header: Vec<&str> = text
            .lines()
            .take_while(|line| line.starts_with("--"))
            .collect();
        let body = sql::body(&text);
        let problem = if header.first().is_none_or(|line| line.len() < 20) {
            "has no sentence on top"
        } else if !header.iter().any(|line| {
            // A parameter is its name, its type and its meaning, in columns.
            let parameter = line.split("  ").filter(|part| !part.is_empty()).count() >= 3;
            parameter || line.starts_with("-- Reads ") || line.starts_with("-- Writes ")
        }) {
            "does not say what it reads, writes or takes"
        } else if !body.trim_end().ends_with(';') {
            "does not end with a semicolon"
        } else if without_quoted(&body).matches(';').count() != 1 + comments(&body) {
            "has more than one statement"
        } else {
            return None;
        };
        Some(format!("sql/{name} {problem}"))
    });
    check(
        "a file of `sql/` is one explained statement",
        breaches.collect(),
    );
}

/// How many columns of a view are explained beside it.
fn comments(body: &str) -> usize {
    match body.starts_with("CREATE OR REPLACE VIEW ") {
        true => body.matches("\nCOMMENT ON COLUMN ").count(),
        false => 0,
    }
}

/// Without the bodies of functions, comments and texts in quotes.
fn without_quoted(sql: &str) -> String {
    let outside: Vec<&str> = sql.split("$$").step_by(2).collect();
    let lines = outside
        .join("")
        .lines()
        .map(|line| {
            let code = line.split("--").next().unwrap_or_default();
            code.split('\'').step_by(2).collect::<Vec<_>>().join("")
        })
        .collect::<Vec<_>>();
    lines.join("\n")
}

#[test]
fn every_parameter_of_a_statement_is_explained() {
    let breaches = sql::statements().into_iter().flat_map(|(name, text)| {
        let body = sql::body(&text);
        let header = text[..text.len() - body.trim_end().len().min(text.len())].to_string();
        let used = (1..=30)
            .filter(|number| uses(&body, *number))
            .collect::<Vec<_>>();
        used.into_iter()
            .filter(|number| !uses(&header, *number))
            .map(|number| format!("sql/{name} says nothing of ${number}"))
            .collect::<Vec<_>>()
    });
    check("a parameter is explained", breaches.collect());
}

/// Whether the text has parameter `$number`.
fn uses(text: &str, number: u32) -> bool {
    let parameter = format!("${number}");
    text.match_indices(&parameter).any(|(position, _)| {
        let after = text[position + parameter.len()..].chars().next();
        !after.is_some_and(|character| character.is_ascii_digit())
    })
}

#[test]
fn migrations_are_numbered_without_a_gap() {
    let mut names: Vec<String> = fs::read_dir(file("migrations"))
        .expect("the folder")
        .map(|entry| {
            entry
                .expect("a file")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| name != "README.md")
        .collect();
    names.sort();
    let breaches = names.iter().enumerate().filter(|(position, name)| {
        let number = format!("{:04}_", position + 1);
        let words = name
            .strip_prefix(&number)
            .and_then(|rest| rest.strip_suffix(".sql"));
        let is_word = |word: &str| {
            word.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        !words.is_some_and(|words| words.contains('_') && is_word(words))
    });
    check(
        "a migration is `NNNN_verb_object.sql` with the next number",
        breaches.map(|(_, name)| name.clone()).collect(),
    );
}

/// The last migration of the baseline, which makes a schema that is new.
const BASELINE: &str = "0060";

/// One that makes a table of its own has no rows to go through.
#[test]
fn release_notes_say_how_long_a_migration_takes() {
    let notes = fs::read_to_string(file("CHANGELOG.md")).expect("the changelog");
    let section = notes.split("### Migrations").nth(1).unwrap_or_default();
    let section = section.split("\n### ").next().unwrap_or_default();
    let mut breaches = Vec::new();
    for entry in fs::read_dir(file("migrations")).expect("the folder") {
        let path = entry.expect("a file").path();
        let name = path.file_name().expect("a name").to_string_lossy();
        let Some((number, _)) = name.split_once('_') else {
            continue;
        };
        let text = fs::read_to_string(&path).expect("a migration");
        if number <= BASELINE || sql::body(&text).starts_with("CREATE TABLE ") {
            continue;
        }
        let mut lines = section.split("\n- ").map(str::trim_start);
        let line = lines.find(|line| line.starts_with(number));
        if !line.is_some_and(|line| line.contains(" rows") && line.contains(" s on ")) {
            breaches.push(format!(
                "CHANGELOG.md says of migration {number} no seconds on so many rows"
            ));
        }
    }
    check(
        "a migration of a table with rows says how long it takes",
        breaches,
    );
}

#[test]
fn every_stage_has_cases_and_is_used() {
    let pipeline = fs::read_to_string(file("pipelines/ocp.toml")).expect("a pipeline");
    let breaches = plugins::folders().into_iter().flat_map(|folder: PathBuf| {
        let name = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let mut breaches = Vec::new();
        if !folder.join("cases.toml").is_file() {
            breaches.push(format!("plugins/{name} has no `cases.toml`"));
        }
        let chained = pipeline
            .lines()
            .any(|line| line.starts_with("stages = ") && line.contains(&format!("\"{name}\"")));
        if !chained {
            breaches.push(format!(
                "plugins/{name} is in no chain of `pipelines/ocp.toml`"
            ));
        }
        breaches
    });
    check("a stage has cases and is used", breaches.collect());
}

#[test]
fn the_host_speaks_the_version_of_the_contract() {
    let contract = fs::read_to_string(file("wit/stage.wit")).expect("the contract");
    let package = format!("package gristmill:stage@{CONTRACT_VERSION};");
    assert!(
        contract.lines().any(|line| line == package),
        "`wit/stage.wit` has no `{package}`"
    );
}

/// What was released stays as it was: a change of the contract is another version,
/// which gets a folder of its own.
#[test]
fn the_contract_changes_with_its_version_only() {
    let contract = fs::read_to_string(file("wit/stage.wit")).expect("the contract");
    let released = format!("wit/released/{CONTRACT_VERSION}/stage.wit");
    let text = fs::read_to_string(file(&released)).unwrap_or_default();
    assert!(
        contract == text,
        "`wit/stage.wit` is not `{released}`: give it the next version, and its text a folder there"
    );
    for entry in fs::read_dir(file("wit/released")).expect("the folder") {
        let folder = entry.expect("a folder").path();
        let version = folder.file_name().unwrap_or_default().to_string_lossy();
        let text = fs::read_to_string(folder.join("stage.wit")).expect("a contract");
        let package = format!("package gristmill:stage@{version};");
        assert!(text.lines().any(|line| line == package), "{version}");
    }
}

#[test]
fn every_test_module_is_listed() {
    let listed = include_str!("main.rs");
    let unlisted = fs::read_dir(file("tests"))
        .expect("the folder")
        .chain(fs::read_dir(file("tests/support")).expect("the folder"))
        .map(|entry| entry.expect("a file").path())
        .filter(|path| has_extension(path, "rs") && !path.ends_with("main.rs"))
        .map(|path| {
            path.file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| !listed.contains(&format!("mod {name};")));
    check(
        "a module of tests is listed in `tests/main.rs`",
        unlisted.collect(),
    );
}

/// `docs/guarantees.md` names a test for each promise, as `module::test`.
#[test]
fn every_promise_names_a_test_that_is_there() {
    let sources: Vec<(String, String)> = sources().collect();
    let promises = include_str!("../docs/guarantees.md");
    let mut named = 0;
    let missing: Vec<String> = promises
        .split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|name| name.split_once("::").map(|parts| (name, parts)))
        .inspect(|_| named += 1)
        .filter(|(_, (module, test))| {
            let test = test.rsplit("::").next().unwrap_or(test);
            let module = module.rsplit('/').next().unwrap_or(module);
            !sources.iter().any(|(path, text)| {
                path.split(['/', '.']).any(|part| part == module)
                    && text.contains(&format!("fn {test}("))
            })
        })
        .map(|(name, _)| name.to_string())
        .collect();
    assert!(named > 20, "{named} tests are named");
    check("a test that a promise names is there", missing);
}
