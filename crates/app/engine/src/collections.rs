//! Making and deleting collections with their desktops.

use crate::jobs::JobFilter;
use crate::{Engine, EngineError, now};
use futures_util::{StreamExt as _, stream};
use openrdms_broker::ports::{Existing, Host, StoreError};
use openrdms_broker::{Collection, CollectionAlias, Desktop, DesktopName, Machine, UserName};
use std::sync::Arc;

/// The most desktops that one collection may hold.
pub(crate) const MAX_SIZE: u32 = 1000;
/// How many desktops are prepared at once.
pub const PREPARED_AT_ONCE: usize = 4;

/// The longest name that is shown, in characters: it is in every list, whose length is limited.
const LONGEST_NAME: usize = 256;

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
            let desktops = stream::iter(names)
                .map(|name| self.prepare_desktop(&collection.alias, name))
                .buffered(PREPARED_AT_ONCE);
            // to the end, also where one fails: a host that is busy with one goes on
            let desktops: Vec<_> = desktops.collect().await;
            let desktops = desktops.into_iter().collect::<Result<Vec<_>, _>>()?;
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
        self.inner.store.delete_desktop(&desktop.name).await?;
        self.forget_files(&desktop.name, &*self.host_that_had(&desktop)).await;
        Ok(())
    }

    pub(crate) async fn known(&self, user: &UserName) -> Result<(), EngineError> {
        match self.inner.store.account(user).await? {
            Some(_) => Ok(()),
            None => Err(EngineError::Invalid(format!("there is no account {user}: add it first"))),
        }
    }

    /// Makes files of desktops and then their rows; where that fails, nothing of it is left. Nobody throws the files away
    /// meanwhile.
    async fn making(
        &self,
        mut names: Vec<DesktopName>,
        make: impl Future<Output = Result<(), EngineError>>,
    ) -> Result<(), EngineError> {
        names.sort_unstable();
        let made = {
            let mut turns = Vec::with_capacity(names.len());
            for name in &names {
                turns.push(self.inner.files.take(name).await);
            }
            make.await
        };
        if made.is_err() {
            for name in &names {
                self.forget_files(name, &*self.inner.host).await;
            }
        }
        made
    }

    /// Throws away what a service that was killed has left of desktops that it was making or removing.
    pub(crate) async fn forget_leftovers(&self) -> Result<(), EngineError> {
        for name in self.inner.host.prepared().await? {
            self.forget_files(&name, &*self.inner.host).await;
        }
        Ok(())
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
        let desktops = self.inner.store.desktops(Some(&collection.alias), None, MAX_SIZE).await?.rows;
        let jobs = self.jobs(JobFilter::Open, Some(alias)).await?;
        self.inner.store.delete_collection(&collection.alias).await?;
        for mut job in jobs {
            job.cancel(now());
            job.close(now());
            self.audit_job(&job).await;
        }
        for desktop in desktops {
            self.forget_files(&desktop.name, &*self.host_that_had(&desktop)).await;
        }
        Ok(())
    }

    /// Throws away the files of a desktop that has no row any more. What cannot be is left to the next start, and told.
    async fn forget_files(&self, name: &DesktopName, host: &dyn Host) {
        let _turn = self.inner.files.take(name).await;
        match self.inner.store.desktop(name).await {
            // it has been made anew; names that differ in case only are the same desktop's, and other files
            Ok(Some(desktop)) if desktop.name.as_str() == name.as_str() => {}
            Ok(_) => {
                if let Err(error) = host.remove(name).await {
                    tracing::warn!(desktop = %name, %error, "a desktop that is no more left files behind");
                }
            }
            Err(error) => {
                tracing::warn!(desktop = %name, %error, "a desktop that is no more may have left files behind");
            }
        }
    }

    /// The host of a desktop that was; this machine may have had another name when the desktop was made.
    fn host_that_had(&self, desktop: &Desktop) -> Arc<dyn Host> {
        self.host_of(&desktop.host).unwrap_or_else(|| Arc::clone(&self.inner.host))
    }
}

pub(crate) fn check_display_name(name: &str) -> Result<(), EngineError> {
    if name.chars().nth(LONGEST_NAME).is_none() {
        return Ok(());
    }
    Err(EngineError::Invalid(format!("a collection's name has {LONGEST_NAME} characters at most")))
}
