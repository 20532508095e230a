//! The options of a request (DSP0226 6.4, MS-WSMV 3.1.4.1.10).

use super::Operation;
use crate::names::WSMAN;
use crate::{Family, Fault, Subcode, read};
use roxmltree::Node;

/// Options that a method obeys.
const OF_METHODS: [&str; 2] = ["ExpectedUser", "ExpectedState"];
/// Options that a request for declarations of classes obeys.
const OF_DECLARATIONS: [&str; 6] = [
    "IncludeQualifiers",
    "IncludeClassOrigin",
    "IncludeInheritedElements",
    "IncludeInheritanceHierarchy",
    "IncludeSubClasses",
    "ExcludeClassSpecification",
];
/// Options that every reply obeys.
const OF_ALL: [&str; 1] = ["msftwinrm:UsePreciseArrays"];

/// Most options, and the most text of one, in bytes.
const MOST: usize = 256;
const LONGEST: usize = 4096;

/// The options that were given.
pub(super) struct Options {
    /// By name, the prefixes `wmi:` and `wmiarray:` stripped.
    pub(super) list: Vec<(String, String)>,
    /// Names of those that the client insists on.
    insisted: Vec<String>,
}

impl Options {
    /// Reads the header.
    pub(super) fn read<'a>(header: Node<'a, 'a>) -> Result<Self, Fault> {
        let (mut list, mut insisted) = (Vec::new(), Vec::new());
        let set = read::child(header, WSMAN, "OptionSet").into_iter().flat_map(read::children);
        for node in set.filter(|n| n.has_tag_name((WSMAN, "Option"))) {
            let name = node.attribute("Name").unwrap_or_default().trim();
            let name =
                ["wmi:", "wmiarray:"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
            let value = read::text(node);
            if list.len() >= MOST || name.len() > LONGEST || value.len() > LONGEST {
                let reason = "there are too many options, or one is too long";
                return Err(Fault::new(Subcode::InvalidOptions, reason).detail("InvalidValue"));
            }
            if read::flag(node.attribute("MustComply")) || read::flag(node.attribute("mustComply")) {
                insisted.push(name.to_owned());
            }
            list.push((name.to_owned(), value));
        }
        Ok(Self { list, insisted })
    }

    /// Refuses an option that the client insists on and that would not be obeyed.
    pub(super) fn check(&self, operation: &Operation, family: Family) -> Result<(), Fault> {
        let obeyed: &[&str] = match (operation, family) {
            (Operation::Invoke { .. }, _) => &OF_METHODS,
            (_, Family::Declarations) => &OF_DECLARATIONS,
            (_, Family::Wmi | Family::Cim) => &[],
        };
        let is_obeyed = |name: &&String| obeyed.iter().chain(&OF_ALL).any(|o| o.eq_ignore_ascii_case(name));
        match self.insisted.iter().find(|name| !is_obeyed(name)) {
            None => Ok(()),
            Some(name) => {
                Err(Fault::new(Subcode::InvalidOptions, format!("option {name} is not offered here"))
                    .detail("NotSupported"))
            }
        }
    }
}
