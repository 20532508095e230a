//! Machines are added, changed, given to collections, and removed.

use crate::collections::MAX_SIZE;
use crate::{Engine, EngineError};
use openrdms_broker::machine::MOST_WEIGHT;
use openrdms_broker::ports::{Existing, SessionFilter, StoreError};
use openrdms_broker::{
    Address, CollectionAlias, Desktop, DesktopName, HostName, Machine, MachineLogon, SettingOwner, machine,
};

/// How often a machine may change under us before we give up: each time somebody else has made progress.
const MAX_STALE: usize = 32;

/// A machine that is to be added.
#[derive(Clone, Debug)]
pub struct NewMachine {
    /// What it is called, also as a desktop.
    pub name: HostName,
    /// Where its RDP server is.
    pub address: Address,
    /// The certificate that it has to show; `None`: the one that it shows now.
    pub certificate_sha256: Option<[u8; 32]>,
    /// The collection that it is for.
    pub collection: Option<CollectionAlias>,
    /// What else is said of it.
    pub change: MachineChange,
}

/// A change of a machine: what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineChange {
    /// New [`Machine::address`].
    pub address: Option<Address>,
    /// New [`Machine::certificate_sha256`].
    pub certificate_sha256: Option<[u8; 32]>,
    /// New [`Machine::logon`].
    pub logon: Option<MachineLogon>,
    /// New [`Machine::session_limit`].
    pub session_limit: Option<u32>,
    /// New [`Machine::weight`].
    pub weight: Option<u32>,
}

impl MachineChange {
    fn check(&self) -> Result<(), EngineError> {
        if self.weight.is_some_and(|weight| weight == 0 || weight > MOST_WEIGHT) {
            return Err(EngineError::Invalid(format!("a machine's weight is 1 to {MOST_WEIGHT}")));
        }
        if self.session_limit == Some(0) {
            let text = "a machine holds at least one session: drain it where it is to take none";
            return Err(EngineError::Invalid(text.to_owned()));
        }
        Ok(())
    }

    fn apply(&self, machine: &mut Machine) {
        if let Some(address) = &self.address {
            machine.address = address.clone();
        }
        machine.certificate_sha256 = self.certificate_sha256.unwrap_or(machine.certificate_sha256);
        machine.logon = self.logon.unwrap_or(machine.logon);
        machine.session_limit = self.session_limit.unwrap_or(machine.session_limit);
        machine.weight = self.weight.unwrap_or(machine.weight);
    }
}

impl Engine {
    /// Adds a machine that answers, and pins its certificate. It may get sessions when this returns.
    ///
    /// # Errors
    /// `Store(Conflict)` where there is a host of that name; `Invalid` where it shows another certificate than it has
    /// to, for a name that no desktop may have, or a limit or weight out of bounds; `NotFound` for the collection; what
    /// the host says where nobody answers.
    pub async fn add_machine(&self, new: NewMachine) -> Result<Machine, EngineError> {
        new.change.check()?;
        let store = &self.inner.store;
        if let Some(alias) = &new.collection {
            store.collection(alias.as_str()).await?.ok_or(EngineError::NotFound("collection"))?;
        }
        // what a removal that was killed has left of a machine is in nobody's way
        let other = store.host(new.name.as_str()).await?.is_some_and(|host| host.lease.kind != machine::KIND);
        let taken = other || store.document::<Machine>(new.name.as_str()).await?.is_some();
        if taken || new.name.is(self.inner.host.name()) {
            return Err(StoreError::Conflict(Existing::Host).into());
        }
        let place =
            DesktopName::new(new.name.as_str()).map_err(|error| EngineError::Invalid(error.to_string()))?;
        if store.desktop(&place).await?.is_some_and(|desktop| !desktop.host.is(&new.name)) {
            return Err(StoreError::Conflict(Existing::Desktop).into());
        }
        let certificate = self.shown_certificate(&new.address, new.certificate_sha256).await?;
        let machine = Machine::new(new.name, new.address, certificate);
        let mut machine = machine.map_err(|error| EngineError::Invalid(error.to_string()))?;
        new.change.apply(&mut machine);
        store.insert_document(&machine).await?;
        self.read_machines().await?;
        if let Err(error) = self.begin_with(&machine, new.collection.as_ref()).await {
            // all or nothing
            self.remove_machine(&machine.name).await?;
            return Err(error);
        }
        Ok(machine)
    }

    /// It has just answered.
    async fn begin_with(
        &self,
        machine: &Machine,
        collection: Option<&CollectionAlias>,
    ) -> Result<(), EngineError> {
        let host = self.inner.machines.port()?.host(machine);
        self.vouch_for(&*host, self.inner.config.machine_lease).await?;
        if let Some(alias) = collection {
            self.place_machine(&machine.name, Some(alias)).await?;
        }
        Ok(())
    }

    /// A machine.
    ///
    /// # Errors
    /// `NotFound`; or the store's.
    pub async fn machine(&self, name: &HostName) -> Result<Machine, EngineError> {
        let found = self.inner.store.document::<Machine>(name.as_str()).await?;
        Ok(found.ok_or(EngineError::NotFound("machine"))?.document)
    }

