//! What every class answers to every operation, held against expectations and printed as a table.
//!
//! The expectations are texts, `table/*.txt`. A block `class namespace Class key=value …` is about that instance, in a
//! deployment of its own: alice, bob and carol, and a collection `pool` of two desktops on `host`. Its lines are done one
//! after the other:
//!
//! ```text
//! [Class.]operation [(key=value …)] [name=value …] -> code [name=value …]
//! ```
//!
//! The operation is `enumerate`, `query`, `get`, `create`, `put`, `delete` or a method; the code is 0 or a WMI code without
//! its prefix, with `!` where a method answers it by a fault and not by `ReturnValue`. Behind it stands what is given back;
//! `*` is anything but null, `~text` something with this text in it, `$name` gives it a name or is what was named so. What
//! stands deeper is where the line above shows what it did: it is looked at until it is so. Lines of other classes, and of
//! `world`, prepare something.
//!
//! `optional` names parameters that may be missing, `unread` methods that do not look at theirs because they are never done,
//! `outsider` what somebody hears who is no administrator.
//!
//! An operation or method without a line is a failure, and so is one that says 0 and is not looked at. What is refused
//! whatever the class (keys, parameters, methods and namespaces that there are not) is tried for each by itself.

mod refused;
mod run;
mod script;

use openrdms_cim::Method;
use refused::{MISSING, WRONG_TYPE, leave_out, mistype};
use run::Runner;
use script::{Block, Line};

const TEXTS: [&str; 2] = [include_str!("table/rdms.txt"), include_str!("table/related.txt")];

const OPERATIONS: [&str; 6] = ["enumerate", "get", "query", "create", "put", "delete"];
const OF_CLASSES: [&str; 6] = [
    "no administrator lists",
    "no administrator changes",
    "unknown key",
    "unknown property",
    "unknown method",
    "unknown namespace",
];
const OF_METHODS: [&str; 7] = [
    "calls",
    "no keys",
    "unknown key",
    "missing parameter",
    "wrong type",
    "unknown parameter",
    "not an administrator",
];

/// Rows of cells, each with all that belongs into it.
struct Table {
    columns: Vec<&'static str>,
    rows: Vec<(String, Vec<Cell>)>,
}

type Cell = Vec<Result<String, String>>;

impl Table {
    fn new(columns: impl IntoIterator<Item = &'static str>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    fn cell(&mut self, row: &str, column: &str) -> &mut Cell {
        let at = self.columns.iter().position(|known| *known == column).unwrap();
        let found = self.rows.iter().position(|(name, _)| name == row).unwrap_or_else(|| {
            self.rows.push((row.to_owned(), vec![Cell::new(); self.columns.len()]));
            self.rows.len() - 1
        });
        &mut self.rows[found].1[at]
    }

    /// Prints it, and answers what is wrong with it.
    #[expect(clippy::print_stdout, reason = "the table is there to be read")]
    fn print(&self, first: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        println!("| {first} | {} |", self.columns.join(" | "));
        println!("|{}", "---|".repeat(self.columns.len() + 1));
        for (row, cells) in &self.rows {
            let cells: Vec<_> = cells.iter().map(verdict).collect();
            println!("| {row} | {} |", cells.join(" | "));
            for (column, cell) in
                self.columns.iter().zip(&cells).filter(|(_, cell)| !cell.starts_with("pass"))
            {
                wrong.push(format!("{row}, {column}: {cell}"));
            }
        }
        println!();
        wrong
    }
}

/// `pass` and all that was answered, or the first that is wrong.
fn verdict(cell: &Cell) -> String {
    let mut answers: Vec<&str> = Vec::new();
    for one in cell {
        match one {
            Ok(answer) if !answers.contains(&answer.as_str()) => answers.push(answer),
            Ok(_) => {}
            Err(wrong) => return format!("FAIL: {wrong}"),
        }
    }
    if answers.is_empty() { "FAIL: empty".to_owned() } else { format!("pass: {}", answers.join(", ")) }
}

/// The tables of classes and methods.
struct Tables {
    classes: Table,
    methods: Table,
}

