//! The service, as the command line sees it: WS-Management over its Unix socket, or over HTTPS from elsewhere.

mod link;
mod password;
mod place;
mod trust;
mod writable;

pub(crate) use place::{Address, FirstUse, Place};
pub(crate) use trust::Fingerprint;

use super::Failure;
use hyper::body::Bytes;
use link::Link;
use openrdms_cim::{
    CimError, Class, Condition, Enumeration, Instance, Listing, MethodResult, ObjectPath, Params, Repository,
    WmiCode,
};
use openrdms_wsman::client::{Answer, AnswerError, Call, read};
use std::time::Duration;
use uuid::Uuid;

const BATCH: usize = 500;
/// The most that is taken of a list that is needed whole: a server may never come to an end.
const MOST_AT_ONCE: usize = 100_000;
/// The longest reply we ask for, and the longest we read.
const MAX_ENVELOPE: usize = 4 << 20;
/// A logoff may take its grace period and a little.
const PATIENCE: Duration = Duration::from_secs(60);

/// Our own classes.
pub(crate) const OURS: &str = "root/openrdms";
/// Those that clients know from Windows Server.
pub(crate) const KNOWN: &str = "root/cimv2/rdms";

/// A service, wherever it is.
pub(crate) struct Remote {
    link: Link,
    /// The classes that answers are read by.
    repository: Repository,
}

/// A list that is fetched batch by batch.
pub(crate) struct Rows<'r> {
    remote: &'r Remote,
    class: ObjectPath,
    next: Next,
    keep: Box<Test<'r>>,
    until: Box<Test<'r>>,
}

type Test<'r> = dyn Fn(&Instance) -> bool + 'r;

/// What to ask next.
enum Next {
    /// A message that opens the list.
    Open(Opening),
    /// The next batch of it.
    Pull(String),
    /// Nothing: it is here already, whole.
    Here(Vec<Instance>),
    /// Nothing: that was all.
    Done,
}

enum Opening {
    Class(Enumeration),
    Query(String),
}

impl Remote {
    pub(crate) fn new(place: Place) -> Result<Self, Failure> {
        let repository = openrdms_rdms::repository().map_err(|error| Failure::failed(error.to_string()))?;
        Ok(Self { link: Link::new(place)?, repository })
    }

    /// A class that this program knows by itself.
    pub(crate) fn known(&self, namespace: &str, class: &str) -> Option<&Class> {
        self.repository.class(namespace, class).ok()
    }

    /// Asks the service how a class is declared and reads its instances so from now on. Where the service does not
    /// tell, it is as this program knows it.
    pub(crate) async fn learn(&mut self, namespace: &str, class: &str) -> Result<Class, Failure> {
        let path = ObjectPath::class(namespace, class);
        let asked = match self.call(&path.namespace, &[], |call| call.declaration(&path)).await {
            Ok(Answer::Class(class)) => *class,
            Ok(_) => return Err(unexpected()),
            Err(failure) => {
                return self.known(namespace, class).cloned().filter(|_| failure.exit != 5).ok_or(failure);
            }
        };
        // Alone: it has all that it inherits. The superclass is only a name then.
        let mut learned = Repository::default();
        let alone = Class { superclass: None, ..asked.clone() };
        learned.add(namespace, alone).map_err(|error| Failure::failed(error.to_string()))?;
        self.repository = learned;
        Ok(asked)
    }

    /// The classes of a namespace as the service declares them; where it does not tell, as this program knows them.
    pub(crate) async fn classes(&self, namespace: &str) -> Result<Vec<Class>, Failure> {
        let mut all = Vec::new();
        let mut answer = self.call(namespace, &[], |call| call.declarations(namespace, BATCH)).await;
        loop {
            let next = match answer {
                Ok(Answer::Classes { classes, next }) => {
                    all.extend(classes);
                    limited(all.len())?;
                    next
                }
                Ok(Answer::Listing(Listing { instances, next: None })) if instances.is_empty() => None,
                Ok(_) => return Err(unexpected()),
                Err(failure) => {
                    let known: Vec<Class> = self.repository.classes(namespace).cloned().collect();
                    return if known.is_empty() || failure.exit == 5 { Err(failure) } else { Ok(known) };
                }
            };
            let Some(context) = next else { return Ok(all) };
            let pull = |call: &Call<'_>| call.pull_declarations(namespace, &context, BATCH);
            answer = self.call(namespace, &[], pull).await;
        }
    }

