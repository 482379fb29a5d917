//! Which field of a record is which wanted column.

use std::collections::BTreeMap;

use gristmill_stage::{Failure, WantedColumn};

use crate::{
    splitter::{Form, Splitter},
    values::unescape,
};

/// What the header says about the records below it.
#[derive(Debug)]
pub(crate) struct Header {
    /// How many fields a record has.
    pub(crate) fields: usize,
    /// For each wanted column, which field it is.
    pub(crate) positions: Vec<Option<usize>>,
    /// The columns that nobody wants.
    pub(crate) ignored: Vec<String>,
}

impl Header {
    /// Reads the header that the splitter found last.
    pub(crate) fn read(
        splitter: &Splitter<'_>,
        line: u64,
        wanted: &[WantedColumn],
    ) -> Result<Header, Failure> {
        let names = names(splitter, line)?;
        // By look-up, since a header may have as many names as it has bytes.
        let mut places = BTreeMap::new();
        for (position, name) in names.iter().enumerate() {
            if places.insert(name.as_str(), position).is_some() {
                let failure = Failure::input_at(line, "appears twice in the header");
                return Err(failure.in_column(name));
            }
        }
        let mut positions = Vec::with_capacity(wanted.len());
        for column in wanted {
            let position = places.get(column.name.as_str()).copied();
            if position.is_none() && column.required {
                let failure = Failure::input_at(line, "is required, but not in the header");
                return Err(failure.in_column(&column.name));
            }
            positions.push(position);
        }
        let fields = names.len();
        let is_wanted = |name: &String| wanted.iter().any(|column| column.name == *name);
        let ignored = names.into_iter().filter(|name| !is_wanted(name)).collect();
        Ok(Header {
            fields,
            positions,
            ignored,
        })
    }
}

fn names(splitter: &Splitter<'_>, line: u64) -> Result<Vec<String>, Failure> {
    let count = splitter.field_count();
    let mut names = Vec::with_capacity(count);
    for field in (0..count).map(|index| splitter.field(index)) {
        let raw = &splitter.bytes()[field.start as usize..field.end as usize];
        let mut name = Vec::new();
        match field.form {
            Form::Literal => name.extend_from_slice(raw),
            Form::Doubled => unescape(raw, &mut name),
            Form::Malformed => {
                let reason = "the header has text after a closing quote";
                return Err(Failure::input_at(line, reason));
            }
        }
        names.push(
            String::from_utf8(name)
                .map_err(|_| Failure::input_at(line, "the header is not UTF-8"))?,
        );
    }
    Ok(names)
}
