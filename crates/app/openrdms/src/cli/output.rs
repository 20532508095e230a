//! Printing instances: tables for people, JSON and CSV for programs. Nothing that came from outside reaches the
//! terminal as a control character.
//!
//! Lists are printed as they arrive, batch by batch: memory does not grow with a list. The widths of a table are
//! those of its first batch.

mod csv;
mod json;
mod table;
mod text;

pub(crate) use text::{clean, duration, second, text};

use super::Failure;
use super::args::{Format, Global};
use super::remote::Rows;
use openrdms_cim::{Class, Instance};
use serde_json::{Map, Value as Json};
use std::io::{IsTerminal as _, Write as _};
use table::Table;

/// A column of a table: its heading and how it is read off an instance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    heading: &'static str,
    /// The properties behind it: what JSON and CSV show of it.
    properties: &'static [&'static str],
    read: Read,
    /// Whether only the wide table has it.
    wide: bool,
    /// Whether its words have colours.
    coloured: bool,
    /// How wide it is at least.
    width: usize,
}

#[derive(Clone, Copy, Debug)]
enum Read {
    Property,
    By(fn(&Instance) -> String),
}

/// How to print, and what of it.
pub(crate) struct Output {
    format: Format,
    /// What was asked for; nothing: what the command thinks best.
    columns: Vec<String>,
    terminal: Option<Terminal>,
}

/// The terminal that is printed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Terminal {
    width: Option<usize>,
    colours: bool,
}

/// Prints a list that arrives in batches.
pub(crate) enum Printer {
    Table(Table),
    Json(json::List),
    /// One JSON object a line.
    Lines(json::Lines),
    Csv(csv::List),
}

impl Column {
    /// A column that shows a property as it is.
    pub(crate) const fn new(heading: &'static str, properties: &'static [&'static str]) -> Self {
        Self { heading, properties, read: Read::Property, wide: false, coloured: false, width: 0 }
    }

    /// A column that shows something made of properties.
    pub(crate) const fn made(
        heading: &'static str,
        properties: &'static [&'static str],
        read: fn(&Instance) -> String,
    ) -> Self {
        Self { heading, properties, read: Read::By(read), wide: false, coloured: false, width: 0 }
    }

    /// The same, for the wide table only.
    pub(crate) const fn wide(mut self) -> Self {
        self.wide = true;
        self
    }

    /// The properties behind it.
    pub(crate) fn names(&self) -> Vec<String> {
        self.properties.iter().map(|name| (*name).to_owned()).collect()
    }

    /// Its heading.
    pub(crate) const fn heading(&self) -> &'static str {
        self.heading
    }

    /// The same, no narrower than this: for lists of which the first rows do not tell the widths.
    pub(crate) const fn at_least(mut self, width: usize) -> Self {
        self.width = width;
        self
    }

    /// The same, with its words coloured by what they mean.
    pub(crate) const fn coloured(mut self) -> Self {
        self.coloured = true;
        self
    }
}

impl Output {
    /// As the command line says.
    pub(crate) fn new(global: &Global) -> Self {
        Self { format: global.output, columns: global.columns.clone(), terminal: Terminal::find() }
    }

    /// Whether people read it.
    pub(crate) fn is_for_people(&self) -> bool {
        matches!(self.format, Format::Table | Format::Wide)
    }

    /// Whether it was said which columns to print.
    pub(crate) fn has_columns(&self) -> bool {
        !self.columns.is_empty()
    }

    /// A whole list. `class` says which properties there are; without it the first instance does.
    pub(crate) async fn list(
        &self,
        columns: &[Column],
        class: Option<&Class>,
        rows: Rows<'_>,
    ) -> Result<(), Failure> {
        self.list_some(columns, class, rows, usize::MAX).await
    }