    /// The classes that a query about `meta_class` finds.
    pub(crate) async fn classes_of(&self, namespace: &str, query: &str) -> Result<Vec<Class>, Failure> {
        let (every, mut all) = (ObjectPath::class(namespace, "*"), Vec::new());
        let mut answer = self.call(namespace, &[], |call| call.query(namespace, query, BATCH)).await?;
        loop {
            let next = match answer {
                Answer::Classes { classes, next } => {
                    all.extend(classes);
                    limited(all.len())?;
                    next
                }
                Answer::Listing(Listing { instances, next }) if instances.is_empty() => next,
                _ => return Err(unexpected()),
            };
            let Some(context) = next else { return Ok(all) };
            answer = self.call(namespace, &[], |call| call.pull(&every, &context, BATCH)).await?;
        }
    }

    /// One of our classes.
    pub(crate) fn class(&self, class: &str) -> Option<&Class> {
        self.known(OURS, class)
    }

    /// The instances of one of our classes that have these values.
    pub(crate) fn list(&self, class: &str, equals: Vec<(&str, &str)>) -> Rows<'_> {
        self.list_in(OURS, class, equals)
    }

    /// The instances of a class of any namespace that have these values.
    pub(crate) fn list_in(&self, namespace: &str, class: &str, equals: Vec<(&str, &str)>) -> Rows<'_> {
        let condition = Condition::equalities_of(equals);
        let class = ObjectPath::class(namespace, class);
        self.rows(class.clone(), Opening::Class(Enumeration { class, condition }))
    }

    /// What a WQL query finds.
    pub(crate) fn query(&self, namespace: &str, query: &str) -> Rows<'_> {
        self.rows(ObjectPath::class(namespace, "*"), Opening::Query(query.to_owned()))
    }

    fn rows(&self, class: ObjectPath, opening: Opening) -> Rows<'_> {
        Rows::new(self, class, Next::Open(opening))
    }

    /// A list that something else than a class has told.
    pub(crate) fn these(&self, instances: Vec<Instance>) -> Rows<'_> {
        Rows::new(self, ObjectPath::class("", ""), Next::Here(instances))
    }

    /// One instance.
    pub(crate) async fn get(&self, path: &ObjectPath) -> Result<Instance, Failure> {
        writable::check(path, &Params::default())?;
        match self.call(&path.namespace, &[], |call| call.get(path)).await? {
            Answer::Instance(instance) => Ok(instance),
            _ => Err(unexpected()),
        }
    }

    /// Makes an instance.
    pub(crate) async fn create(&self, class: &ObjectPath, properties: &Params) -> Result<(), Failure> {
        writable::check(class, properties)?;
        self.change(&class.namespace, |call| call.create(class, properties)).await
    }

    /// Changes properties of an instance; what is not named stays.
    pub(crate) async fn put(&self, path: &ObjectPath, properties: &Params) -> Result<(), Failure> {
        writable::check(path, properties)?;
        self.change(&path.namespace, |call| call.put(path, properties)).await
    }

    /// Removes an instance.
    pub(crate) async fn delete(&self, path: &ObjectPath) -> Result<(), Failure> {
        writable::check(path, &Params::default())?;
        self.change(&path.namespace, |call| call.delete(path)).await
    }

    async fn change(&self, namespace: &str, write: impl FnOnce(&Call<'_>) -> String) -> Result<(), Failure> {
        match self.call(namespace, &[], write).await? {
            Answer::Empty => Ok(()),
            _ => Err(unexpected()),
        }
    }

    /// A method, whatever it returns.
    pub(crate) async fn invoke_any(
        &self,
        path: &ObjectPath,
        method: &str,
        params: &Params,
        options: &[(String, String)],
    ) -> Result<MethodResult, Failure> {
        writable::check(path, params)?;
        options.iter().try_for_each(|(name, value)| writable::check_text(name, value))?;
        match self.call(&path.namespace, options, |call| call.invoke(path, method, params)).await? {
            Answer::Output(result) => Ok(result),
            _ => Err(unexpected()),
        }
    }

    /// A method that has to return 0.
    pub(crate) async fn invoke(
        &self,
        path: &ObjectPath,
        method: &str,
        params: Params,
        options: &[(String, String)],
    ) -> Result<(), Failure> {
        let result = self.invoke_any(path, method, &params, options).await?;
        match result.return_value.as_int() {
            Some(0) => Ok(()),
            Some(code) => Err(not_done(method, code, result.reason)),
            None => Err(unexpected()),
        }
    }

    /// Sends a message that waits at the service, and gives back the answer as it came.
    pub(crate) async fn wait(
        &self,
        timeout: Duration,
        write: impl FnOnce(&Call<'_>) -> String,
    ) -> Result<Bytes, Failure> {
        let message_id = format!("uuid:{}", Uuid::new_v4());
        let (to, max_envelope) = (self.link.to(), MAX_ENVELOPE);
        let call = Call { to, message_id: &message_id, timeout: Some(timeout), max_envelope, options: &[] };
        self.link.post(write(&call), timeout + Duration::from_secs(15)).await
    }

    /// The classes that answers are read by.
    pub(crate) fn repository(&self) -> &Repository {
        &self.repository
    }

    async fn call(
        &self,
        namespace: &str,
        options: &[(String, String)],
        write: impl FnOnce(&Call<'_>) -> String,
    ) -> Result<Answer, Failure> {
        let message_id = format!("uuid:{}", Uuid::new_v4());
        let call = Call {
            to: self.link.to(),
            message_id: &message_id,
            timeout: Some(PATIENCE),
            max_envelope: MAX_ENVELOPE,
            options,
        };
        let bytes = self.link.post(write(&call), PATIENCE + Duration::from_secs(5)).await?;
        read(&bytes, namespace, &self.repository).map_err(|error| match error {
            AnswerError::Fault(error) => error.into(),
            AnswerError::Malformed(_) => Failure::failed(error.to_string()),
        })
    }
}

impl<'r> Rows<'r> {
    fn new(remote: &'r Remote, class: ObjectPath, next: Next) -> Self {
        let (keep, until) = (Box::new(|_: &Instance| true), Box::new(|_: &Instance| false));
        Self { remote, class, next, keep, until }
    }

    /// Only those that `keep` says yes to.
    pub(crate) fn filter(mut self, keep: impl Fn(&Instance) -> bool + 'r) -> Self {
        let before = self.keep;
        self.keep = Box::new(move |instance| before(instance) && keep(instance));
        self
    }

    /// Only those before the first that `until` says yes to.
    pub(crate) fn until(mut self, until: impl Fn(&Instance) -> bool + 'r) -> Self {
        self.until = Box::new(until);
        self
    }

    /// The next batch; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Instance>>, Failure> {
        let namespace = &self.class.namespace;
        let next = std::mem::replace(&mut self.next, Next::Done);
        let answer = match next {
            Next::Done => return Ok(None),
            Next::Here(instances) => Answer::Listing(Listing { instances, next: None }),
            Next::Open(opening) => {
                match &opening {
                    Opening::Class(what) => {
                        let condition = what.condition.as_ref().map(ToString::to_string);
                        writable::check_text("what is looked for", &condition.unwrap_or_default())?;
                    }
                    Opening::Query(query) => writable::check_text("the query", query)?,
                }
                let open = |call: &Call<'_>| match &opening {
                    Opening::Class(what) => call.enumerate(what, BATCH),
                    Opening::Query(query) => call.query(namespace, query, BATCH),
                };
                self.remote.call(namespace, &[], open).await?
            }
            Next::Pull(context) => {
                self.remote.call(namespace, &[], |call| call.pull(&self.class, &context, BATCH)).await?
            }
        };
        let Answer::Listing(Listing { mut instances, next }) = answer else { return Err(unexpected()) };
        self.next = next.map_or(Next::Done, Next::Pull);
        if let Some(end) = instances.iter().position(|instance| (self.until)(instance)) {
            instances.truncate(end);
            self.end().await;
        }
        instances.retain(|instance| (self.keep)(instance));
        Ok(Some(instances))
    }

    /// Everything. For lists that are needed whole.
    pub(crate) async fn all(mut self) -> Result<Vec<Instance>, Failure> {
        let mut all = Vec::new();
        while let Some(batch) = self.next().await? {
            all.extend(batch);
            limited(all.len())?;
        }
        Ok(all)
    }

    /// Tells the service that no more is wanted. It would find out by itself after a while.
    pub(crate) async fn end(&mut self) {
        if let Next::Pull(context) = std::mem::replace(&mut self.next, Next::Done) {
            let namespace = &self.class.namespace;
            let _ = self.remote.call(namespace, &[], |call| call.release(&self.class, &context)).await;
        }
    }
}

/// Whether a list that is held may be so long.
pub(crate) fn limited(held: usize) -> Result<(), Failure> {
    if held <= MOST_AT_ONCE {
        return Ok(());
    }
    Err(Failure::failed(format!("the service lists more than {MOST_AT_ONCE} and does not come to an end")))
}

/// Why a method was not done that returned a code.
pub(crate) fn not_done(method: &str, code: i128, reason: Option<String>) -> Failure {
    let code = WmiCode(u32::try_from(code).unwrap_or(u32::MAX));
    CimError::new(code, reason.unwrap_or_else(|| format!("{method} was not done"))).into()
}

fn unexpected() -> Failure {
    Failure::failed("the service answered something else than was asked")
}
