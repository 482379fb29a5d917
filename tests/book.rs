//! README and the book in `docs/`: what they show of files is there, what they have a
//! reader type can be typed, and their links lead somewhere. Nothing is run here but
//! the parser of arguments; `pages` follows the pages.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser};
use gristmill::cli::Cli;

use crate::support::command::file;
use crate::support::page::{Block, Page, book, from_top};

/// The lines that README may have, so that it stays a first page.
const README_LINES_MAX: usize = 150;

/// The page that mdBook reads the order of all others from.
const SUMMARY: &str = "docs/SUMMARY.md";

/// Other pages whose links are looked at.
const OTHER_PAGES: [&str; 4] = [
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "migrations/README.md",
    "pipelines/examples/README.md",
];

#[track_caller]
fn check(rule: &str, breaches: Vec<String>) {
    assert!(breaches.is_empty(), "{rule}:\n  {}", breaches.join("\n  "));
}

#[test]
fn readme_is_short() {
    let lines = Page::read("README.md").text.lines().count();
    assert!(lines <= README_LINES_MAX, "README.md has {lines} lines");
}

#[test]
fn every_link_leads_somewhere() {
    let mut pages = book();
    pages.extend(OTHER_PAGES.map(Page::read));
    let (mut seen, mut breaches) = (0, Vec::new());
    for page in &pages {
        for link in page.links() {
            if link.contains("://") {
                continue;
            }
            seen += 1;
            if let Some(problem) = dead(page, &link) {
                breaches.push(format!("{}: {link}: {problem}", page.path));
            }
        }
    }
    assert!(seen > 40, "{seen} links");
    check("a link leads somewhere", breaches);
}

/// Why a link leads nowhere.
fn dead(page: &Page, link: &str) -> Option<String> {
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = match path {
        "" => file(&page.path),
        path => page.target(path),
    };
    if !target.exists() {
        return Some("there is no such file".into());
    }
    if anchor.is_empty() {
        return None;
    }
    let anchors = Page::read(&from_top(&target)).anchors();
    let is_there = anchors.iter().any(|other| other == anchor);
    (!is_there).then(|| format!("there is no such heading, but {}", anchors.join(", ")))
}

/// mdBook leaves out what its summary does not list, and takes nothing but lists of
/// links there.
#[test]
fn the_summary_lists_every_page_once() {
    let summary = Page::read(SUMMARY);
    let mut listed: Vec<PathBuf> = Vec::new();
    for line in summary.text.lines() {
        let line = line.trim_start();
        let is_heading = line.is_empty() || line.starts_with("# ");
        let is_entry = line.starts_with("- [") && line.ends_with(".md)");
        assert!(is_heading || is_entry, "mdBook cannot use `{line}`");
    }
    for link in summary.links() {
        listed.push(summary.target(&link));
    }
    listed.sort();
    let pages = book().into_iter().map(|page| page.path);
    let mut pages: Vec<PathBuf> = pages
        .filter(|path| path.starts_with("docs/") && path != SUMMARY)
        .map(|path| file(&path))
        .collect();
    pages.sort();
    assert_eq!(listed, pages);
    let settings = fs::read_to_string(file("docs/book.toml")).expect("the book's settings");
    let settings: toml::Table = toml::from_str(&settings).expect("TOML");
    assert_eq!(settings["book"]["src"].as_str(), Some("."));
}

/// A block that names a file of the repository in its first line shows a passage of it.
#[test]
fn what_pages_show_of_files_is_there() {
    let (mut seen, mut breaches) = (0, Vec::new());
    for page in book() {
        for block in page.blocks() {
            let Some((name, lines)) = block.named() else {
                continue;
            };
            let Ok(text) = fs::read_to_string(file(name)) else {
                continue;
            };
            seen += 1;
            if let Some(line) = not_in(lines, &text) {
                breaches.push(format!("{}: `{name}` has no `{line}` there", page.path));
            }
        }
    }
    assert!(seen > 5, "{seen} passages");
    check("a passage is that of its file", breaches);
}

