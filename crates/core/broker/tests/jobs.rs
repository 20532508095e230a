//! Jobs: what a step's record and a crash make of each other, and what their XML may say.

#![expect(clippy::unwrap_used, reason = "a failure here fails the test")]

use openrdms_broker::document::Document as _;
use openrdms_broker::job::patch::{Patch, PatchDue, PatchState, Standing};
use openrdms_broker::job::xml::{self, MAX_LENGTH, NAMESPACE};
use openrdms_broker::job::{
    Attempt, Job, JobEnd, JobId, JobState, MAX_STEPS, Order, Step, StepEnd, StepState, Task, Want,
};
use openrdms_broker::{CollectionAlias, DesktopName, HostName, Timestamp};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

fn name(text: &str) -> DesktopName {
    DesktopName::new(text).unwrap()
}

fn job(tasks: Vec<Task>) -> Job {
    Job {
        id: JobId(Uuid::from_u128(7)),
        collection: CollectionAlias::new("pool").unwrap(),
        host: HostName::new("host").unwrap(),
        by: "TEST\\root".into(),
        created: Timestamp(0),
        steps: tasks.into_iter().map(Step::new).collect(),
        state: JobState::Running,
    }
}

fn adds(count: usize) -> Job {
    job((0..count).map(|number| Task::Add(name(&format!("d{number}")))).collect())
}

/// What a job works on: desktops, and which of them have a session.
#[derive(Debug, Default)]
struct Place {
    desktops: BTreeSet<String>,
    busy: BTreeSet<String>,
    changes: usize,
}

impl Place {
    fn attempt(&mut self, task: &Task) -> Attempt {
        let desktop = task.desktop().to_string();
        let changed = match task {
            Task::Add(_) => self.desktops.insert(desktop),
            Task::Remove(_) if self.busy.contains(&desktop) => return Attempt::Held,
            Task::Remove(_) => self.desktops.remove(&desktop),
        };
        self.changes += usize::from(changed);
        Attempt::Ended(if changed { StepEnd::Done } else { StepEnd::AlreadySo })
    }
}

/// What happens to whoever does the job.
#[derive(Clone, Copy, Debug)]
enum Happens {
    /// A step is tried, and recorded.
    Step(usize),
    /// A step is tried, and the service is killed before that is recorded.
    Crash(usize),
    /// All sessions end.
    Empty,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => any::<usize>().prop_map(Happens::Step),
        2 => any::<usize>().prop_map(Happens::Crash),
        1 => Just(Happens::Empty),
    ]
}

fn tasks() -> impl Strategy<Value = Vec<Task>> {
    prop::collection::btree_map(0..30u8, any::<bool>(), 1..12).prop_map(|tasks| {
        let task = |(number, add): (u8, bool)| {
            let name = name(&format!("d{number}"));
            if add { Task::Add(name) } else { Task::Remove(name) }
        };
        tasks.into_iter().map(task).collect()
    })
}

proptest! {
    /// However often it is killed, and in whichever order steps are done: each is done once in effect.
    #[test]
    fn a_job_that_is_killed_and_gone_on_with_does_each_step_once_in_effect(
        tasks in tasks(),
        there in prop::collection::btree_set(0..30u8, 0..10),
        story in prop::collection::vec(happens(), 0..40),
    ) {
        let there: BTreeSet<String> = there.into_iter().map(|number| format!("d{number}")).collect();
        let mut place = Place { desktops: there.clone(), busy: there.clone(), changes: 0 };
        let mut job = job(tasks.clone());
        let mut now = 0;
        let finish = (0..tasks.len()).map(|_| Happens::Step(0));
        for what in story.into_iter().chain([Happens::Empty]).chain(finish) {
            now += 1;
            let due: Vec<_> = job.due().collect();
            match what {
                Happens::Empty => place.busy.clear(),
                Happens::Step(choice) | Happens::Crash(choice) => {
                    let Some(chosen) = due.get(choice % due.len().max(1)) else { continue };
                    let attempt = place.attempt(&job.steps[*chosen].task);
                    if let Happens::Step(_) = what {
                        job.note(*chosen, attempt, Timestamp(now));
                    }
                    // what survives is the row
                    job = serde_json::from_str(&serde_json::to_string(&job).unwrap()).unwrap();
                }
            }
            let open = job.steps.iter().any(|s| matches!(s.state, StepState::Due | StepState::Held));
            prop_assert_eq!(job.clone().close(Timestamp(now)), !open);
        }
        prop_assert!(job.close(Timestamp(now)));
        prop_assert_eq!(job.state.as_str(), "Completed");
        let mut expected = there.clone();
        let mut changes = 0;
        for task in &tasks {
            let desktop = task.desktop().to_string();
            changes += usize::from(match task {
                Task::Add(_) => expected.insert(desktop),
                Task::Remove(_) => expected.remove(&desktop),
            });
        }
        prop_assert_eq!(&place.desktops, &expected);
        prop_assert_eq!(place.changes, changes);
    }

    #[test]
    fn an_order_prints_as_it_is_read(order in orders()) {
        prop_assert_eq!(xml::read_order(&xml::print_order(&order)).unwrap(), order);
    }

    #[test]
    fn any_text_is_read_or_has_its_mistake_told_with_its_place(text in ".{0,200}|[<>/=\"' a-zA-Z:&;!\\[\\]]{0,200}") {
        for outcome in [xml::read_order(&text).map(|_| ()), xml::read_patch(&text).map(|_| ())] {
            if let Err(error) = outcome {
                prop_assert!(error.line > 0 && error.column > 0 && error.to_string().len() < 1000, "{}", error);
            }
        }
    }
}

