//! Tables for people.

use super::text::{clean, text};
use super::{Column, Read, Terminal};
use openrdms_cim::Instance;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// What is in a column.
#[derive(Clone, Debug)]
pub(super) enum Field {
    Column(Column),
    Property(String),
}

/// A table that is printed as its rows arrive.
#[derive(Debug)]
pub(crate) struct Table {
    /// `None`: every property of the first instance.
    fields: Option<Vec<Field>>,
    terminal: Option<Terminal>,
    /// Those of the first batch; none before it.
    widths: Option<Vec<usize>>,
}

impl Field {
    fn heading(&self) -> &str {
        match self {
            Field::Column(column) => column.heading,
            Field::Property(name) => name,
        }
    }

    fn cell(&self, instance: &Instance) -> String {
        clean(&match self {
            Field::Column(Column { read: Read::By(read), .. }) => read(instance),
            Field::Column(Column { properties, .. }) => {
                let all: Vec<String> = properties.iter().map(|name| text(instance.get(name))).collect();
                all.join(" ")
            }
            Field::Property(name) => text(instance.get(name)),
        })
    }

    fn least_width(&self) -> usize {
        match self {
            Field::Column(column) => column.width,
            Field::Property(_) => 0,
        }
    }

    fn is_coloured(&self) -> bool {
        match self {
            Field::Column(column) => column.coloured,
            Field::Property(_) => false,
        }
    }
}

impl Table {
    pub(super) fn new(fields: Vec<Field>, terminal: Option<Terminal>) -> Self {
        Self { fields: Some(fields), terminal, widths: None }
    }

    pub(super) fn of_anything(terminal: Option<Terminal>) -> Self {
        Self { fields: None, terminal, widths: None }
    }

    /// Some more rows; with the first batch, if only an empty one, comes the heading.
    pub(super) fn batch(&mut self, instances: &[Instance]) -> String {
        if self.fields.is_none() {
            let Some(first) = instances.first() else { return String::new() };
            self.fields =
                Some(first.properties.iter().map(|(name, _)| Field::Property(name.clone())).collect());
        }
        let fields = self.fields.as_deref().unwrap_or_default();
        let rows: Vec<Vec<String>> =
            instances.iter().map(|i| fields.iter().map(|field| field.cell(i)).collect()).collect();
        let mut lines = String::new();
        let widths = match &mut self.widths {
            Some(widths) => widths,
            none => {
                let heading: Vec<String> = fields.iter().map(|f| clean(f.heading())).collect();
                let width = |(at, field): (usize, &Field)| {
                    let cells = rows.iter().chain([&heading]).filter_map(|row| row.get(at));
                    cells.map(|cell| cell.width()).chain([field.least_width()]).max().unwrap_or(0)
                };
                let widths = none.insert(fields.iter().enumerate().map(width).collect());
                let most = self.terminal.and_then(|t| t.width);
                lines.push_str(&line(&heading, widths, most, |_, cell| cell.to_owned()));
                widths
            }
        };
        let most = self.terminal.and_then(|t| t.width);
        let colours = self.terminal.is_some_and(|t| t.colours);
        let paint = |at: usize, cell: &str| match fields.get(at) {
            Some(field) if colours && field.is_coloured() => paint(cell),
            _ => cell.to_owned(),
        };
        lines.extend(rows.iter().map(|row| line(row, widths, most, paint)));
        lines
    }
}

/// One row. On a terminal its last cell ends where the line does: a row is one line.
fn line(
    row: &[String],
    widths: &[usize],
    most: Option<usize>,
    paint: impl Fn(usize, &str) -> String,
) -> String {
    let (mut line, mut used) = (String::new(), 0);
    for (at, (cell, width)) in row.iter().zip(widths).enumerate() {
        if at + 1 == row.len() {
            let room = most.map_or(usize::MAX, |most| most.saturating_sub(used).max(8));
            line.push_str(&paint(at, &cut(cell, room)));
        } else {
            let padding = width.saturating_sub(cell.width()) + 2;
            line.push_str(&paint(at, cell));
            line.extend(std::iter::repeat_n(' ', padding));
            used += cell.width() + padding;
        }
    }
    line.truncate(line.trim_end().len());
    line + "\n"
}

/// The beginning of a text that is no wider than `room`, with `…` where something is missing.
fn cut(text: &str, room: usize) -> String {
    if text.width() <= room {
        return text.to_owned();
    }
    let (mut kept, mut used) = (String::new(), 1);
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > room {
            break;
        }
        kept.push(c);
    }
    kept + "…"
}

