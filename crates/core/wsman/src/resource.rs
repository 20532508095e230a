//! Resource URIs: which class a message is about, in either of the two families that name CIM classes.

use crate::names::{ALL_CLASSES, CIM_CLASS, CIM_XML, WMI_CLASS, WS_CIM};
use crate::{Fault, Subcode};
use openrdms_cim::WmiCode;
use openrdms_cim::path::canonical_namespace;

/// How the URI of a class is made. A reply names classes in the family of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `http://schemas.microsoft.com/wbem/wsman/1/wmi/<namespace>/<Class>` (MS-WSMV 2.2.5).
    Wmi,
    /// `http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/<Class>` and the selector `__cimnamespace` (DSP0227).
    Cim,
    /// `http://schemas.dmtf.org/wbem/cim-xml/2/cim-schema/2/*`: not instances but the declarations of classes, and
    /// the selectors `ClassName` and `__cimnamespace` (MS-WSMV 3.1.4.1.38).
    Declarations,
}

/// A class, or `*` for all classes of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// The family that it was named in.
    pub family: Family,
    /// Namespace in canonical form.
    pub namespace: String,
    /// Class as the caller spelt it.
    pub class: String,
}

/// The namespace of a URI that names none.
const DEFAULT_NAMESPACE: &str = "root/cimv2";

impl Resource {
    /// Reads a URI; `selector` is the value of `__cimnamespace`.
    ///
    /// # Errors
    /// A fault where it names no class, another namespace than the selector, or is of a family that is not offered.
    pub fn parse(uri: &str, selector: Option<&str>) -> Result<Self, Fault> {
        let selector = selector.map(canonical_namespace).filter(|n| !n.is_empty());
        let (family, namespace, class) = if let Some(rest) = strip(uri, WMI_CLASS) {
            let (namespace, class) = rest.rsplit_once('/').ok_or_else(|| unknown(uri))?;
            let namespace = canonical_namespace(namespace);
            // A client may say it twice, but not differently.
            if selector.is_some_and(|s| s != namespace) {
                return Err(Fault::new(
                    Subcode::InternalError,
                    "the resource uri and the __cimnamespace selector name different namespaces",
                ));
            }
            (Family::Wmi, namespace, class)
        } else if let Some(class) = strip(uri, CIM_XML) {
            (Family::Declarations, selector.unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()), class)
        } else if strip(uri, WS_CIM).is_some() {
            let reason = "class declarations are offered in cim-xml only";
            return Err(Fault::new(Subcode::UnsupportedFeature, reason));
        } else {
            let class = if uri == ALL_CLASSES { Some("*") } else { strip(uri, CIM_CLASS) };
            let namespace = selector.unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
            (Family::Cim, namespace, class.ok_or_else(|| unknown(uri))?)
        };
        let is_name = !class.is_empty() && class.chars().all(|c| c.is_alphanumeric() || c == '_');
        if !(is_name || class == "*") || namespace.is_empty() {
            return Err(unknown(uri));
        }
        Ok(Self { family, namespace, class: class.to_owned() })
    }
}

impl Family {
    /// The URI of a class.
    pub fn uri(self, namespace: &str, class: &str) -> String {
        match self {
            Family::Wmi => format!("{WMI_CLASS}{namespace}/{class}"),
            Family::Cim if class == "*" => ALL_CLASSES.to_owned(),
            Family::Cim => format!("{CIM_CLASS}{class}"),
            Family::Declarations => format!("{CIM_XML}{class}"),
        }
    }
}

fn strip<'a>(uri: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, tail) = uri.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(tail)
}

fn unknown(uri: &str) -> Fault {
    let shown: String = uri.chars().take(200).collect();
    Fault::new(Subcode::DestinationUnreachable, format!("resource uri {shown} is unknown"))
        .detail("InvalidResourceURI")
        .code(WmiCode::WBEM_E_INVALID_CLASS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(uri: &str, selector: Option<&str>) -> Option<(Family, String, String)> {
        Resource::parse(uri, selector).ok().map(|r| (r.family, r.namespace, r.class))
    }

    #[test]
    fn both_families_name_a_class() {
        let wmi = "http://schemas.microsoft.com/wbem/wsman/1/wmi/Root/CIMv2/rdms/C_D";
        let found = (Family::Wmi, "root/cimv2/rdms".to_owned(), "C_D".to_owned());
        assert_eq!(parse(wmi, None), Some(found.clone()));
        assert_eq!(parse(wmi, Some(r"ROOT\cimv2\RDMS")), Some(found));
        assert_eq!(parse(wmi, Some("root/other")), None);

        let cim = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/C_D";
        let found = |n: &str| Some((Family::Cim, n.to_owned(), "C_D".to_owned()));
        assert_eq!(parse(cim, Some("root/openrdms")), found("root/openrdms"));
        assert_eq!(parse(cim, None), found("root/cimv2"));
        assert_eq!(parse(ALL_CLASSES, None).map(|r| r.2).as_deref(), Some("*"));
        let declarations = "http://schemas.dmtf.org/wbem/cim-xml/2/cim-schema/2/*";
        let found = (Family::Declarations, "root/openrdms".to_owned(), "*".to_owned());
        assert_eq!(parse(declarations, Some("root/openrdms")), Some(found));
    }

    #[test]
    fn anything_else_is_unknown() {
        for uri in [
            "",
            "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd",
            "http://schemas.microsoft.com/wbem/wsman/1/wmi/",
            "http://schemas.microsoft.com/wbem/wsman/1/wmi/C",
            "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/",
            "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/a b",
            "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/a/b",
            "http://schemas.dmtf.org/wbem/ws-cim/1/cim-schema/2/*",
        ] {
            assert_eq!(parse(uri, None), None, "{uri}");
        }
    }
}
