//! The stage's configuration, read into the stage's own type.
//!
//! A stage derives `serde::Deserialize` on a struct with
//! `#[serde(default, deny_unknown_fields)]`; what does not fit becomes a failure
//! that names the key.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::Failure;

/// The configuration of a stage that has none: any key is refused.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// Reads a configuration, which is a JSON object. Nothing at all is an empty one.
pub fn parse_config<C: DeserializeOwned>(config: &str) -> Result<C, Failure> {
    let text = if config.trim().is_empty() {
        "{}"
    } else {
        config
    };
    let value: Value = serde_json::from_str(text)
        .map_err(|error| Failure::config("", format!("the configuration is not JSON: {error}")))?;
    if !value.is_object() {
        return Err(Failure::config("", "the configuration is not an object"));
    }
    serde_path_to_error::deserialize(&value).map_err(|error| {
        let path = error.path().to_string();
        let reason = error.inner().to_string();
        Failure::config(key_at_fault(&path, &reason), reason)
    })
}

/// The path of a fault, down to a key that is missing or unknown, which serde
/// names in its sentence and not always in the path.
fn key_at_fault(path: &str, reason: &str) -> String {
    let parent = if path == "." { "" } else { path };
    let named = ["missing field `", "unknown field `"]
        .iter()
        .find_map(|start| reason.strip_prefix(start)?.split('`').next());
    match named {
        Some(name) if parent == name || parent.ends_with(&format!(".{name}")) => parent.to_owned(),
        Some(name) if parent.is_empty() => name.to_owned(),
        Some(name) => format!("{parent}.{name}"),
        None => parent.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::{NoConfig, parse_config};

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "kebab-case", deny_unknown_fields)]
    struct Config {
        method: Method,
        #[serde(default)]
        inner: BTreeMap<String, Inner>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Method {
        Min,
        Max,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only its absence matters here")]
        size: u32,
    }

    #[track_caller]
    fn check(config: &str, expected: &str) {
        assert_eq!(
            parse_config::<Config>(config).unwrap_err().to_string(),
            expected
        );
    }

    #[test]
    fn reads_what_fits() {
        let config: Config = parse_config(r#"{ "method": "max" }"#).unwrap();
        assert_eq!(config.method, Method::Max);
        assert!(config.inner.is_empty());
        parse_config::<NoConfig>("").unwrap();
    }

    #[test]
    fn names_the_key_that_does_not_fit() {
        check(
            r#"{ "method": "mean" }"#,
            "config key `method`: unknown variant `mean`, expected `min` or `max`",
        );
        check(
            r#"{ "method": "min", "speed": 1 }"#,
            "config key `speed`: unknown field `speed`, expected `method` or `inner`",
        );
        check("{}", "config key `method`: missing field `method`");
        check(
            r#"{ "method": "min", "inner": { "a": {} } }"#,
            "config key `inner.a.size`: missing field `size`",
        );
        check(
            r#"{ "method": "min", "inner": { "a": { "size": "x" } } }"#,
            "config key `inner.a.size`: invalid type: string \"x\", expected u32",
        );
        check(
            r#"{ "method": "min", "inner": { "a": { "size": 1, "b": 2 } } }"#,
            "config key `inner.a.b`: unknown field `b`, expected `size`",
        );
        check("[]", "the configuration is not an object");
    }
}
