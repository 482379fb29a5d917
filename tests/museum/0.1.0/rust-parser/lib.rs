//! Reads files of which each line is a pod and its usage, with a space in between.

use gristmill_stage::{
    Cell, Failure, Lines, NoConfig, OpenParser, Parsed, Parser, Rows, WantedColumn, export_parser,
};

struct Museum {
    columns: Vec<WantedColumn>,
    lines: Lines,
}

impl Parser for Museum {
    type Config = NoConfig;

    fn open(_: NoConfig, context: OpenParser) -> Result<Self, Failure> {
        Ok(Self {
            columns: context.columns,
            lines: Lines::default(),
        })
    }

    fn parse(&mut self, chunk: Vec<u8>, last: bool) -> Result<Parsed, Failure> {
        let mut rows = Rows::new(&self.columns);
        self.lines.feed(&chunk, last, |line| {
            let text = String::from_utf8_lossy(line.bytes);
            match text.split_once(' ') {
                Some((pod, usage)) => rows.push(line, |column| match column.name.as_str() {
                    "pod" => Cell::Text(pod.into()),
                    "usage" => Cell::Text(usage.into()),
                    _ => Cell::Missing,
                }),
                None => rows.reject(line, "no-usage", "has no space in it"),
            }
        });
        Ok(rows.finish())
    }
}

export_parser!(Museum);