    /// Changes a machine, and with `place` the collection that it is in, all or nothing. Connections that are there stay
    /// as they are.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` where it shows another certificate than it has to, or a limit or weight is out of bounds;
    /// what the host says where nobody answers at a new address; those of [`Engine::place_machine`].
    pub async fn change_machine(
        &self,
        name: &HostName,
        change: MachineChange,
        place: Option<Option<&CollectionAlias>>,
    ) -> Result<Machine, EngineError> {
        change.check()?;
        let machine = self.machine(name).await?;
        if change.address.is_some() || change.certificate_sha256.is_some() {
            let address = change.address.as_ref().unwrap_or(&machine.address);
            let pinned = change.certificate_sha256.unwrap_or(machine.certificate_sha256);
            self.shown_certificate(address, Some(pinned)).await?;
        }
        // after this only the store can fail
        if let Some(place) = place {
            self.place_machine(name, place).await?;
        }
        self.change_stored(name, |machine| change.apply(machine)).await
    }

    /// Gives a machine to a collection, or takes it out of the one that it is in. Answers the one that it was in.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` where the collection is full; `Store(Conflict)` while the machine has sessions that have not
    /// ended, or where a desktop is called so.
    pub async fn place_machine(
        &self,
        name: &HostName,
        alias: Option<&CollectionAlias>,
    ) -> Result<Option<CollectionAlias>, EngineError> {
        let store = &self.inner.store;
        let machine = self.machine(name).await?;
        let place = machine.desktop().map_err(|error| EngineError::Invalid(error.to_string()))?;
        let before = store.desktop(&place).await?;
        if before.as_ref().is_some_and(|desktop| !desktop.host.is(name)) {
            let conflict = StoreError::Conflict(Existing::Desktop).into();
            return if alias.is_some() { Err(conflict) } else { Ok(None) };
        }
        let before = before.map(|desktop| desktop.collection);
        let same = |alias: &CollectionAlias| {
            before.as_ref().is_some_and(|before| before.as_str().eq_ignore_ascii_case(alias.as_str()))
        };
        if before.is_none() && alias.is_none() || alias.is_some_and(same) {
            return Ok(before);
        }
        let collection = match alias {
            Some(alias) => {
                Some(store.collection(alias.as_str()).await?.ok_or(EngineError::NotFound("collection"))?)
            }
            None => None,
        };
        if collection.as_ref().is_some_and(|collection| collection.size >= MAX_SIZE) {
            return Err(EngineError::Invalid(format!("a collection holds {MAX_SIZE} desktops at most")));
        }
        if before.is_some() {
            store.delete_desktop(&place).await?;
        }
        if let Some(collection) = collection {
            let desktop = Desktop {
                name: place,
                collection: collection.alias,
                host: machine.name,
                certificate_sha256: machine.certificate_sha256,
                handle: None,
                paused: false,
            };
            store.insert_desktop(&desktop).await?;
        }
        Ok(before)
    }

    /// Takes a machine out of the deployment, with all that is known of it.
    ///
    /// # Errors
    /// `NotFound`; `Store(Conflict)` while it has sessions that have not ended.
    pub async fn remove_machine(&self, name: &HostName) -> Result<(), EngineError> {
        let store = &self.inner.store;
        let of_host = SessionFilter { host: Some(name.clone()), ..SessionFilter::default() };
        if store.count_sessions(&of_host).await? > 0 {
            return Err(StoreError::Conflict(Existing::SessionInDesktop).into());
        }
        match self.place_machine(name, None).await {
            // a removal that was killed goes on here
            Err(EngineError::NotFound(_)) if self.is_left_of_a_machine(name).await? => {}
            placed => drop(placed?),
        }
        let owner = SettingOwner::Host(name.clone());
        for setting in store.settings(&owner).await? {
            gone(store.remove_setting(&owner, &setting.name).await)?;
        }
        gone(store.delete_document::<Machine>(name.as_str()).await)?;
        self.read_machines().await?;
        gone(store.delete_host(name).await)
    }

    async fn is_left_of_a_machine(&self, name: &HostName) -> Result<bool, EngineError> {
        let host = self.inner.store.host(name.as_str()).await?;
        Ok(host.is_some_and(|host| host.lease.kind == machine::KIND))
    }

    /// The certificate that is shown at an address; `Invalid` where it has to be another.
    async fn shown_certificate(
        &self,
        address: &Address,
        pinned: Option<[u8; 32]>,
    ) -> Result<[u8; 32], EngineError> {
        let shown = self.certificate_at(address).await?;
        if pinned.is_some_and(|pinned| pinned != shown) {
            let hex: String = shown.iter().map(|byte| format!("{byte:02x}")).collect();
            return Err(EngineError::Invalid(format!(
                "{address} shows a certificate with the SHA-256 {hex}, and not the one that was named"
            )));
        }
        Ok(shown)
    }

    /// Changes what the store says of a machine, whoever else does so at the same time.
    pub(super) async fn change_stored(
        &self,
        name: &HostName,
        mut change: impl FnMut(&mut Machine),
    ) -> Result<Machine, EngineError> {
        for _ in 0..MAX_STALE {
            let stored = self.inner.store.document::<Machine>(name.as_str()).await?;
            let stored = stored.ok_or(EngineError::NotFound("machine"))?;
            let mut machine = stored.document.clone();
            change(&mut machine);
            if machine == stored.document {
                return Ok(machine);
            }
            match self.inner.store.update_document(&machine, stored.generation).await {
                Ok(()) => {
                    self.read_machines().await?;
                    return Ok(machine);
                }
                Err(StoreError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Stale.into())
    }
}

/// Somebody else was faster.
fn gone(removed: Result<(), StoreError>) -> Result<(), EngineError> {
    match removed {
        Ok(()) | Err(StoreError::NotFound(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
