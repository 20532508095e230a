//! Making and deleting collections with their desktops.

use crate::jobs::JobFilter;
use crate::{Engine, EngineError, now};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use openrdms_broker::ports::{Existing, StoreError};
use openrdms_broker::{Collection, CollectionAlias, Desktop, DesktopName, Machine, UserName};
use std::sync::Arc;
use tokio::sync::RwLock;

/// The most desktops that one collection may hold.
pub(crate) const MAX_SIZE: u32 = 1000;
/// How many desktops are prepared at once.
pub const PREPARED_AT_ONCE: usize = 4;

/// The longest name that is shown, in characters: it is in every list, whose length is limited.
const LONGEST_NAME: usize = 256;

/// Held while desktops have files and no row: to read by whoever makes them, to write by whoever takes them away, so
/// that nobody throws away what somebody else has just made under the same name.
pub(crate) type Files = RwLock<()>;

impl Engine {
    /// Makes a collection and prepares its desktops, `ALIAS-001` and on; when it was made is now.
    ///
    /// # Errors
    /// `Invalid` for a size above 1,000 or unknown users; `Store(Conflict)` where the alias is taken.
    pub async fn create_collection(&self, collection: Collection) -> Result<(), EngineError> {
        let collection = Collection { created: now(), ..collection };
        if collection.size > MAX_SIZE {
            return Err(EngineError::Invalid(format!(
                "a collection holds {MAX_SIZE} desktops at most, not {}",
                collection.size
            )));
        }
        check_display_name(&collection.display_name)?;
        for user in collection.users.iter().flatten() {
            self.known(user).await?;
        }
        if self.inner.store.collection(collection.alias.as_str()).await?.is_some() {
            return Err(StoreError::Conflict(Existing::Collection).into());
        }
        let names = (1..=collection.size)
            .map(|number| DesktopName::new(&format!("{}-{number:03}", collection.alias)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| EngineError::Invalid(error.to_string()))?;
        self.making(names.clone(), async {
            let desktops: Vec<Desktop> = stream::iter(names)
                .map(|name| self.prepare_desktop(&collection.alias, name))
                .buffered(PREPARED_AT_ONCE)
                .try_collect()
                .await?;
            Ok(self.inner.store.insert_collection(&collection, &desktops).await?)
        })
        .await
    }

    /// Adds a desktop of that name to a collection.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` where the collection is full; `Store(Conflict)` where there is such a desktop, in whichever
    /// collection.
    pub async fn add_desktop(&self, alias: &str, name: DesktopName) -> Result<(), EngineError> {
        let collection =
            self.inner.store.collection(alias).await?.ok_or(EngineError::NotFound("collection"))?;
        if collection.size >= MAX_SIZE {
            return Err(EngineError::Invalid(format!("a collection holds {MAX_SIZE} desktops at most")));
        }
        // a machine has a desktop of its own name, whether it is in a collection or not
        let machine = self.inner.store.document::<Machine>(name.as_str()).await?;
        if machine.is_some() || self.inner.store.desktop(&name).await?.is_some() {
            return Err(StoreError::Conflict(Existing::Desktop).into());
        }
        self.making(vec![name.clone()], async {
            let desktop = self.prepare_desktop(&collection.alias, name).await?;
            Ok(self.inner.store.insert_desktop(&desktop).await?)
        })
        .await
    }

    /// Takes a desktop out of a collection and forgets it; homes are kept.
    ///
    /// # Errors
    /// `NotFound` where it is not in that collection; `Store(Conflict)` while a session lives in it.
    pub async fn remove_desktop(&self, alias: &str, name: &DesktopName) -> Result<(), EngineError> {
        let desktop = self.inner.store.desktop(name).await?.ok_or(EngineError::NotFound("desktop"))?;
        if !desktop.collection.as_str().eq_ignore_ascii_case(alias) {
            return Err(EngineError::NotFound("desktop in this collection"));
        }
        let _alone = self.inner.files.write().await;
        self.inner.store.delete_desktop(&desktop.name).await?;
        self.forget_files(&desktop).await;
        Ok(())
    }

    pub(crate) async fn known(&self, user: &UserName) -> Result<(), EngineError> {
        match self.inner.store.account(user).await? {
            Some(_) => Ok(()),
            None => Err(EngineError::Invalid(format!("there is no account {user}: add it first"))),
        }
    }

    /// Makes files of desktops with their rows; where that fails, nothing of it is left.
    async fn making(
        &self,
        names: Vec<DesktopName>,
        make: impl Future<Output = Result<(), EngineError>>,
    ) -> Result<(), EngineError> {
        let made = {
            let _others_may_too = self.inner.files.read().await;
            make.await
        };
        if made.is_err()
            && let Err(error) = self.forget_unknown(names).await
        {
            tracing::warn!(%error, "files of desktops that could not be made are left until the next start");
        }
        made
    }

    /// Throws away the files of those desktops that have no row.
    async fn forget_unknown(&self, names: Vec<DesktopName>) -> Result<(), EngineError> {
        let _alone = self.inner.files.write().await;
        for name in names {
            let known = self.inner.store.desktop(&name).await?;
            // names that differ in case only are the same desktop's, and other files
            if known.is_some_and(|desktop| desktop.name.as_str() == name.as_str()) {
                continue;
            }
            match self.inner.host.remove(&name).await {
                Ok(()) => {
                    tracing::info!(desktop = %name, "the files of a desktop that is in no collection are gone")
                }
                Err(error) => {
                    tracing::warn!(desktop = %name, %error, "a desktop that is in no collection has files")
                }
            }
        }
        Ok(())
    }

    /// Throws away what a service that was killed has left of desktops that it was making or removing.
    pub(crate) async fn forget_leftovers(&self) -> Result<(), EngineError> {
        let names = self.inner.host.prepared().await?;
        self.forget_unknown(names).await
    }

    async fn prepare_desktop(
        &self,
        alias: &CollectionAlias,
        name: DesktopName,
    ) -> Result<Desktop, EngineError> {
        let prepared = self.inner.host.prepare(&name).await?;
        Ok(Desktop {
            name,
            collection: alias.clone(),
            host: self.inner.host.name().clone(),
            certificate_sha256: prepared.certificate_sha256,
            handle: None,
            paused: false,
        })
    }

    /// Deletes a collection and forgets its desktops; homes are kept.
    ///
    /// # Errors
    /// `NotFound`; `Store(Conflict)` while a session lives in it.
    pub async fn delete_collection(&self, alias: &str) -> Result<(), EngineError> {
        let collection =
            self.inner.store.collection(alias).await?.ok_or(EngineError::NotFound("collection"))?;
        let _alone = self.inner.files.write().await;
        let desktops = self.inner.store.desktops(Some(&collection.alias), None, MAX_SIZE).await?.rows;
        let jobs = self.jobs(JobFilter::Open, Some(alias)).await?;
        self.inner.store.delete_collection(&collection.alias).await?;
        for mut job in jobs {
            job.cancel(now());
            job.close(now());
            self.audit_job(&job).await;
        }
        for desktop in desktops {
            self.forget_files(&desktop).await;
        }
        Ok(())
    }

    /// The row is gone: what is left on disk is told, and does not fail the deletion.
    async fn forget_files(&self, desktop: &Desktop) {
        // this machine may have had another name when the desktop was made
        let host = self.host_of(&desktop.host).unwrap_or_else(|| Arc::clone(&self.inner.host));
        if let Err(error) = host.remove(&desktop.name).await {
            tracing::warn!(desktop = %desktop.name, %error, "a deleted desktop left files behind");
        }
    }
}

pub(crate) fn check_display_name(name: &str) -> Result<(), EngineError> {
    if name.chars().nth(LONGEST_NAME).is_none() {
        return Ok(());
    }
    Err(EngineError::Invalid(format!("a collection's name has {LONGEST_NAME} characters at most")))
}
