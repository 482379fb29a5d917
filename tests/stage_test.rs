//! Case files of stages: verdicts, differences, budgets, updates, rounds.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::support::command::{Gristmill, file, gristmill, same, stages};
use crate::support::component;
use crate::support::server::scratch;

const COMPONENT: &str = "effective_usage.wasm";

fn stage_test() -> Gristmill {
    gristmill(["stage", "test"])
        .without_env("DATABASE_URL")
        .with_stages()
}

/// A folder with a component and these cases.
#[track_caller]
fn folder(component: &Path, cases: &str) -> PathBuf {
    let folder = tempfile::tempdir_in(scratch()).expect("a folder").keep();
    let name = component.file_name().expect("a name");
    fs::copy(component, folder.join(name)).expect("the component");
    fs::write(folder.join("cases.toml"), cases).expect("a case file");
    folder
}

/// Tests a component with these cases.
#[track_caller]
fn testing(folder: &Path) -> Gristmill {
    stage_test()
        .argument(folder.join(COMPONENT))
        .calling(folder, "[FOLDER]")
}

/// The shipped cases with some texts changed.
#[track_caller]
fn changed(change: &[(&str, &str)]) -> Gristmill {
    let mut cases = fs::read_to_string(file("plugins/effective-usage/cases.toml")).expect("cases");
    for (old, new) in change {
        assert!(cases.contains(old), "{old} is not there to be changed");
        cases = cases.replacen(old, new, 1);
    }
    testing(&folder(&stages().join(COMPONENT), &cases))
}

/// A case of the stage, with an input of two rows and these lines below it.
fn case(name: &str, expectation: &str) -> String {
    format!(
        "[[case]]\nname = \"{name}\"\ninput = '''\n\
        pod_usage_cpu_core_seconds,pod_request_cpu_core_seconds,\
        pod_usage_memory_byte_seconds,pod_request_memory_byte_seconds\n\
        1,2,3,4\n5,6,7,8\n'''\n{expectation}\n"
    )
}

/// The output of the stage.
fn made(first: &str, second: &str) -> String {
    format!(
        "output = '''\npod_usage_cpu_core_seconds,pod_request_cpu_core_seconds,\
        pod_usage_memory_byte_seconds,pod_request_memory_byte_seconds,\
        pod_effective_usage_cpu_core_seconds,pod_effective_usage_memory_byte_seconds\n\
        1,2,3,4,{first}\n5,6,7,8,{second}\n'''\n"
    )
}

#[test]
fn results_come_as_json_too() {
    let verdicts = stage_test()
        .arguments(["plugins/effective-usage", "--json", "--filter", "with max"])
        .succeeds()
        .json();
    let expected = serde_json::json!([{
        "stage": "effective-usage",
        "case": "request above usage wins with max",
        "passed": true,
        "differences": [],
    }]);
    assert_eq!(verdicts, expected);
}

#[test]
fn a_wrong_expectation_fails_with_both_sides_and_the_command_for_it() {
    changed(&[(
        "web,600,900,4096,1024,600,1024",
        "web,600,900,4096,1024,601,",
    )])
    .arguments(["--filter", "unused"])
    .ends_with(1)
    .stdout_is(
        "FAILED  effective_usage: unused requests are not charged by default\n         \
            output  column                                   expected  got\n         \
            row 0   pod_effective_usage_cpu_core_seconds     601       600\n         \
            row 0   pod_effective_usage_memory_byte_seconds  (empty)   1024\n         \
            again: gristmill stage test [FOLDER]/effective_usage.wasm --stages [STAGES] \
            --filter 'unused requests are not charged by default'",
    )
    .stderr_is("error: 1 of 1 cases failed");
}

#[test]
fn the_differences_come_as_json_sentences() {
    let verdicts = changed(&[(
        "web,600,900,4096,1024,600,1024",
        "web,600,900,4096,1024,600,1024\ndb,1,1,1,1,1,1",
    )])
    .arguments(["--filter", "unused", "--json"])
    .ends_with(1)
    .json();
    assert_eq!(
        verdicts[0]["differences"],
        serde_json::json!(["output, row 1: expected `db,1,1,1,1,1,1`, got no such row"])
    );
}

