//! `openrdms job …`: long work with progress.

use super::Failure;
use super::args::{JobCommand, time::When};
use super::list;
use super::output::{Column, Output, confirm};
use super::remote::{KNOWN, Remote, not_done};
use openrdms_cim::{Instance, ObjectPath, Params, Value};
use serde_json::json;
use std::io::Read as _;
use std::path::Path;

const CLASS: &str = "Win32_RDMSVirtualDesktopCollection";

/// An order longer than this is refused anyway.
const MOST: u64 = 1 << 17;

const COLUMNS: &[Column] = &[Column::new("JOB", &["JobGuid"]), Column::new("STATE", &["State"])];

pub(super) async fn run(command: &JobCommand, remote: &Remote, output: &Output) -> Result<(), Failure> {
    let class = ObjectPath::class(KNOWN, CLASS);
    let named = |guid: &str| Params::default().with("JobGuid", guid);
    match command {
        JobCommand::List { collection, watching } => {
            let look = async || Ok(remote.these(jobs(remote, collection.as_deref()).await?));
            list::run(output, COLUMNS, None, *watching, look).await
        }
        JobCommand::Show { job } => {
            let out = call(remote, &class, "ProvisioningJobGetReport", named(job)).await?;
            output.text(out.get("JobReportXml").as_str().unwrap_or_default())
        }
        JobCommand::Run { file } => {
            let order = Params::default().with("JobInputXml", contents(file)?);
            let out = call(remote, &class, "ProvisioningJobExecute", order).await?;
            let job = out.get("JobGuid").as_str().unwrap_or_default();
            output
                .done(&format!("job {job} is begun"), &[("JobGuid", json!(job)), ("Result", json!("begun"))])
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
        JobCommand::CancelUpdate { alias } => {
            call(remote, &class.with_key("Alias", alias.as_str()), "CancelPatch", Params::default()).await?;
            output.done(
                &format!("the update of {alias} is called off"),
                &[("Alias", json!(alias)), ("Result", json!("cancelled"))],
            )
        }
    }
}

/// The jobs that there are, as rows of a list: the methods tell only their identifiers.
async fn jobs(remote: &Remote, collection: Option<&str>) -> Result<Vec<Instance>, Failure> {
    let class = ObjectPath::class(KNOWN, CLASS);
    let mut rows = Vec::new();
    for (kind, state) in [(0u32, "open"), (1, "ended")] {
        let params =
            Params::default().with("JobType", kind).with("CollectionAlias", collection.unwrap_or_default());
        let out = call(remote, &class, "ProvisioningEnumerateJobs", params).await?;
        let Value::Array(ids) = out.get("JobGuids") else { continue };
        rows.extend(ids.iter().cloned().map(|id| {
            Instance { class: "Job".into(), namespace: String::new(), properties: Vec::new() }
                .with("JobGuid", id)
                .with("State", state)
        }));
    }
    Ok(rows)
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

fn contents(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::fs::File::open(file).and_then(|file| file.take(MOST).read_to_string(&mut text));
    read.map_err(|error| Failure::usage(format!("{} cannot be read: {error}", file.display())))?;
    Ok(text)
}
