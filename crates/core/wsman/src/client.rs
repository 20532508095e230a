//! The client's side: requests as text, and answers as instances, results and errors. Classes are named in
//! the CIM family, as the CIM cmdlets do.

mod answer;
mod declaration;

pub(crate) use answer::fault;
pub use answer::{Answer, AnswerError, read};

use crate::Family;
use crate::instance::{Style, selector_set};
use crate::names::{self, ANONYMOUS, IDENTITY};
use crate::reply::wrap;
use crate::xml::Xml;
use openrdms_cim::value::time;
use openrdms_cim::{Enumeration, ObjectPath, Params};
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

impl Call<'_> {
    /// Enumerate, with the first batch in the reply.
    pub fn enumerate(&self, what: &Enumeration, max_elements: usize) -> String {
        self.message(names::ENUMERATE, &what.class, |xml| {
            xml.element("n:Enumerate", &[], |xml| {
                xml.empty("w:OptimizeEnumeration", &[]);
                xml.leaf("w:MaxElements", &[], &max_elements.to_string());
                let Some(condition) = &what.condition else { return };
                let Some(equalities) = condition.only_equalities() else {
                    let query = format!("SELECT * FROM {} WHERE {condition}", what.class.class);
                    xml.leaf("w:Filter", &[("Dialect", names::WQL)], &query);
                    return;
                };
                xml.element("w:Filter", &[("Dialect", names::SELECTOR_FILTER)], |xml| {
                    xml.element("w:SelectorSet", &[], |xml| {
                        for (name, value) in equalities {
                            xml.leaf("w:Selector", &[("Name", name)], &value.text());
                        }
                    });
                });
            });
        })
    }

    /// Enumerate of what a WQL query selects, with the first batch in the reply. Pull and Release are of the class
    /// `*` then.
    pub fn query(&self, namespace: &str, query: &str, max_elements: usize) -> String {
        self.message(names::ENUMERATE, &ObjectPath::class(namespace, "*"), |xml| {
            xml.element("n:Enumerate", &[], |xml| {
                xml.empty("w:OptimizeEnumeration", &[]);
                xml.leaf("w:MaxElements", &[], &max_elements.to_string());
                xml.leaf("w:Filter", &[("Dialect", names::WQL)], query);
            });
        })
    }

    /// Get: the declaration of a class, with all that it inherits (MS-WSMV 3.1.4.1.38).
    pub fn declaration(&self, class: &ObjectPath) -> String {
        self.about_classes(names::GET, &class.namespace, &class.class, |_| {})
    }

    /// Enumerate: the declarations of all classes of a namespace, with the first batch in the reply.
    pub fn declarations(&self, namespace: &str, max_elements: usize) -> String {
        self.about_classes(names::ENUMERATE, namespace, "", |xml| {
            xml.element("n:Enumerate", &[], |xml| {
                xml.empty("w:OptimizeEnumeration", &[]);
                xml.leaf("w:MaxElements", &[], &max_elements.to_string());
            });
        })
    }

    /// Pull: the next batch of declarations.
    pub fn pull_declarations(&self, namespace: &str, context: &str, max_elements: usize) -> String {
        self.about_classes(names::PULL, namespace, "", |xml| {
            xml.element("n:Pull", &[], |xml| {
                xml.leaf("n:EnumerationContext", &[], context);
                xml.leaf("n:MaxElements", &[], &max_elements.to_string());
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

    /// Create: an instance of `class` with these properties.
    pub fn create(&self, class: &ObjectPath, properties: &Params) -> String {
        self.change(names::CREATE, class, properties)
    }

    /// Put: other values for these properties of an instance; what is not named stays.
    pub fn put(&self, path: &ObjectPath, properties: &Params) -> String {
        self.change(names::PUT, path, properties)
    }

    /// Delete: one instance.
    pub fn delete(&self, path: &ObjectPath) -> String {
        self.message(names::DELETE, path, |_| {})
    }

    fn change(&self, action: &str, path: &ObjectPath, properties: &Params) -> String {
        let uri = Family::Cim.uri(&path.namespace, &path.class);
        let style = Style { family: Family::Cim, precise_arrays: false };
        self.message(action, path, |xml| {
            xml.element(&format!("p:{}", path.class), &[("xmlns:p", &uri)], |xml| {
                for (name, value) in &properties.0 {
                    style.value(xml, &format!("p:{name}"), value, false);
                }
            });
        })
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
        self.message_with(action, path, |_| {}, body)
    }

    /// A message with more headers; the class `*` is every class of the namespace.
    pub(crate) fn message_with(
        &self,
        action: &str,
        path: &ObjectPath,
        header: impl FnOnce(&mut Xml),
        body: impl FnOnce(&mut Xml),
    ) -> String {
        let uri = match path.class.as_str() {
            "*" => names::ALL_CLASSES.to_owned(),
            class => Family::Cim.uri(&path.namespace, class),
        };
        let options = |xml: &mut Xml| {
            header(xml);
            if !self.options.is_empty() {
                xml.element("w:OptionSet", &[("s:mustUnderstand", "true")], |xml| {
                    for (name, value) in self.options {
                        let attributes = [("Name", &*format!("wmi:{name}")), ("MustComply", "true")];
                        xml.leaf("w:Option", &attributes, value);
                    }
                });
            }
        };
        self.write(action, &uri, path, options, body)
    }

    /// A message about declarations rather than instances; an empty name is every class.
    fn about_classes(
        &self,
        action: &str,
        namespace: &str,
        class: &str,
        body: impl FnOnce(&mut Xml),
    ) -> String {
        let uri = format!("{}*", names::CIM_XML);
        let path = ObjectPath::class(namespace, "*").with_key(names::CLASS_SELECTOR, class);
        // The server may leave these unheard.
        let wanted = ["IncludeQualifiers", "IncludeClassOrigin", "IncludeInheritedElements"];
        let options = |xml: &mut Xml| {
            xml.element("w:OptionSet", &[], |xml| {
                wanted.iter().for_each(|name| xml.leaf("w:Option", &[("Name", name)], "true"));
            });
        };
        self.write(action, &uri, &path, options, body)
    }

    fn write(
        &self,
        action: &str,
        uri: &str,
        path: &ObjectPath,
        more: impl FnOnce(&mut Xml),
        body: impl FnOnce(&mut Xml),
    ) -> String {
        let must = [("s:mustUnderstand", "true")];
        let header = |xml: &mut Xml| {
            xml.leaf("a:To", &[], self.to);
            xml.leaf("w:ResourceURI", &must, uri);
            xml.element("a:ReplyTo", &[], |xml| xml.leaf("a:Address", &must, ANONYMOUS));
            xml.leaf("a:Action", &must, action);
            xml.leaf("a:MessageID", &[], self.message_id);
            xml.leaf("w:MaxEnvelopeSize", &must, &self.max_envelope.to_string());
            if let Some(timeout) = self.timeout {
                let micros = u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX);
                xml.leaf("w:OperationTimeout", &[], &time::print_duration(micros));
            }
            selector_set(xml, path);
            more(xml);
        };
        wrap(header, body)
    }
}

/// Identify.
pub fn identify() -> String {
    wrap(|_| {}, |xml| xml.empty("wsmid:Identify", &[("xmlns:wsmid", IDENTITY)]))
}