#[test]
fn a_wrong_error_fails() {
    changed(&[(
        "error = \"column `pod_request_cpu_core_seconds`: is missing\"",
        "error = \"too bad\"",
    )])
    .arguments(["--filter", "without requests"])
    .ends_with(1)
    .stdout_is(
        "FAILED  effective_usage: refuses a report without requests\n         \
            expected the error `too bad`, \
            got the error `column `pod_request_cpu_core_seconds`: is missing`\n         \
            again: gristmill stage test [FOLDER]/effective_usage.wasm --stages [STAGES] \
            --filter 'refuses a report without requests'",
    )
    .stderr_is("error: 1 of 1 cases failed");
}

#[test]
fn a_case_file_that_is_wrong_is_the_authors_mistake() {
    changed(&[("name = \"unused", "nam = \"unused")])
        .ends_with(2)
        .stdout_is("")
        .stderr_is(
            "error: unknown field `nam`, expected one of `name`, `config`, `sets`, `limits`, `types`, \
            `columns`, `chunk-bytes`, `input`, `output`, `rejects`, `facts`, `error`, `budget`\n \
            --> [FOLDER]/cases.toml:4:1\n  \
            |\n\
            4 | nam = \"unused requests are not charged by default\"\n  \
            | ^^^",
        );
}

#[test]
fn a_case_that_expects_nothing_is_a_mistake_until_it_is_filled_in() {
    let cases = case("new", "");
    let folder = folder(&stages().join(COMPONENT), &cases);
    testing(&folder).ends_with(2).stdout_is("").stderr_is(
        "error: a case expects either `output` or `error`\n \
            --> [FOLDER]/cases.toml:2:8\n  \
            |\n\
            2 | name = \"new\"\n  \
            |        ^^^^^\n\
            hint: `--update` fills in what the stage makes of it",
    );
    testing(&folder)
        .argument("--update")
        .succeeds()
        .stdout_is("updated effective_usage: new")
        .stderr_is("1 cases passed, 1 of them updated");
    let filled = cases.trim_end().to_string() + "\n" + &made("1,3", "5,7");
    let written = fs::read_to_string(folder.join("cases.toml")).expect("cases");
    same("cases.toml", &written.replace("\n\n", "\n"), &filled);
}

#[test]
fn an_update_makes_the_cases_pass_and_leaves_the_rest_alone() {
    let right = [
        "# Of the smaller and the larger.\n\n".to_string(),
        case("first", &made("1,3", "5,7")),
        case(
            "second",
            &format!("# By hand:\n{}config.method = \"max\"", made("2,4", "6,8")),
        ),
        case(
            "third",
            "config.method = \"no\"\nerror = \"config key `method`: \
            unknown variant `no`, expected `min` or `max`\"   # of serde",
        ),
    ]
    .concat();
    let wrong = right
        .replace("1,2,3,4,1,3", "1,2,3,4,9,9")
        .replace("1,2,3,4,2,4\n", "")
        .replace("expected `min` or `max`", "expected more");
    assert_ne!(wrong, right);
    let folder = folder(&stages().join(COMPONENT), &wrong);
    testing(&folder).ends_with(1);
    let unchanged = fs::read_to_string(folder.join("cases.toml")).expect("cases");
    same("cases.toml", &unchanged, &wrong);

    testing(&folder)
        .arguments(["--update", "--filter", "first"])
        .succeeds();
    testing(&folder)
        .argument("--update")
        .succeeds()
        .stdout_is(
            "ok      effective_usage: first\n\
            updated effective_usage: second\n\
            updated effective_usage: third",
        )
        .stderr_is("3 cases passed, 2 of them updated");
    let written = fs::read_to_string(folder.join("cases.toml")).expect("cases");
    same("cases.toml", &written, &right);
    testing(&folder).succeeds().stderr_is("3 cases passed");
}