impl Tables {
    async fn fill(&mut self, block: &Block) {
        let mut runner = Runner::new(block).await;
        let class = runner.class();
        for operation in OPERATIONS {
            self.classes.cell(&class.name, operation);
        }
        for method in &class.methods {
            self.methods.cell(&format!("{}.{}", class.name, method.name), "calls");
        }
        let mut begun: Vec<&str> = Vec::new();
        for line in &block.lines {
            let method = class.method(&line.operation).filter(|_| line.class.is_none());
            if let Some(method) = method.filter(|method| !begun.contains(&method.name.as_str())) {
                begun.push(&method.name);
                self.refusals(&runner, (method, line)).await;
            }
            let answer = runner.run(line).await;
            match (&line.class, method) {
                (Some(_), _) => assert!(answer.is_ok(), "what is prepared is not there: {answer:?}"),
                (None, Some(method)) => {
                    self.methods.cell(&format!("{}.{}", class.name, method.name), "calls").push(answer);
                }
                (None, None) => self.classes.cell(&class.name, &line.operation).push(answer),
            }
        }
        for (column, answer) in OF_CLASSES.into_iter().zip([
            runner.outsider_lists(&class).await,
            runner.outsider_changes(&class).await,
            runner.unknown_key(&class).await,
            runner.unknown_property(&class).await,
            runner.unknown_method(&class).await,
            runner.unknown_namespace(&class).await,
        ]) {
            self.classes.cell(&class.name, column).push(answer);
        }
    }

    /// What is refused of any method, before it is first called as it should be.
    async fn refusals(&mut self, runner: &Runner<'_>, (method, line): (&Method, &Line)) {
        let class = runner.class();
        for (column, answer) in OF_METHODS[1..].iter().zip([
            runner.no_keys(&class, method, line).await,
            runner.on_nothing(&class, method, line).await,
            runner.each_parameter(&class, (method, line), MISSING, leave_out).await,
            runner.each_parameter(&class, (method, line), WRONG_TYPE, mistype).await,
            runner.unknown_parameter(&class, method, line).await,
            runner.outsider_calls(&class, method, line).await,
        ]) {
            self.methods.cell(&format!("{}.{}", class.name, method.name), column).push(answer);
        }
    }
}

#[tokio::test]
async fn every_class_answers_every_operation_as_the_table_says() {
    let blocks: Vec<_> = TEXTS.into_iter().flat_map(script::read).collect();
    let mut tables = Tables {
        classes: Table::new(OPERATIONS.into_iter().chain(OF_CLASSES)),
        methods: Table::new(OF_METHODS),
    };
    for block in &blocks {
        tables.fill(block).await;
    }
    let mut wrong = tables.classes.print("class");
    wrong.extend(tables.methods.print("method"));

    for (row, cells) in &tables.methods.rows {
        let answers: Vec<_> = cells[0].iter().flatten().map(String::as_str).collect();
        if !answers.contains(&"0") && answers.iter().any(|answer| *answer != "NOT_SUPPORTED") {
            wrong.push(format!("{row} is never done, and that is not what it says"));
        }
    }
    // no class is left out: all of Microsoft's that are no bases of others
    let repository = openrdms_rdms::repository().unwrap();
    for namespace in ["root/cimv2", "root/cimv2/terminalservices", crate::MICROSOFT] {
        for class in repository
            .classes(namespace)
            .filter(|class| !class.name.starts_with("__") && !class.is_abstract())
        {
            if !blocks.iter().any(|block| block.class == class.name) {
                wrong.push(format!("{} is not in the table", class.name));
            }
        }
    }
    let rdms: Vec<_> = blocks.iter().filter(|block| block.namespace == crate::MICROSOFT).collect();
    let of_rdms = |row: &str| rdms.iter().any(|block| row.starts_with(&format!("{}.", block.class)));
    let methods = tables.methods.rows.iter().filter(|(row, _)| of_rdms(row)).count();
    assert_eq!((rdms.len(), methods), (13, 68));
    assert!(wrong.is_empty(), "{} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
}
