//! The bytes of a payload's reports that an engine would fold, known before any of them is
//! parsed: a report's kind shows in its header.

use std::io::{self, Read};

use super::header;
use crate::diagnostics::failure::{Failure, Result};
use crate::payload::Payload;
use crate::pipeline::plan::{Plan, ReportAction};

/// The bytes in which a header ends.
const HEADER_BYTES_MAX: u64 = 64 << 10;

/// The unpacked bytes of the reports that go to one of these staging tables. Reports of
/// kinds that the plan does not know count for nothing here: ingest refuses them.
///
/// # Errors
/// The payload is broken.
pub fn bytes_for(plan: &Plan, payload: &Payload, tables: &[&str]) -> Result<u64> {
    let mut bytes = 0;
    payload.for_each_report(&mut |name, report| {
        let unreadable =
            |error: io::Error| Failure::run(format!("cannot read report `{name}`")).because(error);
        let mut head = Vec::new();
        let read = (&mut *report).take(HEADER_BYTES_MAX).read_to_end(&mut head);
        let length = read.map_err(unreadable)? as u64;
        let rest = io::copy(report, &mut io::sink()).map_err(unreadable)?;
        let names = header::names_of_any_format(&head);
        let is_folded = plan.reports.iter().any(|kind| match &kind.action {
            ReportAction::Load(load) => {
                tables.contains(&load.table.as_str())
                    && kind.detect.iter().all(|column| names.contains(column))
            }
            ReportAction::Ignore => false,
        });
        if is_folded {
            bytes += length + rest;
        }
        Ok(())
    })?;
    Ok(bytes)
}