    /// The first so many of a list.
    pub(crate) async fn list_some(
        &self,
        columns: &[Column],
        class: Option<&Class>,
        mut rows: Rows<'_>,
        limit: usize,
    ) -> Result<(), Failure> {
        let mut printer = self.printer(columns, class)?;
        let mut left = limit;
        while let Some(mut batch) = rows.next().await? {
            batch.truncate(left);
            left -= batch.len();
            printer.batch(&batch)?;
            if left == 0 {
                rows.end().await;
                break;
            }
        }
        printer.end()
    }

    /// A list of what is there already.
    pub(crate) fn all(
        &self,
        columns: &[Column],
        class: Option<&Class>,
        instances: &[Instance],
    ) -> Result<(), Failure> {
        let mut printer = self.printer(columns, class)?;
        printer.batch(instances)?;
        printer.end()
    }

    /// For a list that arrives in batches.
    pub(crate) fn printer(&self, columns: &[Column], class: Option<&Class>) -> Result<Printer, Failure> {
        Ok(match self.format {
            Format::Table | Format::Wide => Printer::Table(self.table(columns, class)?),
            Format::Json => Printer::Json(json::List::new(self.chosen(columns, class)?)),
            Format::Csv => {
                let asked = self.chosen(columns, class)?;
                let all = || class.map(|c| c.properties.iter().map(|p| p.name.clone()).collect());
                Printer::Csv(csv::List::new(asked.or_else(all)))
            }
        })
    }

    /// For a list that has no end: as JSON, one object a line.
    pub(crate) fn endless(&self, columns: &[Column], class: Option<&Class>) -> Result<Printer, Failure> {
        Ok(match self.format {
            Format::Json => Printer::Lines(json::Lines::new(self.chosen(columns, class)?)),
            Format::Table | Format::Wide | Format::Csv => self.printer(columns, class)?,
        })
    }

    fn table(&self, columns: &[Column], class: Option<&Class>) -> Result<Table, Failure> {
        let wide = self.format == Format::Wide;
        let terminal = self.terminal.map(|t| if wide { Terminal { width: None, ..t } } else { t });
        if self.columns.is_empty() && columns.is_empty() {
            return Ok(Table::of_anything(terminal));
        }
        let fields = if self.columns.is_empty() {
            columns.iter().filter(|c| wide || !c.wide).map(|c| table::Field::Column(*c)).collect()
        } else {
            let find = |name: &String| match columns.iter().find(|c| c.heading.eq_ignore_ascii_case(name)) {
                Some(column) => Ok(table::Field::Column(*column)),
                None => Ok(table::Field::Property(property(name, columns, class)?)),
            };
            self.columns.iter().map(find).collect::<Result<_, Failure>>()?
        };
        Ok(Table::new(fields, terminal))
    }

    /// The properties that were asked for; `None`: nobody said.
    pub(crate) fn chosen(
        &self,
        columns: &[Column],
        class: Option<&Class>,
    ) -> Result<Option<Vec<String>>, Failure> {
        if self.columns.is_empty() {
            return Ok(None);
        }
        let mut found: Vec<String> = Vec::new();
        for name in &self.columns {
            match columns.iter().find(|c| c.heading.eq_ignore_ascii_case(name)) {
                Some(column) => found.extend(column.names()),
                None => found.push(property(name, columns, class)?),
            }
        }
        Ok(Some(found))
    }

    /// One instance, every property or those asked for.
    pub(crate) fn show(&self, instance: &Instance, class: Option<&Class>) -> Result<(), Failure> {
        let asked = self.chosen(&[], class)?;
        match self.format {
            Format::Table | Format::Wide => print(&table::properties(instance, asked.as_deref())),
            Format::Json => print(&json::pretty(&json::object(instance, asked.as_deref()))),
            Format::Csv => {
                let mut list = csv::List::new(asked);
                print(&list.batch(std::slice::from_ref(instance)))
            }
        }
    }

    /// A second table for people, below an instance: the columns that were asked for are of the first.
    pub(crate) fn table_of(&self, columns: &[Column], rows: &[Instance]) -> Result<(), Failure> {
        let fields = columns.iter().copied().map(table::Field::Column).collect();
        print(&Table::new(fields, self.terminal).batch(rows))
    }

