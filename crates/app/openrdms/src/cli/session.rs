//! `openrdms session …`

use super::args::{Act, SessionCommand, Target};
use super::output::{Column, Output, confirm, duration, text};
use super::{Failure, Remote};
use openrdms_cim::{Instance, ObjectPath, Params, Value};
use serde_json::json;

const CLASS: &str = "OpenRDMS_Session";

const COLUMNS: &[Column] = &[
    ("COLLECTION", |i| text(i.get("CollectionAlias"))),
    ("USER", |i| text(i.get("UserName"))),
    ("HOST", |i| text(i.get("HostName"))),
    ("ID", |i| text(i.get("SessionId"))),
    ("STATE", |i| text(i.get("State"))),
    ("IDLE", |i| seconds(i.get("IdleSeconds"))),
    ("AGE", age),
    ("CLIENT", client),
];

fn seconds(value: &Value) -> String {
    value.as_int().and_then(|n| u64::try_from(n).ok()).map_or_else(|| "-".to_owned(), duration)
}

fn age(session: &Instance) -> String {
    match (session.get("Created"), session.get("AsOf")) {
        (Value::Datetime { micros: created, .. }, Value::Datetime { micros: now, .. }) => {
            duration(u64::try_from((now - created) / 1_000_000).unwrap_or(0))
        }
        _ => "-".to_owned(),
    }
}

fn client(session: &Instance) -> String {
    match (session.get("ClientMachineName").as_str(), session.get("ClientAddress").as_str()) {
        (Some(name), Some(address)) => format!("{name} ({address})"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => "-".to_owned(),
    }
}

pub(super) async fn run(command: &SessionCommand, remote: &Remote, output: &Output) -> Result<(), Failure> {
    match command {
        SessionCommand::List { user, collection, state } => {
            let filters = [("UserName", user), ("CollectionAlias", collection), ("State", state)];
            let equals =
                filters.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect();
            output.list(COLUMNS, &remote.list(CLASS, equals).await?)
        }
        SessionCommand::Show(target) => output.show(&find(target, remote).await?),
        SessionCommand::Disconnect(act) => {
            let question = "Disconnect the client? The desktop keeps running.";
            invoke(act, remote, output, "Disconnect", question, "disconnected", Params::default()).await
        }
        SessionCommand::Logoff(act) => {
            let question = "Log the session off? Programs are ended; unsaved work is lost.";
            invoke(act, remote, output, "Logoff", question, "logged off", Params::default()).await
        }
        SessionCommand::Forget(act) => {
            let question =
                "Forget the session? If its host returns, its programs are ended; unsaved work is lost.";
            invoke(act, remote, output, "Forget", question, "forgotten", Params::default()).await
        }
        SessionCommand::Message { act, title, text } => {
            let params = Params::default().with("Title", title.as_str()).with("Message", text.as_str());
            invoke(act, remote, output, "SendMessage", "Show the message?", "shown the message", params).await
        }
    }
}

async fn find(target: &Target, remote: &Remote) -> Result<Instance, Failure> {
    if let Some(uid) = &target.uid {
        return remote.get(&ObjectPath::class("root/openrdms", CLASS).with_key("Uid", uid.as_str())).await;
    }
    let equals = match (&target.user, target.id.as_slice()) {
        (Some(user), _) => vec![("UserName", user.as_str())],
        (None, [id]) => vec![("SessionId", id.as_str())],
        (None, [host, id]) => vec![("HostName", host.as_str()), ("SessionId", id.as_str())],
        (None, _) => return Err(Failure::usage("say which session: [HOST] ID, --user or --uid")),
    };
    if let Some((_, id)) = equals.iter().find(|(name, id)| *name == "SessionId" && id.parse::<u32>().is_err())
    {
        return Err(Failure::usage(format!(
            "'{id}' is not a session id: `openrdms session list` shows them"
        )));
    }
    let mut found = remote.list(CLASS, equals).await?;
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => {
            Err(Failure::usage("several sessions match: name one by host and id, or by --uid"))
        }
        (None, _) => {
            Err(Failure::not_found("no such session: `openrdms session list` shows which there are"))
        }
    }
}

fn describe(session: &Instance) -> String {
    let get = |name: &str| text(session.get(name));
    format!(
        "session {} of {} on {} ({})",
        get("SessionId"),
        get("UserName"),
        get("DesktopName"),
        get("State")
    )
}

async fn invoke(
    act: &Act,
    remote: &Remote,
    output: &Output,
    method: &str,
    question: &str,
    done: &str,
    params: Params,
) -> Result<(), Failure> {
    let session = find(&act.target, remote).await?;
    let who = describe(&session);
    let facts = |result: &str| {
        [
            ("Uid", json!(text(session.get("Uid")))),
            ("SessionId", json!(session.get("SessionId").as_int().and_then(|n| u32::try_from(n).ok()))),
            ("Method", json!(method)),
            ("Result", json!(result)),
        ]
    };
    if act.dry_run {
        return output.done(&format!("would call {method} on {who}; nothing was done"), &facts("dry run"));
    }
    // a message hits nobody's work: it is not asked about
    confirm(&format!("{who}: {question}"), act.force || method == "SendMessage")?;
    // The person was asked about this user: if the session is someone else's by now, nothing is done.
    let expected_user = act.expect_user.clone().unwrap_or_else(|| text(session.get("UserName")));
    let mut options = vec![("ExpectedUser".to_owned(), expected_user)];
    options.extend(act.expect_state.clone().map(|state| ("ExpectedState".to_owned(), state)));
    let path = ObjectPath::class("root/openrdms", CLASS).with_key("Uid", text(session.get("Uid")));
    remote.invoke(&path, method, params, &options).await?;
    output.done(&format!("{who}: {done}"), &facts("done"))
}
