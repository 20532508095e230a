//! Does what a line says, and compares.

use super::script::{Block, Line, Pairs};
use crate::support::{Client, World};
use crate::{admin, rdms};
use openrdms_broker::document::Publication;
use openrdms_broker::session::{Cause, DetachReason, LostReason};
use openrdms_broker::{ConnectionId, Session, SessionUid, State, Timestamp};
use openrdms_cim::wql::{Plan, Select};
use openrdms_cim::{
    CimError, CimService as _, Class, Enumeration, Limits, Method, ObjectPath, Params, Principal, Type,
    Value, WmiCode,
};
use openrdms_rdms::Rdms;
use std::collections::HashMap;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A deployment of its own for the lines of one class.
pub(crate) struct Runner<'a> {
    pub(crate) block: &'a Block,
    world: World,
    pub(crate) rdms: Rdms,
    /// What lines have given names to.
    names: HashMap<String, String>,
    session: Option<SessionUid>,
    jobs: CancellationToken,
}

/// A code, and what came with it by name.
type Answer = (String, Pairs);

/// How long a look waits for what it expects.
const PATIENCE: Duration = Duration::from_secs(10);

impl<'a> Runner<'a> {
    pub(crate) async fn new(block: &'a Block) -> Self {
        let world = World::new().await;
        let rdms = rdms(&world.engine);
        Self { block, world, rdms, names: HashMap::new(), session: None, jobs: CancellationToken::new() }
    }

    pub(crate) fn class(&self) -> Class {
        self.rdms.repository().class(&self.block.namespace, &self.block.class).unwrap().clone()
    }

    /// Does a line and looks at what it did; what was answered, or what is wrong.
    pub(crate) async fn run(&mut self, line: &Line) -> Result<String, String> {
        let answer = self.answer(line).await;
        self.compare(line, &answer)?;
        if line.code == "0" && line.expected.is_empty() && line.looks.is_empty() && line.class.is_none() {
            return Err(format!("line {}: nobody looks at what it did", line.number));
        }
        for look in &line.looks {
            let begun = tokio::time::Instant::now();
            loop {
                let answer = self.answer(look).await;
                match self.compare(look, &answer) {
                    Ok(()) => break,
                    Err(wrong) if begun.elapsed() > PATIENCE => return Err(wrong),
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await, // polls a condition
                }
            }
        }
        Ok(answer.0)
    }

