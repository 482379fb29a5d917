//! Tables on standard output, which fit the terminal where there is one.
//!
//! Where there is too little room, titles are broken, long texts lose their middle, and
//! the columns that can be spared are left out, in this order. Numbers are always whole.
//! Through a pipe, and with `--wide`, nothing of this happens.

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{Attribute, Cell, CellAlignment, Color, Table as Drawing};
use unicode_width::UnicodeWidthStr;

use super::{say, style, write};
use crate::diagnostics::printable;

/// Columns of a text that is shortened while others could still be spared, and at last.
const TEXT_WIDTHS_MIN: [usize; 2] = [20, 8];

/// The space and the border on each side of a column.
const BORDER: usize = 3;

/// Stands where the middle of a text was.
const ELLIPSIS: char = '…';

/// The states that a person looks for.
const STATES: [(&str, Color); 4] = [
    ("failed", Color::Red),
    ("FAILED", Color::Red),
    ("published", Color::Green),
    ("open", Color::Yellow),
];

/// The header of a table.
pub struct Table<'t> {
    header: &'t [&'t str],
    /// Columns of numbers, with their units.
    numbers: &'t [usize],
    /// Columns that can be spared, the first one first.
    spare: &'t [usize],
}

/// Rows under a header, none of whose columns can be spared. Columns named in `numbers`
/// are aligned to the right.
pub fn table(header: &[&str], numbers: &[usize], rows: &[Vec<String>]) {
    Table::new(header, numbers).show(rows);
}

impl<'t> Table<'t> {
    pub fn new(header: &'t [&'t str], numbers: &'t [usize]) -> Self {
        Self {
            header,
            numbers,
            spare: &[],
        }
    }

    /// Leaves out these columns, the first one first, where there is no room.
    #[must_use]
    pub fn sparing(mut self, spare: &'t [usize]) -> Self {
        self.spare = spare;
        self
    }

    /// To standard output; what is left out is said on standard error.
    pub fn show(&self, rows: &[Vec<String>]) {
        // Before they are measured: what is shown is longer.
        let fit = |text: &str| printable::lines(text).replace('\t', " ");
        let rows: Vec<Vec<String>> = rows
            .iter()
            .map(|row| row.iter().map(|cell| fit(cell)).collect())
            .collect();
        let layout = match style::width() {
            Some(width) => self.layout(&rows, width),
            None => (0..self.header.len()).map(Shown::whole).collect(),
        };
        write(&self.drawn(&layout, &rows, style::colours(&std::io::stdout())));
        let shown = |index: &usize| layout.iter().any(|column| column.index == *index);
        let left_out: Vec<String> = (0..self.header.len())
            .filter(|index| !shown(index))
            .map(|index| self.header[index].replace('\n', " "))
            .collect();
        if !left_out.is_empty() {
            say(&format!(
                "`--wide` shows these columns too: {}",
                left_out.join(", ")
            ));
        }
    }

    fn drawn(&self, layout: &[Shown], rows: &[Vec<String>], colours: bool) -> String {
        let mut drawing = Drawing::new();
        drawing.load_style(UTF8_BORDERS_ONLY);
        drawing.style_text_only();
        match colours {
            true => drawing.enforce_styling(),
            false => drawing.force_no_tty(),
        };
        drawing.set_header(layout.iter().map(|column| {
            let title = Cell::new(column.title(self.header[column.index]));
            title.add_attribute(Attribute::Bold)
        }));
        for row in rows {
            drawing.add_row(layout.iter().map(|column| {
                let cell = Cell::new(column.text(&row[column.index]));
                let is_state = self.header[column.index] == "state";
                let state = STATES.iter().find(|(word, _)| *word == row[column.index]);
                match state {
                    Some((_, colour)) if is_state => cell.fg(*colour),
                    _ => cell,
                }
            }));
        }
        for (position, column) in layout.iter().enumerate() {
            if self.numbers.contains(&column.index)
                && let Some(drawn) = drawing.column_mut(position)
            {
                drawn.set_cell_alignment(CellAlignment::Right);
            }
        }
        drawing.to_string()
    }

    /// The columns that are shown on a terminal of this width, and how wide each is.
    fn layout(&self, rows: &[Vec<String>], width: usize) -> Vec<Shown> {
        let columns: Vec<Measured> = (0..self.header.len())
            .map(|index| self.measured(index, rows))
            .collect();
        let mut kept: Vec<usize> = (0..columns.len()).collect();
        let mut spare = self.spare.iter();
        loop {
            let of = |measure: fn(&Measured) -> usize| -> Vec<usize> {
                kept.iter().map(|index| measure(&columns[*index])).collect()
            };
            if total(&of(Measured::whole)) <= width {
                return kept.into_iter().map(Shown::whole).collect();
            }
            let next = spare.next();
            let text_min = TEXT_WIDTHS_MIN[usize::from(next.is_none())];
            let mut widths = of(Measured::broken);
            let least: Vec<usize> = kept
                .iter()
                .map(|index| columns[*index].least(text_min))
                .collect();
            shrink(&mut widths, &least, width);
            match next {
                Some(index) if total(&widths) > width => kept.retain(|other| other != index),
                _ => {
                    let shown = kept.into_iter().zip(widths);
                    return shown
                        .map(|(index, width)| Shown {
                            index,
                            width: Some(width),
                        })
                        .collect();
                }
            }
        }
    }

    fn measured(&self, index: usize, rows: &[Vec<String>]) -> Measured {
        let lines = |text: &str| text.lines().map(UnicodeWidthStr::width).max().unwrap_or(0);
        let title = self.header[index];
        Measured {
            is_number: self.numbers.contains(&index),
            cells: rows.iter().map(|row| lines(&row[index])).max().unwrap_or(0),
            title: lines(title),
            word: title
                .split_whitespace()
                .map(UnicodeWidthStr::width)
                .max()
                .unwrap_or(0),
        }
    }
}

