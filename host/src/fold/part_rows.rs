//! Rows of day parts, whichever engine made them.

/// A row of a part: the values of `Part::keys`, `maxima`, `words` and `sums`, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartRow {
    /// Microseconds since the epoch: of the interval, or of the day's first instant.
    pub start: i64,
    pub keys: Vec<PartKey>,
    pub maxima: Vec<Option<i64>>,
    pub words: Vec<Option<String>>,
    pub sums: Vec<Option<i128>>,
    /// How many hourly rows it is made of.
    pub rows: u64,
}

/// The value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartKey {
    Null,
    Int64(i64),
    Text(String),
}
