//! Requests as the server reads them (DSP0226 5 to 9, MS-WSMV 3.1.4).
//!
//! [`Request::parse`] looks at the message alone. What its names mean for a class is the second step,
//! [`crate::bind`].

mod body;
mod header;

use crate::names;
use crate::{Charset, Fault, Resource, Subcode, guard, read};
use openrdms_cim::{ObjectPath, WmiCode};
use roxmltree::Node;
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
#[derive(Clone, Debug)]
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
    /// What is asked.
    pub operation: Operation,
}

/// What is asked.
#[derive(Clone, Debug)]
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
    },
    /// Go on with a listing (DSP0226 8.4).
    Pull {
        /// The context that the last reply gave.
        context: String,
        /// Most items.
        max_elements: Option<usize>,
    },
    /// Drop a listing (DSP0226 8.5).
    Release {
        /// The context that the last reply gave.
        context: String,
    },
    /// One instance (DSP0226 7.2).
    Get,
    /// A method (DSP0226 9).
    Invoke {
        /// Its name, as the caller spelt it.
        method: String,
        /// Parameters in the order of the message; an array has its name several times.
        input: Vec<(String, Input)>,
    },
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

/// Which instances are listed: those whose properties are equal to all of these (DSP0226 annex E).
pub type Filter = Vec<(String, String)>;

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
        let root = document.root_element();
        if !root.has_tag_name((names::SOAP, "Envelope")) {
            return Err(invalid("request is not a soap 1.2 envelope"));
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

    /// Whether null arrays are to be told from arrays of one null (MS-WSMV 2.2.10).
    pub fn precise_arrays(&self) -> bool {
        read::flag(self.option("msftwinrm:UsePreciseArrays").map(str::to_ascii_lowercase).as_deref())
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
        let header = header::Header::read(header, limits)?;
        let operation = body::read(&header.action, body)?;
        let uri = header.resource_uri.ok_or_else(|| {
            Fault::new(Subcode::DestinationUnreachable, "header ResourceURI is missing")
                .detail("InvalidResourceURI")
                .code(WmiCode::WBEM_E_INVALID_PARAMETER)
        })?;
        let resource = Resource::parse(&uri, header.namespace.as_deref())?;
        if let Operation::Invoke { .. } = operation {
            body::check_method_action(&header.action, &resource)?;
        }
        Ok(Self {
            charset,
            action: header.action,
            message_id: header.message_id,
            resource: Some(resource),
            selectors: header.selectors,
            options: header.options,
            timeout: header.timeout,
            max_envelope: header.max_envelope,
            operation,
        })
    }
}

impl Input {
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
