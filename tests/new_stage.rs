//! `gristmill stage new`: what it refuses before it writes anything, and projects
//! that work from the first moment.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::command::{Gristmill, file, run};
use crate::support::payload::{Payload, Report};
use crate::support::server::{TestDatabase, scratch};
use crate::support::tools;

/// How long an author with two processors waits at the most, from nothing to the
/// first numbers, libraries fetched.
const FIVE_MINUTES: Duration = Duration::from_secs(300);

fn folder() -> TempDir {
    tempfile::tempdir_in(scratch()).expect("a folder")
}

fn new(arguments: &[&str], folder: &Path) -> Gristmill {
    tools::stage(&["new"]).arguments(arguments).within(folder)
}

/// Names of what is in a folder.
fn contents(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder");
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut names: Vec<String> = entries
        .map(|entry| name(entry.expect("an entry")))
        .collect();
    names.sort();
    names
}

#[test]
fn a_name_or_a_folder_that_is_taken_is_refused() {
    let folder = folder();
    for name in [
        "Night",
        "night_discount",
        "-night",
        "2night",
        "night--discount",
        "serde",
        "a/b",
    ] {
        // `--` lets a name begin with a hyphen.
        let ended = new(&["--lang", "rust", "--", name], folder.path()).ends_with(2);
        let said = format!("error: `{name}` cannot be the name of a stage");
        assert!(ended.stderr.starts_with(&said), "{ended}");
    }
    fs::create_dir(folder.path().join("night")).expect("a folder");
    new(&["night", "--lang", "rust"], folder.path())
        .ends_with(2)
        .stderr_is(
            "error: `night` is there already\n\n\
            hint: choose another name, or another folder to be in",
        );
    assert_eq!(contents(folder.path()), ["night"]);
    assert!(contents(&folder.path().join("night")).is_empty());
}

/// A `PATH` with nothing but a few of our own programs.
fn path_of(programs: &[&str], folder: &Path) -> OsString {
    let programs_folder = folder.join("programs");
    fs::create_dir_all(&programs_folder).expect("a folder");
    for program in programs {
        let path = programs_folder.join(program);
        fs::write(&path, "#!/bin/sh\nexit 1\n").expect("a program");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("our file");
    }
    programs_folder.into()
}

#[test]
fn a_missing_tool_is_named_with_the_line_that_installs_it() {
    for (language, there, missing, install) in [
        ("rust", &[][..], "`cargo`", "curl https://sh.rustup.rs | sh"),
        (
            "rust",
            &["cargo", "rustc"],
            "Rust's target `wasm32-wasip2`",
            "rustup target add wasm32-wasip2",
        ),
        (
            "python",
            &["python3"],
            "`componentize-py`",
            "python3 -m venv .venv && .venv/bin/pip install componentize-py==0.25.1",
        ),
        ("javascript", &[], "`node`", "apt-get install nodejs npm"),
        (
            "javascript",
            &["node", "npm"],
            "`jco`",
            "npm install @bytecodealliance/jco@1.35.0",
        ),
    ] {
        let (folder, programs) = (folder(), self::folder());
        new(&["night", "--lang", language], folder.path())
            .env("PATH", path_of(there, programs.path()))
            .ends_with(3)
            .stdout_is("")
            .stderr_is(&format!(
                "error: {missing} is missing, which builds the stage\n\nhint: install it: {install}"
            ));
        assert!(contents(folder.path()).is_empty(), "something was written");
    }
}

#[test]
fn a_project_that_does_not_build_stays_and_says_how_to_go_on() {
    let (folder, programs) = (folder(), folder());
    let path = path_of(&["componentize-py"], programs.path());
    let path = format!("{}:/usr/bin:/bin", path.to_string_lossy());
    new(&["night", "--lang", "python"], folder.path())
        .env("PATH", path)
        .ends_with(1)
        .stdout_is("")
        .stderr_is(
            "night: 8 files; building\n\
            error: cannot build stage `night`\n  \
            `sh build.sh` ended with exit status: 1\n\n\
            hint: the project is in `night`; change it, then `gristmill stage build night`",
        );
    assert_eq!(contents(folder.path()), ["night"]);
    assert!(folder.path().join("night/transform.py").is_file());
}

/// Lines of which `record` makes nothing; the host misses none of their bytes.
const LEFT_OUT: &str = r#"
[[case]]
name = "what is nothing is left out"
columns = { pod = "text" }
chunk-bytes = 3
input = '''
null
{"pod": "web"}

  null 
'''
output = '''
pod
web
'''
facts = { "ignored-columns" = [], "left-out-bytes" = ["8"] }
"#;

