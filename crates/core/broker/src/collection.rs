//! Collections: desktops offered under one alias, and how.

use crate::limits::LimitsChange;
use crate::{CollectionAlias, Limits, Timestamp, UserName};
use serde::{Deserialize, Serialize};

/// A set of desktops offered under one alias.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collection {
    /// Its key.
    pub alias: CollectionAlias,
    /// What people call it.
    pub display_name: String,
    /// More about it, for people.
    #[serde(default)]
    pub description: Option<String>,
    /// How its desktops are given to users.
    #[serde(default)]
    pub kind: CollectionKind,
    /// Whether its desktops are made by the service; otherwise they are added one by one.
    #[serde(default = "yes")]
    pub managed: bool,
    /// How many desktops it holds.
    pub size: u32,
    /// Who may log on; `None`: every account.
    pub users: Option<Vec<UserName>>,
    /// How long its sessions may be idle, active or disconnected.
    #[serde(default)]
    pub limits: Limits,
    /// What a user writes is thrown away when the session ends, but for what [`Collection::user_disk`] keeps.
    #[serde(default)]
    pub rollback: bool,
    /// Settings of the users' own disks; `None`: there are none. Each user's home is then kept apart.
    #[serde(default)]
    pub user_disk: Option<String>,
    /// Whether it is shown to users who may choose.
    #[serde(default = "yes")]
    pub shown: bool,
    /// Who may use it, as SDDL (MS-DTYP 2.5.1).
    #[serde(default)]
    pub security_descriptor: Option<String>,
    /// Settings of its machines, as their host kind understands them.
    #[serde(default)]
    pub farm_settings: Option<String>,
    /// The picture that stands for it.
    #[serde(default)]
    pub icon: Option<Vec<u8>>,
    /// When it was made.
    pub created: Timestamp,
}

/// How desktops are given to users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CollectionKind {
    /// Any free desktop, for one session.
    #[default]
    Pooled,
    /// The desktop that an administrator has assigned to the user.
    ManualPersonal,
    /// The desktop that is assigned to the user; the first logon assigns a free one.
    AutomaticPersonal,
}

fn yes() -> bool {
    true
}

impl Collection {
    /// A pooled collection without desktops that everybody may use, named as its alias.
    pub fn new(alias: CollectionAlias, created: Timestamp) -> Self {
        Self {
            display_name: alias.to_string(),
            alias,
            description: None,
            kind: CollectionKind::Pooled,
            managed: true,
            size: 0,
            users: None,
            limits: Limits::default(),
            rollback: false,
            user_disk: None,
            shown: true,
            security_descriptor: None,
            farm_settings: None,
            icon: None,
            created,
        }
    }
}

/// A change of a collection: what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollectionChange {
    /// New [`Collection::display_name`].
    pub display_name: Option<String>,
    /// New [`Collection::users`].
    pub users: Option<Option<Vec<UserName>>>,
    /// New [`Collection::limits`].
    pub limits: LimitsChange,
    /// New [`Collection::managed`].
    pub managed: Option<bool>,
    /// New [`Collection::rollback`].
    pub rollback: Option<bool>,
    /// New [`Collection::shown`].
    pub shown: Option<bool>,
    /// New [`Collection::description`]; empty for none.
    pub description: Option<String>,
    /// New [`Collection::user_disk`]; empty for none.
    pub user_disk: Option<String>,
    /// New [`Collection::security_descriptor`]; empty for none.
    pub security_descriptor: Option<String>,
    /// New [`Collection::farm_settings`]; empty for none.
    pub farm_settings: Option<String>,
    /// New [`Collection::icon`]; empty for none.
    pub icon: Option<Vec<u8>>,
}

impl CollectionChange {
    /// The collection after the change.
    pub fn of(self, collection: Collection) -> Collection {
        let text = |new: Option<String>, old| new.map_or(old, |new| Some(new).filter(|new| !new.is_empty()));
        Collection {
            display_name: self.display_name.unwrap_or(collection.display_name),
            users: self.users.unwrap_or(collection.users),
            limits: self.limits.of(collection.limits),
            managed: self.managed.unwrap_or(collection.managed),
            rollback: self.rollback.unwrap_or(collection.rollback),
            shown: self.shown.unwrap_or(collection.shown),
            description: text(self.description, collection.description),
            user_disk: text(self.user_disk, collection.user_disk),
            security_descriptor: text(self.security_descriptor, collection.security_descriptor),
            farm_settings: text(self.farm_settings, collection.farm_settings),
            icon: self.icon.map_or(collection.icon, |new| Some(new).filter(|new| !new.is_empty())),
            ..collection
        }
    }
}

impl From<LimitsChange> for CollectionChange {
    fn from(limits: LimitsChange) -> Self {
        Self { limits, ..Self::default() }
    }
}
