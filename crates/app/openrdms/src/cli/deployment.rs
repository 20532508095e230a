//! `openrdms export` and `openrdms import`: a deployment as one file that people can read and edit.
//!
//! The file has the properties of the management classes under their own names. It has no passwords and no keys:
//! accounts are named only. Import adds and changes what the file says, removes nothing, and does nothing at all
//! where the file has a mistake.

mod file;
mod plan;
mod rules;
mod section;

use super::Failure;
use super::args::ImportArgs;
use super::input;
use super::output::{Output, confirm, print, remark};
use super::remote::Remote;
use openrdms_cim::{Instance, Value};
use plan::Step;
use section::{DESKTOPS, MACHINES, Rows, SECTIONS, SERVERS, of_class, says, text};
use serde_json::json;
use std::collections::HashSet;

/// A file longer than this is not ours.
const MOST: u64 = 32 << 20;

pub(super) async fn export(remote: &Remote) -> Result<(), Failure> {
    print(&file::write(&made(present(remote).await?)))
}

/// Everything that a file can speak of, as the service has it now; one list a section.
async fn present(remote: &Remote) -> Result<Vec<Rows>, Failure> {
    let mut all = Vec::with_capacity(SECTIONS.len());
    for section in SECTIONS {
        all.push(remote.list_in(section.namespace, section.class, Vec::new()).all().await?);
    }
    Ok(all)
}

/// What of it somebody has made: the rest comes by itself where the service runs.
fn made(mut all: Vec<Rows>) -> Vec<Rows> {
    let is_machine = |row: &Instance| says(row, "Address");
    let machines: HashSet<String> = of_class(MACHINES, &all)
        .iter()
        .filter(|row| is_machine(row))
        .map(|row| text(row, "Name").to_lowercase())
        .collect();
    for (section, rows) in SECTIONS.iter().zip(&mut all) {
        match section.class {
            MACHINES => rows.retain(is_machine),
            // the desktop of a machine comes and goes with it
            DESKTOPS => rows.retain(|row| !machines.contains(&text(row, "HostName").to_lowercase())),
            SERVERS => rows.retain(|row| {
                !["IsRdcb", "IsRdvh", "IsRdsh"].iter().any(|role| row.get(role) == &Value::Boolean(true))
            }),
            _ => {}
        }
    }
    all
}

pub(super) async fn import(args: &ImportArgs, remote: &Remote, output: &Output) -> Result<(), Failure> {
    let wanted = file::read(&input::text(&args.file, MOST)?, remote).map_err(mistakes)?;
    let plan = plan::make(&present(remote).await?, &wanted).map_err(mistakes)?;
    for account in &plan.missing {
        remark(&format!("openrdms: the account {account} is not there; passwords are not in the file"))?;
    }
    for host in &plan.elsewhere {
        remark(&format!("openrdms: the host {host} is not there; its settings are left out"))?;
    }
    let told = |step: &Step, result: &str| vec![("Step", json!(step.sentence)), ("Result", json!(result))];
    if args.dry_run || plan.steps.is_empty() {
        let (said, result) = if args.dry_run { ("would: ", "dry run") } else { ("", "done") };
        for step in plan.steps.iter().filter(|_| output.is_for_people()) {
            output.text(&format!("{said}{}", step.sentence))?;
        }
        if plan.steps.is_empty() && output.is_for_people() {
            output.text("nothing to do: it is all there")?;
        }
        return output.done_all(&plan.steps.iter().map(|step| told(step, result)).collect::<Vec<_>>());
    }
    confirm(&format!("Do {} steps? --dry-run says which.", plan.steps.len()), args.force)?;
    let mut done = Vec::new();
    for step in &plan.steps {
        step.run(remote).await.map_err(|failure| Failure {
            message: format!("{}: {}; {} steps were done before", step.sentence, failure.message, done.len()),
            ..failure
        })?;
        if output.is_for_people() {
            output.text(&step.sentence)?;
        }
        done.push(told(step, "done"));
    }
    output.done_all(&done)
}

fn mistakes(all: Vec<String>) -> Failure {
    Failure::usage(format!("nothing was changed:\n  {}", all.join("\n  ")))
}
