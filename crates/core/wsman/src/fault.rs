//! Faults: the table from WMI codes to the faults of WS-Management (DSP0226 14.6), and their text.
//!
//! Every fault carries three details, for three families of clients: the fault detail URI of DSP0226,
//! Microsoft's `MSFT_WmiError` for clients of the CIM cmdlets, and `WSManFault` for all older ones.

use crate::reply::envelope;
use crate::xml::{Attributes, Xml};
use crate::{eventing, names};
use openrdms_cim::{CimError, Kind, WmiCode};

/// The longest reason that is sent, in characters.
pub(crate) const LONGEST_REASON: usize = 400;

/// A fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What kind of failure; `None` for a header that had to be understood.
    pub subcode: Option<Subcode>,
    /// The end of the fault detail URI, such as `InvalidResourceURI`.
    pub detail: Option<&'static str>,
    /// The number in `WSManFault` and `MSFT_WmiError`.
    pub code: WmiCode,
    /// For people. Never empty: some clients show nothing else.
    pub reason: String,
}

/// Whose mistake it was (SOAP 1.2 part 1, 5.4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The request's.
    Sender,
    /// The server's.
    Receiver,
    /// The request's, by a header that the server does not know and had to.
    MustUnderstand,
}

macro_rules! subcodes {
    (@local $name:ident) => { stringify!($name) };
    (@local $name:ident $local:literal) => { $local };
    ($($name:ident $(as $local:literal)? = $prefix:literal, $code:ident, $wmi:ident;)*) => {
        /// The subcodes of WS-Addressing, WS-Enumeration and WS-Management that are used here.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the names are the specifications' own")]
        pub enum Subcode {
            $($name),*
        }

        impl Subcode {
            const ALL: &'static [Subcode] = &[$(Subcode::$name),*];

            /// Prefix and name; the prefixes are declared on every envelope that is sent.
            pub fn qname(self) -> (&'static str, &'static str) {
                match self {
                    $(Subcode::$name => ($prefix, subcodes!(@local $name $($local)?))),*
                }
            }

            /// Whose mistake it is.
            fn fault_code(self) -> Code {
                match self {
                    $(Subcode::$name => Code::$code),*
                }
            }

            /// The WMI code of a fault that no provider gave one.
            fn wmi(self) -> WmiCode {
                match self {
                    $(Subcode::$name => WmiCode::$wmi),*
                }
            }
        }
    };
}

subcodes! {
    DestinationUnreachable = "a", Sender, WBEM_E_NOT_FOUND;
    ActionNotSupported = "a", Sender, WBEM_E_NOT_SUPPORTED;
    MessageInformationHeaderRequired = "a", Sender, WBEM_E_INVALID_PARAMETER;
    InvalidMessageInformationHeader = "a", Sender, WBEM_E_INVALID_PARAMETER;
    InvalidEnumerationContext = "n", Sender, WBEM_E_INVALID_CONTEXT;
    CannotProcessFilter = "n", Sender, WBEM_E_INVALID_QUERY;
    FilterDialectRequestedUnavailable = "n", Sender, WBEM_E_INVALID_QUERY_TYPE;
    InvalidExpirationTime = "n", Sender, WBEM_E_INVALID_PARAMETER;
    InvalidRepresentation = "x", Sender, WBEM_E_INVALID_PARAMETER;
    DeliveryModeRequestedUnavailable = "e", Sender, WBEM_E_NOT_SUPPORTED;
    InvalidExpiration as "InvalidExpirationTime" = "e", Sender, WBEM_E_INVALID_PARAMETER;
    InvalidMessage = "e", Sender, WBEM_E_INVALID_PARAMETER;
    UnableToRenew = "e", Receiver, WBEM_E_NOT_FOUND;
    EventDeliverToUnusable = "w", Sender, WBEM_E_INVALID_PARAMETER;
    InvalidBookmark = "w", Sender, WBEM_E_QUEUE_OVERFLOW;
    AccessDenied = "w", Sender, WBEM_E_ACCESS_DENIED;
    AlreadyExists = "w", Sender, WBEM_E_ALREADY_EXISTS;
    Concurrency = "w", Sender, WBEM_E_INVALID_OPERATION;
    EncodingLimit = "w", Sender, WBEM_E_QUOTA_VIOLATION;
    FragmentDialectNotSupported = "w", Sender, WBEM_E_NOT_SUPPORTED;
    InternalError = "w", Receiver, WBEM_E_FAILED;
    InvalidOptions = "w", Sender, WBEM_E_NOT_SUPPORTED;
    InvalidParameter = "w", Sender, WBEM_E_INVALID_METHOD_PARAMETERS;
    InvalidSelectors = "w", Sender, WBEM_E_INVALID_OBJECT_PATH;
    QuotaLimit = "w", Sender, WBEM_E_SERVER_TOO_BUSY;
    SchemaValidationError = "w", Sender, WBEM_E_INVALID_PARAMETER;
    TimedOut = "w", Receiver, WBEM_E_TIMED_OUT;
    UnsupportedFeature = "w", Sender, WBEM_E_NOT_SUPPORTED;
}

