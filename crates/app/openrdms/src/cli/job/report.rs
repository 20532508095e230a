//! The report of a job (`schema/jobs.xsd`), read. It comes from a service that may be newer than this program: what is
//! not known is left aside. Asks nobody.

use crate::cli::Failure;
use crate::cli::output::row;
use openrdms_cim::{Instance, Value};
use roxmltree::{Document, Node, ParsingOptions};

/// More than a job has steps.
const MAX_NODES: u32 = 10_000;

/// How far a job is.
#[derive(Clone, Debug)]
pub(super) struct Report {
    /// What is said of the whole: the attributes of the report by their names, and how many of its steps have failed.
    pub(super) job: Instance,
    /// One row a step.
    pub(super) steps: Vec<Instance>,
}

impl Report {
    /// Reads the XML of a report.
    pub(super) fn read(xml: &str) -> Result<Self, Failure> {
        let wrong = || Failure::failed("the service tells of the job what is no report");
        let options = ParsingOptions { nodes_limit: MAX_NODES, ..ParsingOptions::default() };
        let document = Document::parse_with_options(xml, options).map_err(|_| wrong())?;
        let root = document.root_element();
        if root.tag_name().name() != "JobReport" || root.attribute("State").is_none() {
            return Err(wrong());
        }
        let steps: Vec<Instance> = root.children().filter(Node::is_element).map(step).collect();
        let failed = steps.iter().filter(|step| step.get("State").as_str() == Some("Failed")).count();
        let mut job = row("Job");
        for name in ["JobGuid", "Collection", "Host", "State"] {
            job = job.with(name, root.attribute(name));
        }
        for name in ["Progress", "Steps", "Ended"] {
            job = job.with(name, root.attribute(name).and_then(|number| number.parse::<u32>().ok()));
        }
        let job = job
            .with("FailedSteps", u32::try_from(failed).unwrap_or(u32::MAX))
            .with("Created", time(root, "Created"))
            .with("By", root.attribute("By"))
            .with("EndedAt", time(root, "EndedAt"));
        Ok(Self { job, steps })
    }

    /// Where the job stands.
    pub(super) fn state(&self) -> &str {
        self.job.get("State").as_str().unwrap_or_default()
    }

    /// Whether nothing of it will change any more.
    pub(super) fn has_ended(&self) -> bool {
        !matches!(self.state(), "Running" | "Cancelling")
    }

    /// The job with its steps in it, for programs.
    pub(super) fn whole(self) -> Instance {
        let steps = self.steps.into_iter().map(|step| Value::Object(Box::new(step))).collect();
        self.job.with("Desktops", Value::Array(steps))
    }
}

fn step(node: Node<'_, '_>) -> Instance {
    row("Step")
        .with("Step", node.tag_name().name())
        .with("Name", node.attribute("Name"))
        .with("State", node.attribute("State"))
        .with("At", time(node, "At"))
        .with("Error", node.attribute("Error"))
}

fn time(node: Node<'_, '_>, name: &str) -> Value {
    let at = node.attribute(name).and_then(|text| text.parse::<jiff::Timestamp>().ok());
    at.map_or(Value::Null, |at| Value::utc(at.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use openrdms_broker::job::{Job, JobEnd, JobId, JobState, Step, StepEnd, StepState, Task, xml};
    use openrdms_broker::{CollectionAlias, DesktopName, HostName, Timestamp};

    fn report(steps: Vec<StepState>, state: JobState) -> String {
        let desktop = |at: usize| DesktopName::new(&format!("d{at}")).expect("a name");
        let steps = steps.into_iter().enumerate();
        xml::report(&Job {
            id: JobId(uuid::Uuid::nil()),
            collection: CollectionAlias::new("pool").expect("an alias"),
            host: HostName::new("desk").expect("a name"),
            by: "OPENRDMS\\anna".into(),
            created: Timestamp(1_714_551_630_000),
            steps: steps.map(|(at, state)| Step { task: Task::Add(desktop(at)), state }).collect(),
            state,
        })
    }

    #[test]
    fn a_report_is_read_as_it_is_written() {
        let at = Timestamp(1_714_551_631_000);
        let ended = |end| StepState::Ended { at, end };
        let steps = vec![ended(StepEnd::Done), ended(StepEnd::Failed("it's <full> & \"shut\"".into()))];
        let read =
            Report::read(&report(steps, JobState::Ended { at, end: JobEnd::Failed })).expect("a report");
        assert!(read.has_ended() && read.state() == "Failed");
        assert_eq!(read.job.get("FailedSteps").as_int(), Some(1));
        assert_eq!(read.job.get("Progress").as_int(), Some(100));
        assert_eq!(read.job.get("Created"), &Value::utc(1_714_551_630_000_000));
        assert_eq!(read.steps[1].get("Error").as_str(), Some("it's <full> & \"shut\""));
        assert_eq!(read.steps[0].get("Error"), &Value::Null);
        let open = Report::read(&report(vec![StepState::Held], JobState::Running)).expect("a report");
        assert!(!open.has_ended() && open.job.get("EndedAt").is_null());
    }

    #[test]
    fn the_longest_report_there_is_is_read() {
        let failed = |_| StepState::Ended { at: Timestamp(0), end: StepEnd::Failed("x".repeat(200)) };
        let all = (0..openrdms_broker::job::MAX_STEPS).map(failed).collect();
        let read = Report::read(&report(all, JobState::Running)).expect("a report");
        assert_eq!(read.steps.len(), openrdms_broker::job::MAX_STEPS);
    }

    #[test]
    fn what_is_no_report_is_none() {
        for bad in
            ["", "<JobReport/>", "<x State=\"Running\"/>", "<!DOCTYPE x><JobReport State=\"Running\"/>"]
        {
            assert!(Report::read(bad).is_err(), "{bad}");
        }
    }
}
