//! Answers as values: to the operations of DSP0226 7 to 9, and to Identify (DSP0226 11).

use super::declaration;
use crate::fault::shortened;
use crate::instance::{Members, read_instance};
use crate::names::{self, ADDRESSING, ENUMERATION, IDENTITY, SOAP, WSMAN};
use crate::{Charset, Resource, Subcode, guard, read};
use openrdms_cim::{CimError, Class, Instance, Listing, MethodResult, Params, Repository, Type, WmiCode};
use roxmltree::Node;

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
    /// To Get of a class declaration.
    Class(Box<Class>),
    /// To Enumerate of class declarations, and Pull.
    Classes {
        /// As they are declared, inherited members included where that was asked for.
        classes: Vec<Class>,
        /// The context to pull with.
        next: Option<String>,
    },
    /// To a method.
    Output(MethodResult),
    /// To Release, Create, Put and Delete: it is done.
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

/// Reads an answer about a class of `namespace`. Classes that `repository` knows have their declared types,
/// all else is strings.
///
/// # Errors
/// [`AnswerError::Fault`] where the server says no, [`AnswerError::Malformed`] for what is no answer or too large.
pub fn read(bytes: &[u8], namespace: &str, repository: &Repository) -> Result<Answer, AnswerError> {
    let text = Charset::detect(bytes).decode(bytes).ok_or(AnswerError::Malformed("not text"))?;
    let document =
        guard::parse(&text, guard::REPLY).ok_or(AnswerError::Malformed("not xml, or too large"))?;
    let root = document.root_element();
    let header = |namespace: &str, name: &str| {
        read::child(root, SOAP, "Header").and_then(|header| read::child_text(header, namespace, name))
    };
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
        (ENUMERATION, "EnumerateResponse" | "PullResponse") => Ok(reader.listing(first)),
        _ => {
            let action = header(ADDRESSING, "Action");
            let answers =
                |request: &str| action.as_deref().is_some_and(|a| a == format!("{request}Response"));
            if [names::CREATE, names::PUT, names::DELETE].into_iter().any(answers) {
                return Ok(Answer::Empty);
            }
            if answers(names::GET) {
                return Ok(match declaration::read(first, namespace) {
                    Some(class) => Answer::Class(Box::new(class)),
                    None => Answer::Instance(reader.instance(first)),
                });
            }
            let method = name.strip_suffix("_OUTPUT").ok_or(AnswerError::Malformed("unknown body"))?;
            let reason = header(names::OURS, "Reason").filter(|reason| !reason.is_empty());
            let reason = reason.map(|reason| shortened(&reason).to_owned());
            Ok(Answer::Output(MethodResult { reason, ..reader.output(first, method) }))
        }
    }
}

struct Reader<'a> {
    namespace: &'a str,
    repository: &'a Repository,
}

impl<'r> Reader<'r> {
    fn listing<'a>(&self, node: Node<'a, 'a>) -> Answer {
        let either = |name| read::child(node, WSMAN, name).or_else(|| read::child(node, ENUMERATION, name));
        let items = || either("Items").into_iter().flat_map(read::children);
        let context = read::child_text(node, ENUMERATION, "EnumerationContext").filter(|c| !c.is_empty());
        let next = context.filter(|_| either("EndOfSequence").is_none());
        let classes: Vec<Class> = items().filter_map(|i| declaration::read(i, self.namespace)).collect();
        if !classes.is_empty() {
            return Answer::Classes { classes, next };
        }
        let instances = items().map(|item| {
            let is_pair = item.has_tag_name((WSMAN, "Item"));
            self.instance(if is_pair { read::children(item).next().unwrap_or(item) } else { item })
        });
        Answer::Listing(Listing { instances: instances.collect(), next })
    }

    fn instance<'a>(&self, node: Node<'a, 'a>) -> Instance {
        if node.has_tag_name((WSMAN, "XmlFragment")) {
            return self.fragment(node);
        }
        read_instance(node, self.namespace, self.class(node))
    }

    /// Some properties of an instance, as a query selected them. Only they tell, by their namespace, of which class.
    fn fragment<'a>(&self, node: Node<'a, 'a>) -> Instance {
        let mut instance = read_instance(node, self.namespace, None);
        let Some(class) = read::children(node).find_map(|n| self.class(n)) else { return instance };
        let members = Members::of(node);
        for (name, value) in &mut instance.properties {
            if let Some(property) = class.property(name) {
                *value = members.value(name, property.ty, property.array);
            }
        }
        Instance { class: class.name.clone(), ..instance }
    }

    fn output<'a>(&self, node: Node<'a, 'a>, method: &str) -> MethodResult {
        let declared = self.class(node).and_then(|c| c.method(method));
        let returns = declared.and_then(|m| m.returns).unwrap_or(Type::Uint32);
        let (members, mut out) = (Members::of(node), Params::default());
        match declared {
            Some(method) => {
                for p in method.parameters.iter().filter(|p| p.is_out()) {
                    out.0.push((p.name.clone(), members.value(&p.name, p.ty, p.array)));
                }
            }
            None => {
                out.0 = read_instance(node, self.namespace, None).properties;
                out.0.retain(|(name, _)| name != "ReturnValue");
            }
        }
        MethodResult { return_value: members.value("ReturnValue", returns, false), out, reason: None }
    }

    /// The class that an element's namespace names.
    fn class(&self, node: Node<'_, '_>) -> Option<&'r Class> {
        let resource = Resource::parse(node.tag_name().namespace()?, Some(self.namespace)).ok()?;
        self.repository.class(&resource.namespace, &resource.class).ok()
    }
}

/// The error in a fault: the number from whichever detail has one, the text from the reason.
pub(crate) fn fault(node: Node<'_, '_>) -> CimError {
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
