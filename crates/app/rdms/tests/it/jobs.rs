//! Provisioning jobs and updates of collections, as Windows Server's class has them.

use crate::support::{World, until};
use crate::{MICROSOFT, admin, rdms, user};
use openrdms_broker::job::xml::NAMESPACE;
use openrdms_cim::{CimService as _, ObjectPath, Params, Value, WmiCode};
use openrdms_engine::Engine;
use openrdms_rdms::Rdms;
use tokio_util::sync::CancellationToken;

const NOT_FOUND: u32 = WmiCode::WBEM_E_NOT_FOUND.0;
const INVALID: u32 = WmiCode::WBEM_E_INVALID_PARAMETER.0;
const SECRET: &str = "correct-horse-battery";

fn class() -> ObjectPath {
    ObjectPath::class(MICROSOFT, "Win32_RDMSVirtualDesktopCollection")
}

fn pool() -> ObjectPath {
    class().with_key("Alias", "pool")
}

fn none() -> Params {
    Params::default()
}

fn input(inside: &str) -> Params {
    let text = format!("<ProvisioningJob xmlns='{NAMESPACE}' Collection='pool'>{inside}</ProvisioningJob>");
    none().with("JobInputXml", text)
}

/// `ReturnValue` and OUT parameters.
async fn call(rdms: &Rdms, path: &ObjectPath, method: &str, params: Params) -> (u32, Params) {
    let done = rdms.invoke(&admin(), path, method, params, &[]).await.unwrap();
    let Value::Uint32(code) = done.return_value else { panic!("{method} answers no uint32") };
    (code, done.out)
}

async fn code(rdms: &Rdms, path: &ObjectPath, method: &str, params: Params) -> u32 {
    call(rdms, path, method, params).await.0
}

/// The code of the fault.
async fn fault(rdms: &Rdms, path: &ObjectPath, method: &str, params: Params) -> WmiCode {
    rdms.invoke(&admin(), path, method, params, &[]).await.expect_err("it is refused").code
}

async fn begin(rdms: &Rdms, inside: &str) -> String {
    let (code, out) = call(rdms, &class(), "ProvisioningJobExecute", input(inside)).await;
    assert_eq!(code, 0);
    out.get("JobGuid").as_str().unwrap().to_owned()
}

async fn report(rdms: &Rdms, id: &str) -> String {
    let (code, out) = call(rdms, &class(), "ProvisioningJobGetReport", none().with("JobGuid", id)).await;
    assert_eq!(code, 0);
    out.get("JobReportXml").as_str().unwrap().to_owned()
}

async fn listed(rdms: &Rdms, kind: u32, alias: Value) -> Value {
    let params = none().with("JobType", kind).with("CollectionAlias", alias);
    let (code, out) = call(rdms, &class(), "ProvisioningEnumerateJobs", params).await;
    assert_eq!(code, 0);
    out.get("JobGuids").clone()
}

fn run(engine: &Engine) -> CancellationToken {
    let (engine, stop) = (engine.clone(), CancellationToken::new());
    let token = stop.clone();
    tokio::spawn(async move { engine.run_jobs(token).await });
    stop
}

fn time(engine: &Engine, seconds: i64) -> Value {
    Value::utc((engine.now().0 + seconds * 1000) * 1000)
}

fn update(engine: &Engine, start: i64, deadline: i64, xml: &str) -> Params {
    none()
        .with("StartTime", time(engine, start))
        .with("ForceLogOffTime", time(engine, deadline))
        .with("JobInputXml", xml)
}

#[tokio::test]
async fn a_job_is_begun_listed_reported_and_done() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let id = begin(&rdms, "<AddDesktops Count='3'/>").await;
    assert!(id.starts_with('{') && id.ends_with('}'), "{id}");
    let one = Value::Array(vec![id.as_str().into()]);
    for alias in [Value::Null, "".into(), "POOL".into()] {
        assert_eq!(listed(&rdms, 0, alias).await, one);
    }
    assert_eq!(listed(&rdms, 1, Value::Null).await, Value::Array(Vec::new()));
    assert!(report(&rdms, &id).await.contains("State=\"Running\" Progress=\"0\" Steps=\"3\" Ended=\"0\""));
    let stop = run(&world.engine);
    until(|| async { report(&rdms, &id).await.contains("State=\"Completed\" Progress=\"100\"") }).await;
    assert_eq!(
        (listed(&rdms, 0, Value::Null).await, listed(&rdms, 1, "pool".into()).await),
        (Value::Array(Vec::new()), one)
    );
    let bare = id.trim_matches(['{', '}']).to_uppercase();
    let told = report(&rdms, &bare).await;
    assert!(told.contains("<AddDesktop Name=\"pool-003\" State=\"Done\" At=\""), "{told}");
    assert!(told.contains("By=\"TEST\\root\"") && told.contains("Host=\"host\""), "{told}");
    let ended = WmiCode::WBEM_E_INVALID_OPERATION.0;
    assert_eq!(code(&rdms, &class(), "ProvisioningJobCancel", none().with("JobGuid", bare)).await, ended);
    let trail = world.engine.store().audit(50).await.unwrap();
    let begun = trail.iter().find(|record| record.action.ends_with(".ProvisioningJobExecute")).unwrap();
    assert_eq!((begun.target.as_str(), begun.detail.as_str()), ("pool", id.as_str()));
    stop.cancel();
}

