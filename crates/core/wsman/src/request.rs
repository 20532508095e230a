//! Requests as the server reads them (DSP0226 5 to 9, MS-WSMV 3.1.4).
//!
//! [`Request::parse`] looks at the message alone. What its names mean for a class is the second step,
//! [`crate::bind`].

pub(crate) mod body;
mod fragment;
mod header;
mod options;

pub use fragment::Fragment;

use crate::names;
use crate::{Charset, Eventing, Family, Fault, Resource, Subcode, eventing, guard, read};
use openrdms_cim::{ObjectPath, WmiCode};
use roxmltree::{Node, NodeType};
use std::fmt;
use std::time::Duration;

/// What the server takes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest request, in bytes.
    pub max_request: usize,
    /// Longest reply, in bytes, whatever the client would take.
    pub max_envelope: usize,
}

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Its encoding, and so the reply's.
    pub charset: Charset,
    /// `a:Action`; empty for Identify, which has no headers, and for End, whose headers do not matter.
    pub action: String,
    /// `a:MessageID`, byte for byte; empty for Identify and End.
    pub message_id: String,
    /// What it is about; `None` for Identify and End.
    pub resource: Option<Resource>,
    /// Keys by name, without `__cimnamespace`.
    pub selectors: Vec<(String, Input)>,
    /// Options by name, the prefixes `wmi:` and `wmiarray:` stripped.
    pub options: Vec<(String, String)>,
    /// How long the client waits.
    pub timeout: Option<Duration>,
    /// The longest reply that client and server agree on, in bytes.
    pub max_envelope: usize,
    /// Whether the reply to a listing is to say how long it is in all.
    pub wants_total: bool,
    /// The part of the instance that is meant; `None`: all of it.
    pub fragment: Option<Fragment>,
    /// What is asked.
    pub operation: Operation,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Who are you (DSP0226 11).
    Identify,
    /// Begin a listing (DSP0226 8.2).
    Enumerate {
        /// Whether the first items may come with the reply.
        optimize: bool,
        /// Most items that may.
        max_elements: Option<usize>,
        /// What an item is.
        mode: Mode,
        /// Which instances.
        filter: Option<Filter>,
        /// How long it is to stay open.
        expires: Option<Expiry>,
    },
    /// Go on with a listing (DSP0226 8.4).
    Pull {
        /// The context that the last reply gave.
        context: String,
        /// Most items.
        max_elements: Option<usize>,
        /// Most characters of items.
        max_characters: Option<usize>,
        /// How long the client waits.
        max_time: Option<Duration>,
    },
    /// How long will a listing stay open (WS-Enumeration 3.4).
    Status {
        /// The context that the last reply gave.
        context: String,
    },
    /// Keep a listing open for longer (WS-Enumeration 3.3).
    Renew {
        /// The context that the last reply gave.
        context: String,
        /// How long it is to stay open.
        expires: Option<Expiry>,
    },
    /// Drop a listing (DSP0226 8.5).
    Release {
        /// The context that the last reply gave.
        context: String,
    },
    /// One instance (DSP0226 7.2).
    Get,
    /// Change an instance, or a fragment of it (DSP0226 7.3, 7.7).
    Put {
        /// Properties in the order of the message; an array has its name several times.
        properties: Vec<(String, Input)>,
    },
    /// Make an instance, or a fragment of one (DSP0226 7.5, 7.7).
    Create {
        /// Properties in the order of the message; an array has its name several times.
        properties: Vec<(String, Input)>,
    },
    /// Remove an instance, or a fragment of it (DSP0226 7.4, 7.7).
    Delete,
    /// A method (DSP0226 9).
    Invoke {
        /// Its name, as the caller spelt it.
        method: String,
        /// Parameters in the order of the message; an array has its name several times.
        input: Vec<(String, Input)>,
    },
    /// Something about a subscription (DSP0226 10).
    Eventing(Eventing),
    /// A PowerShell client is done with an operation; nothing to do (MS-WSMV 3.1.4.19).
    End,
}

/// What the items of a listing are (DSP0226 8.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Instances.
    Object,
    /// Endpoint references.
    Epr,
    /// Both, side by side.
    ObjectAndEpr,
}