impl Fault {
    /// A fault of that kind.
    pub fn new(subcode: Subcode, reason: impl Into<String>) -> Self {
        Self { subcode: Some(subcode), detail: None, code: subcode.wmi(), reason: reason.into() }
    }

    /// A header had to be understood and is not.
    pub fn must_understand(header: &str) -> Self {
        let reason = format!("header {header} is not understood");
        Self { subcode: None, detail: None, code: WmiCode::WBEM_E_NOT_SUPPORTED, reason }
    }

    /// The same with a fault detail.
    #[must_use]
    pub fn detail(mut self, detail: &'static str) -> Self {
        self.detail = Some(detail);
        self
    }

    /// The same with another WMI code.
    #[must_use]
    pub fn code(mut self, code: WmiCode) -> Self {
        self.code = code;
        self
    }

    /// Whose mistake it was.
    pub fn whose(&self) -> Code {
        self.subcode.map_or(Code::MustUnderstand, Subcode::fault_code)
    }

    /// The message. `relates_to` is the request's id where it is known; `host` names this server.
    pub fn message(&self, message_id: &str, relates_to: Option<&str>, host: &str) -> String {
        let action = match self.subcode {
            Some(subcode) if subcode.qname().0 == "a" => names::ADDRESSING_FAULT,
            _ => names::WSMAN_FAULT_ACTION,
        };
        envelope(action, message_id, relates_to, |xml| self.write(xml, host))
    }

    fn write(&self, xml: &mut Xml, host: &str) {
        let reason = if self.reason.trim().is_empty() { "failed" } else { self.reason.as_str() };
        // It may name what the request held, and comes four times; an ordinary text fits the smallest envelope then.
        let reason = shortened(reason);
        xml.element("s:Fault", &[], |xml| {
            xml.element("s:Code", &[], |xml| {
                let code = match self.whose() {
                    Code::Sender => "s:Sender",
                    Code::Receiver => "s:Receiver",
                    Code::MustUnderstand => "s:MustUnderstand",
                };
                xml.leaf("s:Value", &[], code);
                if let Some(subcode) = self.subcode {
                    let (prefix, name) = subcode.qname();
                    // declared here because nearly no message has to do with events
                    let declared = [("xmlns:e", eventing::EVENTING)];
                    let declared: Attributes<'_> = if prefix == "e" { &declared } else { &[] };
                    xml.element("s:Subcode", &[], |xml| {
                        xml.leaf("s:Value", declared, &format!("{prefix}:{name}"))
                    });
                }
            });
            xml.element("s:Reason", &[], |xml| xml.leaf("s:Text", &[("xml:lang", "en-US")], reason));
            xml.element("s:Detail", &[], |xml| {
                if let Some(detail) = self.detail {
                    xml.leaf("w:FaultDetail", &[], &format!("{}{detail}", names::FAULT_DETAIL));
                }
                wmi_error(xml, self.code, reason);
                let code = self.code.0.to_string();
                let attributes = [("xmlns:f", names::WSMAN_FAULT), ("Code", &code), ("Machine", host)];
                xml.element("f:WSManFault", &attributes, |xml| xml.leaf("f:Message", &[], reason));
            });
        });
    }
}