#[tokio::test]
async fn a_job_is_cancelled_between_steps() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    world.host.prepared.lock().unwrap().clear();
    world.host.may_prepare.send_replace(0);
    let stop = run(&world.engine);
    let id = begin(&rdms, "<AddDesktops Count='9'/>").await;
    let params = none().with("JobGuid", id.as_str());
    let held = world.engine.clone();
    let release = async {
        let job = openrdms_broker::job::JobId::parse(&id).unwrap();
        until(|| async { held.job(job).await.unwrap().state.as_str() == "Cancelling" }).await;
        world.host.may_prepare.send_replace(usize::MAX);
    };
    let class = class();
    let (code, ()) = tokio::join!(code(&rdms, &class, "ProvisioningJobCancel", params), release);
    assert_eq!(code, 0);
    let told = report(&rdms, &id).await;
    assert!(told.contains("State=\"Cancelled\"") && told.contains("NotBegun"), "{told}");
    stop.cancel();
}

#[tokio::test]
async fn what_is_no_job_is_answered_with_its_code() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let unknown = "{11111111-2222-3333-4444-555555555555}";
    for method in ["ProvisioningJobCancel", "ProvisioningJobGetReport"] {
        assert_eq!(
            code(&rdms, &class(), method, none().with("JobGuid", unknown)).await,
            NOT_FOUND,
            "{method}"
        );
        for garbage in ["", "x", "{}", "'; DROP TABLE document; --"] {
            assert_eq!(
                code(&rdms, &class(), method, none().with("JobGuid", garbage)).await,
                INVALID,
                "{method}"
            );
        }
        let missing = WmiCode::WBEM_E_MISSING_PARAMETER_ID;
        assert_eq!(fault(&rdms, &class(), method, none()).await, missing, "{method}");
    }
    let list = "ProvisioningEnumerateJobs";
    assert_eq!(fault(&rdms, &class(), list, none()).await, WmiCode::WBEM_E_MISSING_PARAMETER_ID);
    assert_eq!(code(&rdms, &class(), list, none().with("JobType", 2u32)).await, INVALID);
    let nowhere = none().with("JobType", 0u32).with("CollectionAlias", "nowhere");
    assert_eq!(code(&rdms, &class(), list, nowhere).await, NOT_FOUND);
    let execute = "ProvisioningJobExecute";
    let entity = "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>";
    for wrong in ["", "x", "<x/>", entity] {
        assert_eq!(
            code(&rdms, &class(), execute, none().with("JobInputXml", wrong)).await,
            INVALID,
            "{wrong}"
        );
    }
    assert_eq!(code(&rdms, &class(), execute, input("")).await, INVALID);
    let full = (0..3).fold(String::new(), |text, _| text + "<AddDesktops Count='400'/>");
    assert_eq!(code(&rdms, &class(), execute, input(&full)).await, INVALID);
    let elsewhere =
        input("<AddDesktops Count='1'/>").get("JobInputXml").as_str().unwrap().replace("'pool'", "'lab'");
    assert_eq!(code(&rdms, &class(), execute, none().with("JobInputXml", elsewhere)).await, NOT_FOUND);
    let failed = world.engine.store().audit(1).await.unwrap().remove(0);
    assert_eq!(failed.detail, "no such collection");
    for count in 0..50 {
        begin(&rdms, &format!("<AddDesktop Name='x{count}'/>")).await;
    }
    let quota = WmiCode::WBEM_E_QUOTA_VIOLATION.0;
    assert_eq!(code(&rdms, &class(), execute, input("<AddDesktops Count='1'/>")).await, quota);
}

#[tokio::test]
async fn a_mistake_in_the_xml_is_in_the_trail_with_its_place() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    assert_eq!(code(&rdms, &class(), "ProvisioningJobExecute", input("\n  <Reboot/>")).await, INVALID);
    let record = world.engine.store().audit(1).await.unwrap().remove(0);
    assert!(record.detail.starts_with("line 2, column 3: 'Reboot' is not expected"), "{}", record.detail);
}

#[tokio::test]
async fn no_template_is_prepared_and_the_password_is_nowhere() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let params = none()
        .with("CollectionAlias", "pool")
        .with("VMHostName", "host")
        .with("VMName", "gold")
        .with("ExportToLocation", "/srv")
        .with("bSysPrep", true)
        .with("UserName", "Administrator")
        .with("Password", SECRET);
    let (code, out) = call(&rdms, &class(), "ProvisioningPrepJob", params.clone()).await;
    assert_eq!(code, WmiCode::WBEM_E_NOT_SUPPORTED.0);
    let denied = rdms.invoke(&user("alice"), &class(), "ProvisioningPrepJob", params, &[]).await.unwrap_err();
    let trail = world.engine.store().audit(50).await.unwrap();
    assert!(trail.iter().any(|record| record.action.ends_with(".ProvisioningPrepJob")));
    for said in [format!("{out:?}"), format!("{denied:?}"), format!("{trail:?}")] {
        assert!(!said.contains(SECRET), "{said}");
    }
}