    /// What was done: a sentence, or an object.
    pub(crate) fn done(&self, sentence: &str, facts: &[(&str, Json)]) -> Result<(), Failure> {
        match self.format {
            Format::Table | Format::Wide => print(&format!("{}\n", clean(sentence))),
            Format::Json => print(&json::pretty(&object(facts))),
            Format::Csv => print(&csv::facts(&[facts])),
        }
    }

    /// What was done to several: a list of objects; people have read the sentences already.
    pub(crate) fn done_all(&self, all: &[Vec<(&str, Json)>]) -> Result<(), Failure> {
        match self.format {
            Format::Table | Format::Wide => Ok(()),
            Format::Json => print(&json::pretty(&Json::Array(all.iter().map(|f| object(f)).collect()))),
            Format::Csv => print(&csv::facts(&all.iter().map(Vec::as_slice).collect::<Vec<_>>())),
        }
    }

    /// A text as it is, such as a class in MOF.
    pub(crate) fn text(&self, text: &str) -> Result<(), Failure> {
        print(&text.lines().map(|line| clean(line) + "\n").collect::<String>())
    }
}

fn object(facts: &[(&str, Json)]) -> Json {
    Json::Object(facts.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect::<Map<_, _>>())
}

/// The declared spelling of a property; without a class anything goes.
fn property(name: &str, columns: &[Column], class: Option<&Class>) -> Result<String, Failure> {
    let Some(class) = class else { return Ok(name.to_owned()) };
    if let Some(property) = class.property(name) {
        return Ok(property.name.clone());
    }
    let headings = columns.iter().map(|c| c.heading);
    let known: Vec<&str> = headings.chain(class.properties.iter().map(|p| p.name.as_str())).collect();
    Err(Failure::usage(format!("there is no column '{}'; there are {}", clean(name), known.join(", "))))
}

impl Printer {
    /// Prints some more.
    pub(crate) fn batch(&mut self, instances: &[Instance]) -> Result<(), Failure> {
        match self {
            Printer::Table(table) => print(&table.batch(instances)),
            Printer::Json(list) => print(&list.batch(instances)),
            Printer::Lines(lines) => print(&lines.batch(instances)),
            Printer::Csv(list) => print(&list.batch(instances)),
        }
    }

    /// Prints what comes last.
    pub(crate) fn end(mut self) -> Result<(), Failure> {
        match &mut self {
            Printer::Table(table) => print(&table.batch(&[])),
            Printer::Json(list) => print(list.end()),
            Printer::Lines(_) => Ok(()),
            Printer::Csv(list) => print(&list.batch(&[])),
        }
    }
}

impl Terminal {
    fn find() -> Option<Self> {
        let out = std::io::stdout();
        if !out.is_terminal() {
            return None;
        }
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let colours = set("NO_COLOR").is_none() && set("TERM").is_some_and(|term| term != "dumb");
        let width = rustix::termios::tcgetwinsize(out).ok().map(|size| usize::from(size.ws_col));
        Some(Self { width: width.filter(|width| *width > 0), colours })
    }
}

/// A row of what is no class of the service: what this program has worked out.
pub(crate) fn row(of: &str) -> Instance {
    Instance { class: of.to_owned(), namespace: String::new(), properties: Vec::new() }
}

/// Asks on the terminal; without one, says that `--force` is needed.
pub(crate) fn confirm(question: &str, force: bool) -> Result<(), Failure> {
    if force {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage("this needs a yes, and there is no terminal to ask on: add --force"));
    }
    let mut err = std::io::stderr();
    write!(err, "{} [y/N] ", clean(question))?;
    err.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(()) } else { Err(Failure::failed("nothing was done")) }
}

/// A remark for people, beside what is printed.
pub(crate) fn remark(text: &str) -> Result<(), Failure> {
    Ok(writeln!(std::io::stderr(), "{}", clean(text))?)
}

/// Prints at once: a list may go on for a while.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // a reader such as `head` that has seen enough is no failure, but it ends the command
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(Failure::enough()),
        other => Ok(other?),
    }
}