/// A word of state or of change in the colour of what it means: well, waiting, changing, bad.
fn paint(word: &str) -> String {
    let colour = match word {
        "Active" | "Up" | "Created" | "Completed" | "Done" => 32,
        "Disconnected" | "Drained" | "Modified" | "Held" | "Cancelled" => 33,
        "Starting" | "LoggingOff" | "Running" | "Cancelling" => 36,
        "Lost" | "Deleted" | "Failed" => 31,
        _ => return word.to_owned(),
    };
    format!("\x1b[{colour}m{word}\x1b[0m")
}

/// One instance: a line for every property, or for those asked for.
pub(super) fn properties(instance: &Instance, asked: Option<&[String]>) -> String {
    let names: Vec<&str> = match asked {
        Some(asked) => asked.iter().map(String::as_str).collect(),
        None => instance.properties.iter().map(|(name, _)| name.as_str()).collect(),
    };
    let width = names.iter().map(|name| name.width()).max().unwrap_or(0);
    let shown = |name: &&str| format!("{name:width$}  {}\n", clean(&text(instance.get(name))));
    names.iter().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: Column = Column::new("NAME", &["N"]);
    const STATE: Column = Column::new("STATE", &["S"]).coloured();
    const CLIENT: Column = Column::new("CLIENT", &["C"]);

    fn instance(name: &str, state: &str, client: &str) -> Instance {
        Instance { class: "C".into(), namespace: "n".into(), properties: Vec::new() }
            .with("N", name)
            .with("S", state)
            .with("C", client)
    }

    fn table(columns: &[Column], terminal: Option<Terminal>, batches: &[&[Instance]]) -> String {
        let mut table = Table::new(columns.iter().map(|c| Field::Column(*c)).collect(), terminal);
        batches.iter().map(|batch| table.batch(batch)).collect()
    }

    #[test]
    fn a_client_name_cannot_write_on_the_terminal() {
        let hostile = instance("a\x1b[2Jb\nc\u{202e}d\u{9b}1m", "", "");
        assert_eq!(table(&[NAME], None, &[&[hostile]]), "NAME\na?[2Jb?c?d?1m\n");
    }

    #[test]
    fn columns_stand_below_each_other_also_for_wide_characters() {
        let rows = [instance("日本", "Active", "x"), instance("e\u{301}a", "Lost", "y")];
        let expected = "NAME  STATE   CLIENT\n日本  Active  x\ne\u{301}a    Lost    y\n";
        assert_eq!(table(&[NAME, STATE, CLIENT], None, &[&rows]), expected);
    }

    #[test]
    fn later_batches_have_the_widths_of_the_first_and_no_heading() {
        let (first, second) =
            ([instance("aa", "x", "")], [instance("b", "y", ""), instance("long", "z", "")]);
        let said = table(&[NAME, STATE], None, &[&first, &second, &[]]);
        assert_eq!(said, "NAME  STATE\naa    x\nb     y\nlong  z\n");
        assert_eq!(table(&[NAME, STATE], None, &[&[]]), "NAME  STATE\n");
    }

    #[test]
    fn a_column_is_as_wide_as_it_has_to_be_before_its_rows_tell() {
        let (first, later) = ([instance("a", "x", "")], [instance("abcd", "y", "")]);
        let said = table(&[NAME.at_least(6), STATE], None, &[&first, &later]);
        assert_eq!(said, "NAME    STATE\na       x\nabcd    y\n");
    }

    #[test]
    fn a_row_is_one_line_of_a_terminal() {
        let terminal = Some(Terminal { width: Some(20), colours: false });
        let row = [instance("anna", "Active", "a very long name of a client")];
        let said = table(&[NAME, STATE, CLIENT], terminal, &[&row]);
        assert_eq!(said, "NAME  STATE   CLIENT\nanna  Active  a very …\n");
        assert_eq!(cut("日本語", 5), "日本…");
    }

    #[test]
    fn words_of_state_have_colours_where_the_terminal_has_them() {
        let terminal = Some(Terminal { width: None, colours: true });
        let row = [instance("Active", "Active", "")];
        let said = table(&[NAME, STATE, CLIENT], terminal, &[&row]);
        assert_eq!(said, "NAME    STATE   CLIENT\nActive  \x1b[32mActive\x1b[0m\n");
    }
}
