//! The methods of `Win32_RDMSVirtualDesktopCollection` that begin long work: provisioning jobs and updates. What their
//! XML says is stated in `schema/jobs.xsd`.

use crate::classes::datetime;
use crate::error::MethodError;
use crate::provider::{Call, Context, no_method};
use openrdms_broker::job::{Job, JobId, xml};
use openrdms_broker::ports::StoreError;
use openrdms_broker::{Collection, Timestamp};
use openrdms_cim::{CimError, Params, Value, WmiCode};
use openrdms_engine::{EngineError, JobFilter};

/// The static ones.
pub(super) async fn provisioning(cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
    match call.method {
        "ProvisioningJobExecute" => {
            let order = xml::read_order(call.params.required_string("JobInputXml")?).map_err(invalid)?;
            call.audit.target = order.collection.to_string();
            let id = cx.engine.execute_job(&order, &call.who.name).await.map_err(said)?;
            call.audit.detail = id.to_string();
            call.answer("JobGuid", id.to_string());
            Ok(())
        }
        "ProvisioningJobCancel" => {
            let id = id(call)?;
            cx.engine.cancel_job(id).await.map_err(said)
        }
        "ProvisioningJobGetReport" => {
            let id = id(call)?;
            let report = xml::report(&cx.engine.job(id).await.map_err(said)?);
            call.answer("JobReportXml", report);
            Ok(())
        }
        "ProvisioningEnumerateJobs" => {
            let jobs = listed(cx, call.params).await?;
            let ids = jobs.iter().map(|job| Value::from(job.id.to_string())).collect();
            call.answer("JobGuids", Value::Array(ids));
            Ok(())
        }
        // none of its parameters is looked at, told or kept: one is a password
        "ProvisioningPrepJob" => {
            let why = "local desktops have no template: they have the software of their host";
            Err(MethodError::said(WmiCode::WBEM_E_NOT_SUPPORTED, why))
        }
        _ => Err(no_method(call)),
    }
}

/// Those of a collection.
pub(super) async fn patch(
    cx: &Context,
    call: &mut Call<'_>,
    collection: &Collection,
) -> Result<(), MethodError> {
    let alias = collection.alias.as_str();
    match call.method {
        "SchedulePatch" => {
            let times = (time(call.params, "StartTime")?, time(call.params, "ForceLogOffTime")?);
            let order = xml::read_patch(call.params.required_string("JobInputXml")?).map_err(invalid)?;
            let scheduled = cx.engine.schedule_patch(alias, times, order, &call.who.name).await;
            let id = scheduled.map_err(|error| match error {
                EngineError::Store(StoreError::Conflict(_)) => {
                    let why = "an update of this collection is scheduled already: cancel it first";
                    MethodError::said(WmiCode::WBEM_E_ALREADY_EXISTS, why)
                }
                other => said(other),
            })?;
            call.audit.detail = id.to_string();
            Ok(())
        }
        "CancelPatch" => cx.engine.cancel_patch(alias).await.map_err(said),
        "GetPatchProperties" => {
            let patch = cx.engine.patch(alias).await.map_err(said)?;
            call.out = Params::default()
                .with("StartTime", datetime(patch.start))
                .with("ForceLogOffTime", datetime(patch.deadline))
                .with("JobGuid", patch.id.to_string())
                .with("State", patch.standing(cx.engine.now()) as u32);
            Ok(())
        }
        _ => Err(no_method(call)),
    }
}

async fn listed(cx: &Context, params: &Params) -> Result<Vec<Job>, MethodError> {
    let filter = match params.required_uint32("JobType")? {
        0 => JobFilter::Open,
        1 => JobFilter::Ended,
        _ => return Err(invalid("JobType is 0 (running) or 1 (completed)")),
    };
    let alias = params.string("CollectionAlias")?.filter(|alias| !alias.is_empty());
    if let Some(alias) = alias {
        let found = cx.engine.store().collection(alias).await?;
        found.ok_or_else(|| said(EngineError::NotFound("collection")))?;
    }
    cx.engine.jobs(filter, alias).await.map_err(MethodError::from)
}

fn id(call: &mut Call<'_>) -> Result<JobId, MethodError> {
    let text = call.params.required_string("JobGuid")?;
    let id = JobId::parse(text).ok_or_else(|| invalid("JobGuid is no GUID"))?;
    call.audit.target = id.to_string();
    Ok(id)
}

fn time(params: &Params, name: &str) -> Result<Timestamp, CimError> {
    match params.get(name) {
        Value::Null => Err(CimError::new(
            WmiCode::WBEM_E_MISSING_PARAMETER_ID,
            format!("the parameter '{name}' is missing"),
        )),
        Value::Datetime { micros, .. } => Ok(Timestamp(micros.div_euclid(1000))),
        _ => {
            let text = format!("'{name}' is to be a time, of which all digits are known");
            Err(CimError::new(WmiCode::WBEM_E_INVALID_METHOD_PARAMETERS, text))
        }
    }
}

/// What is not there is named by a parameter: a code, and no fault, unless the store is away.
fn said(error: EngineError) -> MethodError {
    let missing = matches!(error, EngineError::NotFound(_));
    let error = MethodError::from(error);
    MethodError { fault: error.fault && !missing, ..error }
}

fn invalid(why: impl ToString) -> MethodError {
    MethodError::said(WmiCode::WBEM_E_INVALID_PARAMETER, why.to_string())
}