#[test]
fn an_update_writes_rejects_and_facts() {
    let cases = "[[case]]\nname = \"parses\"\ncolumns = { x = \"float64\" }\n\
        input = \"x,y\\n1,2\\nabc,3\\n\"\noutput = \"\"\nfacts = {}\n";
    let folder = folder(&stages().join("csv_parse.wasm"), cases);
    stage_test()
        .argument(folder.join("csv_parse.wasm"))
        .argument("--update")
        .succeeds();
    let written = fs::read_to_string(folder.join("cases.toml")).expect("cases");
    let expected = cases.replace(
        "output = \"\"\nfacts = {}\n",
        "output = '''\nx\n1\n'''\nfacts = { ignored-columns = [\"y\"] }\n\
        rejects = '''\nline,column,code,message\n\
        3,x,not-a-number,\"expected a number, found `abc`\"\n'''\n",
    );
    same("cases.toml", &written, &expected);
}

/// A break is no expectation.
#[test]
fn an_update_does_not_write_down_a_panic() {
    let cases = "[[case]]\nname = \"panics\"\nconfig.behaviour = \"panics\"\ninput = '''\n\
        pod,pod_usage_cpu_core_seconds\nweb,1\n'''\noutput = \"\"\n";
    let folder = folder(&component::hostile().join("hostile.wasm"), cases);
    let ended = stage_test()
        .argument(folder.join("hostile.wasm"))
        .argument("--update")
        .ends_with(1)
        .stderr_is("error: 1 of 1 cases failed");
    for words in [
        "failed: trapped: `unreachable` instruction executed",
        "it said: panicked at src/lib.rs:",
        "the dog ate 1 rows",
    ] {
        assert!(ended.stdout.contains(words), "{ended}");
    }
    let written = fs::read_to_string(folder.join("cases.toml")).expect("cases");
    same("cases.toml", &written, cases);
}

#[test]
fn a_case_over_its_budget_fails_with_what_it_took() {
    let over = |budget: &str| {
        let cases = case(
            "dear",
            &format!("budget = {budget}\n{}", made("1,3", "5,7")),
        );
        let folder = folder(&stages().join(COMPONENT), &cases);
        // A budget is not what `--update` may change.
        let verdicts = testing(&folder)
            .arguments(["--json", "--update"])
            .ends_with(1)
            .json();
        let differences = verdicts[0]["differences"].as_array().expect("a list");
        assert_eq!(differences.len(), 1, "{differences:?}");
        differences[0].as_str().expect("a sentence").to_string()
    };
    let fuel = over("{ fuel-per-row = 1 }");
    let measured = fuel
        .strip_prefix("budget: `fuel-per-row` is 1, measured ")
        .and_then(|measured| measured.parse::<f64>().ok());
    assert!(measured.is_some_and(|measured| measured > 10.0), "{fuel}");
    assert_eq!(
        over("{ fuel-per-row = 1 }"),
        fuel,
        "fuel differs between runs"
    );
    // Two columns of float64.
    assert_eq!(
        over("{ output-bytes-per-row = 15.5 }"),
        "budget: `output-bytes-per-row` is 15.5, measured 16"
    );
}

#[test]
fn a_case_that_fails_shows_what_the_stage_logged() {
    let hostile = component::hostile().join("hostile.wasm");
    let cases = |expected: &str| {
        format!(
            "[[case]]\nname = \"talks\"\nconfig = {{ behaviour = \"prints\" }}\n\
            input = '''\npod,pod_usage_cpu_core_seconds\na,1\n'''\n\
            output = '''\npod,pod_usage_cpu_core_seconds\na,{expected}\n'''\n"
        )
    };
    let tested = |expected: &str| {
        let folder = folder(&hostile, &cases(expected));
        stage_test().argument(folder.join("hostile.wasm")).ends()
    };
    let failed = tested("2");
    for line in [
        "         info: hello of 1 rows\n         info: and this\n",
        "         warning: something\n         warning: is odd\n",
    ] {
        assert!(failed.stdout.contains(line), "{line}\n{failed}");
    }
    let passed = tested("1");
    assert_eq!(passed.code, Some(0), "{passed}");
    assert!(!passed.stdout.contains("hello"), "{passed}");
}