/// The first line of a passage that the text does not have where it should. A comment
/// of `…` alone stands for any lines; how far lines are indented does not matter.
fn not_in(passage: &[String], text: &str) -> Option<String> {
    let text: Vec<&str> = text.lines().map(str::trim).collect();
    let mut from = 0;
    for part in passage.split(|line| ["…", "# …", "// …", "-- …"].contains(&line.trim())) {
        let part: Vec<&str> = part.iter().map(|line| line.trim()).collect();
        let Some(first) = part.first() else {
            continue;
        };
        let rest = &text[from..];
        let Some(at) = rest.windows(part.len()).position(|lines| lines == part) else {
            let begins = rest.iter().position(|line| line == first);
            let lines = begins.map_or(&[][..], |at| &rest[at..]);
            let both = part.iter().zip(lines.iter().chain(std::iter::repeat(&"")));
            let mut different = both.filter(|(shown, is)| shown != is);
            return different.next().map(|(shown, _)| (*shown).to_string());
        };
        from += at + part.len();
    }
    None
}

#[test]
fn what_pages_have_typed_can_be_typed() {
    let (mut seen, mut breaches) = (0, Vec::new());
    for page in book() {
        let blocks = page.blocks().into_iter();
        for line in blocks
            .filter(|block| block.language == "sh")
            .flat_map(typed)
        {
            seen += 1;
            if let Err(problem) = can_be_typed(&line) {
                breaches.push(format!("{}: `{line}`: {problem}", page.path));
            }
        }
        for code in page.code() {
            let problem = match code.strip_prefix("gristmill ") {
                Some(arguments) => names_a_command(arguments),
                None if code.starts_with("--") => names_an_option(&code),
                None => continue,
            };
            seen += 1;
            if let Err(problem) = problem {
                breaches.push(format!("{}: `{code}`: {problem}", page.path));
            }
        }
    }
    assert!(seen > 100, "{seen} commands");
    check("a command can be typed", breaches);
}

/// The commands of a block, without comments.
fn typed(block: Block) -> Vec<String> {
    let lines = block.lines.iter().map(|line| match line.find("# ") {
        Some(comment) => line[..comment].trim().to_string(),
        None => line.trim().to_string(),
    });
    lines.filter(|line| !line.is_empty()).collect()
}

fn can_be_typed(line: &str) -> Result<(), String> {
    let words: Vec<&str> = line
        .split_whitespace()
        .skip_while(|word| {
            word.split_once('=')
                .is_some_and(|(name, _)| name == "UPDATE")
        })
        .collect();
    match words[..] {
        ["gristmill", ..] => Cli::try_parse_from(&words)
            .map(drop)
            .map_err(|error| error.to_string()),
        ["make", target, ..] => {
            let makefile = fs::read_to_string(file("Makefile")).expect("the Makefile");
            let named = format!("{target}:");
            let is_there = makefile.lines().any(|line| line.starts_with(&named));
            is_there.then_some(()).ok_or("no such target".into())
        }
        ["cargo", "test", "--test", "main", "--", ref modules @ ..] => {
            let listed = include_str!("main.rs");
            let missing = modules.iter().find(|module| {
                let name = module.split("::").next().unwrap_or_default();
                !listed.contains(&format!("mod {name};"))
            });
            missing.map_or(Ok(()), |module| Err(format!("no module `{module}`")))
        }
        ["cd", _] => Ok(()),
        [program, ..] => {
            let name = Path::new(program).file_name().unwrap_or_default();
            let named = format!("name = \"{}\"", name.to_string_lossy());
            let is_ours = include_str!("../Cargo.lock")
                .lines()
                .any(|line| line == named);
            is_ours.then_some(()).ok_or("nobody knows it".into())
        }
        [] => Err("it is nothing".into()),
    }
}

/// A command in prose may leave out its arguments, or name them in capitals.
fn names_a_command(arguments: &str) -> Result<(), String> {
    let mut verb = Cli::command();
    verb.build();
    let mut words = arguments
        .split([' ', '[', ']', '|', '…'])
        .filter(|word| !word.is_empty())
        .peekable();
    while let Some(below) = words.peek().and_then(|word| verb.find_subcommand(word)) {
        verb = below.clone();
        words.next();
    }
    if verb.get_name() == "gristmill" && words.peek().is_some_and(|word| !word.starts_with("--")) {
        return Err("there is no such command".into());
    }
    let unknown = words
        .filter(|word| word.starts_with("--") && *word != "--")
        .find(|word| !has(&verb, word));
    unknown.map_or(Ok(()), |word| Err(format!("it takes no `{word}`")))
}

