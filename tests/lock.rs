//! `gristmill lock` and `--locked`: what ran yesterday runs today, or nothing does.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::command::{Ended, file, gristmill, same, stages};
use crate::support::payload::{Payload, write};
use crate::support::server::TestDatabase;

/// A site's folder: components of its own, and a pipeline file that names them.
struct Site {
    folder: TempDir,
    pipeline: PathBuf,
}

const COMPONENTS: [&str; 4] = [
    "csv_parse",
    "effective_usage",
    "label_filter",
    "unit_conversion",
];

impl Site {
    fn new() -> Site {
        let folder = tempfile::tempdir().expect("a folder");
        for name in COMPONENTS {
            let name = format!("{name}.wasm");
            fs::copy(stages().join(&name), folder.path().join(&name)).expect("a component");
        }
        let site = Site {
            pipeline: folder.path().join("site.toml"),
            folder,
        };
        site.pipeline_is("");
        site
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn pipeline_is(&self, additions: &str) {
        let base = file("pipelines/ocp.toml");
        write(
            self.path(),
            "site.toml",
            format!("extends = {base:?}\n{additions}").as_bytes(),
        );
    }

    /// Another component than the one that is there: a custom section more.
    fn rebuild(&self, name: &str) {
        let path = self.path().join(format!("{name}.wasm"));
        let mut bytes = fs::read(&path).expect("a component");
        bytes.extend(b"\0\x02\x01x");
        fs::write(&path, bytes).expect("a component");
    }

    fn lock(&self) -> Ended {
        gristmill(["lock"])
            .argument(&self.pipeline)
            .calling(self.path(), "[SITE]")
            .succeeds()
            .stdout_is("")
    }

    fn lock_text(&self) -> String {
        fs::read_to_string(self.path().join("gristmill.lock")).expect("a lock")
    }

    fn check(&self, code: i32) -> Ended {
        gristmill(["check", "--locked"])
            .argument(&self.pipeline)
            .calling(self.path(), "[SITE]")
            .ends_with(code)
    }

    #[track_caller]
    fn refuses(&self, code: i32, words: &str) {
        let ended = self.check(code);
        let last = "\n\nerror: pipeline `[SITE]/site.toml` has a problem";
        same("stderr", &ended.stderr, &format!("{words}{last}"));
    }
}

const AGAIN: &str = "`gristmill lock [SITE]/site.toml` locks the pipeline as it is";

#[test]
fn a_lock_says_what_a_pipeline_runs_with_and_what_changed() {
    let site = Site::new();
    site.lock().stderr_is(
        "added    csv-parse\nadded    effective-usage\nadded    label-filter\n\
        added    unit-conversion\n[SITE]/gristmill.lock: 4 stages",
    );
    let text = site.lock_text();
    let parser = text
        .split("\n\n")
        .find(|section| section.contains("csv-parse"))
        .expect("a section");
    let bytes = fs::metadata(site.path().join("csv_parse.wasm")).expect("a component");
    let lines: Vec<&str> = parser
        .trim_end()
        .lines()
        .filter(|line| !line.starts_with("sha256 = "))
        .collect();
    assert_eq!(
        lines,
        [
            "[pipelines.\"site.toml\".stages.csv-parse]",
            "component = \"csv_parse.wasm\"",
            &format!("bytes = {}", bytes.len()),
            "world = \"parser\"",
            "contract = \"0.1.0\"",
        ]
    );
    site.check(0).stderr_is("");

    site.lock()
        .stderr_is("[SITE]/gristmill.lock: 4 stages, unchanged");
    assert_eq!(site.lock_text(), text);

    site.rebuild("label_filter");
    site.lock()
        .stderr_is("changed  label-filter: sha256, bytes\n[SITE]/gristmill.lock: 4 stages");
    assert_ne!(site.lock_text(), text);

    // A pipeline beside it has a section of its own.
    fs::copy(&site.pipeline, site.path().join("other.toml")).expect("a pipeline");
    gristmill(["lock"])
        .argument(site.path().join("other.toml"))
        .succeeds();
    site.check(0);
    fs::remove_file(site.path().join("other.toml")).expect("a pipeline");
    site.lock().stderr_is(
        "removed  all of `other.toml`, which is not there\n[SITE]/gristmill.lock: 4 stages",
    );
}

#[test]
fn nothing_runs_that_is_not_locked() {
    let site = Site::new();
    site.refuses(
        2,
        "error: cannot read lock `[SITE]/gristmill.lock`: No such file or directory (os error 2)\n\
        hint: `gristmill lock [SITE]/site.toml` writes it",
    );

    site.lock();
    let text = site.lock_text();
    write(site.path(), "gristmill.lock", b"version = 1\n");
    site.refuses(
        2,
        "error: lock `[SITE]/gristmill.lock` has nothing of pipeline file `site.toml`\n\
        hint: `gristmill lock [SITE]/site.toml` adds it",
    );
    write(site.path(), "gristmill.lock", b"version = 2\n");
    site.refuses(
        2,
        "error: lock `[SITE]/gristmill.lock` is of version 2; this gristmill reads 1\n\
        hint: `gristmill lock [SITE]/site.toml` writes it anew",
    );
    write(site.path(), "gristmill.lock", b"version = 1\nstages = 2\n");
    site.refuses(
        2,
        "error: unknown field `stages`, expected `version` or `pipelines`\n \
        --> [SITE]/gristmill.lock:2:1\n  |\n2 | stages = 2\n  | ^^^^^^\n\
        hint: `gristmill lock [SITE]/site.toml` writes it anew",
    );
    write(site.path(), "gristmill.lock", text.as_bytes());
    site.check(0);

    // A stage that came later.
    site.pipeline_is("[stages.late]\ncomponent = \"label_filter.wasm\"\n");
    site.refuses(
        2,
        &format!(
            "error: stage `late` is not in lock `[SITE]/gristmill.lock`\n \
            --> [SITE]/site.toml:2:9\n  |\n2 | [stages.late]\n  |         ^^^^\nhint: {AGAIN}"
        ),
    );

    // A stage that went away.
    let more = text.replace(".stages.label-filter]", ".stages.labels]");
    write(site.path(), "gristmill.lock", more.as_bytes());
    site.pipeline_is("");
    let gone = site.check(2);
    for words in [
        "error: stage `labels` is locked, but the pipeline has no such stage\n",
        "error: stage `label-filter` is not in lock `[SITE]/gristmill.lock`\n",
        "--> [SITE]/gristmill.lock:",
        AGAIN,
    ] {
        assert!(gone.stderr.contains(words), "{gone}");
    }
    write(site.path(), "gristmill.lock", text.as_bytes());

    // A component that is not there is the environment's fault, locked or not.
    let component = site.path().join("unit_conversion.wasm");
    fs::rename(&component, site.path().join("away.wasm")).expect("a component");
    site.pipeline_is("[stages.unit-conversion]\ncomponent = \"./no_such.wasm\"\n");
    site.check(3);
}

/// Also where the pipeline is run.
#[test]
fn another_component_than_the_locked_one_is_refused_before_it_runs() {
    let site = Site::new();
    site.pipeline_is("[stages.effective-usage]\ncomponent = \"effective_usage.wasm\"\n");
    site.lock();
    let database = TestDatabase::migrated();
    let payload = Payload::usual(1).write(site.path(), "good.tar.gz");
    let run = || {
        gristmill(["run", "--locked"])
            .argument(&site.pipeline)
            .argument(&payload)
            .database(&database)
            .calling(site.path(), "[SITE]")
    };
    run().succeeds();

    site.rebuild("effective_usage");
    let refused = format!(
        "error: stage `effective-usage`: component `[SITE]/effective_usage.wasm` is not the one \
        that lock `[SITE]/gristmill.lock` has\n \
        --> [SITE]/site.toml:3:13\n  |\n3 | component = \"effective_usage.wasm\"\n  \
        |             ^^^^^^^^^^^^^^^^^^^^^^\n\
        hint: its digest is [DIGEST], and [DIGEST] is pinned; {AGAIN}\n\n\
        error: pipeline `[SITE]/site.toml` has a problem"
    );
    run().ends_with(2).stdout_is("").stderr_is(&refused);
    gristmill(["replay", "--locked"])
        .argument(&site.pipeline)
        .arguments(["--source", "any", "--from", "2026-01-10"])
        .database(&database)
        .calling(site.path(), "[SITE]")
        .ends_with(2)
        .stdout_is("")
        .stderr_is(&refused);
    // Without `--locked` it is the site's own affair.
    gristmill(["check"]).argument(&site.pipeline).succeeds();

    site.pipeline_is(&format!(
        "[stages.effective-usage]\nsha256 = \"{}\"\n",
        "0".repeat(64)
    ));
    let pinned = site.check(2);
    for words in [
        "error: stage `effective-usage` is pinned to another digest than lock \
        `[SITE]/gristmill.lock` has for it\n",
        "[SITE]/site.toml:3:10",
        AGAIN,
    ] {
        assert!(pinned.stderr.contains(words), "{pinned}");
    }
}
