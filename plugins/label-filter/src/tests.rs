//! The stage as the host drives it, without the sandbox.

use gristmill_stage::{
    Batch, Column, ColumnType, DictionaryBuilder, Fact, Failure, Field, OpenTransform, Schema,
    Sets, Stage, Values, parse_config,
};

use super::{LabelFilter, REMEMBERED_BYTES_MAX};

fn open(
    config: &str,
    enabled: &[&str],
    columns: &[(&str, ColumnType)],
) -> Result<LabelFilter, Failure> {
    let fields = columns
        .iter()
        .map(|(name, column_type)| Field::new(*name, *column_type));
    let words = enabled.iter().map(|word| (*word).to_owned()).collect();
    let context = OpenTransform {
        schema: Schema::new(fields.collect()),
        sets: Sets::new([("enabled-keys".to_owned(), words)]),
    };
    LabelFilter::open(parse_config(config)?, context)
}

fn column(values: &[Option<&str>]) -> Column {
    let mut builder = DictionaryBuilder::default();
    for value in values {
        match value {
            Some(value) => builder.push(value),
            None => builder.push_null(),
        }
    }
    builder.finish()
}

fn process(stage: &mut LabelFilter, columns: &[&[Option<&str>]]) -> Vec<Vec<String>> {
    let rows = columns[0].len();
    let batch = Batch::new(rows, columns.iter().map(|values| column(values)).collect());
    let output = stage.process(batch).unwrap();
    assert_eq!(output.columns.len(), stage.contract().writes.len());
    output
        .columns
        .iter()
        .map(|column| {
            (0..rows)
                .map(|row| column.as_dictionary().get(row).unwrap().to_owned())
                .collect()
        })
        .collect()
}

#[track_caller]
fn check_refused(config: &str, columns: &[(&str, ColumnType)], expected: &str) {
    match open(config, &[], columns) {
        Ok(_) => panic!("opened"),
        Err(failure) => assert_eq!(failure.to_string(), expected),
    }
}

#[test]
fn keeps_enabled_keys_and_tells_all() {
    let mut stage = open("{}", &["app"], &[("pod_labels", ColumnType::Utf8)]).unwrap();
    let raw = Some("label_app:web|label_tier:db|label_vm_kubevirt_io_name:vm1");
    assert_eq!(
        process(&mut stage, &[&[raw, None, Some("label_late:1")]]),
        [[r#"{"app":"web","vm_kubevirt_io_name":"vm1"}"#, "{}", "{}"]]
    );
    let keys = ["app", "late", "tier", "vm_kubevirt_io_name"];
    assert_eq!(stage.finish().unwrap(), [Fact::new("label-keys", keys)]);
}

#[test]
fn label_sets_that_filter_to_the_same_share_a_value() {
    let mut stage = open("{}", &["app"], &[("pod_labels", ColumnType::Dictionary)]).unwrap();
    let values = column(&[
        Some("label_app:a|label_x:1"),
        Some("label_x:2|label_app:a"),
        None,
    ]);
    let output = stage.process(Batch::new(3, vec![values])).unwrap();
    let Values::Dictionary(dictionary) = &output.columns[0].values else {
        unreachable!()
    };
    assert_eq!(dictionary.keys[0], dictionary.keys[1]);
    assert_eq!(output.columns[0].validity, None);
}

#[test]
fn extracts_labels_before_the_filter() {
    let columns = [
        ("node", ColumnType::Dictionary),
        ("node_labels", ColumnType::Dictionary),
    ];
    let mut stage = open("{}", &[], &columns).unwrap();
    let written: Vec<String> = stage
        .contract()
        .writes
        .into_iter()
        .map(|field| field.name)
        .collect();
    assert_eq!(written, ["node_labels", "architecture", "node_role_label"]);
    let raw = "label_node_role_kubernetes_io:infra|label_kubernetes_io_arch:amd64";
    assert_eq!(
        process(&mut stage, &[&[Some(raw), Some(""), None]]),
        [["{}", "{}", "{}"], ["amd64", "", ""], ["infra", "", ""]]
    );
}

#[test]
fn columns_can_be_named_and_left_out_of_the_fact() {
    let columns = [
        ("tags", ColumnType::Dictionary),
        ("pod_labels", ColumnType::Dictionary),
    ];
    let config = r#"{ "columns": ["tags"], "unreported": ["tags"], "always": [] }"#;
    let mut stage = open(config, &["a"], &columns).unwrap();
    assert_eq!(
        process(&mut stage, &[&[Some("a:1|b:2")]]),
        [[r#"{"a":"1"}"#]]
    );
    assert_eq!(stage.finish().unwrap(), [Fact::new("label-keys", [""; 0])]);
}

#[test]
fn forgetting_changes_nothing() {
    let mut stage = open("{}", &["n"], &[("pod_labels", ColumnType::Dictionary)]).unwrap();
    for round in [0, 3_000, 6_000] {
        // Half a kilobyte each, raw and once more decoded.
        let value = |number: usize| format!("{}{number:04}", "x".repeat(500));
        let raw: Vec<String> = (0..3_000)
            .map(|number| format!("n:{}", value(number + round)))
            .collect();
        let values: Vec<Option<&str>> = raw.iter().map(|raw| Some(raw.as_str())).collect();
        let written = process(&mut stage, &[&values]);
        assert_eq!(written[0][7], format!(r#"{{"n":"{}"}}"#, value(7 + round)));
        assert!(stage.columns[0].remembered.bytes <= REMEMBERED_BYTES_MAX + 5_000);
    }
}

#[test]
fn refuses_what_it_cannot_use() {
    let dictionary = ColumnType::Dictionary;
    check_refused(
        r#"{ "columns": ["tags"] }"#,
        &[],
        "column `tags`: is missing",
    );
    check_refused(
        r#"{ "columns": ["tags"] }"#,
        &[("tags", ColumnType::Float64)],
        "column `tags`: has type float64, but dictionary is needed",
    );
    check_refused(
        r#"{ "columns": ["tags"] }"#,
        &[("tags", ColumnType::Json)],
        "column `tags`: has type json, and is no label set any more",
    );
    check_refused(
        "{}",
        &[("node_labels", dictionary), ("architecture", dictionary)],
        "column `architecture`: is there already",
    );
    check_refused(
        r#"{ "extract": { "a_labels": { "k": "new", "l": "new" } } }"#,
        &[("a_labels", dictionary)],
        "config key `extract.a_labels.l`: `new` is the name of another extracted column",
    );
    check_refused(
        r#"{ "keep": [] }"#,
        &[],
        "config key `keep`: unknown field `keep`, expected one of `columns`, `always`, \
         `unreported`, `extract`",
    );
}

#[test]
fn without_labels_there_is_nothing_to_do() {
    let stage = open("{}", &[], &[("pod_labels", ColumnType::Json)]).unwrap();
    assert!(stage.contract().reads.is_empty());
}