/// How wide a column is.
struct Measured {
    is_number: bool,
    cells: usize,
    title: usize,
    /// The longest word of the title.
    word: usize,
}

impl Measured {
    fn whole(&self) -> usize {
        self.cells.max(self.title)
    }

    /// With the title over several lines.
    fn broken(&self) -> usize {
        self.cells.max(self.word)
    }

    /// With shortened texts.
    fn least(&self, text_min: usize) -> usize {
        match self.is_number {
            true => self.broken(),
            false => self.cells.min(text_min).max(self.word),
        }
    }
}

/// The columns of a terminal that a table with such columns takes.
fn total(widths: &[usize]) -> usize {
    widths.iter().map(|width| width + BORDER).sum::<usize>() + 1
}

/// Takes from the widest columns until all of them fit, or none has more to give.
fn shrink(widths: &mut [usize], least: &[usize], width: usize) {
    while total(widths) > width {
        let giving = widths.iter_mut().zip(least);
        let giving = giving.filter(|(width, least)| **width > **least);
        match giving.max_by_key(|(width, _)| **width) {
            Some((widest, _)) => *widest -= 1,
            None => return,
        }
    }
}

/// A column that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shown {
    index: usize,
    /// `None` for as wide as it is.
    width: Option<usize>,
}

impl Shown {
    fn whole(index: usize) -> Self {
        Self { index, width: None }
    }

    /// The title, over as many lines as it takes.
    fn title(self, title: &str) -> String {
        let Some(width) = self.width.filter(|width| title.width() > *width) else {
            return title.to_string();
        };
        let mut lines: Vec<String> = Vec::new();
        for word in title.split_whitespace() {
            match lines.last_mut() {
                Some(line) if line.width() + 1 + word.width() <= width => {
                    *line = format!("{line} {word}");
                }
                _ => lines.push(word.to_string()),
            }
        }
        lines.join("\n")
    }

    /// A text, without its middle when it is too long.
    fn text(self, text: &str) -> String {
        match self.width.filter(|width| text.width() > *width) {
            Some(width) => shortened(text, width),
            None => text.to_string(),
        }
    }
}

/// A text of at most so many columns: the beginning and the end of one that is longer,
/// since names often differ in either.
pub(super) fn shortened(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_string();
    }
    let room = width.saturating_sub(1);
    let taken = |characters: &mut dyn Iterator<Item = char>, room: usize| {
        let mut taken = String::new();
        for character in characters {
            let character = if character == '\n' { ' ' } else { character };
            taken.push(character);
            if taken.width() > room {
                taken.pop();
                break;
            }
        }
        taken
    };
    let begin = taken(&mut text.chars(), room.div_ceil(2));
    let end = taken(&mut text.chars().rev(), room - room.div_ceil(2));
    let end: String = end.chars().rev().collect();
    format!("{begin}{ELLIPSIS}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: [&str; 4] = ["cluster", "uuid", "rows read", "state"];

    fn rows() -> Vec<Vec<String>> {
        let row = |name: &str, rows: &str| {
            let uuid = "11111111-0000-4000-8000-00000000000a";
            [name, uuid, rows, "failed"].map(str::to_string).to_vec()
        };
        vec![
            row("a", "1"),
            row("production-cluster-of-the-north-42", "1,234,567"),
        ]
    }

    #[track_caller]
    fn drawn(width: usize) -> (Vec<usize>, String) {
        let table = Table::new(&HEADER, &[2]).sparing(&[1]);
        let layout = table.layout(&rows(), width);
        let drawn = table.drawn(&layout, &rows(), false);
        for line in drawn.lines() {
            assert!(line.width() <= width, "{}\n{drawn}", line.width());
        }
        (layout.iter().map(|column| column.index).collect(), drawn)
    }

    #[test]
    fn a_table_is_as_wide_as_its_terminal_at_most() {
        for width in 45..200 {
            drawn(width);
        }
        assert_eq!(drawn(200).0, [0, 1, 2, 3]);
        assert!(drawn(80).1.contains("1,234,567"));
        let (shown, narrow) = drawn(55);
        assert_eq!(shown, [0, 2, 3], "{narrow}");
        assert!(
            narrow.contains("production-clus…f-the-north-42"),
            "{narrow}"
        );
    }

    #[test]
    fn numbers_stand_to_the_right_and_are_never_shortened() {
        let (_, narrow) = drawn(45);
        let line = |end: &str| narrow.lines().any(|line| line.ends_with(end));
        assert!(
            line("        1   failed │") && line("1,234,567   failed │"),
            "{narrow}"
        );
    }

    #[test]
    fn the_middle_is_what_a_long_text_loses() {
        assert_eq!(shortened("abcdefghij", 10), "abcdefghij");
        assert_eq!(shortened("abcdefghij", 5), "ab…ij");
        assert_eq!(shortened("日本語日本語", 7), "日…語");
        assert_eq!(shortened("abc", 1), "…");
    }

    #[test]
    fn a_state_is_painted_where_there_are_colours() {
        let table = Table::new(&HEADER, &[2]);
        let layout: Vec<Shown> = (0..4).map(Shown::whole).collect();
        let painted = table.drawn(&layout, &rows(), true);
        assert!(painted.contains("\u{1b}[38;5;9mfailed"), "{painted:?}");
        assert!(!table.drawn(&layout, &rows(), false).contains('\u{1b}'));
    }
}
