//! `openrdms session …`

mod watching;

use super::Failure;
use super::args::session::Watched;
use super::args::{Act, Fixed, Narrow, SessionCommand, Target};
use super::output::{Column, Output, confirm, duration, remark, text};
use super::remote::{OURS, Remote, Rows};
use futures_util::StreamExt as _;
use openrdms_cim::{Instance, ObjectPath, Params, Value};
use serde_json::{Value as Json, json};

const CLASS: &str = "OpenRDMS_Session";

/// How many sessions are acted on at once.
const AT_ONCE: usize = 8;

const COLUMNS: &[Column] = &[
    Column::new("COLLECTION", &["CollectionAlias"]),
    Column::new("USER", &["UserName"]),
    Column::new("HOST", &["HostName"]),
    Column::new("ID", &["SessionId"]),
    Column::new("STATE", &["State"]).coloured(),
    Column::made("IDLE", &["IdleSeconds"], |i| {
        let idle = i.get("IdleSeconds").as_int().and_then(|n| u64::try_from(n).ok());
        idle.map_or_else(|| "-".to_owned(), duration)
    }),
    Column::made("AGE", &["Created"], |i| span(i, "Created")),
    Column::made("IN STATE", &["StateSince"], |i| span(i, "StateSince")).wide(),
    Column::new("DOMAIN", &["DomainName"]).wide(),
    Column::new("DESKTOP", &["DesktopName"]).wide(),
    Column::new("UID", &["Uid"]).wide(),
    Column::made("SCREEN", &["DesktopWidth", "DesktopHeight"], screen).wide(),
    Column::new("SECURITY", &["ClientSecurity"]).wide(),
    Column::new("REASON", &["StateReason"]).wide(),
    Column::made("CLIENT", &["ClientMachineName", "ClientAddress"], client),
];

/// Seconds between a time of the session and the time when it was told, both by the service's clock.
fn seconds_since(session: &Instance, property: &str) -> Option<u64> {
    match (session.get(property), session.get("AsOf")) {
        (Value::Datetime { micros: then, .. }, Value::Datetime { micros: now, .. }) => {
            Some(u64::try_from((now - then) / 1_000_000).unwrap_or(0))
        }
        _ => None,
    }
}

fn span(session: &Instance, property: &str) -> String {
    seconds_since(session, property).map_or_else(|| "-".to_owned(), duration)
}

