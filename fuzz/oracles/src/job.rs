//! Jobs as XML.

use crate::text;
use openrdms_broker::job::xml::{MAX_WARNING, print_order, read_order, read_patch, report};
use openrdms_broker::job::{Attempt, Job, JobId, JobState, MAX_STEPS, Step, StepEnd, Task, Want};
use openrdms_broker::{HostName, Timestamp};

/// An order prints to one that is the same, and names no desktop twice; a mistake has its place, and quotes little. A
/// report is XML of bounded length, whatever a job's owner and errors are made of. Nothing declares an entity.
pub fn job(bytes: &[u8]) -> bool {
    let text = text(bytes);
    let patch = read_patch(&text);
    let order = match (read_order(&text), &patch) {
        (Ok(order), Err(_)) => order,
        (Ok(_), Ok(_)) => panic!("it is both: {text}"),
        (Err(error), patch) => {
            assert!(error.line > 0 && error.column > 0, "{error}");
            assert!(error.to_string().chars().count() < 500, "{error}");
            assert!(patch.as_ref().is_ok_and(|patch| patch.warning <= MAX_WARNING) || patch.is_err());
            return patch.is_ok();
        }
    };
    assert!(!declared(&text).contains("<!DOCTYPE"), "{text}");
    let printed = print_order(&order);
    assert_eq!(read_order(&printed).as_ref(), Ok(&order), "{printed}");
    let mut names: Vec<_> = order.wants.iter().filter_map(named).collect();
    let (count, additions) = (names.len(), order.additions());
    assert!((1..=MAX_STEPS).contains(&order.wants.len()) && additions <= MAX_STEPS);
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "named twice: {text}");
    reported(order, &text);
    true
}

/// What of a text is markup: without comments, texts that are said to be none, and processing instructions, in which
/// anything may stand.
fn declared(mut text: &str) -> String {
    const QUIET: [(&str, &str); 3] = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")];
    let mut markup = String::new();
    loop {
        let first = QUIET.iter().filter_map(|(from, to)| Some((text.find(from)?, *from, *to))).min();
        let Some((at, from, to)) = first else { return markup + text };
        markup.push_str(&text[..at]);
        let inside = &text[at + from.len()..];
        let Some(end) = inside.find(to) else { return markup };
        text = &inside[end + to.len()..];
    }
}

fn named(want: &Want) -> Option<String> {
    match want {
        Want::AddCount(_) => None,
        Want::Task(task) => Some(task.desktop().as_str().to_ascii_lowercase()),
    }
}

/// The report of a job of the named steps, of which each has failed with this text.
fn reported(order: openrdms_broker::job::Order, text: &str) {
    let task = |want| match want {
        Want::AddCount(_) => None,
        Want::Task(task) => Some(task),
    };
    let steps: Vec<Task> = order.wants.into_iter().filter_map(task).collect();
    let mut job = Job {
        id: JobId(uuid::Uuid::nil()),
        collection: order.collection,
        host: order.host.unwrap_or_else(|| HostName::new("host").expect("it is a name")),
        by: text.chars().take(100).collect(),
        created: Timestamp(0),
        steps: steps.into_iter().map(Step::new).collect(),
        state: JobState::Running,
    };
    for place in 0..job.steps.len() {
        job.note(place, Attempt::Ended(StepEnd::Failed(text.to_owned())), Timestamp(1));
    }
    assert!(job.close(Timestamp(1)));
    let written = report(&job);
    assert!(written.len() < 4096 + 2048 * job.steps.len(), "{}", written.len());
    let read = roxmltree::Document::parse(&written).unwrap_or_else(|error| panic!("{error}: {written}"));
    assert_eq!(read.root_element().children().count(), job.steps.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_markup_declares_something() {
        assert_eq!(declared("<?xml a?><!-- <!DOCTYPE x> --><a><![CDATA[<!DOCTYPE y>]]></a>"), "<a></a>");
        assert_eq!(declared("<!-- ?> --><!DOCTYPE x><a/>"), "<!DOCTYPE x><a/>");
        assert_eq!(declared("<a/><!-- <? "), "<a/>");
    }
}