fn orders() -> impl Strategy<Value = Order> {
    let want = prop_oneof![
        (1..40u32).prop_map(Want::AddCount),
        any::<bool>().prop_map(|add| {
            let name = name("x");
            Want::Task(if add { Task::Add(name) } else { Task::Remove(name) })
        }),
    ];
    let host = prop::option::of(Just(HostName::new("far.example").unwrap()));
    (prop::collection::vec(want, 1..10), host).prop_map(|(wants, host)| {
        let number = |(place, want)| match want {
            Want::Task(Task::Add(_)) => Want::Task(Task::Add(name(&format!("d{place}")))),
            Want::Task(Task::Remove(_)) => Want::Task(Task::Remove(name(&format!("d{place}")))),
            count => count,
        };
        let wants = wants.into_iter().enumerate().map(number).collect();
        Order { collection: CollectionAlias::new("pool").unwrap(), host, wants }
    })
}

#[test]
fn a_cancelled_job_begins_nothing_and_tells_what_was_done() {
    let mut job = adds(3);
    job.note(1, Attempt::Ended(StepEnd::Done), Timestamp(1));
    assert!(job.cancel(Timestamp(2)) && job.cancel(Timestamp(3)));
    assert_eq!(job.state, JobState::Cancelling { since: Timestamp(2) });
    assert_eq!(job.due().count(), 0);
    // under way when it was cancelled
    job.note(0, Attempt::Ended(StepEnd::Done), Timestamp(4));
    assert!(job.close(Timestamp(5)));
    assert_eq!(job.state, JobState::Ended { at: Timestamp(5), end: JobEnd::Cancelled });
    let states: Vec<_> = job.steps.iter().map(|step| step.state.as_str()).collect();
    assert_eq!(states, ["Done", "Done", "NotBegun"]);
    assert!(!job.cancel(Timestamp(6)) && !job.close(Timestamp(6)));
    let ended = job.clone();
    job.note(2, Attempt::Ended(StepEnd::Done), Timestamp(7));
    assert_eq!(job, ended, "what has ended stays as it ended");
}

#[test]
fn a_step_that_fails_fails_the_job_and_keeps_no_other_from_being_done() {
    let mut job = adds(2);
    job.note(0, Attempt::Ended(StepEnd::Failed("no room".into())), Timestamp(1));
    assert_eq!(job.due().collect::<Vec<_>>(), [1]);
    job.note(1, Attempt::Ended(StepEnd::Done), Timestamp(2));
    assert!(job.close(Timestamp(2)));
    assert_eq!(job.state.as_str(), "Failed");
}

#[test]
fn identifiers_are_read_with_and_without_braces_in_either_case() {
    let id = JobId(Uuid::from_u128(0xABCD));
    let plain = id.0.to_string();
    for text in [plain.clone(), plain.to_uppercase(), format!("{{{plain}}}"), id.to_string()] {
        assert_eq!(JobId::parse(&text), Some(id), "{text}");
    }
    let simple = id.0.simple().to_string();
    for text in ["", "{}", "x", &format!("{{{plain}"), &format!("{plain}}}"), &simple, &format!("{plain} ")] {
        assert_eq!(JobId::parse(text), None, "{text}");
    }
}

