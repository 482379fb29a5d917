//! What becomes of the hours of each staging table that is folded: the keys, sums and
//! maxima of its parts. The migrations of the parts are compared with it by a test.

use crate::pipeline::staging::{PARTITION_COLUMN, Storage, TABLES};

/// The fold of one staging table.
#[derive(Debug)]
pub struct TableFold {
    /// The staging table of the hours.
    pub table: &'static str,
    /// A short name, for places and tables outside of Postgres.
    pub name: &'static str,
    pub parts: &'static [Part],
}

/// A table of day parts.
#[derive(Debug)]
pub struct Part {
    /// The table, in which the time is [`PARTITION_COLUMN`] whatever its grain.
    pub table: &'static str,
    pub grain: Grain,
    pub keys: &'static [&'static str],
    /// The largest value; null when none has one.
    pub maxima: &'static [&'static str],
    pub words: &'static [Word],
    /// Exact sums; null when none has a value.
    pub sums: &'static [&'static str],
}

/// The time that rows of a part have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// The UTC day.
    Day,
    /// The exact instant at which the interval starts.
    Interval,
}

/// A text of which the greatest counts among a few; others are as good as none.
#[derive(Debug)]
pub struct Word {
    pub column: &'static str,
    /// In order.
    pub among: &'static [&'static str],
}

/// A column of the hours that a fold reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoldColumn {
    pub name: &'static str,
    pub kind: FoldColumnKind,
}

/// How a column of the hours is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoldColumnKind {
    /// An id, or a count of fixed point.
    Int64,
    Text,
}

/// Every fold.
pub static FOLDS: [TableFold; 2] = [
    TableFold {
        table: "reporting_ocpusagelineitem_pod_staging",
        name: "pods",
        parts: &[
            Part {
                table: "reporting_ocpusagelineitem_pod_day_staging",
                grain: Grain::Day,
                keys: &[
                    "namespace_name_id",
                    "node_name_id",
                    "pod",
                    "pod_labels_id",
                    "resource_id_name_id",
                ],
                maxima: &[
                    "node_capacity_cpu_cores_e12",
                    "node_capacity_memory_gigabytes_e12",
                ],
                words: &[],
                sums: &[
                    "pod_usage_cpu_core_hours_e12",
                    "pod_request_cpu_core_hours_e12",
                    "pod_limit_cpu_core_hours_e12",
                    "pod_effective_usage_cpu_core_hours_e12",
                    "pod_usage_memory_gigabyte_hours_e12",
                    "pod_request_memory_gigabyte_hours_e12",
                    "pod_limit_memory_gigabyte_hours_e12",
                    "pod_effective_usage_memory_gigabyte_hours_e12",
                ],
            },
            // By interval: a node's capacity is its largest of an interval, added up over
            // these, and two parts may meet in one.
            Part {
                table: "reporting_ocpusagelineitem_node_hour_staging",
                grain: Grain::Interval,
                keys: &["node_name_id"],
                maxima: &[
                    "node_capacity_cpu_core_hours_e12",
                    "node_capacity_memory_gigabyte_hours_e12",
                ],
                words: &[Word {
                    column: "node_role",
                    among: &["infra", "master", "worker"],
                }],
                sums: &[],
            },
        ],
    },
    TableFold {
        table: "reporting_ocpusagelineitem_storage_staging",
        name: "volumes",
        parts: &[Part {
            table: "reporting_ocpusagelineitem_volume_day_staging",
            grain: Grain::Day,
            keys: &[
                "namespace",
                "pod",
                "persistentvolumeclaim",
                "persistentvolume",
                "storageclass",
                "csi_driver",
                "csi_volume_handle",
                "persistentvolume_labels_id",
                "persistentvolumeclaim_labels_id",
            ],
            maxima: &["persistentvolumeclaim_capacity_gigabytes_e12"],
            words: &[],
            sums: &[
                "persistentvolumeclaim_capacity_gigabyte_months_e12",
                "volume_request_storage_gigabyte_months_e12",
                "persistentvolumeclaim_usage_gigabyte_months_e12",
            ],
        }],
    },
];

impl TableFold {
    /// The columns of the hours that its parts read, each once, as the staging table has
    /// them in order.
    pub fn columns(&self) -> Vec<FoldColumn> {
        let table = TABLES.iter().find(|table| table.name == self.table);
        let columns = table.map(|table| table.columns).unwrap_or_default();
        columns
            .iter()
            .filter(|column| self.parts.iter().any(|part| part.reads(column.name)))
            .map(|column| FoldColumn {
                name: column.name,
                kind: match column.storage {
                    Storage::Text { .. } => FoldColumnKind::Text,
                    _ => FoldColumnKind::Int64,
                },
            })
            .collect()
    }

    /// How a column is stored that one of its parts reads.
    pub fn kind(&self, column: &str) -> FoldColumnKind {
        let columns = self.columns();
        columns
            .iter()
            .find(|known| known.name == column)
            .map_or(FoldColumnKind::Int64, |known| known.kind)
    }
}

impl Part {
    fn reads(&self, column: &str) -> bool {
        self.keys.contains(&column)
            || self.maxima.contains(&column)
            || self.sums.contains(&column)
            || self.words.iter().any(|word| word.column == column)
    }

    /// The columns of the table behind the system columns, in order.
    pub fn columns(&self) -> Vec<&'static str> {
        let mut columns = vec![PARTITION_COLUMN];
        columns.extend(self.keys);
        columns.extend(self.maxima);
        columns.extend(self.words.iter().map(|word| word.column));
        columns.extend(self.sums);
        columns.push(ROWS_COLUMN);
        columns
    }
}

/// The column that counts the hourly rows of a part's row.
pub const ROWS_COLUMN: &str = "rows";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_one_of_the_hours() {
        for fold in &FOLDS {
            let read = fold.columns();
            for part in fold.parts {
                for column in part.columns() {
                    assert!(
                        [PARTITION_COLUMN, ROWS_COLUMN].contains(&column)
                            || read.iter().any(|known| known.name == column),
                        "{column} of {}",
                        part.table
                    );
                }
            }
        }
    }

    /// Postgres takes the greatest text, and so does Trino: bytes decide.
    #[test]
    fn words_are_in_order() {
        for part in FOLDS.iter().flat_map(|fold| fold.parts) {
            for word in part.words {
                assert!(word.among.is_sorted(), "{:?}", word.among);
                assert!(word.among.iter().all(|word| word.is_ascii()));
            }
        }
    }
}