#[test]
fn a_component_that_is_older_than_its_sources_is_said_to_be() {
    let above = tempfile::tempdir_in(scratch()).expect("a folder");
    let project = above.path().join("effective-usage");
    fs::create_dir_all(project.join("src")).expect("a folder");
    fs::copy(stages().join(COMPONENT), project.join(COMPONENT)).expect("a component");
    fs::write(
        project.join("cases.toml"),
        case("good", &made("1,3", "5,7")),
    )
    .expect("cases");
    let source = project.join("src/lib.rs");
    fs::write(&source, "").expect("a source");
    let said = || {
        let tested = stage_test()
            .argument(&project)
            .calling(above.path(), "[ABOVE]");
        tested.succeeds().stderr
    };
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3_600);
    let at = |path: &Path, time| {
        let file = fs::File::options()
            .write(true)
            .open(path)
            .expect("our file");
        file.set_modified(time).expect("a time");
    };
    at(&project.join(COMPONENT), old);
    let warning = "warning: component `[ABOVE]/effective-usage/effective_usage.wasm` is older than \
        `src/lib.rs`: these cases are of what was built before (`gristmill stage build ";
    let older = said();
    assert!(older.starts_with(warning), "{older}");
    at(&source, old - std::time::Duration::from_secs(1));
    assert_eq!(said(), "1 cases passed\n");
}

/// What a stage needs to start is no cost of a case; it has more than a MiB by then.
#[test]
fn a_budget_of_memory_is_what_the_rows_take() {
    let tested = |rows: usize| {
        let columns = "pod_usage_cpu_core_seconds,pod_request_cpu_core_seconds,\
            pod_usage_memory_byte_seconds,pod_request_memory_byte_seconds";
        let added = "pod_effective_usage_cpu_core_seconds,pod_effective_usage_memory_byte_seconds";
        let cases = format!(
            "[[case]]\nname = \"dear\"\nbudget = {{ memory = \"64 KiB\" }}\n\
            input = '''\n{columns}\n{}'''\noutput = '''\n{columns},{added}\n{}'''\n",
            "1,2,3,4\n".repeat(rows),
            "1,2,3,4,1,3\n".repeat(rows)
        );
        let folder = folder(&stages().join(COMPONENT), &cases);
        testing(&folder).argument("--json").ends().json()
    };
    assert_eq!(tested(2)[0]["passed"], true);
    let over = tested(60_000);
    let differences = over[0]["differences"].as_array().expect("a list");
    assert_eq!(differences.len(), 1, "{differences:?}");
    let memory = differences[0].as_str().expect("a sentence");
    assert!(
        memory.starts_with("budget: `memory` is 65536, measured "),
        "{memory}"
    );
}

#[test]
fn a_case_within_its_budget_passes() {
    let budget = "budget = { fuel-per-row = 1e6, output-bytes-per-row = 16, memory = \"64 MiB\" }";
    let cases = case("cheap", &format!("{budget}\n{}", made("1,3", "5,7")));
    testing(&folder(&stages().join(COMPONENT), &cases)).succeeds();
}

#[test]
fn ci_gets_junit_xml() {
    let cases = [
        case("good", &made("1,3", "5,7")),
        case("bad <&> 'it'", &made("9,9", "5,7")),
    ]
    .concat();
    let folder = folder(&stages().join(COMPONENT), &cases);
    let path = folder.join("results.xml");
    testing(&folder)
        .argument("plugins/label-filter")
        .argument("--junit")
        .argument(&path)
        .ends_with(1);
    let text = fs::read_to_string(path).expect("results");
    let document = roxmltree::Document::parse(&text).expect("well-formed XML");
    let suites: Vec<_> = document
        .descendants()
        .filter(|node| node.has_tag_name("testsuite"))
        .collect();
    let ours = suites[0];
    let attributes = ["name", "tests", "failures"].map(|name| ours.attribute(name));
    assert_eq!(attributes, [Some("effective_usage"), Some("2"), Some("1")]);
    assert_eq!(suites[1].attribute("failures"), Some("0"));
    let failures: Vec<_> = document
        .descendants()
        .filter(|node| node.has_tag_name("failure"))
        .collect();
    assert_eq!(failures.len(), 1, "{text}");
    let failed = failures[0].parent().expect("a case");
    assert_eq!(failed.attribute("name"), Some("bad <&> 'it'"));
    assert_eq!(failed.attribute("classname"), Some("effective_usage"));
    assert_eq!(
        failures[0].text(),
        Some(
            "output, row 0, column `pod_effective_usage_cpu_core_seconds`: \
            expected `9`, got `1`\n\
            output, row 0, column `pod_effective_usage_memory_byte_seconds`: \
            expected `9`, got `3`"
        )
    );
}