#[test]
fn a_parser_works_in_every_language() {
    for (language, component, files) in [
        ("rust", "target/wasm32-wasip2/release/lines.wasm", None),
        ("python", "lines.wasm", Some(8)),
        ("javascript", "lines.wasm", Some(7)),
    ] {
        let folder = folder();
        let ended = new(
            &["lines", "--lang", language, "--kind", "parser"],
            folder.path(),
        )
        .succeeds();
        if let Some(files) = files {
            let said =
                format!("lines: {files} files; building\nlines: built, loaded, 2 cases passed");
            assert!(ended.stderr.starts_with(&said), "{ended}");
        }
        let line = format!("component = \"lines/{component}\"");
        assert!(ended.stdout.lines().any(|said| said == line), "{ended}");
        tools::stage(&["test"])
            .argument(folder.path().join("lines"))
            .succeeds()
            .stderr_is("2 cases passed");
        if language == "python" {
            says_where_its_author_went_wrong(&folder.path().join("lines"));
        }
        // In Rust this is no object, and rejected.
        if language != "rust" {
            let cases = folder.path().join("lines/cases.toml");
            let text = fs::read_to_string(&cases).expect("cases") + LEFT_OUT;
            fs::write(&cases, text).expect("our file");
            tools::stage(&["test"])
                .argument(folder.path().join("lines"))
                .succeeds()
                .stderr_is("3 cases passed");
        }
        let manual = fs::read_to_string(folder.path().join("lines/README.md")).expect("a manual");
        let left = [
            "LANGUAGE",
            "SOURCE",
            "COMPONENT",
            "BUILD",
            "PIPELINE",
            "TOOLS",
            "my-stage",
        ];
        for word in left {
            assert!(!manual.contains(word), "{word} in\n{manual}");
        }
    }
}

/// An exception that the library of Python raises is of the line that called it, and what
/// is printed is in the log.
fn says_where_its_author_went_wrong(project: &Path) {
    let source = project.join("parser.py");
    let whole = fs::read_to_string(&source).expect("a source");
    let line = "    def record(self, line):\n";
    assert_eq!(whole.matches(line).count(), 1, "{whole}");
    let number = whole
        .lines()
        .take_while(|of| !of.contains("def record"))
        .count()
        + 3;
    let broken = format!("{line}        print('reading', len(line))\n        int('odd')\n");
    fs::write(&source, whole.replace(line, &broken)).expect("our file");
    tools::stage(&["build"]).argument(project).succeeds();
    let ended = tools::stage(&["test"]).argument(project).ends_with(1);
    let place = format!("parser.py:{number}: ValueError: invalid literal for int()");
    for words in [place.as_str(), "reading "] {
        assert!(ended.stdout.contains(words), "{words}\n{ended}");
    }
    fs::write(&source, whole).expect("our file");
    tools::stage(&["build"]).argument(project).succeeds();
}

/// As a new user would: make a stage, change a line, test, name it, run.
#[test]
fn from_nothing_to_numbers_within_five_minutes() {
    let begun = Instant::now();
    let folder = folder();
    new(&["night-discount", "--lang", "rust"], folder.path()).succeeds();

    let source = folder.path().join("night-discount/src/lib.rs");
    let text = fs::read_to_string(&source).expect("a source");
    let line = "core_seconds * self.factor";
    assert_eq!(text.matches(line).count(), 1);
    let changed = text.replace(line, "core_seconds * self.factor * 0.5");
    fs::write(&source, changed).expect("our file");
    let test =
        |arguments: &[&str]| tools::stage(arguments).within(&folder.path().join("night-discount"));
    test(&["build"]).succeeds();
    let ended = test(&["test", "."]).ends_with(1);
    let differs = |line: &str| line.contains("300") && line.contains("150");
    assert!(ended.stdout.lines().any(differs), "{ended}");
    let cases = folder.path().join("night-discount/cases.toml");
    let text = fs::read_to_string(&cases).expect("cases");
    fs::write(&cases, text.replace("web,300", "web,150")).expect("our file");
    test(&["test", "."]).succeeds().stderr_is("2 cases passed");

    let pipeline = folder.path().join("night.toml");
    let text = format!(
        "extends = {:?}\n\
        stages.night-discount.component = \
        \"night-discount/target/wasm32-wasip2/release/night_discount.wasm\"\n\
        reports.pod-usage.stages = [\"csv-parse\", \"night-discount\", \"effective-usage\", \
        \"label-filter\", \"unit-conversion\"]\n",
        file("pipelines/ocp.toml")
    );
    fs::write(&pipeline, text).expect("a pipeline");
    let payload = Payload::numbered(1)
        .file("pods.csv", Report::pods().hours(0..4).text())
        .write(folder.path(), "payload.tar.gz");
    let database = TestDatabase::migrated();
    run(&database, &pipeline, &[payload]).succeeds();
    let elapsed = begun.elapsed();

    let usage = database.query_value(
        "SELECT trim_scale(sum(pod_usage_cpu_core_hours))
        FROM reporting_ocpusagelineitem_daily_summary
        WHERE namespace = 'app'",
    );
    assert_eq!(usage.as_deref(), Some("0.5"));
    assert!(elapsed < FIVE_MINUTES, "it took {elapsed:?}");
}
