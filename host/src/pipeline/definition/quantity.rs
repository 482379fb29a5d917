//! Quantities as a pipeline file writes them: `"128 MiB"`, `"2 s"`, `"1 %"`.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

const BYTE_UNITS: [(&str, u64); 7] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];
/// In milliseconds.
const TIME_UNITS: [(&str, u64); 3] = [("ms", 1), ("s", 1_000), ("min", 60_000)];
const SHARE_UNITS: [(&str, u64); 1] = [("%", 1)];

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

/// A length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Duration);

/// A part of a whole, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(pub f64);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        quantity(&text, &BYTE_UNITS)
            .filter(|bytes| *bytes >= 1.0)
            .map(|bytes| Self(bytes as u64))
            .ok_or_else(|| {
                de::Error::custom(format!(
                    "`{text}` is not a size; write a number and a unit, as in `128 MiB`"
                ))
            })
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        quantity(&text, &TIME_UNITS)
            .filter(|milliseconds| *milliseconds >= 1.0)
            .map(|milliseconds| Self(Duration::from_millis(milliseconds as u64)))
            .ok_or_else(|| {
                de::Error::custom(format!(
                    "`{text}` is not a time; write a number and a unit, as in `2 s`"
                ))
            })
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        quantity(&text, &SHARE_UNITS)
            .map(|percent| Self(percent / 100.0))
            .filter(|share| share.0 <= 1.0)
            .ok_or_else(|| {
                de::Error::custom(format!(
                    "`{text}` is not a share; write a percentage, as in `1 %`"
                ))
            })
    }
}

macro_rules! described_as_text {
    ($($quantity:ident, $units:expr, $example:literal;)*) => {
        $(impl JsonSchema for $quantity {
            fn schema_name() -> Cow<'static, str> {
                stringify!($quantity).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "pattern": pattern(&$units),
                    "examples": [$example],
                })
            }
        })*
    };
}

described_as_text! {
    Bytes, BYTE_UNITS, "128 MiB";
    Time, TIME_UNITS, "2 s";
    Share, SHARE_UNITS, "1 %";
}

/// A regular expression for a number and one of the units.
fn pattern(units: &[(&str, u64)]) -> String {
    let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
    let names = names.join("|");
    format!(r"^([0-9]+\.?[0-9]*|\.[0-9]+)\s*({names})$")
}

/// The number in front times the factor of the unit behind it.
fn quantity(text: &str, units: &[(&str, u64)]) -> Option<f64> {
    let split = text.find(|character: char| !character.is_ascii_digit() && character != '.')?;
    let number: f64 = text[..split].parse().ok()?;
    let unit = text[split..].trim_start();
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    Some(number * *factor as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_need_a_known_unit() {
        let units = [("B", 1), ("MiB", 1 << 20)];
        assert_eq!(quantity("1.5 MiB", &units), Some(1_572_864.0));
        assert_eq!(quantity("3B", &units), Some(3.0));
        assert_eq!(quantity("3", &units), None);
        assert_eq!(quantity("3 MB", &units), None);
        assert_eq!(quantity("-1 B", &units), None);
    }
}
