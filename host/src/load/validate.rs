//! Validates rows before they are sent: finds those that a table cannot hold. Binary COPY
//! leaves Postgres no way to refuse one row and take the others.

use std::collections::BTreeMap;
use std::fmt;

use arrow_array::{Array, StringArray};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::month_of;
use super::stored_texts::MemoIds;
use crate::pipeline::plan::{LoadPlan, Target};
use crate::pipeline::staging::{Counts, Storage};
use crate::rows::batch::{Batch, RejectedRow, Values, instant};

/// Bytes of a label's value. Kubernetes has 63; an index entry of Postgres, which
/// tag values are found by, has room for some 2,700 with the key.
const LABEL_VALUE_BYTES_MAX: usize = 512;

/// Characters of a text that a message shows.
const SHOWN_MAX: usize = 80;

/// Why a value cannot be stored: code and message.
type Fault = (&'static str, String);

/// Takes out the rows that the table cannot hold; `None` when it can hold all of them.
/// Stored texts are valid: label sets that have an id in `known` are not looked
/// into. The batch must be of the plan's schema.
pub(super) fn check(
    batch: &Batch,
    plan: &LoadPlan,
    known: &MemoIds,
) -> Result<Option<(Batch, Vec<RejectedRow>)>, String> {
    let mut faults: BTreeMap<usize, (String, Fault)> = BTreeMap::new();
    let mut texts_valid = true;
    let mut known = known.label_sets.iter();
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
            let is_valid = |text: &str| text_fault(text, target).is_none();
            let all_valid = match target.storage {
                Storage::LabelSet => label_sets_valid(texts, &mut known, is_valid),
                _ => texts.iter().flatten().all(is_valid),
            };
            if all_valid && !(target.required && keys.null_count() > 0) {
                continue;
            }
            texts_valid &= all_valid;
        }
        if seen_valid(&values, target) {
            continue;
        }
        // A text of many rows is looked into once.
        let of_texts: Vec<Option<Fault>> = match values {
            Values::Dictionary(_, texts) => texts
                .iter()
                .map(|text| text.and_then(|text| text_fault(text, target)))
                .collect(),
            _ => Vec::new(),
        };
        for row in 0..batch.rows {
            let key = match values {
                Values::Dictionary(keys, _) => keys.key(row),
                _ => None,
            };
            let fault = match key {
                Some(key) => of_texts[key].clone(),
                None => value_fault(&values, row, target),
            };
            if let Some(reason) = fault {
                faults.entry(row).or_insert((field.name.clone(), reason));
            }
        }
    }
    if faults.is_empty() && texts_valid {
        return Ok(None);
    }
    let rows: Vec<u32> = faults.keys().map(|row| *row as u32).collect();
    // The texts of these rows must go with them: what a dictionary holds is stored.
    let kept = batch
        .without(&rows)
        .and_then(|kept| match texts_valid {
            true => Ok(kept),
            false => kept.part(0, kept.rows),
        })
        .map_err(|error| error.to_string())?;
    let rejects = faults
        .into_iter()
        .map(|(row, (column, (code, message)))| {
            batch
                .places
                .reject(row, Some(column), code.to_string(), message)
        })
        .collect();
    Ok(Some((kept, rejects)))
}

/// Whether the label sets of a column are valid, as those with an id are. Takes the ids of
/// all of them, so that those of the next column are next.
fn label_sets_valid<'i>(
    texts: &StringArray,
    known: &mut impl Iterator<Item = &'i Option<i64>>,
    is_valid: impl Fn(&str) -> bool,
) -> bool {
    texts
        .iter()
        .flatten()
        .zip(known)
        .fold(true, |all, (text, id)| {
            all && (id.is_some() || is_valid(text))
        })
}

