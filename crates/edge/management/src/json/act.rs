//! What changes the world: make, change, remove, call. Each runs on when its caller goes away, as for every front.

use super::problem::Problem;
use super::write::Fields;
use super::{Answer, body, is_done, rendered, shown, tag, text};
use crate::Shared;
use openrdms_cim::{CimService, Class, Method, ObjectPath, Principal, Value};
use serde_json::{Map, Value as Json};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use tokio::sync::{Mutex, MutexGuard};

/// Whoever says what they have seen waits here for those before who did so of the same instance; of others too, now and then.
#[derive(Default)]
pub(crate) struct Turns([Mutex<()>; 32]);

impl Turns {
    /// A turn for changing the instance; `None` where nobody says what they have seen.
    async fn take(&self, path: &ObjectPath, if_match: Option<&String>) -> Option<MutexGuard<'_, ()>> {
        if_match?;
        let mut hasher = DefaultHasher::new();
        // keys are compared without case where their class does so
        text::link(path).to_lowercase().hash(&mut hasher);
        let place = hasher.finish() % self.0.len() as u64;
        Some(self.0[place as usize].lock().await)
    }
}

impl Shared {
    pub(super) async fn make(&self, who: &Principal, class: &Class, body: &[u8]) -> Result<Answer, Problem> {
        let properties = body::properties(self.service.repository(), class, None, body)?;
        let path = ObjectPath::class(&class.namespace, &class.name);
        let (made, instance) = self
            .run(who, |service, who| async move {
                let made = service.create(&who, &path, properties).await?;
                let instance = service.get(&who, &made).await;
                Ok::<_, Problem>((made, instance))
            })
            .await??;
        let link = text::link(&made);
        // it is made, also where it cannot be read, or was removed a moment later
        let text = match instance {
            Ok(instance) => shown(self.service.repository(), &instance, &Fields::All)?,
            Err(_) => rendered(&serde_json::json!({ "@type": class.name, "@id": link }))?,
        };
        Ok(Answer::Created(text, link))
    }

    pub(super) async fn patch(
        &self,
        who: &Principal,
        (path, class): (ObjectPath, &Class),
        body: &[u8],
        fields: Fields,
        if_match: Option<String>,
    ) -> Result<Answer, Problem> {
        let properties = body::properties(self.service.repository(), class, Some(&path), body)?;
        let seen = fields.clone();
        let turns = Arc::clone(&self.turns);
        let changed = self
            .run(who, |service, who| async move {
                let _turn = turns.take(&path, if_match.as_ref()).await;
                check(&*service, &who, &path, &seen, if_match).await?;
                Ok::<_, Problem>(service.put(&who, &path, properties).await?)
            })
            .await??;
        let text = shown(self.service.repository(), &changed, &fields)?;
        let tag = tag::strong(&text);
        Ok(Answer::Json(text, Some(tag)))
    }

    pub(super) async fn remove(
        &self,
        who: &Principal,
        path: ObjectPath,
        fields: Fields,
        if_match: Option<String>,
    ) -> Result<Answer, Problem> {
        let turns = Arc::clone(&self.turns);
        self.run(who, |service, who| async move {
            let _turn = turns.take(&path, if_match.as_ref()).await;
            check(&*service, &who, &path, &fields, if_match).await?;
            Ok::<_, Problem>(service.delete(&who, &path).await?)
        })
        .await??;
        Ok(Answer::Nothing)
    }

    pub(super) async fn call(
        &self,
        who: &Principal,
        (path, class, method): (ObjectPath, &Class, &Method),
        body: &[u8],
        options: Vec<(String, String)>,
    ) -> Result<Answer, Problem> {
        let repository = self.service.repository();
        let params = body::parameters(repository, class, method, body)?;
        let name = method.name.clone();
        let result =
            self.run(who, |service, who| async move {
                service.invoke(&who, &path, &name, params, &options).await
            })
            .await??;
        let json = |value: &Value| {
            serde_json::to_value(super::write::ShownValue(repository, value))
                .map_err(|_| Problem::bug("a parameter cannot be written"))
        };
        let mut members = Map::new();
        members.insert("ReturnValue".to_owned(), json(&result.return_value)?);
        for parameter in method.parameters.iter().filter(|parameter| parameter.is_out()) {
            members.insert(parameter.name.clone(), json(result.out.get(&parameter.name))?);
        }
        if !is_done(&result.return_value) {
            let (method, code) = (format!("{}.{}", class.name, method.name), result.return_value.as_int());
            return Err(Problem::returned(&method, code.unwrap_or_default(), result.reason, members));
        }
        Ok(Answer::Json(rendered(&Json::Object(members))?, None))
    }
}

/// Refuses where the instance is not the one that the caller has seen. What changes between this look and the change, by
/// somebody who does not say what they have seen or through another node, is not noticed: for sessions `ExpectedUser` and
/// `ExpectedState` are, because the change itself looks at them.
async fn check(
    service: &dyn CimService,
    who: &Principal,
    path: &ObjectPath,
    fields: &Fields,
    if_match: Option<String>,
) -> Result<(), Problem> {
    let Some(wanted) = if_match else { return Ok(()) };
    let now = service.get(who, path).await?;
    let now = tag::strong(&shown(service.repository(), &now, fields)?);
    if tag::matches_strongly(&wanted, &now) { Ok(()) } else { Err(Problem::changed_meanwhile()) }
}
