//! The client's side: requests as text, and answers as instances, results and errors. Classes are named in
//! the CIM family, as the CIM cmdlets do.

use crate::instance::{Style, read_instance, read_value, selector_set};
use crate::names::{self, ADDRESSING, ANONYMOUS, ENUMERATION, IDENTITY, SOAP, WSMAN};
use crate::reply::wrap;
use crate::xml::Xml;
use crate::{Charset, Family, Resource, Subcode, guard, read};
use openrdms_cim::value::time;
use openrdms_cim::{
    CimError, Class, Enumeration, Instance, Listing, MethodResult, ObjectPath, Params, Repository, Type,
    WmiCode,
};
use roxmltree::Node;
use std::time::Duration;

/// What goes into the headers of every request.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The address of the server; any text on a local socket.
    pub to: &'a str,
    /// A fresh `uuid:...`.
    pub message_id: &'a str,
    /// How long the caller waits.
    pub timeout: Option<Duration>,
    /// The longest reply that the caller takes, in bytes.
    pub max_envelope: usize,
    /// Named options; the server has to obey them or to refuse.
    pub options: &'a [(String, String)],
}

/// What a server answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// To Identify.
    Identity {
        /// Who made the server.
        vendor: String,
        /// Its version.
        version: String,
    },
    /// To Enumerate and Pull; `next` is the context to pull with.
    Listing(Listing),
    /// To Get.
    Instance(Instance),
    /// To a method.
    Output(MethodResult),
    /// To Release.
    Empty,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The server answered with a fault.
    #[error("{0}")]
    Fault(CimError),
    /// What came is not an answer.
    #[error("the answer is not a ws-management message: {0}")]
    Malformed(&'static str),
}

impl Call<'_> {
    /// Enumerate, with the first batch in the reply.
    pub fn enumerate(&self, what: &Enumeration, max_elements: usize) -> String {
        self.message(names::ENUMERATE, &what.class, |xml| {
            xml.element("n:Enumerate", &[], |xml| {
                xml.empty("w:OptimizeEnumeration", &[]);
                xml.leaf("w:MaxElements", &[], &max_elements.to_string());
                if !what.equals.is_empty() {
                    xml.element("w:Filter", &[("Dialect", names::SELECTOR_FILTER)], |xml| {
                        xml.element("w:SelectorSet", &[], |xml| {
                            for (name, value) in &what.equals {
                                xml.leaf("w:Selector", &[("Name", name)], value);
                            }
                        });
                    });
                }
            });
        })
    }

    /// Pull: the next batch of a listing of `class`.
    pub fn pull(&self, class: &ObjectPath, context: &str, max_elements: usize) -> String {
        self.message(names::PULL, class, |xml| {
            xml.element("n:Pull", &[], |xml| {
                xml.leaf("n:EnumerationContext", &[], context);
                xml.leaf("n:MaxElements", &[], &max_elements.to_string());
            });
        })
    }

    /// Release: drops a listing.
    pub fn release(&self, class: &ObjectPath, context: &str) -> String {
        self.message(names::RELEASE, class, |xml| {
            xml.element("n:Release", &[], |xml| xml.leaf("n:EnumerationContext", &[], context));
        })
    }

    /// Get: one instance.
    pub fn get(&self, path: &ObjectPath) -> String {
        self.message(names::GET, path, |_| {})
    }

    /// A method, of an instance or static.
    pub fn invoke(&self, path: &ObjectPath, method: &str, params: &Params) -> String {
        let uri = Family::Cim.uri(&path.namespace, &path.class);
        let style = Style { family: Family::Cim, precise_arrays: false };
        self.message(&format!("{uri}/{method}"), path, |xml| {
            xml.element(&format!("p:{method}_INPUT"), &[("xmlns:p", &uri)], |xml| {
                for (name, value) in &params.0 {
                    style.value(xml, &format!("p:{name}"), value, false);
                }
            });
        })
    }

    fn message(&self, action: &str, path: &ObjectPath, body: impl FnOnce(&mut Xml)) -> String {
        let must = [("s:mustUnderstand", "true")];
        let header = |xml: &mut Xml| {
            xml.leaf("a:To", &[], self.to);
            xml.leaf("w:ResourceURI", &must, &Family::Cim.uri(&path.namespace, &path.class));
            xml.element("a:ReplyTo", &[], |xml| xml.leaf("a:Address", &must, ANONYMOUS));
            xml.leaf("a:Action", &must, action);
            xml.leaf("a:MessageID", &[], self.message_id);
            xml.leaf("w:MaxEnvelopeSize", &must, &self.max_envelope.to_string());
            if let Some(timeout) = self.timeout {
                let micros = u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX);
                xml.leaf("w:OperationTimeout", &[], &time::print_duration(micros));
            }
            selector_set(xml, path);
            if !self.options.is_empty() {
                xml.element("w:OptionSet", &must, |xml| {
                    for (name, value) in self.options {
                        xml.leaf(
                            "w:Option",
                            &[("Name", &format!("wmi:{name}")), ("MustComply", "true")],
                            value,
                        );
                    }
                });
            }
        };
        wrap(header, body)
    }
}

