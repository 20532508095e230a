//! What a file has: which classes, and which of their properties.

use crate::cli::remote::{KNOWN, OURS};
use openrdms_cim::{Instance, ObjectPath, Value};

/// Instances of one section's class.
pub(super) type Rows = Vec<Instance>;

/// Part of a file: instances of a class. Several classes may speak of the same things and share a name and keys.
pub(super) struct Section {
    /// What the file calls one of them.
    pub(super) name: &'static str,
    pub(super) namespace: &'static str,
    pub(super) class: &'static str,
    /// Properties that say which one it is: all texts.
    pub(super) keys: &'static [&'static str],
    /// Properties that are given when it is made and stay.
    pub(super) fixed: &'static [&'static str],
    /// Properties that can be changed.
    pub(super) properties: &'static [&'static str],
    pub(super) made: Made,
}

/// How one comes to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// By Create; a collection without any desktop.
    Collection,
    /// By Create.
    Instance,
    /// With the collection: it can only be changed.
    WithCollection,
    /// By the collection's own method.
    Desktop,
    /// By the class's method.
    Server,
    /// By writing it.
    Setting,
    /// By a person, who knows the password.
    Account,
}

/// The class of machines, and of the hosts of nodes, which come by themselves.
pub(super) const MACHINES: &str = "OpenRDMS_Host";
pub(super) const COLLECTIONS: &str = "OpenRDMS_Collection";
pub(super) const DESKTOPS: &str = "OpenRDMS_Desktop";
pub(super) const ASSIGNMENTS: &str = "Win32_RDMSDesktopAssignment";
pub(super) const APPLICATIONS: &str = "Win32_RDMSPublishedApplication";
/// The class of servers that were joined by name, and of those that come by themselves.
pub(super) const SERVERS: &str = "Win32_RDMSJoinedNode";

/// In the order in which they are made.
pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "account",
        namespace: OURS,
        class: "OpenRDMS_User",
        keys: &["DomainName", "UserName"],
        fixed: &[],
        properties: &["Role"],
        made: Made::Account,
    },
    Section {
        name: "collection",
        namespace: OURS,
        class: COLLECTIONS,
        keys: &["Alias"],
        fixed: &["Kind"],
        properties: &[
            "Users",
            "DisplayName",
            "Description",
            "Rollback",
            "IdleLimitSeconds",
            "ActiveLimitSeconds",
            "DisconnectedLimitSeconds",
            "LimitAction",
            "LimitWarningSeconds",
        ],
        made: Made::Collection,
    },
    Section {
        name: "collection",
        namespace: KNOWN,
        class: "Win32_RDMSVirtualDesktopCollection",
        keys: &["Alias"],
        fixed: &[],
        properties: &[
            "IsManaged",
            "ShowInPortal",
            "SecurityDescriptor",
            "VmFarmSettings",
            "UserVHDSetting",
            "IconContents",
        ],
        made: Made::WithCollection,
    },
    Section {
        name: "collection",
        namespace: KNOWN,
        class: "Win32_RDMSCollectionProperties",
        keys: &["Alias"],
        fixed: &[],
        properties: &[
            "ReferenceVirtualDesktopName",
            "ReferenceVirtualDesktopMachineName",
            "ReferenceVirtualDesktopHost",
            "ReferenceVirtualDesktopGuid",
            "ReferenceVirtualDesktopOsversion",
            "ReferenceVirtualDesktopRamsizeMB",
            "ReferenceVirtualDesktopArchitecture",
            "ReferenceVirtualDesktopRemoteFX",
            "ReferenceVirtualDesktopAdapters",
        ],
        made: Made::WithCollection,
    },
    Section {
        name: "desktop",
        namespace: OURS,
        class: DESKTOPS,
        keys: &["Name"],
        fixed: &["CollectionAlias"],
        properties: &[],
        made: Made::Desktop,
    },
    Section {
        name: "machine",
        namespace: OURS,
        class: MACHINES,
        keys: &["Name"],
        fixed: &[],
        properties: &[
            "Address",
            "CertificateSha256",
            "CollectionAlias",
            "Logon",
            "SessionLimit",
            "RelativeWeight",
            "Drained",
        ],
        made: Made::Instance,
    },
    Section {
        name: "assignment",
        namespace: KNOWN,
        class: ASSIGNMENTS,
        keys: &["CollectionAlias", "DesktopName", "UserDomain", "UserName"],
        fixed: &[],
        properties: &[],
        made: Made::Instance,
    },
    Section {
        name: "application",
        namespace: KNOWN,
        class: APPLICATIONS,
        keys: &["PoolName", "AppAlias"],
        fixed: &[],
        properties: &[
            "DisplayName",
            "AppPath",
            "ShowInPortal",
            "SecurityDescriptor",
            "VirtualPath",
            "CommandLineSetting",
            "RequiredCommandLine",
            "Folder",
            "IconPath",
            "IconIndex",
            "IconContents",
        ],
        made: Made::Instance,
    },
    Section {
        name: "file_type",
        namespace: KNOWN,
        class: "Win32_RDMSFileTypeAssociation",
        keys: &["PoolName", "AppAlias", "ExtName"],
        fixed: &["ProgIdHint"],
        properties: &["IsPrimaryHandler", "IsPublished", "IconPath", "IconIndex", "IconContents"],
        made: Made::Instance,
    },
    Section {
        name: "server",
        namespace: KNOWN,
        class: SERVERS,
        keys: &["FQDN"],
        fixed: &["SID"],
        properties: &["OSVersion"],
        made: Made::Server,
    },
    Section {
        name: "setting",
        namespace: OURS,
        class: "OpenRDMS_Setting",
        keys: &["Owner", "Name"],
        fixed: &[],
        properties: &["Number", "Text", "List"],
        made: Made::Setting,
    },
];

