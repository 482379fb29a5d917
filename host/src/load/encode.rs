//! Batches as Postgres's binary COPY format, and the rows that do not fit it.
//!
//! Format: <https://www.postgresql.org/docs/15/sql-copy.html>, "Binary Format". A
//! tuple is a count of fields, then length and bytes of each, big-endian.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use arrow_array::{Array, StringArray};
use arrow_buffer::NullBuffer;
use chrono::NaiveDate;
use uuid::Uuid;

use super::month_of;
use super::stored_texts::Kind;
use crate::batch::{Batch, RejectedRow, Values, instant};
use crate::plan::{LoadPlan, Target};
use crate::staging::{PARTITION_COLUMN, SYSTEM_COLUMNS, Storage};

const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
pub(super) const TRAILER: [u8; 2] = [0xff, 0xff];

/// Postgres counts time from 2000-01-01.
const POSTGRES_EPOCH_MICROSECONDS: i64 = 946_684_800_000_000;

const HOUR_MICROSECONDS: i64 = 3_600_000_000;

/// Bytes of a label's value. Kubernetes has 63; an index entry of Postgres, which
/// tag values are found by, has room for some 2,700 with the key.
const LABEL_VALUE_BYTES_MAX: usize = 512;

/// Characters of a text that a message shows.
const SHOWN_MAX: usize = 80;

