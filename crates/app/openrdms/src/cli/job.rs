//! `openrdms job …`: long work with progress.

mod report;

use super::Failure;
use super::args::{JobCommand, time::When};
use super::input;
use super::list;
use super::output::{Column, Output, confirm, print, row, second, text};
use super::remote::{KNOWN, Remote, not_done};
use super::watch::Absence;
use openrdms_cim::{Instance, ObjectPath, Params, Value};
use report::Report;
use serde_json::json;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

const CLASS: &str = "Win32_RDMSVirtualDesktopCollection";

/// An order longer than this is refused anyway.
const MOST: u64 = 1 << 17;

/// How long to wait before a job is asked about again: the first time, and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

const COLUMNS: &[Column] = &[
    Column::new("JOB", &["JobGuid"]),
    Column::new("COLLECTION", &["Collection"]),
    Column::new("STATE", &["State"]).coloured(),
    Column::made("PROGRESS", &["Progress"], |i| format!("{}%", text(i.get("Progress")))),
    Column::new("FAILED", &["FailedSteps"]),
    Column::made("CREATED", &["Created"], |i| second(i.get("Created"))),
    Column::new("HOST", &["Host"]).wide(),
    Column::new("BY", &["By"]).wide(),
    Column::new("ENDED", &["EndedAt"]).wide(),
];

const STEPS: &[Column] = &[
    Column::new("STEP", &["Step"]),
    Column::new("DESKTOP", &["Name"]),
    Column::new("STATE", &["State"]).coloured(),
    Column::made("AT", &["At"], |i| second(i.get("At"))),
    Column::new("ERROR", &["Error"]),
];

/// What `GetPatchProperties` counts.
const UPDATES: [&str; 4] = ["Scheduled", "Running", "Completed", "Cancelled"];