/// Which instances are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Those whose properties are equal to all of these (DSP0226 annex E).
    Selectors(Vec<(String, String)>),
    /// Those that a WQL query selects.
    Wql(String),
    /// Those that a CQL query selects.
    Cql(String),
}

/// How long something is to live (WS-Enumeration 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// So long from now.
    In(Duration),
    /// Until then: microseconds since 1970 in UTC.
    At(i64),
}

/// A value as it came, before its type is known. May hold a password: it is not shown.
#[derive(Clone, PartialEq)]
pub enum Input {
    /// Null.
    Null,
    /// Text.
    Text(String),
    /// An endpoint reference.
    Reference(ObjectPath),
    /// Some other element content.
    Object,
}

/// A request that could not be read: what is needed to say so.
#[derive(Clone, Debug)]
pub struct Rejected {
    /// The encoding of the reply.
    pub charset: Charset,
    /// The request's id, where that much could be read.
    pub message_id: Option<String>,
    /// Why.
    pub fault: Fault,
}

impl Request {
    /// Reads a message.
    ///
    /// # Errors
    /// The fault to answer with: too long, no XML, past the limits, or not a message that is understood.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, Rejected> {
        let charset = Charset::detect(bytes);
        let reject = |message_id: Option<String>, fault| Rejected { charset, message_id, fault };
        if bytes.len() > limits.max_request {
            return Err(reject(
                None,
                Fault::new(Subcode::EncodingLimit, "request is too long").detail("MaxEnvelopeSize"),
            ));
        }
        let invalid = |reason| reject(None, Fault::new(Subcode::SchemaValidationError, reason));
        let text = charset.decode(bytes).ok_or_else(|| invalid("request is not text"))?;
        let document =
            guard::parse(&text, guard::REQUEST).ok_or_else(|| invalid("request is not xml, or too large"))?;
        if let Some(reason) = unwelcome(&document) {
            return Err(invalid(reason));
        }
        let root = document.root_element();
        if !root.has_tag_name((names::SOAP, "Envelope")) {
            return Err(invalid("request is not a soap 1.2 envelope"));
        }
        let parts = ["Header", "Body"]
            .map(|name| read::children(root).filter(|n| n.has_tag_name((names::SOAP, name))).count());
        if parts.iter().any(|count| *count > 1) {
            return Err(invalid("request has two headers or bodies"));
        }
        let body = read::child(root, names::SOAP, "Body").ok_or_else(|| invalid("request has no body"))?;
        if read::child(body, names::IDENTITY, "Identify").is_some() {
            return Ok(Self::bare(charset, limits, Operation::Identify));
        }
        let header = read::child(root, names::SOAP, "Header")
            .ok_or_else(|| reject(None, header::required("Action")))?;
        // A fault would end the client's session, and there is nothing to refuse.
        if read::child_text(header, names::ADDRESSING, "Action").as_deref() == Some(names::END) {
            return Ok(Self::bare(charset, limits, Operation::End));
        }
        let message_id = read::child(header, names::ADDRESSING, "MessageID").map(read::text);
        let message_id = message_id.filter(|id| !id.trim().is_empty() && id.len() <= header::MAX_MESSAGE_ID);
        Self::read(charset, header, body, limits).map_err(|fault| reject(message_id, fault))
    }

    /// The value of an option, compared without case.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// An option that is a truth value; `None` where it is not given, or is none.
    pub fn flag(&self, name: &str) -> Option<bool> {
        let value = self.option(name)?.trim();
        match value {
            "1" => Some(true),
            "0" => Some(false),
            _ if value.eq_ignore_ascii_case("true") => Some(true),
            _ if value.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }

    /// Whether null arrays are to be told from arrays of one null (MS-WSMV 2.2.10).
    pub fn precise_arrays(&self) -> bool {
        self.flag("msftwinrm:UsePreciseArrays").unwrap_or(false)
    }

    /// A request without any headers that matter.
    fn bare(charset: Charset, limits: &Limits, operation: Operation) -> Self {
        Self {
            charset,
            action: String::new(),
            message_id: String::new(),
            resource: None,
            selectors: Vec::new(),
            options: Vec::new(),
            timeout: None,
            max_envelope: limits.max_envelope,
            wants_total: false,
            fragment: None,
            operation,
        }
    }

    fn read<'a>(
        charset: Charset,
        header: Node<'a, 'a>,
        body: Node<'a, 'a>,
        limits: &Limits,
    ) -> Result<Self, Fault> {
        header::check(header)?;
        let node = header;
        let header = header::Header::read(node, limits)?;
        let eventing = eventing::read(&header.action, node, body)?;
        let operation = match eventing {
            Some(eventing) => Operation::Eventing(eventing),
            None => body::read(&header.action, header.fragment.as_ref(), body)?,
        };
        let uri = header.resource_uri.ok_or_else(|| {
            Fault::new(Subcode::DestinationUnreachable, "header ResourceURI is missing")
                .detail("InvalidResourceURI")
                .code(WmiCode::WBEM_E_INVALID_PARAMETER)
        })?;
        let resource = Resource::parse(&uri, header.namespace.as_deref())?;
        body::check_resource(&header.action, &operation, &resource)?;
        if header.fragment.is_none() && matches!(operation, Operation::Put { .. } | Operation::Create { .. })
        {
            body::check_class(body, &resource)?;
        }
        header.options.check(&operation, resource.family)?;
        let is_whole = resource.family == Family::Declarations || matches!(operation, Operation::Eventing(_));
        if header.fragment.is_some() && is_whole {
            return Err(body::no_fragments());
        }
        Ok(Self {
            charset,
            action: header.action,
            message_id: header.message_id,
            resource: Some(resource),
            selectors: header.selectors,
            options: header.options.list,
            timeout: header.timeout,
            max_envelope: header.max_envelope,
            wants_total: header.wants_total,
            fragment: header.fragment,
            operation,
        })
    }
}