impl Section {
    /// Every property that the file may say of one.
    pub(super) fn all(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().chain(self.fixed).chain(self.properties).copied()
    }

    pub(super) fn path(&self, row: &Instance) -> ObjectPath {
        let class = ObjectPath::class(self.namespace, self.class);
        self.keys.iter().fold(class, |path, key| path.with_key(key, text(row, key)))
    }

    /// Its keys, alike for those that are the same one: keys compare without case.
    pub(super) fn identity(&self, row: &Instance) -> Vec<String> {
        self.keys.iter().map(|key| text(row, key).to_lowercase()).collect()
    }

    /// Whether no other section of its name comes before it.
    pub(super) fn is_first(&self) -> bool {
        SECTIONS.iter().find(|s| s.name == self.name).is_some_and(|s| s.class == self.class)
    }

    /// Whether what it has is published to users.
    pub(super) fn is_published(&self) -> bool {
        self.name == "collection" || self.keys.contains(&"PoolName")
    }

    /// What people call it: `application pool1 Editor`.
    pub(super) fn describe(&self, row: &Instance) -> String {
        let keys = self.keys.iter().map(|key| text(row, key));
        std::iter::once(self.name).chain(keys).collect::<Vec<_>>().join(" ")
    }
}

/// The rows of a class, of which there is one list a section.
pub(super) fn of_class<'a>(class: &str, all: &'a [Rows]) -> &'a [Instance] {
    let at = SECTIONS.iter().position(|section| section.class == class);
    at.and_then(|at| all.get(at)).map_or(&[], Vec::as_slice)
}

/// A property that is a text; empty where it is not there.
pub(super) fn text<'a>(row: &'a Instance, property: &str) -> &'a str {
    row.get(property).as_str().unwrap_or_default()
}

/// Whether a row says something of a property.
pub(super) fn says(row: &Instance, property: &str) -> bool {
    row.get(property) != &Value::Null
}
