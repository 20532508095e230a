//! Documents: what is kept whole and found by its key alone. Nothing of a session hangs on them.

use crate::{CollectionAlias, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Something that the store keeps as it is.
pub trait Document: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What it is, in one word for people and for the store.
    const KIND: &'static str;

    /// The kind of what belongs to it and goes with it: keys of those begin with its own.
    const OWNED: Option<&'static str> = None;

    /// Its key among its kind; compared without case.
    fn key(&self) -> String;

    /// The collection that it goes with.
    fn collection(&self) -> Option<&CollectionAlias> {
        None
    }
}

/// A document as it is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored<T> {
    /// Grows with each change: a change names the one that it was made for.
    pub generation: u64,
    /// The document.
    pub document: T,
}

/// The parts of a key, joined so that no two keys fall together.
pub fn joined(parts: &[&str]) -> String {
    parts.join("\u{1f}")
}

/// An application offered from a collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedApplication {
    /// Its name among the collection's.
    pub alias: String,
    /// The collection that it is published from.
    pub collection: CollectionAlias,
    /// What people call it.
    pub display_name: String,
    /// Whether it is shown to users who may choose.
    pub shown: bool,
    /// Who may use it, as SDDL (MS-DTYP 2.5.1).
    pub security_descriptor: Option<String>,
    /// The program on the host.
    pub path: String,
    /// The program's path with variables.
    pub virtual_path: Option<String>,
    /// What clients may say of its arguments.
    pub command_line: CommandLine,
    /// Arguments that it is always started with.
    pub required_arguments: Option<String>,
    /// Where it is listed.
    pub folder: Option<String>,
    /// The picture that stands for it.
    pub icon: Icon,
}

/// Whether clients may give a program arguments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandLine {
    /// They are refused.
    #[default]
    Refused,
    /// They are passed on.
    Allowed,
    /// There are always the same.
    Required,
}

/// A picture, and where it came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Icon {
    /// The file that it is in.
    pub path: Option<String>,
    /// Which of that file's.
    pub index: i32,
    /// The picture itself.
    pub contents: Option<Vec<u8>>,
}

/// A kind of file that a published application opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileTypeAssociation {
    /// The application.
    pub application: String,
    /// Its collection.
    pub collection: CollectionAlias,
    /// The extension, with its dot.
    pub extension: String,
    /// The name by which desktops know this kind of file.
    pub prog_id: Option<String>,
    /// The picture for such files.
    pub icon: Icon,
    /// Whether the application is the first choice for such files.
    pub primary: bool,
    /// Whether users are offered it.
    pub published: bool,
}

/// What is offered to users, as it was when it was last synchronised: whoever serves it, serves one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// Counts up from 1.
    pub version: u64,
    /// When it was made.
    pub at: Timestamp,
    /// The collections that are shown, by alias.
    pub collections: Vec<PublishedCollection>,
    /// The applications that are shown.
    pub applications: Vec<PublishedApplication>,
    /// What they open.
    pub associations: Vec<FileTypeAssociation>,
}

/// A collection as users are offered it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedCollection {
    /// Its alias.
    pub alias: CollectionAlias,
    /// What people call it.
    pub display_name: String,
    /// Who may use it, as SDDL.
    pub security_descriptor: Option<String>,
}

/// What is written down of the template of a collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// The collection.
    pub collection: CollectionAlias,
    /// The template's name on its host.
    pub name: Option<String>,
    /// What its own system calls its computer.
    pub machine_name: Option<String>,
    /// The host that has it.
    pub host: Option<String>,
    /// Its identifier.
    pub guid: Option<String>,
    /// The version of its operating system.
    pub os_version: Option<String>,
    /// Its memory, in megabytes.
    pub memory_mb: Option<u32>,
    /// Its processor architecture.
    pub architecture: Option<String>,
    /// The names of its network adapters.
    pub adapters: Vec<String>,
}

impl Template {
    /// Of which nothing is known.
    pub fn of(collection: CollectionAlias) -> Self {
        Self {
            collection,
            name: None,
            machine_name: None,
            host: None,
            guid: None,
            os_version: None,
            memory_mb: None,
            architecture: None,
            adapters: Vec::new(),
        }
    }
}

/// A server that was named as part of the deployment, whether a node of it has been heard or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinedNode {
    /// Its full host name.
    pub fqdn: String,
    /// Its security identifier, where it was told.
    pub sid: Option<String>,
    /// Its operating system, where it was told.
    pub os_version: Option<String>,
    /// When it was named.
    pub joined: Timestamp,
    /// When it was taken out of the deployment; it is part of it again once it is heard after that.
    pub left: Option<Timestamp>,
}

impl Document for PublishedApplication {
    const KIND: &'static str = "application";
    const OWNED: Option<&'static str> = Some(FileTypeAssociation::KIND);

    fn key(&self) -> String {
        joined(&[self.collection.as_str(), &self.alias])
    }

    fn collection(&self) -> Option<&CollectionAlias> {
        Some(&self.collection)
    }
}

impl Document for FileTypeAssociation {
    const KIND: &'static str = "association";

    fn key(&self) -> String {
        joined(&[self.collection.as_str(), &self.application, &self.extension])
    }

    fn collection(&self) -> Option<&CollectionAlias> {
        Some(&self.collection)
    }
}

impl Document for Publication {
    const KIND: &'static str = "publication";

    /// There is one.
    fn key(&self) -> String {
        String::new()
    }
}

impl Document for Template {
    const KIND: &'static str = "template";

    fn key(&self) -> String {
        self.collection.to_string()
    }

    fn collection(&self) -> Option<&CollectionAlias> {
        Some(&self.collection)
    }
}

impl Document for JoinedNode {
    const KIND: &'static str = "joined";

    fn key(&self) -> String {
        self.fqdn.clone()
    }
}