/// The beginning of a text for people, as long as it may be.
pub(crate) fn shortened(reason: &str) -> &str {
    let end = reason.char_indices().nth(LONGEST_REASON).map_or(reason.len(), |(at, _)| at);
    reason.get(..end).unwrap_or(reason)
}

/// `MSFT_WmiError`, as Windows sends it to clients of the CIM cmdlets. `xsi:type` is in the form that every
/// client stands: with an underscore where there are children.
fn wmi_error(xml: &mut Xml, code: WmiCode, reason: &str) {
    let attributes = [
        ("xmlns:p", names::WMI_ERROR),
        ("xmlns:b", names::BINDING),
        ("b:IsCIM_Error", "true"),
        ("xsi:type", "p:MSFT_WmiError_Type"),
    ];
    let status = code.cim_status().to_string();
    let number = code.0.to_string();
    let id = format!("HRESULT 0x{:08x}", code.0);
    let (int, short, string) = ("cim:cimUnsignedInt", "cim:cimUnsignedShort", "cim:cimString");
    xml.element("p:MSFT_WmiError", &attributes, |xml| {
        for (name, ty, value) in [
            ("CIMStatusCode", int, Some(status.as_str())),
            ("CIMStatusCodeDescription", string, None),
            ("ErrorSource", string, None),
            ("ErrorSourceFormat", short, Some("0")),
            ("ErrorType", short, Some("0")),
            ("Message", string, Some(reason)),
            ("MessageID", string, Some(&id)),
            ("OtherErrorSourceFormat", string, None),
            ("OtherErrorType", string, None),
            ("OwningEntity", string, Some("OpenRDMS")),
            ("PerceivedSeverity", short, Some("0")),
            ("ProbableCause", short, Some("0")),
            ("ProbableCauseDescription", string, None),
            ("error_Category", short, Some("0")),
            ("error_Code", int, Some(&number)),
            ("error_Type", string, Some("HRESULT")),
            ("error_WindowsErrorMessage", string, Some(reason)),
        ] {
            let name = format!("p:{name}");
            match value {
                Some(value) => xml.leaf(&name, &[("xsi:type", ty)], value),
                None => xml.empty(&name, &[("xsi:nil", "true")]),
            }
        }
    });
}

impl From<CimError> for Fault {
    /// The table: the fault of each WMI code, and of each kind where the code says no more.
    fn from(error: CimError) -> Self {
        let (subcode, detail) = match error.code {
            WmiCode::WBEM_E_NOT_FOUND | WmiCode::WBEM_E_INVALID_CLASS | WmiCode::WBEM_E_INVALID_NAMESPACE => {
                (Subcode::DestinationUnreachable, Some("InvalidResourceURI"))
            }
            WmiCode::WBEM_E_INVALID_METHOD
            | WmiCode::WBEM_E_METHOD_NOT_IMPLEMENTED
            | WmiCode::WBEM_E_PROVIDER_NOT_CAPABLE => (Subcode::ActionNotSupported, None),
            WmiCode::WBEM_E_READ_ONLY | WmiCode::WBEM_E_ILLEGAL_NULL => {
                (Subcode::InvalidRepresentation, Some("InvalidValues"))
            }
            WmiCode::WBEM_E_INVALID_QUERY | WmiCode::WBEM_E_INVALID_SYNTAX => {
                (Subcode::CannotProcessFilter, None)
            }
            WmiCode::WBEM_E_INVALID_QUERY_TYPE => (Subcode::FilterDialectRequestedUnavailable, None),
            WmiCode::WBEM_E_INVALID_CONTEXT => (Subcode::InvalidEnumerationContext, None),
            WmiCode::WBEM_E_QUEUE_OVERFLOW => (Subcode::InvalidBookmark, Some("Expired")),
            WmiCode::WBEM_E_INVALID_OBJECT_PATH => (Subcode::InvalidSelectors, Some("InvalidValue")),
            WmiCode::WBEM_E_MISSING_PARAMETER_ID => (Subcode::InvalidParameter, Some("MissingValues")),
            WmiCode::WBEM_E_ALREADY_EXISTS => (Subcode::AlreadyExists, None),
            WmiCode::WBEM_E_QUOTA_VIOLATION | WmiCode::WBEM_E_SERVER_TOO_BUSY => (Subcode::QuotaLimit, None),
            _ => match error.kind {
                Kind::Denied => (Subcode::AccessDenied, None),
                Kind::NotFound => (Subcode::DestinationUnreachable, Some("InvalidResourceURI")),
                Kind::Invalid => (Subcode::InvalidParameter, Some("InvalidValues")),
                Kind::Conflict => (Subcode::Concurrency, None),
                Kind::NotSupported => (Subcode::UnsupportedFeature, None),
                Kind::TimedOut => (Subcode::TimedOut, None),
                Kind::Unavailable | Kind::Bug => (Subcode::InternalError, None),
            },
        };
        Self { subcode: Some(subcode), detail, code: error.code, reason: error.message }
    }
}