fn screen(session: &Instance) -> String {
    match (session.get("DesktopWidth").as_int(), session.get("DesktopHeight").as_int()) {
        (Some(width), Some(height)) => format!("{width}x{height}"),
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

/// What can be done to a session.
struct Action<'a> {
    method: &'static str,
    /// What people are asked about one session, and about several; `None`: nobody's work is hit.
    question: Option<(&'static str, &'static str)>,
    /// What the session is then.
    done: &'static str,
    params: Params,
    act: &'a Act,
}

pub(super) async fn run(command: &SessionCommand, remote: &Remote, output: &Output) -> Result<(), Failure> {
    let (act, method, question, done, params) = match command {
        SessionCommand::List { narrow, watch: true } => {
            let watched = Watched { fixed: narrow.fixed.clone(), state: narrow.state.clone() };
            return watching::run(&watched, remote, output).await;
        }
        SessionCommand::List { narrow, watch: false } => {
            return output.list(COLUMNS, remote.class(CLASS), rows(narrow, remote)).await;
        }
        SessionCommand::Watch(watched) => return watching::run(watched, remote, output).await,
        SessionCommand::Show(target) => {
            return output.show(&only(find(target, remote).await?)?, remote.class(CLASS));
        }
        SessionCommand::Disconnect(act) => {
            let question = (
                "Disconnect the client? The desktop keeps running.",
                "Disconnect their clients? The desktops keep running.",
            );
            (act, "Disconnect", Some(question), "disconnected", Params::default())
        }
        SessionCommand::Logoff(act) => {
            let question = (
                "Log the session off? Programs are ended; unsaved work is lost.",
                "Log them off? Programs are ended; unsaved work is lost.",
            );
            (act, "Logoff", Some(question), "logged off", Params::default())
        }
        SessionCommand::Forget(act) => {
            let question = (
                "Forget the session? If its host returns, its programs are ended; unsaved work is lost.",
                "Forget them? If their hosts return, programs are ended; unsaved work is lost.",
            );
            (act, "Forget", Some(question), "forgotten", Params::default())
        }
        SessionCommand::Message { act, title, text } => {
            let params = Params::default().with("Title", title.as_str()).with("Message", text.as_str());
            (act, "SendMessage", None, "shown the message", params)
        }
    };
    Action { method, question, done, params, act }.run(remote, output).await
}

/// What a session's properties have to be.
fn fixed(fixed: &Fixed) -> Vec<(&'static str, &str)> {
    let (domain, user) = match fixed.user.as_deref().map(|user| user.split_once('\\').ok_or(user)) {
        None => (None, None),
        Some(Ok((domain, user))) => (Some(domain), Some(user)),
        Some(Err(user)) => (None, Some(user)),
    };
    let equals = [
        ("UserName", user),
        ("DomainName", domain),
        ("HostName", fixed.host.as_deref()),
        ("CollectionAlias", fixed.collection.as_deref()),
    ];
    equals.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// The sessions that fit.
fn rows<'r>(narrow: &'r Narrow, remote: &'r Remote) -> Rows<'r> {
    let mut equals = fixed(&narrow.fixed);
    equals.extend(narrow.state.as_deref().map(|state| ("State", state)));
    let is_past = |session: &Instance, property, limit: Option<u32>| {
        limit.is_none_or(|limit| seconds_since(session, property).is_some_and(|age| age > limit.into()))
    };
    remote.list(CLASS, equals).filter(move |session| {
        is_past(session, "Created", narrow.older_than) && is_past(session, "StateSince", narrow.in_state_for)
    })
}

/// All sessions that are meant, at least one.
async fn find(target: &Target, remote: &Remote) -> Result<Vec<Instance>, Failure> {
    if let Some(uid) = &target.uid {
        let path = ObjectPath::class(OURS, CLASS).with_key("Uid", uid.as_str());
        return Ok(vec![remote.get(&path).await?]);
    }
    let number = |id: &str| {
        id.parse::<u32>().map(|_| ()).map_err(|_| {
            Failure::usage(format!("'{id}' is not a session id: `openrdms session list` shows them"))
        })
    };
    let found = match target.id.as_slice() {
        [] => rows(&target.narrow, remote),
        [id] => {
            number(id)?;
            remote.list(CLASS, vec![("SessionId", id)])
        }
        [host, id, ..] => {
            number(id)?;
            remote.list(CLASS, vec![("HostName", host), ("SessionId", id)])
        }
    };
    let found = found.all().await?;
    if found.is_empty() {
        return Err(Failure::not_found("no such session: `openrdms session list` shows which there are"));
    }
    Ok(found)
}

impl Target {
    /// Whether it says anything.
    fn is_empty(&self) -> bool {
        self.id.is_empty() && self.uid.is_none() && self.narrow.is_empty()
    }
}

/// The one that is meant; nobody is guessed at.
fn only(mut found: Vec<Instance>) -> Result<Instance, Failure> {
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (_, _) => Err(Failure::usage(format!(
            "{} sessions fit: name one by host and id, or by --uid",
            found.len() + 1
        ))),
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

impl Action<'_> {
    async fn run(self, remote: &Remote, output: &Output) -> Result<(), Failure> {
        let act = self.act;
        if act.target.is_empty() && !act.all {
            let ways = "[HOST] ID, --uid, or filters such as --user; --all without any means every session";
            return Err(Failure::usage(format!("say which session: {ways}")));
        }
        let found = find(&act.target, remote).await?;
        if !act.all {
            if found.len() > 1 {
                let shown: Vec<String> =
                    found.iter().take(10).map(|s| format!("\n  {}", describe(s))).collect();
                let more = if found.len() > shown.len() { "\n  …" } else { "" };
                return Err(Failure::usage(format!(
                    "{} sessions fit, and nothing was done: name one by host and id or by --uid, or add --all{}{more}",
                    found.len(),
                    shown.concat(),
                )));
            }
            return self.one(&only(found)?, remote, output).await;
        }
        self.several(&found, remote, output).await
    }

    async fn one(&self, session: &Instance, remote: &Remote, output: &Output) -> Result<(), Failure> {
        let who = describe(session);
        if self.act.dry_run {
            let sentence = format!("would call {} on {who}; nothing was done", self.method);
            return output.done(&sentence, &self.facts(session, "dry run", None));
        }
        if let Some((question, _)) = self.question {
            confirm(&format!("{who}: {question}"), self.act.force)?;
        }
        self.call(session, remote).await?;
        output.done(&format!("{who}: {}", self.done), &self.facts(session, "done", None))
    }

    /// All of them, some at once. One that fails holds nobody up; the exit code is that of the first failure.
    async fn several(&self, found: &[Instance], remote: &Remote, output: &Output) -> Result<(), Failure> {
        if self.act.dry_run {
            if output.is_for_people() {
                for session in found {
                    let who = describe(session);
                    output.done(&format!("would call {} on {who}; nothing was done", self.method), &[])?;
                }
            }
            let all: Vec<_> = found.iter().map(|s| self.facts(s, "dry run", None).to_vec()).collect();
            return output.done_all(&all);
        }
        if let (Some((_, question)), false) = (self.question, self.act.force) {
            for session in found {
                remark(&describe(session))?;
            }
            confirm(&format!("{} sessions: {question}", found.len()), false)?;
        }
        let calls = found.iter().map(|session| async move { (session, self.call(session, remote).await) });
        let mut calls = futures_util::stream::iter(calls).buffer_unordered(AT_ONCE);
        let (mut all, mut failed) = (Vec::new(), Vec::new());
        while let Some((session, outcome)) = calls.next().await {
            let who = describe(session);
            match outcome {
                Ok(()) => {
                    if output.is_for_people() {
                        output.done(&format!("{who}: {}", self.done), &[])?;
                    }
                    all.push(self.facts(session, "done", None).to_vec());
                }
                Err(failure) => {
                    remark(&format!("{who}: {}", failure.message))?;
                    all.push(self.facts(session, "failed", Some(&failure.message)).to_vec());
                    failed.push(failure.exit);
                }
            }
        }
        output.done_all(&all)?;
        match failed.first() {
            None => Ok(()),
            Some(exit) => Err(Failure {
                exit: *exit,
                message: format!("{} of {} sessions could not be {}", failed.len(), found.len(), self.done),
            }),
        }
    }

    fn facts(&self, session: &Instance, result: &str, error: Option<&str>) -> [(&'static str, Json); 6] {
        let id = session.get("SessionId").as_int().and_then(|n| u32::try_from(n).ok());
        [
            ("Uid", json!(text(session.get("Uid")))),
            ("SessionId", json!(id)),
            ("UserName", json!(text(session.get("UserName")))),
            ("Method", json!(self.method)),
            ("Result", json!(result)),
            ("Error", json!(error)),
        ]
    }

    async fn call(&self, session: &Instance, remote: &Remote) -> Result<(), Failure> {
        // Somebody was asked about this user: if the session is someone else's by now, nothing is done.
        let expected_user = self.act.expect_user.clone().unwrap_or_else(|| text(session.get("UserName")));
        let mut options = vec![("ExpectedUser".to_owned(), expected_user)];
        options.extend(self.act.expect_state.clone().map(|state| ("ExpectedState".to_owned(), state)));
        let path = ObjectPath::class(OURS, CLASS).with_key("Uid", text(session.get("Uid")));
        remote.invoke(&path, self.method, self.params.clone(), &options).await
    }
}