#[test]
fn a_component_that_is_not_there_is_missing() {
    gristmill(["stage", "test", "plugins/sdk"])
        .ends_with(3)
        .stdout_is("")
        .stderr_is(
            "error: component `sdk.wasm` of stage `sdk` was not found\n\n\
            hint: build it for `wasm32-wasip2`, or name its folder with `--stages DIR`",
        );
}

#[test]
fn a_filter_that_leaves_nothing_is_a_mistake() {
    stage_test()
        .arguments(["plugins/effective-usage", "--filter", "no such case"])
        .ends_with(2)
        .stdout_is("")
        .stderr_is(
            "error: no case was run\n\n\
            hint: `--filter` leaves out the cases whose name does not hold its text",
        );
}

/// A case of a stage that is swayed by other rows: three rows, of which the last repeats
/// the pod of the first, and these lines below them.
fn swayed(by: &str, expectation: &str) -> Vec<String> {
    let cases = format!(
        "[[case]]\nname = \"swayed\"\nconfig.by = \"{by}\"\ninput = '''\n\
        pod_usage_cpu_core_seconds,pod\n1,a\n2,b\n3,a\n'''\n{expectation}\n"
    );
    let component = component::swayed().join("swayed.wasm");
    let folder = folder(&component, &cases);
    // What the stage makes on the plain path is expected, and is no excuse.
    let test = stage_test()
        .argument(folder.join("swayed.wasm"))
        .arguments(["--json", "--update"]);
    let ended = match by {
        "nothing" => test.succeeds(),
        _ => test.ends_with(1),
    };
    let written = fs::read_to_string(folder.join("cases.toml")).expect("cases");
    same("cases.toml", &written, &cases);
    let differences = ended.json()[0]["differences"].clone();
    serde_json::from_value(differences).expect("sentences")
}

/// An output of these pods.
fn pods(pods: [&str; 3]) -> String {
    let rows: String = (1..4)
        .zip(pods)
        .map(|(usage, pod)| format!("{usage},{pod}\n"))
        .collect();
    format!("output = '''\npod_usage_cpu_core_seconds,pod\n{rows}'''")
}

/// In a run such a stage is shown each text once, in whatever batch: what it made of the
/// rows there would not be what its cases say.
#[test]
fn a_stage_that_is_swayed_by_other_rows_fails_whatever_is_expected_of_it() {
    assert!(swayed("nothing", &pods(["a", "b", "a"])).is_empty());
    let of_texts = |place: &str, plain: &str, in_run: &str| {
        vec![format!(
            "{place}: {plain} when all rows come at once, but {in_run} on the path of a run, \
            where they come in other batches and another order and each text once: the \
            contract asks that what comes of a row depends on nothing but what the stage \
            reads of that row"
        )]
    };
    assert_eq!(
        swayed("place", &pods(["a 0", "b 1", "a 2"])),
        of_texts("output, row 1, column `pod`", "`b 1`", "`b 0`")
    );
    // The answer to the last row is remembered for the first.
    assert_eq!(
        swayed("repetition", &pods(["a 1", "b 1", "a 2"])),
        of_texts("output, row 2, column `pod`", "`a 2`", "`a 1`")
    );
    assert_eq!(
        swayed("null", &pods(["a", "b", ""])),
        of_texts("output, row 2, column `pod`", "null", "`a`")
    );
    let rejects = "output = '''\npod_usage_cpu_core_seconds,pod\n1,a\n2,b\n'''\n\
        rejects = '''\nrow,column,code,message\n2,,repeated,not again\n'''";
    assert_eq!(
        swayed("rejection", rejects),
        of_texts("output, row 2", "rejected (`repeated: not again`)", "kept")
    );
    let facts = pods(["a", "b", "a"]) + "\nfacts = { rows = [\"3\"] }";
    assert_eq!(
        swayed("count", &facts),
        of_texts("facts", "{\"rows\": [\"3\"]}", "{\"rows\": [\"2\"]}")
    );
}