fn has(verb: &clap::Command, option: &str) -> bool {
    let name = option.trim_start_matches('-');
    let name = name.split('=').next().unwrap_or_default();
    verb.get_arguments()
        .any(|argument| argument.get_long() == Some(name))
}

fn names_an_option(code: &str) -> Result<(), String> {
    fn below(verb: &clap::Command, option: &str) -> bool {
        has(verb, option) || verb.get_subcommands().any(|verb| below(verb, option))
    }
    let option = code.split(' ').next().unwrap_or_default();
    let mut cli = Cli::command();
    cli.build();
    let is_there = below(&cli, option);
    is_there
        .then_some(())
        .ok_or("no command takes it".to_string())
}

/// The output of the program is in a `console` block, where it is compared.
#[test]
fn what_the_program_says_is_said_by_a_command() {
    let said = ["$ ", "error: ", "warning: ", "hint: "];
    let breaches = book().into_iter().flat_map(|page| {
        let blocks = page.blocks().into_iter();
        let silent = blocks.filter(|block| ["text", ""].contains(&block.language.as_str()));
        let lines = silent.flat_map(|block| block.lines);
        let said = lines.filter(|line| said.iter().any(|start| line.starts_with(start)));
        let breaches = said.map(|line| format!("{}: {line}", page.path));
        breaches.collect::<Vec<_>>()
    });
    check(
        "what the program says comes with its command",
        breaches.collect(),
    );
}

/// Tables and functions of ours, and variables of the environment, by their prefix.
#[test]
fn what_pages_name_of_the_database_and_the_environment_is_there() {
    let texts = |folders: &[&str]| -> String {
        let files = folders.iter().flat_map(|folder| below(&file(folder)));
        files
            .map(|path| fs::read_to_string(path).unwrap_or_default())
            .collect()
    };
    let database = texts(&["migrations", "sql"]);
    let environment = texts(&["host/src", "tests/support", ".ci"]);
    let (mut seen, mut breaches) = (0, Vec::new());
    for page in book() {
        for code in page.code() {
            let known = match code.split(['=', ' ', '.']).next() {
                Some(name) if name.starts_with("gristmill_") || name.starts_with("rows_") => {
                    database.contains(name)
                }
                Some(name) if name.starts_with("GRISTMILL_") => environment.contains(name),
                _ => continue,
            };
            seen += 1;
            if !known {
                breaches.push(format!("{}: {code}", page.path));
            }
        }
    }
    assert!(seen > 10, "{seen} names");
    check("what a page names is there", breaches);
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found.extend(below(&path)),
            false => found.push(path),
        }
    }
    found
}

/// The checks of pages must notice a wrong one.
#[test]
fn a_page_that_is_wrong_is_noticed() {
    let lines = |text: &str| text.lines().map(str::to_string).collect::<Vec<_>>();
    let text = "a = 1\n  b = 2\n\nc = 3\nd = 4\n";
    assert_eq!(not_in(&lines("b = 2\n# …\nd = 4"), text), None);
    assert_eq!(not_in(&lines("b = 2\nd = 4"), text), Some("d = 4".into()));
    assert_eq!(
        not_in(&lines("d = 4\n# …\nb = 2"), text),
        Some("b = 2".into())
    );

    assert_eq!(names_a_command("status [--since DAY]"), Ok(()));
    assert_eq!(names_a_command("tags"), Ok(()));
    for wrong in ["grind", "status --until DAY", "tags list --key KEY"] {
        assert!(names_a_command(wrong).is_err(), "{wrong}");
    }
    assert_eq!(names_an_option("--payloads-at-once N"), Ok(()));
    assert!(names_an_option("--no-such-option").is_err());
    for wrong in ["make no-such-target", "gristmill run", "rm FILE"] {
        assert!(can_be_typed(wrong).is_err(), "{wrong}");
    }

    let page = Page {
        path: "docs/page.md".into(),
        text: "# A `page` of it\n\n[there](book.toml#x) and `[no](link)`\n".into(),
    };
    assert_eq!(page.anchors(), ["a-page-of-it"]);
    assert_eq!(page.links(), ["book.toml#x"]);
    assert_eq!(page.target("../README.md"), file("README.md"));
    assert!(dead(&page, "no-such-page.md").is_some());
    assert!(dead(&page, "SUMMARY.md#no-such-heading").is_some());
}
