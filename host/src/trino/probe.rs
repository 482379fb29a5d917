//! Looks whether Trino can do all that a fold asks of it, with one file of one row.

use std::sync::Arc;

use arrow_array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use serde::Deserialize;

use super::answer::Cell;
use super::{Trino, statements};
use crate::diagnostics::engine_error::{EngineError, EngineResult};
use crate::diagnostics::failure::Failure;
use crate::fold::{DAY_COLUMN, FOLDS, FoldColumnKind, INTERVAL_COLUMN, TableFold};
use crate::lake::{Lake, Place};

/// What catalogs that can add files are of.
const CONNECTOR: &str = "iceberg";

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrinoReport {
    pub version: String,
    pub catalog: String,
    pub connector: String,
    pub schema: String,
    pub location: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    node_version: NodeVersion,
    #[serde(default)]
    starting: bool,
}

#[derive(Deserialize)]
struct NodeVersion {
    version: String,
}

impl Trino {
    /// Asks for the version and the catalog; writes a file, adds it to a table, reads it,
    /// drops the table and removes the file. Whatever comes of it, nothing is left, as far
    /// as it can be removed.
    ///
    /// # Errors
    /// One of these cannot be done.
    pub fn probe(&self, lake: &Lake, place: &Place) -> EngineResult<TrinoReport> {
        let version = self.version()?;
        let connector = self.connector()?;
        if connector != CONNECTOR {
            let catalog = &self.catalog;
            return Err(EngineError::wrong(format!(
                "catalog `{catalog}` of Trino is of connector `{connector}`, not of `{CONNECTOR}`"
            ))
            .hint("name one of Iceberg's as `catalog` in `[trino]`"));
        }
        lake.probe(place)?;
        let probed = self.fold_one_row(lake, place, &FOLDS[0]);
        let dropped = self.drop_table(place);
        let removed = lake.remove(place);
        probed?;
        dropped?;
        removed?;
        Ok(TrinoReport {
            version,
            catalog: self.catalog.clone(),
            connector,
            schema: self.schema.clone(),
            location: lake.location().to_owned(),
        })
    }

    fn version(&self) -> EngineResult<String> {
        let text = self.client.get(&self.runtime, "/v1/info")?;
        let info: Info = serde_json::from_str(&text).map_err(|error| {
            let url = self.url();
            EngineError::wrong(format!("`{url}` does not answer as Trino does"))
                .saying(error.to_string())
                .hint("see that `url` in `[trino]` is that of a coordinator")
        })?;
        match info.starting {
            true => Err(EngineError::unreachable(format!(
                "Trino at `{}` is still starting",
                self.url()
            ))),
            false => Ok(info.node_version.version),
        }
    }

    fn connector(&self) -> EngineResult<String> {
        let statement = statements::catalogs(&self.named("catalogs")?);
        let found = self.trying(|| self.run("look for the catalog", &statement))?;
        match found.first().map(Vec::as_slice) {
            Some([_, Cell::Text(connector)]) => Ok(connector.clone()),
            _ => Err(EngineError::wrong(format!(
                "Trino has no catalog `{}`, or its user may not see it",
                self.catalog
            ))
            .hint("`catalog` in `[trino]` is a catalog of Iceberg's: a file `etc/catalog/<catalog>.properties` of each node")),
        }
    }

    fn fold_one_row(&self, lake: &Lake, place: &Place, fold: &TableFold) -> EngineResult<()> {
        let mut files = lake.files(place);
        files.write(&one_row(fold)?)?;
        let written = files.finish()?;
        self.create_and_add(lake, place, fold, &written)?;
        for part in fold.parts {
            let counted = self.fold(place, fold, part, &mut |_| Ok(()), &mut |_| ())?;
            if counted != written.rows {
                return Err(EngineError::wrong(format!(
                    "Trino read {counted} of {} rows below `{}/{place}`",
                    written.rows,
                    lake.location()
                )));
            }
        }
        Ok(())
    }
}

fn one_row(fold: &TableFold) -> EngineResult<RecordBatch> {
    let mut fields = vec![
        Field::new(INTERVAL_COLUMN, DataType::Int64, false),
        Field::new(DAY_COLUMN, DataType::Date32, false),
    ];
    let mut arrays: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![0])),
        Arc::new(Date32Array::from(vec![0])),
    ];
    for column in fold.columns() {
        let array: ArrayRef = match column.kind {
            FoldColumnKind::Int64 => Arc::new(Int64Array::from(vec![1])),
            FoldColumnKind::Text => Arc::new(StringArray::from(vec!["probe"])),
        };
        fields.push(Field::new(column.name, array.data_type().clone(), true));
        arrays.push(array);
    }
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays);
    Ok(batch.map_err(|error| Failure::bug("cannot make a row").because(error))?)
}