#[test]
fn a_mistake_in_an_order_is_told_with_its_place() {
    let job = |inside: &str| {
        format!("<ProvisioningJob xmlns='{NAMESPACE}' Collection='pool'>\n{inside}</ProvisioningJob>")
    };
    let wrong = [
        (String::new(), 1, "no XML"),
        ("<ProvisioningJob Collection='pool'/>".into(), 1, "not expected"),
        (job(""), 1, "asks for nothing"),
        (job("<AddDesktops/>"), 2, "lacks Count"),
        (job("<AddDesktops Count='0'/>"), 2, "1 to 500"),
        (job("<AddDesktops Count='-1'/>"), 2, "Count"),
        (job("<AddDesktops Count='400'/>\n<AddDesktops Count='101'/>"), 3, "500 desktops at most"),
        (job("<AddDesktop Name='../x'/>"), 2, "not a valid desktop name"),
        (job("<AddDesktop Name='x'/><RemoveDesktop Name='X'/>"), 2, "named twice"),
        (job("<AddDesktop Name='x' Size='2'/>"), 2, "no attribute 'Size'"),
        (job("<AddDesktop Name='x'><b/></AddDesktop>"), 2, "nothing inside"),
        (job("<Reboot/>"), 2, "'Reboot' is not expected"),
        (job("<a:AddDesktop xmlns:a='urn:x' Name='x'/>"), 2, "not expected"),
        (job("twenty"), 1, "holds no text"),
        (job("<AddDesktop"), 2, "no XML"),
        ("<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>".into(), 1, "no XML"),
        (job("<AddDesktop Name='&e;'/>"), 2, "no XML"),
        (" ".repeat(MAX_LENGTH + 1), 1, "longer than"),
        (job(&format!("<AddDesktop {}/>", "a='' ".repeat(20))), 1, "attributes at most"),
        (job(&"<x/>".repeat(5000)), 1, "no XML"),
        ("<x>".repeat(20_000), 1, "no XML"),
        ("<ProvisioningJob".into(), 1, "no XML"),
    ];
    for (text, line, problem) in wrong {
        let error = xml::read_order(&text).unwrap_err();
        let shown: String = text.chars().take(200).collect();
        assert!(error.problem.contains(problem), "{shown}: {error}");
        if problem != "no XML" && !problem.contains("text") {
            assert_eq!(error.line, line, "{shown}: {error}");
        }
        assert!(error.to_string().chars().count() < 300, "{error}");
    }
    let comment = job("<!-- \"it's\" --><AddDesktop Name='x'/>\n");
    assert_eq!(xml::read_order(&comment).unwrap().wants, [Want::Task(Task::Add(name("x")))]);
}

#[test]
fn an_update_says_when_its_users_are_told_and_nothing_else() {
    let warning =
        |attributes: &str| xml::read_patch(&format!("<UpdateJob xmlns='{NAMESPACE}'{attributes}/>"));
    assert_eq!(warning("").unwrap().warning, 300);
    assert_eq!(warning(" WarningSeconds='0'").unwrap().warning, 0);
    for wrong in [" WarningSeconds='86401'", " WarningSeconds='soon'", " Template='x'"] {
        assert!(warning(wrong).is_err(), "{wrong}");
    }
    assert!(xml::read_patch(&format!("<UpdateJob xmlns='{NAMESPACE}'><x/></UpdateJob>")).is_err());
    assert!(xml::read_order(&format!("<UpdateJob xmlns='{NAMESPACE}'/>")).is_err());
}

#[test]
fn a_report_tells_every_step_and_says_nothing_that_is_no_xml() {
    let mut job = job(vec![Task::Add(name("a")), Task::Remove(name("b")), Task::Remove(name("c"))]);
    job.by = "uid:0 \"<&\u{1}".into();
    job.note(0, Attempt::Ended(StepEnd::Failed("it's <\"&> no\nroom\u{0}".into())), Timestamp(1000));
    job.note(1, Attempt::Held, Timestamp(2000));
    let text = xml::report(&job);
    let read = roxmltree::Document::parse(&text).unwrap();
    let root = read.root_element();
    assert_eq!(root.attribute("State"), Some("Running"));
    assert_eq!((root.attribute("Progress"), root.attribute("Steps")), (Some("33"), Some("3")));
    assert_eq!(root.attribute("By"), Some("uid:0 \"<&?"));
    let steps: Vec<_> = root.children().collect();
    assert_eq!(steps[0].attribute("Error"), Some("it's <\"&> no?room?"));
    assert_eq!(steps[0].attribute("At"), Some("1970-01-01T00:00:01Z"));
    assert_eq!((steps[1].tag_name().name(), steps[1].attribute("State")), ("RemoveDesktop", Some("Held")));
    assert_eq!(steps[2].attribute("State"), Some("Due"));
}