#[test]
fn a_stage_that_refuses_by_the_size_of_its_batch_fails_too() {
    let company = swayed("company", "error = \"one at a time\"");
    assert_eq!(company.len(), 1, "{company:?}");
    let words = "output: refused (`one at a time`) when all rows come at once, but 3 rows on";
    assert!(company[0].starts_with(words), "{company:?}");
    let solitude = swayed("solitude", &pods(["a", "b", "a"]));
    assert_eq!(solitude.len(), 1, "{solitude:?}");
    let words = "output: 3 rows when all rows come at once, but failed (`not alone`) on";
    assert!(solitude[0].starts_with(words), "{solitude:?}");
}

/// What it makes is no text, so no answers are remembered; batches are others all the
/// same.
#[test]
fn a_stage_of_numbers_that_remembers_rows_fails_too() {
    let sums = "output = '''\npod_usage_cpu_core_seconds,pod\n1,a\n3,b\n6,a\n'''";
    assert_eq!(
        swayed("sum", sums),
        [
            "output, row 0, column `pod_usage_cpu_core_seconds`: `1` when all rows come at \
            once, but `6` on the path of a run, where they come in other batches and another \
            order: the contract asks that what comes of a row depends on nothing but what the \
            stage reads of that row"
        ]
    );
}

/// Each round begins when the test has changed something, and the test goes on when
/// the round has ended: no clock decides anything.
#[test]
fn watching_builds_and_runs_again_at_every_change() {
    let folder = tempfile::tempdir_in(scratch()).expect("a folder");
    let project = folder.path().join("watched");
    fs::create_dir(&project).expect("a folder");
    // In one step, so that nobody sees half of it.
    let write = |name: &str, text: &[u8]| {
        fs::write(folder.path().join("new"), text).expect("a file");
        fs::rename(folder.path().join("new"), project.join(name)).expect("a file");
    };
    let good = case("watched", &made("1,3", "5,7"));
    write("cases.toml", good.as_bytes());
    let component = fs::read(stages().join(COMPONENT)).expect("a component");
    write("source.bin", &component);
    write("build.sh", b"echo built\ncp source.bin watched.wasm\n");

    let mut child = gristmill(["stage", "test", "--watch", "--watch-rounds", "4"])
        .argument(&project)
        .starts();
    let mut said = BufReader::new(child.stderr.take().expect("stderr")).lines();
    let mut round = || {
        let lines = said.by_ref().map(|line| line.expect("UTF-8"));
        let lines: Vec<String> = lines
            .take_while(|line| !line.starts_with("waiting for a change"))
            .collect();
        lines.join("\n")
    };
    same("round 1", &round(), "built\n1 cases passed");
    // Another case.
    write(
        "cases.toml",
        good.replace("1,2,3,4,1,3", "1,2,3,4,1,33").as_bytes(),
    );
    same("round 2", &round(), "built\nerror: 1 of 1 cases failed");
    // A source that does not build.
    write("build.sh", b"exit 7\n");
    let broken = round();
    assert!(
        broken.contains("stage `watched` was not built: `")
            && broken.contains("sh build.sh` ended with exit status: 7"),
        "{broken}"
    );
    // The last round decides the exit code.
    write("build.sh", b"cp source.bin watched.wasm\n");
    same("round 4", &round(), "error: 1 of 1 cases failed");
    let mut data = String::new();
    let mut stdout = child.stdout.take().expect("stdout");
    stdout.read_to_string(&mut data).expect("UTF-8");
    let ended = child.wait().expect("an end");
    assert_eq!(ended.code(), Some(1), "{data}");
    assert_eq!(data.matches("ok ").count(), 1, "{data}");
    assert_eq!(data.matches("FAILED").count(), 2, "{data}");
}
