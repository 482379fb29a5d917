//! Label sets: from the operator's text to JSON.

use std::{borrow::Cow, collections::BTreeMap};

/// What the operator puts in front of every key, and what a key itself may
/// contain; it is removed wherever it stands.
const KEY_PREFIX: &str = "label_";

/// The labels of a set, by key.
pub(crate) fn decode(raw: &str) -> BTreeMap<Cow<'_, str>, &str> {
    let mut labels = BTreeMap::new();
    for item in raw.split('|') {
        let mut parts = item.split(':');
        if let (Some(name), Some(value), None) = (parts.next(), parts.next(), parts.next()) {
            labels.insert(key(name), value);
        }
    }
    labels
}

/// A label's key, without what the operator added.
fn key(name: &str) -> Cow<'_, str> {
    match name.strip_prefix(KEY_PREFIX) {
        Some(key) if !key.contains(KEY_PREFIX) => Cow::Borrowed(key),
        _ if name.contains(KEY_PREFIX) => Cow::Owned(name.replace(KEY_PREFIX, "")),
        _ => Cow::Borrowed(name),
    }
}

/// One JSON object, the same for the same labels.
pub(crate) fn to_json(labels: &BTreeMap<Cow<'_, str>, &str>) -> String {
    serde_json::to_string(labels).expect("a map of texts is always JSON")
}

#[cfg(test)]
mod tests {
    use super::{decode, to_json};

    #[track_caller]
    fn check(raw: &str, expected: &str) {
        assert_eq!(to_json(&decode(raw)), expected, "{raw:?}");
    }

    #[test]
    fn decodes_as_the_operator_encodes() {
        check("", "{}");
        check(
            "label_tier:db|label_app:web",
            r#"{"app":"web","tier":"db"}"#,
        );
        check(
            "cats:sushi|label_a-b:c_d.e",
            r#"{"a-b":"c_d.e","cats":"sushi"}"#,
        );
    }

    #[test]
    fn drops_what_does_not_split_in_two() {
        check(
            "label_app|label_b:1|label_url:http://x|a:b:c",
            r#"{"b":"1"}"#,
        );
        check("||", "{}");
    }

    #[test]
    fn keeps_empty_values_and_empty_keys() {
        check("label_app:|:v", r#"{"":"v","app":""}"#);
        check("label_:v", r#"{"":"v"}"#);
    }

    #[test]
    fn removes_the_prefix_wherever_it_stands() {
        check("label_my_label_x:1", r#"{"my_x":"1"}"#);
        check("label_label_a:1", r#"{"a":"1"}"#);
        // Once through: what the removal puts together stays.
        check("lablabel_el_a:1", r#"{"label_a":"1"}"#);
    }

    #[test]
    fn the_last_of_equal_keys_wins() {
        check("label_a:1|label_a:2", r#"{"a":"2"}"#);
        check("label_a:1|a:2|label_label_a:3", r#"{"a":"3"}"#);
    }

    #[test]
    fn sorts_bytewise_and_escapes_only_what_must_be() {
        check(
            "é:1|z:2|Z:3|a_b:4|a-b:5",
            r#"{"Z":"3","a-b":"5","a_b":"4","z":"2","é":"1"}"#,
        );
        check(
            "a:\"\\/\u{1}\n\u{7f}ü",
            "{\"a\":\"\\\"\\\\/\\u0001\\n\u{7f}ü\"}",
        );
    }
}