#[test]
fn the_longest_report_fits_a_message() {
    let long = "x".repeat(60);
    let mut job = job((0..MAX_STEPS).map(|n| Task::Add(name(&format!("{long}{n:03}")))).collect());
    for place in 0..MAX_STEPS {
        job.note(place, Attempt::Ended(StepEnd::Failed("&".repeat(5000))), Timestamp(0));
    }
    assert!(job.close(Timestamp(0)));
    // every `&` is `&amp;` in the report, and `&amp;amp;` in the message: no real error is of those
    assert!(xml::report(&job).replace("&amp;", "&").len() < 180_000, "{}", xml::report(&job).len());
}

const HOUR: i64 = 3_600_000;

fn patch(warning: u32) -> Patch {
    Patch {
        id: JobId(Uuid::from_u128(8)),
        collection: CollectionAlias::new("pool").unwrap(),
        by: "TEST\\root".into(),
        created: Timestamp(0),
        start: Timestamp(HOUR),
        deadline: Timestamp(2 * HOUR),
        warning,
        warned: BTreeMap::new(),
        state: PatchState::Open,
    }
}

#[test]
fn an_update_warns_ahead_of_its_deadline_and_then_logs_off() {
    let host = HostName::new("Host").unwrap();
    let mut patch = patch(300);
    let (start, warn, deadline) = (Timestamp(HOUR), Timestamp(2 * HOUR - 300_000), Timestamp(2 * HOUR));
    assert_eq!(patch.due(&host, Timestamp(0)), PatchDue::Nothing(Some(start)));
    assert_eq!(patch.due(&host, start), PatchDue::Nothing(Some(warn)));
    assert_eq!(patch.due(&host, warn), PatchDue::Note);
    patch.warned_on(&host, warn);
    patch.warned_on(&HostName::new("hOST").unwrap(), deadline);
    assert_eq!(patch.due(&host, Timestamp(deadline.0 - 1)), PatchDue::Warn(deadline));
    assert_eq!(patch.due(&host, deadline), PatchDue::LogOff, "the first word counts");
    let other = HostName::new("other").unwrap();
    assert_eq!(patch.due(&other, deadline), PatchDue::Note, "nobody was told there");
    patch.state = PatchState::Cancelled { at: deadline };
    assert_eq!(patch.due(&host, deadline), PatchDue::Nothing(None));
}

#[test]
fn whoever_is_told_late_has_the_time_all_the_same() {
    let host = HostName::new("host").unwrap();
    let mut patch = patch(300);
    let late = Timestamp(3 * HOUR);
    assert_eq!(patch.due(&host, late), PatchDue::Note);
    patch.warned_on(&host, late);
    assert_eq!(patch.due(&host, late), PatchDue::Warn(Timestamp(late.0 + 300_000)));
    assert_eq!(patch.due(&host, Timestamp(late.0 + 300_000)), PatchDue::LogOff);
    let silent = self::patch(0);
    assert_eq!(silent.due(&host, Timestamp(HOUR)), PatchDue::Nothing(Some(silent.deadline)));
    assert_eq!(silent.due(&host, silent.deadline), PatchDue::LogOff);
}

#[test]
fn a_warning_that_is_longer_than_there_is_time_moves_no_deadline() {
    let host = HostName::new("host").unwrap();
    let mut patch = patch(86_400);
    assert_eq!(patch.due(&host, Timestamp(0)), PatchDue::Note);
    patch.warned_on(&host, Timestamp(0));
    assert_eq!(patch.due(&host, Timestamp(1)), PatchDue::Warn(patch.deadline));
}

#[test]
fn an_update_stands_where_its_times_and_its_end_say() {
    let mut patch = patch(0);
    assert_eq!(patch.standing(Timestamp(0)), Standing::Scheduled);
    assert_eq!(patch.standing(patch.start), Standing::Running);
    assert_eq!(patch.settles_at(), Timestamp(HOUR + 10_000));
    patch.state = PatchState::Completed { at: patch.start };
    assert_eq!((patch.standing(Timestamp(0)), patch.is_open()), (Standing::Completed, false));
    assert_eq!(patch.key(), "pool", "one a collection");
}