/// What no honest client sends. Processing instructions are forbidden (SOAP 1.2 part 1, 5); a comment within a
/// value is how one reader is made to see another value than the next.
fn unwelcome(document: &roxmltree::Document<'_>) -> Option<&'static str> {
    let is_value = |node: Option<Node<'_, '_>>| {
        node.is_some_and(|n| n.is_text() && n.text().is_some_and(|text| !text.trim().is_empty()))
    };
    document.descendants().find_map(|node| match node.node_type() {
        NodeType::PI => Some("request has a processing instruction"),
        NodeType::Comment if is_value(node.prev_sibling()) || is_value(node.next_sibling()) => {
            Some("request has a comment within a value")
        }
        // the parser lets these through (Namespaces in XML 1.0, 3 and 5)
        NodeType::Element
            if node.namespaces().any(|n| n.name().is_some_and(|p| p == "xmlns" || n.uri().is_empty())) =>
        {
            Some("request binds a prefix that cannot be bound")
        }
        NodeType::Root | NodeType::Element | NodeType::Text | NodeType::Comment => None,
    })
}

impl Input {
    /// What an element of a representation holds. One that has a value is not null: clients edit what they got in
    /// place and leave the mark of null on it.
    pub(crate) fn read_edited<'a>(node: Node<'a, 'a>) -> Self {
        if read::is_nil(node) && !read::text(node).is_empty() {
            return Input::Text(read::text(node));
        }
        Self::read(node)
    }

    /// What an element holds.
    pub(crate) fn read<'a>(node: Node<'a, 'a>) -> Self {
        if read::is_nil(node) {
            return Input::Null;
        }
        let Some(first) = read::children(node).next() else { return Input::Text(read::text(node)) };
        if let Some(path) = read::reference(node) {
            return Input::Reference(path);
        }
        // A time comes in an element that tells which kind it is (DSP0230 7.1).
        let time = ["Datetime", "Interval", "Date", "Time", "CIM_DateTime"];
        if first.tag_name().namespace() == Some(names::CIM) && time.contains(&first.tag_name().name()) {
            return Input::Text(read::text(first));
        }
        Input::Object
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Input::Null => "Null",
            Input::Text(_) => "Text(..)",
            Input::Reference(_) => "Reference(..)",
            Input::Object => "Object",
        })
    }
}

#[cfg(test)]
mod tests;