    /// Gives names to what has none yet, and holds the rest against what came.
    fn compare(&mut self, line: &Line, (code, came): &Answer) -> Result<(), String> {
        let wrong = |what: String| Err(format!("line {}: {what}", line.number));
        if code != &line.code {
            return wrong(format!("{} answers {code}, not {}", line.operation, line.code));
        }
        for (name, expected) in &line.expected {
            let value = came.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value);
            let value = value.map_or("null", String::as_str);
            if let Some(unnamed) = expected.strip_prefix('$').filter(|name| !self.names.contains_key(*name)) {
                self.names.insert(unnamed.to_owned(), value.to_owned());
            }
            let expected = self.filled(expected);
            let fits = match (expected.as_str(), expected.strip_prefix('~')) {
                ("*", _) => value != "null",
                (_, Some(part)) => value.contains(part),
                (whole, None) => value == whole,
            };
            if !fits {
                return wrong(format!("{name} is {value}, not {expected}"));
            }
        }
        Ok(())
    }

    /// With what was named in place of the names.
    fn filled(&self, text: &str) -> String {
        let filled = self
            .names
            .iter()
            .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${name}"), value));
        match filled.strip_prefix('*').and_then(|times| times.parse().ok()) {
            Some(times) => "x".repeat(times),
            None => filled,
        }
    }

    async fn answer(&mut self, line: &Line) -> Answer {
        if line.class.as_deref() == Some("world") {
            return ("0".to_owned(), self.world(line).await);
        }
        let repository = self.rdms.repository();
        let class = match &line.class {
            None => self.class(),
            Some(name) => {
                let mut found =
                    repository.namespaces().filter_map(|namespace| repository.class(namespace, name).ok());
                found
                    .next()
                    .unwrap_or_else(|| panic!("line {}: there is no class {name}", line.number))
                    .clone()
            }
        };
        let path = self.path(&class, line.keys.as_ref());
        let answer = match line.operation.as_str() {
            "enumerate" => self.list(&admin(), &class).await,
            "query" => self.query(&class, line.given.first().map(|(_, condition)| condition.as_str())).await,
            "get" => self.rdms.get(&admin(), &path).await.map(|found| shown(&found.properties)),
            "create" => {
                let made =
                    self.rdms.create(&admin(), &without_keys(&path), self.properties(&class, line)).await;
                made.map(|path| shown(&path.keys))
            }
            "put" => {
                let put = self.rdms.put(&admin(), &path, self.properties(&class, line)).await;
                put.map(|now| shown(&now.properties))
            }
            "delete" => self.rdms.delete(&admin(), &path).await.map(|()| Vec::new()),
            name => {
                let method =
                    class.method(name).unwrap_or_else(|| panic!("line {}: no method {name}", line.number));
                return self.call(&admin(), &path, &method.name, self.parameters(method, line)).await;
            }
        };
        match answer {
            Ok(came) => ("0".to_owned(), came),
            Err(error) => (code(error.code), Vec::new()),
        }
    }

    /// A method's code, as a fault with `!`, and its OUT parameters.
    pub(crate) async fn call(
        &self,
        who: &Principal,
        path: &ObjectPath,
        method: &str,
        params: Params,
    ) -> Answer {
        match self.rdms.invoke(who, path, method, params, &[]).await {
            Ok(done) => {
                let Value::Uint32(number) = done.return_value else { panic!("{method} answers no uint32") };
                (code(WmiCode(number)), shown(&done.out.0))
            }
            Err(error) => (format!("!{}", code(error.code)), Vec::new()),
        }
    }

    pub(crate) async fn list(&self, who: &Principal, class: &Class) -> Result<Pairs, CimError> {
        let class = ObjectPath::class(&class.namespace, &class.name);
        self.rows(who, &Enumeration { class, condition: None }).await
    }

    pub(crate) async fn query(&self, class: &Class, condition: Option<&str>) -> Result<Pairs, CimError> {
        let condition = condition.map_or_else(String::new, |text| format!(" WHERE {text}"));
        let select = Select::parse(&format!("SELECT * FROM {}{condition}", class.name)).unwrap();
        match select.plan(self.rdms.repository(), &class.namespace)? {
            Plan::Instances(what) => self.rows(&admin(), &what).await,
            other => panic!("{} is asked for instances: {other:?}", class.name),
        }
    }

    async fn rows(&self, who: &Principal, what: &Enumeration) -> Result<Pairs, CimError> {
        let listed = self.rdms.enumerate(who, what, None, Limits { max_elements: 100 }).await?;
        Ok(vec![("rows".to_owned(), listed.instances.len().to_string())])
    }

    /// What is not an operation of a class.
    async fn world(&mut self, line: &Line) -> Pairs {
        let given = |name: &str| {
            let found = line.given.iter().find(|(n, _)| n == name);
            found
                .map_or_else(|| panic!("line {}: {name} is missing", line.number), |(_, value)| value.clone())
        };
        let one = |name: &str, value: String| vec![(name.to_owned(), value)];
        match line.operation.as_str() {
            "active" => {
                let client = self.world.active(&given("User")).await;
                self.session = Some(client.session);
                drop(Client::obey(client));
                Vec::new()
            }
            "run_jobs" => {
                let (engine, stop) = (self.world.engine.clone(), self.jobs.clone());
                tokio::spawn(async move { engine.run_jobs(stop).await });
                Vec::new()
            }
            "screen" => {
                one("shown", self.world.host.messages.lock().unwrap().last().cloned().unwrap_or_default())
            }
            "publication" => {
                let served =
                    self.world.engine.store().document::<Publication>("").await.unwrap().unwrap().document;
                let names: Vec<_> = served.applications.iter().map(|app| app.alias.as_str()).collect();
                [
                    one("version", served.version.to_string()),
                    one("applications", format!("[{}]", names.join(","))),
                ]
                .concat()
            }
            "session" => {
                self.session_is(&given("State")).await;
                Vec::new()
            }
            other => panic!("line {}: the world has no {other}", line.number),
        }
    }

    /// Writes the state of the session into its row.
    async fn session_is(&self, name: &str) {
        let since = Timestamp(1);
        let state = match name {
            "Starting" => State::Starting { since, attach: ConnectionId(uuid::Uuid::from_u128(7)) },
            "LoggingOff" => State::LoggingOff { since, cause: Cause::Administrator },
            "Lost" => State::Lost { since, reason: LostReason::HostSilent },
            _ => State::Disconnected { since, reason: DetachReason::ClientGone, attach: None },
        };
        let session = self.world.session(self.session.unwrap()).await;
        self.world.engine.store().update_session(&Session { state, ..session }).await.unwrap();
    }

    pub(crate) fn path(&self, class: &Class, keys: Option<&Pairs>) -> ObjectPath {
        let keys = keys.or((class.name == self.block.class).then_some(&self.block.keys));
        let of_class = ObjectPath::class(&class.namespace, &class.name);
        keys.into_iter().flatten().fold(of_class, |path, (name, text)| {
            let ty = class.property(name).unwrap_or_else(|| panic!("{} has no {name}", class.name)).ty;
            path.with_key(name, self.value(ty, false, text))
        })
    }

    fn properties(&self, class: &Class, line: &Line) -> Params {
        line.given.iter().fold(Params::default(), |params, (name, text)| {
            let found = class.property(name).unwrap_or_else(|| panic!("line {}: no {name}", line.number));
            params.with(&found.name, self.value(found.ty, found.array, text))
        })
    }

    pub(crate) fn parameters(&self, method: &Method, line: &Line) -> Params {
        line.given.iter().fold(Params::default(), |params, (name, text)| {
            let found = method.parameter(name).unwrap_or_else(|| panic!("line {}: no {name}", line.number));
            params.with(&found.name, self.value(found.ty, found.array, text))
        })
    }

    fn value(&self, ty: Type, array: bool, text: &str) -> Value {
        let text = self.filled(text);
        if text == "null" {
            return Value::Null;
        }
        if array {
            let items = text.trim_matches(['[', ']']).split(',').filter(|item| !item.is_empty());
            return Value::Array(items.map(|item| Value::parse(ty, item).unwrap()).collect());
        }
        Value::parse(ty, &text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }
}

impl Drop for Runner<'_> {
    fn drop(&mut self) {
        self.jobs.cancel();
    }
}

fn without_keys(path: &ObjectPath) -> ObjectPath {
    ObjectPath::class(&path.namespace, &path.class)
}

pub(crate) fn code(code: WmiCode) -> String {
    match code {
        WmiCode(0) => "0".to_owned(),
        code => code
            .name()
            .map_or_else(|| format!("{:#x}", code.0), |name| name.trim_start_matches("WBEM_E_").to_owned()),
    }
}

fn shown(values: &[(String, Value)]) -> Pairs {
    values.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Array(items) => format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(",")),
        value => value.text().unwrap_or_default(),
    }
}
