//! Jobs as XML: what is asked for, read; how far it is, written. `schema/jobs.xsd` states both, and nothing else is taken:
//! an attribute or element that is not known is a mistake, because whoever wrote it meant something by it.
//!
//! No DTD is read, so there are no entities but XML's own. The text is limited in length, in attributes and in nodes
//! before anything is made of it.

use super::patch::PatchOrder;
use super::{Job, MAX_STEPS, Order, StepEnd, StepState, Task, Want};
use crate::{CollectionAlias, DesktopName, HostName};
use roxmltree::{Document, Node, ParsingOptions, TextPos};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::str::FromStr;

/// The namespace of all of it.
pub const NAMESPACE: &str = "urn:openrdms:jobs:1";
/// The longest text that is read, in bytes.
pub const MAX_LENGTH: usize = 65_536;
/// The earliest that users can be told of an update, in seconds: a day.
pub const MAX_WARNING: u32 = 86_400;

/// Elements, texts between them and comments.
const MAX_NODES: u32 = 4000;
/// The parser compares each attribute of an element with the others.
const MAX_QUOTES: usize = 32;
/// What of a mistake is quoted, and of an error told, in characters.
const QUOTED: usize = 80;
const TOLD: usize = 200;
/// How long before the deadline users are told where nothing is said of it.
const WARNING: u32 = 300;

/// What is wrong, and where: both count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct JobXmlError {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
    /// What is wrong there.
    pub problem: String,
}

/// Reads a `ProvisioningJob`.
///
/// # Errors
/// The first mistake, with its place.
pub fn read_order(text: &str) -> Result<Order, JobXmlError> {
    let document = document(text)?;
    let root = root(&document, "ProvisioningJob", &["Collection", "Host"])?;
    let collection = required::<CollectionAlias>(root, "Collection")?;
    let host = value::<HostName>(root, "Host")?;
    let (mut wants, mut steps, mut named) = (Vec::new(), 0usize, HashSet::new());
    for node in children(root)? {
        let want = want(node)?;
        steps = steps.saturating_add(match &want {
            Want::AddCount(count) => *count as usize,
            Want::Task(_) => 1,
        });
        if steps > MAX_STEPS {
            return Err(mistake(node, format!("a job has {MAX_STEPS} desktops at most")));
        }
        if let Want::Task(task) = &want
            && !named.insert(task.desktop().as_str().to_ascii_lowercase())
        {
            return Err(mistake(node, format!("{} is named twice", task.desktop())));
        }
        wants.push(want);
    }
    if wants.is_empty() {
        return Err(mistake(root, "the job asks for nothing".into()));
    }
    Ok(Order { collection, host, wants })
}

/// Reads an `UpdateJob`.
///
/// # Errors
/// The first mistake, with its place.
pub fn read_patch(text: &str) -> Result<PatchOrder, JobXmlError> {
    let document = document(text)?;
    let root = root(&document, "UpdateJob", &["WarningSeconds"])?;
    if let Some(node) = children(root)?.next() {
        return Err(mistake(node, "an UpdateJob holds no elements".into()));
    }
    let warning = value::<u32>(root, "WarningSeconds")?.unwrap_or(WARNING);
    if warning > MAX_WARNING {
        return Err(mistake(root, format!("WarningSeconds is {MAX_WARNING} at most")));
    }
    Ok(PatchOrder { warning })
}

/// Writes an order as it is read.
pub fn print_order(order: &Order) -> String {
    let mut xml = format!("<ProvisioningJob xmlns=\"{NAMESPACE}\" Collection=\"{}\"", order.collection);
    if let Some(host) = &order.host {
        attribute(&mut xml, "Host", host.as_str());
    }
    xml.push('>');
    for want in &order.wants {
        match want {
            Want::AddCount(count) => put(&mut xml, format_args!("<AddDesktops Count=\"{count}\"/>")),
            Want::Task(task) => {
                put(&mut xml, format_args!("<{}Desktop Name=\"{}\"/>", task.as_str(), task.desktop()))
            }
        }
    }
    xml.push_str("</ProvisioningJob>");
    xml
}

/// Writes a `JobReport`.
pub fn report(job: &Job) -> String {
    let (ended, all) = (job.ended_steps(), job.steps.len());
    let mut xml = format!(
        "<JobReport xmlns=\"{NAMESPACE}\" JobGuid=\"{}\" Collection=\"{}\" Host=\"{}\" State=\"{}\" \
         Progress=\"{}\" Steps=\"{all}\" Ended=\"{ended}\" Created=\"{}\"",
        job.id,
        job.collection,
        job.host,
        job.state.as_str(),
        (100 * ended).checked_div(all).unwrap_or(100),
        job.created,
    );
    attribute(&mut xml, "By", &job.by);
    if let Some(at) = job.state.ended() {
        attribute(&mut xml, "EndedAt", &at.to_string());
    }
    xml.push('>');
    for step in &job.steps {
        put(&mut xml, format_args!("<{}Desktop", step.task.as_str()));
        attribute(&mut xml, "Name", step.task.desktop().as_str());
        attribute(&mut xml, "State", step.state.as_str());
        match &step.state {
            StepState::Due | StepState::Held => {}
            StepState::Ended { at, end } => {
                attribute(&mut xml, "At", &at.to_string());
                match end {
                    StepEnd::Done | StepEnd::AlreadySo | StepEnd::NotBegun => {}
                    StepEnd::Failed(why) => {
                        attribute(&mut xml, "Error", &why.chars().take(TOLD).collect::<String>());
                    }
                }
            }
        }
        xml.push_str("/>");
    }
    xml.push_str("</JobReport>");
    xml
}