/// Whether a column is quickly seen to be valid in every row; else each row is looked at.
fn seen_valid(values: &Values<'_>, target: &Target) -> bool {
    match (values, target.storage) {
        (Values::Float64(numbers), Storage::FixedPoint { scale, counts }) => {
            // Far enough from the nearer end of the range for any rounding.
            let nearer = counts.most.min(counts.least.saturating_neg()) as f64;
            let most = nearer / power_of_ten(scale) * 0.999;
            numbers.null_count() == 0
                && numbers
                    .values()
                    .iter()
                    .fold(true, |valid, number| valid & (number.abs() < most))
        }
        // Every instant between two valid ones is valid.
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

fn value_fault(values: &Values<'_>, row: usize, target: &Target) -> Option<Fault> {
    if values.is_null(row) {
        return target.required.then(|| {
            (
                "missing",
                format!("the table needs a value in `{}`", target.batch_name()),
            )
        });
    }
    match (values, target.storage) {
        (Values::Float64(numbers), Storage::FixedPoint { scale, counts }) => {
            let number = numbers.value(row);
            (!is_representable(number, scale, counts)).then(|| {
                let end = |count: i64| format!("{:.0}", count as f64 / power_of_ten(scale));
                let held = match counts {
                    Counts::ALL => format!("up to {}", end(counts.most)),
                    _ => format!("{} to {}", end(counts.least), end(counts.most)),
                };
                (
                    "out-of-range",
                    format!(
                        "{number} does not fit `{}`, which holds {held}",
                        target.column
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
            values.text(row).and_then(|text| text_fault(text, target))
        }
        _ => None,
    }
}

fn text_fault(text: &str, target: &Target) -> Option<Fault> {
    if text.contains('\0') {
        return Some(("nul-byte", "text with a NUL byte cannot be stored".into()));
    }
    match target.storage {
        Storage::LabelSet => labels_fault(text),
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

fn labels_fault(text: &str) -> Option<Fault> {
    let not_labels = |reason: &str| {
        let shown: String = text.chars().take(SHOWN_MAX).collect();
        let rest = if shown.len() < text.len() { "…" } else { "" };
        let message = format!("`{}{rest}`: {reason}", shown.escape_debug());
        Some(("not-a-label-set", message))
    };
    let labels = match serde_json::from_str::<Labels>(text) {
        Ok(labels) => labels,
        Err(error) => return not_labels(&error.to_string()),
    };
    if labels.hold_nul {
        return not_labels("it holds a NUL character");
    }
    let (key, bytes) = labels.too_long?;
    let key: String = key.chars().take(SHOWN_MAX).collect();
    Some((
        "too-long",
        format!(
            "label `{}` has a value of {bytes} bytes, more than {LABEL_VALUE_BYTES_MAX}",
            key.escape_debug(),
        ),
    ))
}

fn is_representable(number: f64, scale: u32, counts: Counts) -> bool {
    fixed_point(number, scale).is_some_and(|count| counts.hold(count))
}

/// The problem with the labels of a set. They are looked at one after another, and none
/// is kept: as a map, a set can take many times its text.
#[derive(Default)]
struct Labels {
    hold_nul: bool,
    /// The first key, in their order, whose value is too long, and how long it is.
    too_long: Option<(String, usize)>,
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Look;
        impl<'de> Visitor<'de> for Look {
            type Value = Labels;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
                let mut labels = Labels::default();
                while let Some((key, value)) = map.next_entry::<String, String>()? {
                    labels.hold_nul |= key.contains('\0') || value.contains('\0');
                    let is_first = |(first, _): &(String, usize)| key < *first;
                    if value.len() > LABEL_VALUE_BYTES_MAX
                        && labels.too_long.as_ref().is_none_or(is_first)
                    {
                        labels.too_long = Some((key, value.len()));
                    }
                }
                Ok(labels)
            }
        }
        deserializer.deserialize_map(Look)
    }
}

/// A number as a whole count of 10^-scale; `None` when that is out of range.
fn fixed_point(number: f64, scale: u32) -> Option<i64> {
    scaled(number, power_of_ten(scale))
}

pub(super) fn scaled(number: f64, factor: f64) -> Option<i64> {
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

pub(super) fn power_of_ten(scale: u32) -> f64 {
    10f64.powi(scale as i32)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn only_label_sets_without_an_id_are_looked_into() {
        let columns = [vec!["new", "bad", "stored"], vec!["stored", "new"]].map(StringArray::from);
        let valid = |ids: &[Option<i64>]| {
            let looked_into = RefCell::new(Vec::new());
            let mut known = ids.iter();
            let valid = columns.each_ref().map(|texts| {
                label_sets_valid(texts, &mut known, |text| {
                    looked_into.borrow_mut().push(text.to_owned());
                    text == "new"
                })
            });
            (valid, looked_into.into_inner())
        };
        let words = |words: &[&str]| {
            words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        // An invalid set takes nothing from the column behind its own.
        assert_eq!(
            valid(&[None, None, Some(1), Some(1), None]),
            ([false, true], words(&["new", "bad", "new"]))
        );
        assert_eq!(
            valid(&[Some(2), Some(3), Some(1), Some(1), Some(2)]),
            ([true, true], words(&[]))
        );
    }

    #[test]
    fn a_column_holds_what_its_limits_say() {
        let counts = Counts {
            least: -2_000_000,
            most: 7_000_000,
        };
        for (number, expected) in [
            (7.0, true),
            (7.0000004, true),
            (7.0000006, false),
            (-2.0, true),
            (-2.000001, false),
            (9.3e12, false),
            (f64::NAN, false),
        ] {
            assert_eq!(is_representable(number, 6, counts), expected, "{number}");
        }
        assert!(is_representable(9_223_372_036_854.0, 6, Counts::ALL));
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