impl Subcode {
    /// The WMI code that a fault without a number of its own stands for, by its local name.
    pub(crate) fn wmi_of(local: &str) -> Option<WmiCode> {
        Self::ALL.iter().find(|s| s.qname().1 == local).map(|s| s.wmi())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_does_not_send_back_at_length_what_it_refuses() {
        for (text, most) in [("a", 8192), ("&", 16_384), ("\u{10000}", 16_384)] {
            let long = text.repeat(100_000);
            let message = Fault::must_understand(&long).message("uuid:1", Some("uuid:2"), "host");
            assert!(message.len() <= most, "{text}: {}", message.len());
        }
    }

    /// Every kind of fault, with whose mistake it is, the number of one that has none of its own, its action, and
    /// the namespace of its prefix.
    #[test]
    fn subcodes() {
        let rows: Vec<String> = Subcode::ALL
            .iter()
            .map(|subcode| {
                let fault = Fault::new(*subcode, "x");
                let message = fault.message("uuid:R", Some("uuid:Q"), "h");
                let document = roxmltree::Document::parse(&message).expect("it is xml");
                let text = |name: &str| {
                    let found = document.descendants().find(|n| n.tag_name().name() == name);
                    found.and_then(|n| n.text()).unwrap_or_default().to_owned()
                };
                let value = document.descendants().rfind(|n| n.tag_name().name() == "Value");
                let value = value.expect("there is one");
                let qname = value.text().unwrap_or_default();
                let (prefix, _) = qname.split_once(':').expect("it has a prefix");
                let namespace = value.lookup_namespace_uri(Some(prefix)).expect("which is declared");
                format!("{qname:34} {:?} {:08X} {} {namespace}", fault.whose(), fault.code.0, text("Action"))
            })
            .collect();
        insta::assert_snapshot!(rows.join("\n"));
    }

    /// The one table, whole: a change to any part of it shows here.
    #[test]
    fn table() {
        let rows: Vec<String> = WmiCode::ALL
            .iter()
            .map(|(code, name, kind, cim)| {
                let fault = Fault::from(CimError::new(*code, "x"));
                let (prefix, local) = fault.subcode.expect("every code has one").qname();
                let (whose, detail) = (fault.whose(), fault.detail.unwrap_or("-"));
                let (kind_name, http) = (format!("{kind:?}"), kind.http_status());
                format!(
                    "{:08X} {name:32} {kind_name:12} {http} cim {cim:2} {whose:?} {prefix}:{local} {detail}",
                    code.0
                )
            })
            .collect();
        insta::assert_snapshot!(rows.join("\n"));
    }
}
