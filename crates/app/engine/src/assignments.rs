//! Whose a desktop of a personal collection is.

use crate::{Engine, EngineError, now};
use openrdms_broker::{Assignment, CollectionAlias, CollectionKind, Desktop, DesktopName, UserName};

impl Engine {
    /// Makes a user the owner of a desktop. Nothing changes where they are already.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` where there is no such account; `NotPersonal`; `Store(Conflict)` where the desktop has
    /// another owner, or the user another desktop in the collection.
    pub async fn assign(&self, desktop: &DesktopName, user: &UserName) -> Result<(), EngineError> {
        let desktop = self.personal(desktop).await?;
        self.known(user).await?;
        let owner = self.inner.store.assignment(&desktop.name).await?;
        if owner.is_some_and(|owner| owner.user == *user) {
            return Ok(());
        }
        self.insert_assignment(desktop.collection, desktop.name, user).await
    }

    pub(crate) async fn insert_assignment(
        &self,
        collection: CollectionAlias,
        desktop: DesktopName,
        user: &UserName,
    ) -> Result<(), EngineError> {
        let assignment = Assignment { desktop, collection, user: user.clone(), since: now() };
        Ok(self.inner.store.insert_assignment(&assignment).await?)
    }

    /// Takes a desktop from its owner. A session that they have in it goes on.
    ///
    /// # Errors
    /// `NotFound` where there is no such desktop, or nobody owns it, or somebody other than `owner`.
    pub async fn unassign(&self, desktop: &DesktopName, owner: Option<&UserName>) -> Result<(), EngineError> {
        let found = self.inner.store.assignment(desktop).await?;
        match found {
            Some(found) if owner.is_none_or(|owner| found.user == *owner) => {
                Ok(self.inner.store.delete_assignment(&found.desktop).await?)
            }
            Some(_) | None => Err(EngineError::NotFound("assignment")),
        }
    }

    async fn personal(&self, desktop: &DesktopName) -> Result<Desktop, EngineError> {
        let store = &self.inner.store;
        let desktop = store.desktop(desktop).await?.ok_or(EngineError::NotFound("desktop"))?;
        let collection = store.collection(desktop.collection.as_str()).await?;
        match collection.ok_or(EngineError::NotFound("collection"))?.kind {
            CollectionKind::ManualPersonal | CollectionKind::AutomaticPersonal => Ok(desktop),
            CollectionKind::Pooled => Err(EngineError::NotPersonal(desktop.collection)),
        }
    }
}