pub(super) async fn run(command: &JobCommand, remote: &Remote, output: &Output) -> Result<(), Failure> {
    let class = ObjectPath::class(KNOWN, CLASS);
    let named = |guid: &str| Params::default().with("JobGuid", guid);
    match command {
        JobCommand::List { collection, watching } => {
            let ended = RefCell::new(HashMap::new());
            let look = async || Ok(remote.these(jobs(remote, collection.as_deref(), &ended).await?));
            list::run(output, COLUMNS, None, *watching, look).await
        }
        JobCommand::Show { job, xml } => {
            let told = report(remote, job).await?;
            if *xml {
                return output.text(&told);
            }
            let report = Report::read(&told)?;
            if !output.is_for_people() {
                return output.show(&report.whole(), None);
            }
            output.show(&report.job, None)?;
            print("\n")?;
            output.table_of(STEPS, &report.steps)
        }
        JobCommand::Run { file, wait } => {
            let order = Params::default().with("JobInputXml", input::text(file, MOST)?);
            let out = call(remote, &class, "ProvisioningJobExecute", order).await?;
            let job = out.get("JobGuid").as_str().unwrap_or_default();
            let begun = format!("job {job} is begun");
            if !*wait {
                return output.done(&begun, &[("JobGuid", json!(job)), ("Result", json!("begun"))]);
            }
            if output.is_for_people() {
                output.text(&begun)?;
            }
            end(job, remote, output).await
        }
        JobCommand::Cancel { job, force } => {
            confirm(&format!("Cancel the job {job}? What it has made stays."), *force)?;
            call(remote, &class, "ProvisioningJobCancel", named(job)).await?;
            output.done(
                &format!("job {job} is cancelled"),
                &[("JobGuid", json!(job)), ("Result", json!("cancelled"))],
            )
        }
        JobCommand::Update { alias, start, deadline, force } => {
            confirm(&format!("Log off who is still in {alias} from before then?"), *force)?;
            let now = jiff::Timestamp::now().as_microsecond();
            let start = start.unwrap_or(When::In(0));
            let params = Params::default()
                .with("StartTime", Value::utc(start.micros(now)))
                .with("ForceLogOffTime", Value::utc(deadline.micros(now)))
                .with("JobInputXml", r#"<UpdateJob xmlns="urn:openrdms:jobs:1"/>"#);
            call(remote, &class.with_key("Alias", alias.as_str()), "SchedulePatch", params).await?;
            output.done(
                &format!("the update of {alias} is scheduled"),
                &[("Alias", json!(alias)), ("Result", json!("scheduled"))],
            )
        }
        JobCommand::ShowUpdate { alias } => {
            let path = class.with_key("Alias", alias.as_str());
            let out = call(remote, &path, "GetPatchProperties", Params::default()).await?;
            let state = out.get("State").as_int().and_then(|at| UPDATES.get(usize::try_from(at).ok()?));
            let update = row("Update")
                .with("Alias", alias.as_str())
                .with("State", state.map_or_else(|| out.get("State").clone(), |name| Value::from(*name)))
                .with("StartTime", out.get("StartTime").clone())
                .with("ForceLogOffTime", out.get("ForceLogOffTime").clone())
                .with("JobGuid", out.get("JobGuid").clone());
            output.show(&update, None)
        }
        JobCommand::CancelUpdate { alias, force } => {
            confirm(&format!("Call off the update of {alias}? Who was logged off stays so."), *force)?;
            call(remote, &class.with_key("Alias", alias.as_str()), "CancelPatch", Params::default()).await?;
            output.done(
                &format!("the update of {alias} is called off"),
                &[("Alias", json!(alias)), ("Result", json!("cancelled"))],
            )
        }
    }
}

/// The jobs that there are, as their reports tell. Those that have ended stay as they are, and are asked about once.
async fn jobs(
    remote: &Remote,
    collection: Option<&str>,
    ended: &RefCell<HashMap<String, Instance>>,
) -> Result<Vec<Instance>, Failure> {
    let class = ObjectPath::class(KNOWN, CLASS);
    let mut rows = Vec::new();
    for kind in [0u32, 1] {
        let params =
            Params::default().with("JobType", kind).with("CollectionAlias", collection.unwrap_or_default());
        let out = call(remote, &class, "ProvisioningEnumerateJobs", params).await?;
        let Value::Array(ids) = out.get("JobGuids") else { continue };
        for id in ids.iter().filter_map(Value::as_str) {
            let known = ended.borrow().get(id).cloned();
            if let Some(row) = known {
                rows.push(row);
                continue;
            }
            let report = match report(remote, id).await {
                Ok(told) => Report::read(&told)?,
                // forgotten meanwhile
                Err(failure) if failure.exit == 3 => continue,
                Err(failure) => return Err(failure),
            };
            if report.has_ended() {
                ended.borrow_mut().insert(id.to_owned(), report.job.clone());
            }
            rows.push(report.job);
        }
    }
    // one that has ended between the two questions is in both answers
    let mut seen = HashSet::new();
    rows.retain(|row| seen.insert(text(row.get("JobGuid"))));
    Ok(rows)
}

/// The report of a job, as XML.
async fn report(remote: &Remote, job: &str) -> Result<String, Failure> {
    let class = ObjectPath::class(KNOWN, CLASS);
    let params = Params::default().with("JobGuid", job);
    let out = call(remote, &class, "ProvisioningJobGetReport", params).await?;
    Ok(out.get("JobReportXml").as_str().unwrap_or_default().to_owned())
}

/// Waits for the end of a job, also over a restart of the service, and tells it.
async fn end(job: &str, remote: &Remote, output: &Output) -> Result<(), Failure> {
    let (mut absence, mut wait) = (Absence::default(), AGAIN.0);
    let report = loop {
        match report(remote, job).await {
            Ok(told) => {
                absence.is_over()?;
                absence = Absence::default();
                let report = Report::read(&told)?;
                if report.has_ended() {
                    break report;
                }
                tokio::time::sleep(wait).await;
                wait = (2 * wait).min(AGAIN.1);
            }
            Err(failure) if failure.may_pass() => {
                absence.tell(&failure)?;
                absence.pause().await;
            }
            Err(failure) => return Err(failure),
        }
    };
    let (all, failed) = (text(report.job.get("Steps")), text(report.job.get("FailedSteps")));
    let sentence = format!("job {job} has ended: {}, {failed} of {all} steps failed", report.state());
    let facts = [("JobGuid", json!(job)), ("Result", json!(report.state().to_lowercase()))];
    if report.state() == "Completed" {
        return output.done(&sentence, &facts);
    }
    if !output.is_for_people() {
        output.done(&sentence, &facts)?;
    }
    Err(Failure::failed(format!("{sentence}; `openrdms job show {job}` tells more")))
}

/// A method that has to return 0: what it tells.
async fn call(remote: &Remote, path: &ObjectPath, method: &str, params: Params) -> Result<Params, Failure> {
    let result = remote.invoke_any(path, method, &params, &[]).await?;
    match result.return_value.as_int() {
        Some(0) => Ok(result.out),
        Some(code) => Err(not_done(method, code, result.reason)),
        None => Err(Failure::failed("the service answered something else than was asked")),
    }
}
