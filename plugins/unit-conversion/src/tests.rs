//! The stage as the host drives it, without the sandbox.

use gristmill_stage::{
    Batch, Column, ColumnType, Failure, Field, Float64Builder, OpenTransform, Reject, Schema, Sets,
    Stage, TimestampBuilder, parse_config,
};

use super::{Config, Conversion, Divisor, UnitConversion};

const GIB: f64 = 1_073_741_824.0;
/// 2026-02-28T23:00:00Z and an hour later, in the next month.
const FEBRUARY: i64 = 1_772_319_600_000_000;
const MARCH: i64 = FEBRUARY + 3_600_000_000;

fn open(config: &str, columns: &[(&str, ColumnType)]) -> Result<UnitConversion, Failure> {
    let fields = columns
        .iter()
        .map(|(name, column_type)| Field::new(*name, *column_type));
    let context = OpenTransform {
        schema: Schema::new(fields.collect()),
        sets: Sets::default(),
    };
    UnitConversion::open(parse_config(config)?, context)
}

fn numbers(values: &[Option<f64>]) -> Column {
    let mut builder = Float64Builder::default();
    values.iter().for_each(|value| builder.push_option(*value));
    builder.finish()
}

fn instants(values: &[Option<i64>]) -> Column {
    let mut builder = TimestampBuilder::default();
    values.iter().for_each(|value| builder.push_option(*value));
    builder.finish()
}

#[test]
fn names_say_the_unit() {
    let check = |from: &str, to: &str, divisor| {
        let expected = Conversion {
            from: from.into(),
            to: to.into(),
            divisor,
        };
        assert_eq!(Conversion::of(from, &Config::default()), Some(expected));
    };
    let fixed = Divisor::Fixed;
    let month = Divisor::PerDayOfMonth(86_400.0 * GIB);
    check(
        "pod_usage_cpu_core_seconds",
        "pod_usage_cpu_core_hours",
        fixed(3600.0),
    );
    check(
        "vm_cpu_request_core_seconds",
        "vm_cpu_request_core_hours",
        fixed(3600.0),
    );
    check(
        "pod_usage_memory_byte_seconds",
        "pod_usage_memory_gigabyte_hours",
        fixed(3600.0 * GIB),
    );
    check(
        "node_capacity_memory_bytes",
        "node_capacity_memory_gigabytes",
        fixed(GIB),
    );
    check(
        "persistentvolumeclaim_capacity_bytes",
        "persistentvolumeclaim_capacity_gigabytes",
        fixed(GIB),
    );
    check(
        "persistentvolumeclaim_capacity_byte_seconds",
        "persistentvolumeclaim_capacity_gigabyte_months",
        month,
    );
    check(
        "volume_request_storage_byte_seconds",
        "volume_request_storage_gigabyte_months",
        month,
    );
    check(
        "vm_disk_allocated_size_byte_seconds",
        "vm_disk_allocated_size_gigabyte_hours",
        fixed(3600.0 * GIB),
    );
    for name in [
        "gpu_memory_capacity_mib",
        "node_capacity_cpu_cores",
        "vm_uptime_total_seconds",
        "bytes",
    ] {
        assert_eq!(Conversion::of(name, &Config::default()), None, "{name}");
    }
}

#[test]
fn converts_and_renames() {
    let columns = [
        ("x_core_seconds", ColumnType::Float64),
        ("x_bytes", ColumnType::Float64),
    ];
    let mut stage = open("{}", &columns).unwrap();
    let contract = stage.contract();
    assert_eq!(contract.drops, ["x_core_seconds", "x_bytes"]);
    assert_eq!(
        contract.writes[1],
        Field::new("x_gigabytes", ColumnType::Float64)
    );
    let batch = vec![
        numbers(&[Some(1800.0), None]),
        numbers(&[Some(GIB), Some(-1.0)]),
    ];
    let output = stage.process(Batch::new(2, batch)).unwrap();
    assert_eq!(
        output.columns[0].as_float64().iter().collect::<Vec<_>>(),
        [Some(0.5), None]
    );
    assert_eq!(output.columns[1].as_float64().values(), [1.0, -1.0 / GIB]);
}

#[test]
fn a_gigabyte_can_be_decimal() {
    let columns = [("x_byte_seconds", ColumnType::Float64)];
    let mut stage = open(r#"{ "gigabyte": "GB" }"#, &columns).unwrap();
    let output = stage
        .process(Batch::new(1, vec![numbers(&[Some(3.6e12)])]))
        .unwrap();
    assert_eq!(output.columns[0].as_float64().values(), [1.0]);
}

#[test]
fn storage_is_counted_by_the_rows_own_month() {
    let columns = [
        ("interval_start", ColumnType::Timestamp),
        ("volume_request_storage_byte_seconds", ColumnType::Float64),
    ];
    let mut stage = open("{}", &columns).unwrap();
    assert_eq!(stage.contract().reads[1].name, "interval_start");
    let whole_february = 28.0 * 86_400.0 * GIB;
    let values = [Some(whole_february), Some(whole_february), None, Some(1.0)];
    let starts = [Some(FEBRUARY), Some(MARCH), None, None];
    let output = stage
        .process(Batch::new(4, vec![numbers(&values), instants(&starts)]))
        .unwrap();
    let converted = output.columns[0].as_float64();
    assert_eq!(converted.get(0), Some(1.0));
    assert_eq!(converted.get(1), Some(28.0 / 31.0));
    assert_eq!(converted.get(2), None);
    let message = "without a start of its interval a row has no month";
    assert_eq!(
        output.rejects,
        [Reject::row(3, "no-month", message).in_column("interval_start")]
    );
}

#[test]
fn refuses_what_it_cannot_use() {
    let refused = |config: &str, columns: &[(&str, ColumnType)]| match open(config, columns) {
        Ok(_) => panic!("opened"),
        Err(failure) => failure.to_string(),
    };
    let number = ColumnType::Float64;
    assert_eq!(
        refused(
            "{}",
            &[("x_bytes", number), ("x_gigabytes", ColumnType::Utf8)]
        ),
        "column `x_gigabytes`: is there already"
    );
    assert_eq!(
        refused("{}", &[("volume_request_byte_seconds", number)]),
        "column `interval_start`: is missing"
    );
    assert_eq!(
        refused(
            "{}",
            &[
                ("volume_request_byte_seconds", number),
                ("interval_start", ColumnType::Utf8)
            ]
        ),
        "column `interval_start`: has type utf8, but timestamp is needed"
    );
    assert_eq!(
        refused(r#"{ "gigabyte": "MB" }"#, &[]),
        "config key `gigabyte`: unknown variant `MB`, expected `GiB` or `GB`"
    );
    assert_eq!(
        refused(r#"{ "month": 30 }"#, &[]),
        "config key `month`: unknown field `month`, expected `gigabyte` or `storage-prefixes`"
    );
}

#[test]
fn other_types_pass_by() {
    let stage = open(
        "{}",
        &[
            ("x_bytes", ColumnType::Utf8),
            ("y_bytes", ColumnType::Int64),
        ],
    )
    .unwrap();
    assert!(stage.contract().reads.is_empty());
}