/// Why a value cannot be stored: code and message.
type Unfit = (&'static str, String);

/// Label sets that are remembered as fit; some megabytes.
const KNOWN_MAX: usize = 30_000;

/// The label sets that fit, so that each is looked into once and not in every batch.
#[derive(Default)]
pub(super) struct KnownLabelSets(HashSet<Box<str>>);

impl KnownLabelSets {
    fn unfit(&mut self, text: &str, target: &Target) -> Option<Unfit> {
        if self.0.contains(text) {
            return None;
        }
        let reason = unfit_text(text, target);
        if reason.is_none() {
            if self.0.len() == KNOWN_MAX {
                self.0.clear();
            }
            self.0.insert(text.into());
        }
        reason
    }
}

/// Takes out the rows that the table cannot hold.
pub(super) fn check(
    batch: &Batch,
    plan: &LoadPlan,
    known: &mut KnownLabelSets,
) -> Result<(Batch, Vec<RejectedRow>), String> {
    if batch.schema != *plan.output() {
        return Err("its columns are not those of the plan".into());
    }
    let mut unfit: BTreeMap<usize, (String, Unfit)> = BTreeMap::new();
    let mut texts_fit = true;
    for ((array, field), target) in batch
        .columns
        .iter()
        .zip(&batch.schema.fields)
        .zip(&plan.targets)
    {
        let values = Values::of(array)
            .ok_or_else(|| format!("column `{}` is of no known kind", field.name))?;
        // Text that repeats is checked once per distinct value.
        if let Values::Dictionary(keys, texts) = values {
            let all_fit = (0..texts.len()).all(|index| {
                let text = texts.value(index);
                match target.storage {
                    Storage::LabelSet => known.unfit(text, target).is_none(),
                    _ => unfit_text(text, target).is_none(),
                }
            });
            if all_fit && !(target.required && keys.null_count() > 0) {
                continue;
            }
            texts_fit &= all_fit;
        }
        if all_fit(&values, target) {
            continue;
        }
        for row in 0..batch.rows {
            if let Some(reason) = unfit_value(&values, row, target) {
                unfit.entry(row).or_insert((field.name.clone(), reason));
            }
        }
    }
    if unfit.is_empty() && texts_fit {
        return Ok((batch.clone(), Vec::new()));
    }
    let rows: Vec<u32> = unfit.keys().map(|row| *row as u32).collect();
    // The texts of these rows must go with them: what a dictionary holds is stored.
    let kept = batch
        .without(&rows)
        .and_then(|kept| match texts_fit {
            true => Ok(kept),
            false => kept.part(0, kept.rows),
        })
        .map_err(|error| error.to_string())?;
    let rejects = unfit
        .into_iter()
        .map(|(row, (column, (code, message)))| {
            batch
                .places
                .reject(row, Some(column), code.to_string(), message)
        })
        .collect();
    Ok((kept, rejects))
}

/// Whether a column is quickly seen to fit, in every row; else each is looked at.
fn all_fit(values: &Values<'_>, target: &Target) -> bool {
    match (values, target.storage) {
        (Values::Float64(numbers), Storage::FixedPoint { scale }) => {
            // Far enough from the end of the range for any rounding.
            let most = i64::MAX as f64 / power_of_ten(scale) * 0.999;
            numbers.null_count() == 0
                && numbers
                    .values()
                    .iter()
                    .fold(true, |fit, number| fit & (number.abs() < most))
        }
        // What is between two that fit does.
        (Values::Timestamp(instants), _) if instants.null_count() == 0 => {
            let ends = (
                instants.values().iter().min(),
                instants.values().iter().max(),
            );
            matches!(ends, (Some(first), Some(last))
                if month_of(*first).is_some() && month_of(*last).is_some())
        }
        (Values::Int64(_) | Values::Boolean(_), _) => !target.required,
        _ => false,
    }
}

fn unfit_value(values: &Values<'_>, row: usize, target: &Target) -> Option<Unfit> {
    if values.is_null(row) {
        return target.required.then(|| {
            (
                "missing",
                format!("the table needs a value in `{}`", target.batch_name()),
            )
        });
    }
    match (values, target.storage) {
        (Values::Float64(numbers), Storage::FixedPoint { scale }) => {
            let number = numbers.value(row);
            fixed_point(number, scale).is_none().then(|| {
                (
                    "out-of-range",
                    format!(
                        "{number} does not fit `{}`, which holds up to {:.0}",
                        target.column,
                        i64::MAX as f64 / power_of_ten(scale)
                    ),
                )
            })
        }
        (Values::Float64(numbers), _) => {
            let number = numbers.value(row);
            (!number.is_finite()).then(|| ("out-of-range", format!("{number} is not a number")))
        }
        (Values::Timestamp(instants), _) => {
            let microseconds = instants.value(row);
            month_of(microseconds).is_none().then(|| {
                (
                    "out-of-range",
                    format!("{} is not in the years 2000 to 2099", instant(microseconds)),
                )
            })
        }
        (Values::Utf8(_) | Values::Dictionary(..), _) => {
            values.text(row).and_then(|text| unfit_text(text, target))
        }
        _ => None,
    }
}

fn unfit_text(text: &str, target: &Target) -> Option<Unfit> {
    if text.contains('\0') {
        return Some(("nul-byte", "text with a NUL byte cannot be stored".into()));
    }
    match target.storage {
        Storage::LabelSet => unfit_labels(text),
        Storage::Text {
            characters_max: Some(most),
        }
        | Storage::Name {
            characters_max: most,
        } if text.len() > most && text.chars().count() > most => Some((
            "too-long",
            format!("`{}` holds at most {most} characters", target.batch_name()),
        )),
        _ => None,
    }
}

fn unfit_labels(text: &str) -> Option<Unfit> {
    let unfit = |reason: &str| {
        let shown: String = text.chars().take(SHOWN_MAX).collect();
        let rest = if shown.len() < text.len() { "…" } else { "" };
        let message = format!("`{}{rest}`: {reason}", shown.escape_debug());
        Some(("not-a-label-set", message))
    };
    let labels = match serde_json::from_str::<BTreeMap<String, String>>(text) {
        Ok(labels) => labels,
        Err(error) => return unfit(&error.to_string()),
    };
    let held = |text: &String| text.contains('\0');
    if labels.iter().any(|(key, value)| held(key) || held(value)) {
        return unfit("it holds a NUL character");
    }
    let (key, value) = labels
        .iter()
        .find(|(_, value)| value.len() > LABEL_VALUE_BYTES_MAX)?;
    let key: String = key.chars().take(SHOWN_MAX).collect();
    Some((
        "too-long",
        format!(
            "label `{}` has a value of {} bytes, more than {LABEL_VALUE_BYTES_MAX}",
            key.escape_debug(),
            value.len()
        ),
    ))
}

/// A number as a whole count of 10^-scale; `None` when that does not fit.
fn fixed_point(number: f64, scale: u32) -> Option<i64> {
    scaled(number, power_of_ten(scale))
}

fn scaled(number: f64, factor: f64) -> Option<i64> {
    let scaled = number * factor;
    // Both bounds are exact in double precision; the upper one is excluded. Numbers
    // near them are whole.
    (scaled >= i64::MIN as f64 && scaled < i64::MAX as f64).then(|| rounded(scaled))
}

/// The nearest whole number, away from zero between two; without the call that
/// `f64::round` is on machines without an instruction for it.
fn rounded(number: f64) -> i64 {
    let whole = number as i64;
    // Exact: from where there are no fractions on it is zero.
    let rest = number - whole as f64;
    whole + i64::from(rest >= 0.5) - i64::from(rest <= -0.5)
}

fn power_of_ten(scale: u32) -> f64 {
    10f64.powi(scale as i32)
}

/// A batch about to be encoded.
pub(super) struct Encoder<'b> {
    rows: usize,
    columns: Vec<(Values<'b>, Storage)>,
    interval_starts: Vec<i64>,
}

impl<'b> Encoder<'b> {
    /// The batch must have passed `check` with this plan.
    pub(super) fn new(batch: &'b Batch, plan: &LoadPlan) -> Self {
        let columns: Vec<(Values<'b>, Storage)> = batch
            .columns
            .iter()
            .zip(&plan.targets)
            .filter_map(|(array, target)| Some((Values::of(array)?, target.storage)))
            .collect();
        let interval_starts = plan
            .targets
            .iter()
            .position(|target| target.column == PARTITION_COLUMN)
            .and_then(|position| match columns[position].0 {
                Values::Timestamp(instants) => Some(instants.values().to_vec()),
                _ => None,
            })
            .unwrap_or_default();
        Self {
            rows: batch.rows,
            columns,
            interval_starts,
        }
    }

    /// The months that rows of the batch fall in.
    pub(super) fn months(&self) -> BTreeSet<NaiveDate> {
        self.hours().keys().copied().filter_map(month_of).collect()
    }

    /// Rows by the hour of their `interval_start`.
    pub(super) fn hours(&self) -> BTreeMap<i64, u64> {
        let hour = |instant: &i64| instant - instant.rem_euclid(HOUR_MICROSECONDS);
        let mut hours: BTreeMap<i64, u64> = BTreeMap::new();
        // Rows come hour by hour, so most are counted without a look-up.
        for run in self
            .interval_starts
            .chunk_by(|left, right| hour(left) == hour(right))
        {
            *hours.entry(hour(&run[0])).or_default() += run.len() as u64;
        }
        hours
    }

    /// The texts of the batch that are stored once; some of them repeat.
    pub(super) fn texts(&self, kind: Kind) -> impl Iterator<Item = &'b str> {
        self.columns
            .iter()
            .filter(move |(_, storage)| Kind::of(*storage) == Some(kind))
            .filter_map(|(values, _)| match values {
                Values::Dictionary(_, texts) | Values::Utf8(texts) => Some(*texts),
                _ => None,
            })
            .flat_map(|texts| texts.iter().flatten())
    }

    /// The batch as tuples, after the header when it is the first of its COPY.
    pub(super) fn encode(
        &self,
        generation: i64,
        source_uuid: Uuid,
        periods: &HashMap<NaiveDate, i32>,
        text_ids: &HashMap<&str, i64>,
        first: bool,
    ) -> Vec<u8> {
        let fields = SYSTEM_COLUMNS.len() + self.columns.len();
        let mut buffer = Vec::with_capacity(self.rows * (fields * 12 + 64));
        if first {
            buffer.extend_from_slice(HEADER);
        }
        let mut prefix = Vec::with_capacity(64);
        prefix.extend_from_slice(&(fields as u16).to_be_bytes());
        put(&mut prefix, &generation.to_be_bytes());
        put(&mut prefix, source_uuid.as_bytes());
        let columns: Vec<ColumnBytes<'_>> = self
            .columns
            .iter()
            .map(|(values, storage)| ColumnBytes::new(*values, *storage, text_ids))
            .collect();
        let mut period_of: (i64, i32) = (i64::MIN, 0);
        for row in 0..self.rows {
            let interval_start = self.interval_starts[row];
            if period_of.0 != interval_start {
                let period = month_of(interval_start).and_then(|month| periods.get(&month));
                period_of = (interval_start, period.copied().unwrap_or_default());
            }
            buffer.extend_from_slice(&prefix);
            put(&mut buffer, &period_of.1.to_be_bytes());
            for column in &columns {
                column.put(&mut buffer, row);
            }
        }
        buffer
    }
}

/// A column ready to be written row by row.
struct ColumnBytes<'b> {
    nulls: Option<&'b NullBuffer>,
    cells: Cells<'b>,
}

