//! Settings: named values that scripts read and write, of the deployment, of a collection or of a host.

use crate::{CollectionAlias, HostName};
use serde::{Deserialize, Serialize};

/// Whose a setting is. Names of settings compare without case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingOwner {
    /// Of all of it.
    Deployment,
    /// Of a collection; goes with it.
    Collection(CollectionAlias),
    /// Of a host.
    Host(HostName),
    /// A collection's entries for compare-and-set, apart from its settings; go with it.
    Entries(CollectionAlias),
}

impl SettingOwner {
    /// The collection that it goes with.
    pub fn collection(&self) -> Option<&CollectionAlias> {
        match self {
            Self::Collection(alias) | Self::Entries(alias) => Some(alias),
            Self::Deployment | Self::Host(_) => None,
        }
    }
}

impl std::fmt::Display for SettingOwner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Deployment => f.write_str("deployment"),
            Self::Collection(alias) => write!(f, "collection {alias}"),
            Self::Host(name) => write!(f, "host {name}"),
            Self::Entries(alias) => write!(f, "entries {alias}"),
        }
    }
}

/// A named value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Its name as it was written last.
    pub name: String,
    /// Its value.
    pub value: SettingValue,
}

/// The value of a setting: whoever reads it asks for its type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettingValue {
    /// A number.
    Int(i32),
    /// A text.
    Text(String),
    /// Texts in order.
    List(Vec<String>),
}

/// What a compare-and-set found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// The value before; `None` where there was none.
    pub before: Option<String>,
    /// Whether the new value is there now: it is where there was none, or the one that was expected.
    pub set: bool,
}