fn document(text: &str) -> Result<Document<'_>, JobXmlError> {
    if text.len() > MAX_LENGTH {
        let problem = format!("the text is longer than {MAX_LENGTH} bytes");
        return Err(JobXmlError { line: 1, column: 1, problem });
    }
    // an attribute has two quotes, and no `<` in it
    let crowded = |tag: &str| tag.bytes().filter(|byte| matches!(byte, b'"' | b'\'')).count() > MAX_QUOTES;
    if text.split('<').any(crowded) {
        let problem = format!("an element has {} attributes at most", MAX_QUOTES / 2);
        return Err(JobXmlError { line: 1, column: 1, problem });
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..Default::default() };
    Document::parse_with_options(text, options).map_err(|error| {
        let TextPos { row, col } = error.pos();
        // its own words may quote any amount of the text
        let problem =
            format!("this is no XML: {}", error.to_string().chars().take(QUOTED).collect::<String>());
        JobXmlError { line: row.max(1), column: col.max(1), problem }
    })
}

fn root<'a>(
    document: &'a Document<'a>,
    name: &str,
    attributes: &[&str],
) -> Result<Node<'a, 'a>, JobXmlError> {
    let root = document.root_element();
    expect(root, &[name])?;
    known(root, attributes)?;
    Ok(root)
}

fn want(node: Node<'_, '_>) -> Result<Want, JobXmlError> {
    expect(node, &["AddDesktops", "AddDesktop", "RemoveDesktop"])?;
    if let Some(inside) = children(node)?.next() {
        return Err(mistake(inside, "there is nothing inside of it".into()));
    }
    if node.tag_name().name() == "AddDesktops" {
        known(node, &["Count"])?;
        let count = required::<u32>(node, "Count")?;
        if count == 0 || count as usize > MAX_STEPS {
            return Err(mistake(node, format!("Count is 1 to {MAX_STEPS}")));
        }
        return Ok(Want::AddCount(count));
    }
    known(node, &["Name"])?;
    let name = required::<DesktopName>(node, "Name")?;
    let remove = node.tag_name().name() == "RemoveDesktop";
    Ok(Want::Task(if remove { Task::Remove(name) } else { Task::Add(name) }))
}

/// The elements inside; a text beside them is a mistake.
fn children<'a>(node: Node<'a, 'a>) -> Result<impl Iterator<Item = Node<'a, 'a>>, JobXmlError> {
    let stray = |child: &Node<'_, '_>| child.is_text() && child.text().is_some_and(|t| !t.trim().is_empty());
    match node.children().find(stray) {
        Some(text) => Err(mistake(text, format!("{} holds no text", node.tag_name().name()))),
        None => Ok(node.children().filter(Node::is_element)),
    }
}

fn expect(node: Node<'_, '_>, names: &[&str]) -> Result<(), JobXmlError> {
    let tag = node.tag_name();
    if tag.namespace() == Some(NAMESPACE) && names.contains(&tag.name()) {
        return Ok(());
    }
    let found: String = tag.name().chars().take(QUOTED).collect();
    Err(mistake(node, format!("'{found}' is not expected here, but {} of {NAMESPACE}", names.join(" or "))))
}

fn known(node: Node<'_, '_>, names: &[&str]) -> Result<(), JobXmlError> {
    match node.attributes().find(|a| a.namespace().is_some() || !names.contains(&a.name())) {
        Some(other) => {
            let name: String = other.name().chars().take(QUOTED).collect();
            Err(mistake(node, format!("{} has no attribute '{name}'", node.tag_name().name())))
        }
        None => Ok(()),
    }
}

fn required<T: FromStr>(node: Node<'_, '_>, name: &str) -> Result<T, JobXmlError>
where
    T::Err: std::fmt::Display,
{
    value(node, name)?.ok_or_else(|| mistake(node, format!("{} lacks {name}", node.tag_name().name())))
}

fn value<T: FromStr>(node: Node<'_, '_>, name: &str) -> Result<Option<T>, JobXmlError>
where
    T::Err: std::fmt::Display,
{
    let read = |text: &str| T::from_str(text).map_err(|error| mistake(node, format!("{name}: {error}")));
    node.attribute(name).map(read).transpose()
}

fn mistake(node: Node<'_, '_>, problem: String) -> JobXmlError {
    let TextPos { row, col } = node.document().text_pos_at(node.range().start);
    JobXmlError { line: row, column: col, problem }
}

fn attribute(xml: &mut String, name: &str, value: &str) {
    put(xml, format_args!(" {name}=\""));
    for c in value.chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            // what XML cannot say (XML 1.0 2.2), and white space that a reader would change
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => xml.push('?'),
            c => xml.push(c),
        }
    }
    xml.push('"');
}

fn put(xml: &mut String, what: std::fmt::Arguments<'_>) {
    // a String takes everything
    let _ = xml.write_fmt(what);
}