enum Cells<'b> {
    /// By row: values of eight bytes, made beforehand.
    Eight(Vec<EightBytes>),
    /// By key: the id of each text that is stored once.
    Ids(&'b [u32], Vec<EightBytes>),
    Plain(Values<'b>),
}

/// A value of eight bytes behind its length.
type EightBytes = [u8; 12];

fn eight_bytes(value: i64) -> EightBytes {
    let mut bytes = [0; 12];
    bytes[3] = 8;
    bytes[4..].copy_from_slice(&value.to_be_bytes());
    bytes
}

impl<'b> ColumnBytes<'b> {
    fn new(values: Values<'b>, storage: Storage, text_ids: &HashMap<&str, i64>) -> Self {
        let ids = |texts: &StringArray| {
            let id = |text: Option<&str>| text_ids.get(text?).copied();
            let ids = texts.iter().map(id);
            ids.map(|id| eight_bytes(id.unwrap_or_default())).collect()
        };
        let cells = match (values, storage) {
            (Values::Float64(numbers), Storage::FixedPoint { scale }) => {
                let factor = power_of_ten(scale);
                let fixed = |number: &f64| scaled(*number, factor).unwrap_or_default();
                let numbers = numbers.values().iter();
                Cells::Eight(numbers.map(|number| eight_bytes(fixed(number))).collect())
            }
            (Values::Timestamp(instants), _) => {
                let since =
                    |microseconds: &i64| microseconds.saturating_sub(POSTGRES_EPOCH_MICROSECONDS);
                let instants = instants.values().iter();
                Cells::Eight(
                    instants
                        .map(|instant| eight_bytes(since(instant)))
                        .collect(),
                )
            }
            (Values::Dictionary(keys, texts), storage) if Kind::of(storage).is_some() => {
                Cells::Ids(keys.keys().values(), ids(texts))
            }
            (Values::Utf8(texts), storage) if Kind::of(storage).is_some() => {
                Cells::Eight(ids(texts))
            }
            _ => Cells::Plain(values),
        };
        Self {
            nulls: values.nulls(),
            cells,
        }
    }

    fn put(&self, buffer: &mut Vec<u8>, row: usize) {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            buffer.extend_from_slice(&(-1i32).to_be_bytes());
            return;
        }
        match &self.cells {
            Cells::Eight(cells) => buffer.extend_from_slice(&cells[row]),
            Cells::Ids(keys, ids) => buffer.extend_from_slice(&ids[keys[row] as usize]),
            Cells::Plain(values) => match values {
                Values::Boolean(bits) => put(buffer, &[u8::from(bits.value(row))]),
                Values::Int64(numbers) => put(buffer, &numbers.value(row).to_be_bytes()),
                Values::Float64(numbers) => put(buffer, &numbers.value(row).to_be_bytes()),
                Values::Timestamp(instants) => put(buffer, &instants.value(row).to_be_bytes()),
                Values::Utf8(texts) => put(buffer, texts.value(row).as_bytes()),
                Values::Dictionary(keys, texts) => {
                    let key = keys.keys().value(row) as usize;
                    put(buffer, texts.value(key).as_bytes());
                }
            },
        }
    }
}