/// Identify.
pub fn identify() -> String {
    wrap(|_| {}, |xml| xml.empty("wsmid:Identify", &[("xmlns:wsmid", IDENTITY)]))
}

/// Reads an answer about a class of `namespace`. Classes that `repository` knows have their declared types,
/// all else is strings.
pub fn read(bytes: &[u8], namespace: &str, repository: &Repository) -> Result<Answer, AnswerError> {
    let text = Charset::detect(bytes).decode(bytes).ok_or(AnswerError::Malformed("not text"))?;
    let document =
        guard::parse(&text, guard::REPLY).ok_or(AnswerError::Malformed("not xml, or too large"))?;
    let root = document.root_element();
    let body = read::child(root, SOAP, "Body").ok_or(AnswerError::Malformed("no body"))?;
    let Some(first) = read::children(body).next() else { return Ok(Answer::Empty) };
    let reader = Reader { namespace, repository };
    let (space, name) = (first.tag_name().namespace().unwrap_or(""), first.tag_name().name());
    match (space, name) {
        (SOAP, "Fault") => Err(AnswerError::Fault(fault(first))),
        (IDENTITY, "IdentifyResponse") => Ok(Answer::Identity {
            vendor: read::child_text(first, IDENTITY, "ProductVendor").unwrap_or_default(),
            version: read::child_text(first, IDENTITY, "ProductVersion").unwrap_or_default(),
        }),
        (ENUMERATION, "EnumerateResponse" | "PullResponse") => Ok(Answer::Listing(reader.listing(first))),
        _ => {
            let action =
                read::child(root, SOAP, "Header").and_then(|h| read::child_text(h, ADDRESSING, "Action"));
            if action.is_some_and(|a| a == format!("{}Response", names::GET)) {
                return Ok(Answer::Instance(reader.instance(first)));
            }
            let method = name.strip_suffix("_OUTPUT").ok_or(AnswerError::Malformed("unknown body"))?;
            Ok(Answer::Output(reader.output(first, method)))
        }
    }
}

struct Reader<'a> {
    namespace: &'a str,
    repository: &'a Repository,
}

impl<'r> Reader<'r> {
    fn listing<'a>(&self, node: Node<'a, 'a>) -> Listing {
        let either = |name| read::child(node, WSMAN, name).or_else(|| read::child(node, ENUMERATION, name));
        let items = either("Items").into_iter().flat_map(read::children);
        let instances = items.map(|item| {
            let is_pair = item.has_tag_name((WSMAN, "Item"));
            self.instance(if is_pair { read::children(item).next().unwrap_or(item) } else { item })
        });
        let context = read::child_text(node, ENUMERATION, "EnumerationContext").filter(|c| !c.is_empty());
        Listing {
            instances: instances.collect(),
            next: context.filter(|_| either("EndOfSequence").is_none()),
        }
    }

    fn instance<'a>(&self, node: Node<'a, 'a>) -> Instance {
        read_instance(node, self.namespace, self.class(node))
    }

    fn output<'a>(&self, node: Node<'a, 'a>, method: &str) -> MethodResult {
        let declared = self.class(node).and_then(|c| c.method(method));
        let returns = declared.and_then(|m| m.returns).unwrap_or(Type::Uint32);
        let mut out = Params::default();
        match declared {
            Some(method) => {
                for p in method.parameters.iter().filter(|p| p.is_out()) {
                    out.0.push((p.name.clone(), read_value(node, &p.name, p.ty, p.array)));
                }
            }
            None => {
                out.0 = read_instance(node, self.namespace, None).properties;
                out.0.retain(|(name, _)| name != "ReturnValue");
            }
        }
        MethodResult { return_value: read_value(node, "ReturnValue", returns, false), out }
    }

    /// The class that an element's namespace names.
    fn class(&self, node: Node<'_, '_>) -> Option<&'r Class> {
        let resource = Resource::parse(node.tag_name().namespace()?, Some(self.namespace)).ok()?;
        self.repository.class(&resource.namespace, &resource.class).ok()
    }
}

/// The error in a fault: the number from whichever detail has one, the text from the reason.
fn fault(node: Node<'_, '_>) -> CimError {
    let by_name = |name: &str| node.descendants().find(|n| n.is_element() && n.tag_name().name() == name);
    let number = |text: &str| text.trim().parse().ok().filter(|n| *n != 0).map(WmiCode);
    let code = by_name("WSManFault")
        .and_then(|n| number(n.attribute("Code")?))
        .or_else(|| number(&read::text(by_name("error_Code")?)))
        .or_else(|| {
            let subcode = read::child_text(by_name("Subcode")?, SOAP, "Value")?;
            Subcode::wmi_of(subcode.rsplit(':').next()?)
        })
        .unwrap_or(WmiCode::WBEM_E_FAILED);
    let reason = by_name("Text").map(read::text).unwrap_or_default();
    let reason = if reason.trim().is_empty() { "the server refused without a reason" } else { reason.trim() };
    CimError::new(code, reason)
}