#[tokio::test]
async fn an_update_is_scheduled_told_and_called_off() {
    let world = World::new().await;
    let (rdms, engine) = (rdms(&world.engine), &world.engine);
    let xml = format!("<UpdateJob xmlns='{NAMESPACE}' WarningSeconds='60'/>");
    assert_eq!(code(&rdms, &pool(), "GetPatchProperties", none()).await, NOT_FOUND);
    assert_eq!(code(&rdms, &pool(), "CancelPatch", none()).await, NOT_FOUND);
    let schedule = update(engine, 600, 1200, &xml);
    assert_eq!(code(&rdms, &pool(), "SchedulePatch", schedule.clone()).await, 0);
    let (code_, told) = call(&rdms, &pool(), "GetPatchProperties", none()).await;
    assert_eq!((code_, told.get("State")), (0, &Value::Uint32(0)));
    for name in ["StartTime", "ForceLogOffTime"] {
        assert_eq!(told.get(name), schedule.get(name), "{name}");
    }
    assert!(told.get("JobGuid").as_str().is_some_and(|id| id.len() == 38));
    let exists = WmiCode::WBEM_E_ALREADY_EXISTS.0;
    assert_eq!(code(&rdms, &pool(), "SchedulePatch", update(engine, 5, 10, &xml)).await, exists);
    assert_eq!(code(&rdms, &pool(), "CancelPatch", none()).await, 0);
    assert_eq!(code(&rdms, &pool(), "CancelPatch", none()).await, NOT_FOUND);
    let after = call(&rdms, &pool(), "GetPatchProperties", none()).await.1;
    assert_eq!((after.get("State"), after.get("JobGuid")), (&Value::Uint32(3), told.get("JobGuid")));
    assert_eq!(code(&rdms, &pool(), "SchedulePatch", update(engine, -5, 10, &xml)).await, 0);
    let running = call(&rdms, &pool(), "GetPatchProperties", none()).await.1;
    assert_eq!(running.get("State"), &Value::Uint32(1));
}

#[tokio::test]
async fn an_update_that_cannot_be_is_answered_with_its_code() {
    let world = World::new().await;
    let (rdms, engine) = (rdms(&world.engine), &world.engine);
    let xml = format!("<UpdateJob xmlns='{NAMESPACE}'/>");
    for (start, deadline) in [(20, 10), (-20, -10)] {
        let params = update(engine, start, deadline, &xml);
        assert_eq!(code(&rdms, &pool(), "SchedulePatch", params).await, INVALID, "{start} {deadline}");
    }
    for wrong in ["", "<UpdateJob/>", "garbage"] {
        assert_eq!(
            code(&rdms, &pool(), "SchedulePatch", update(engine, 1, 2, wrong)).await,
            INVALID,
            "{wrong}"
        );
    }
    let whole = update(engine, 1, 2, &xml);
    for left_out in ["StartTime", "ForceLogOffTime", "JobInputXml"] {
        let mut params = whole.clone();
        params.0.retain(|(name, _)| name != left_out);
        let missing = WmiCode::WBEM_E_MISSING_PARAMETER_ID;
        assert_eq!(fault(&rdms, &pool(), "SchedulePatch", params.clone()).await, missing, "{left_out}");
        let mistyped = params.with(left_out, true);
        let wrong = WmiCode::WBEM_E_INVALID_METHOD_PARAMETERS;
        assert_eq!(fault(&rdms, &pool(), "SchedulePatch", mistyped).await, wrong, "{left_out}");
    }
    let nowhere = class().with_key("Alias", "nowhere");
    for method in ["CancelPatch", "GetPatchProperties"] {
        assert_eq!(fault(&rdms, &nowhere, method, none()).await, WmiCode::WBEM_E_NOT_FOUND, "{method}");
    }
    assert_eq!(fault(&rdms, &nowhere, "SchedulePatch", whole).await, WmiCode::WBEM_E_NOT_FOUND);
    assert_eq!(code(&rdms, &pool(), "GetPatchProperties", none()).await, NOT_FOUND, "nothing was scheduled");
}

#[tokio::test]
async fn jobs_and_updates_take_the_role_admin() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    for method in [
        "ProvisioningEnumerateJobs",
        "ProvisioningJobExecute",
        "ProvisioningJobCancel",
        "ProvisioningJobGetReport",
        "SchedulePatch",
        "CancelPatch",
        "GetPatchProperties",
    ] {
        let denied = rdms.invoke(&user("alice"), &pool(), method, none(), &[]).await.unwrap_err();
        assert_eq!(denied.code, WmiCode::WBEM_E_ACCESS_DENIED, "{method}");
    }
}