fn put(buffer: &mut Vec<u8>, bytes: &[u8]) {
    buffer.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
    buffer.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::TextDictionary;

    #[test]
    fn names_become_ids_whatever_holds_them() {
        let names = [Some("b"), None, Some("a"), Some("b")];
        let (text, dictionary) = (
            StringArray::from(names.to_vec()),
            names.into_iter().collect::<TextDictionary>(),
        );
        let distinct = dictionary.values().as_any().downcast_ref().unwrap();
        let ids = HashMap::from([("a", 1), ("b", 2)]);
        let storage = Storage::Name {
            characters_max: 253,
        };
        for (values, asked) in [
            (Values::Utf8(&text), vec!["b", "a", "b"]),
            (Values::Dictionary(&dictionary, distinct), vec!["b", "a"]),
        ] {
            let encoder = Encoder {
                rows: 4,
                columns: vec![(values, storage)],
                interval_starts: vec![0; 4],
            };
            let texts = |kind| encoder.texts(kind).collect::<Vec<_>>();
            assert_eq!(texts(Kind::Name), asked);
            assert!(texts(Kind::LabelSet).is_empty());

            let column = ColumnBytes::new(values, storage, &ids);
            let mut buffer = Vec::new();
            (0..4).for_each(|row| column.put(&mut buffer, row));
            let mut expected = Vec::new();
            put(&mut expected, &2i64.to_be_bytes());
            expected.extend_from_slice(&(-1i32).to_be_bytes());
            put(&mut expected, &1i64.to_be_bytes());
            put(&mut expected, &2i64.to_be_bytes());
            assert_eq!(buffer, expected);
        }
    }

    #[test]
    fn fixed_point_rounds_and_knows_its_range() {
        assert_eq!(fixed_point(0.1, 12), Some(100_000_000_000));
        assert_eq!(fixed_point(-1.5, 0), Some(-2));
        assert_eq!(
            fixed_point(9_223_372.0, 12),
            Some(9_223_372_000_000_000_000)
        );
        assert_eq!(fixed_point(9_223_373.0, 12), None);
        for number in [
            0.0,
            -0.0,
            0.49999999999999994,
            0.5,
            -0.5,
            1.5,
            2.5,
            -2.5,
            1e15,
            4503599627370495.5,
            9007199254740993.0,
            -9.2e18,
            9.2e18,
            1e-300,
        ] {
            assert_eq!(rounded(number), f64::round(number) as i64, "{number}");
        }
        assert_eq!(fixed_point(f64::NAN, 12), None);
        assert_eq!(fixed_point(f64::INFINITY, 12), None);
    }
}
