//! Making and deleting collections with their desktops.

use crate::{Engine, EngineError, now};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use openrdms_broker::ports::{Existing, StoreError};
use openrdms_broker::{Collection, CollectionAlias, Desktop, DesktopName, Limits, UserName};

/// The most desktops that one collection may hold.
const MAX_SIZE: u32 = 1000;
/// How many desktops are prepared at once.
const PREPARED_AT_ONCE: usize = 4;

/// The longest name that is shown, in characters: it is in every list, whose length is limited.
const LONGEST_NAME: usize = 256;

impl Engine {
    /// Makes a collection and prepares its desktops, `ALIAS-001` and on.
    ///
    /// # Errors
    /// `Invalid` for a size outside 1 to 1,000 or unknown users; `Store(Conflict)` where the alias is taken.
    pub async fn create_collection(
        &self,
        alias: CollectionAlias,
        display_name: String,
        size: u32,
        users: Option<Vec<UserName>>,
        limits: Limits,
    ) -> Result<(), EngineError> {
        if !(1..=MAX_SIZE).contains(&size) {
            return Err(EngineError::Invalid(format!(
                "a collection holds 1 to {MAX_SIZE} desktops, not {size}"
            )));
        }
        check_display_name(&display_name)?;
        for user in users.iter().flatten() {
            if self.inner.store.account(user).await?.is_none() {
                return Err(EngineError::Invalid(format!("there is no account {user}: add it first")));
            }
        }
        if self.inner.store.collection(alias.as_str()).await?.is_some() {
            return Err(StoreError::Conflict(Existing::Collection).into());
        }
        let desktops: Vec<Desktop> = stream::iter(1..=size)
            .map(|number| self.prepare_desktop(&alias, number))
            .buffered(PREPARED_AT_ONCE)
            .try_collect()
            .await?;
        let collection = Collection { alias, display_name, size, users, limits, created: now() };
        self.inner.store.insert_collection(&collection, &desktops).await?;
        Ok(())
    }

    async fn prepare_desktop(&self, alias: &CollectionAlias, number: u32) -> Result<Desktop, EngineError> {
        let name = DesktopName::new(&format!("{alias}-{number:03}"))
            .map_err(|error| EngineError::Invalid(error.to_string()))?;
        let prepared = self.inner.host.prepare(&name).await?;
        Ok(Desktop {
            name,
            collection: alias.clone(),
            host: self.inner.host.name().clone(),
            certificate_sha256: prepared.certificate_sha256,
            handle: None,
        })
    }

    /// Deletes a collection and forgets its desktops; homes are kept.
    ///
    /// # Errors
    /// `NotFound`; `Store(Conflict)` while a session lives in it.
    pub async fn delete_collection(&self, alias: &str) -> Result<(), EngineError> {
        let collection =
            self.inner.store.collection(alias).await?.ok_or(EngineError::NotFound("collection"))?;
        let desktops = self.inner.store.desktops(Some(&collection.alias), None, MAX_SIZE).await?.rows;
        self.inner.store.delete_collection(&collection.alias).await?;
        for desktop in desktops {
            // the rows are gone: what is left on disk is told, and does not fail the deletion
            if let Err(error) = self.inner.host.remove(&desktop.name).await {
                tracing::warn!(desktop = %desktop.name, %error, "a deleted desktop left files behind");
            }
        }
        Ok(())
    }
}

pub(crate) fn check_display_name(name: &str) -> Result<(), EngineError> {
    if name.chars().nth(LONGEST_NAME).is_none() {
        return Ok(());
    }
    Err(EngineError::Invalid(format!("a collection's name has {LONGEST_NAME} characters at most")))
}
