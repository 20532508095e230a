//! Replies as the server writes them. Each function gives the whole text of a message; the caller encodes it
//! in the [`crate::Charset`] of the request.
//!
//! Action and class URIs come from the request, so that a reply is always of the request's family.

use crate::bind::Detail;
use crate::fault::shortened;
use crate::instance::Style;
use crate::names::{self, ANONYMOUS};
use crate::xml::Xml;
use crate::{Family, Fragment, Items, Operation, Request};
use openrdms_cim::{Class, Instance, MethodResult, ObjectPath, Repository, Value, cim_xml};

/// What Identify tells (DSP0226 11).
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// Who made the server.
    pub vendor: &'a str,
    /// Its version, in the form that clients of Windows look for.
    pub version: &'a str,
    /// Security profiles; none to those who have not proved who they are (MS-WSMV 3.1.4.1.23).
    pub profiles: &'a [&'a str],
}

/// The declaration of a class: in no namespace, as every element of CIM-XML is (DSP0201 5.2).
pub fn declaration(repository: &Repository, class: &Class, detail: Detail) -> String {
    match detail {
        Detail::Whole(options) => cim_xml::class(repository, class, options),
        Detail::Names => {
            let mut xml = Xml::default();
            match &class.superclass {
                Some(above) => xml.empty("CLASS", &[("NAME", &class.name), ("SUPERCLASS", above)]),
                None => xml.empty("CLASS", &[("NAME", &class.name)]),
            }
            xml.0
        }
    }
}

/// The reply to Enumerate or Pull. `context` is where to go on; `None` ends the listing.
///
/// The items of an EnumerateResponse are in the namespace of WS-Management, those of a PullResponse in that of
/// WS-Enumeration: a client that meets the other crashes.
pub fn listing(request: &Request, message_id: &str, items: &Items, context: Option<&str>) -> String {
    listing_until(request, message_id, items, context, None)
}

/// The same, with the time until which the listing stays open, where that was asked for.
pub fn listing_until(
    request: &Request,
    message_id: &str,
    items: &Items,
    context: Option<&str>,
    expires: Option<&str>,
) -> String {
    let (name, prefix) = match request.operation {
        Operation::Pull { .. } => ("n:PullResponse", "n"),
        _ => ("n:EnumerateResponse", "w"),
    };
    // The number is known only where all items are here.
    let total = (request.wants_total, matches!(request.operation, Operation::Enumerate { .. }), context);
    let header = |xml: &mut Xml| match total {
        (true, true, None) => xml.leaf("w:TotalItemsCountEstimate", &[], &items.len().to_string()),
        (true, _, _) => xml.empty("w:TotalItemsCountEstimate", &[("xsi:nil", "true")]),
        (false, _, _) => {}
    };
    respond_with(request, message_id, header, |xml| {
        // all at once, with what comes after them
        xml.0.reserve(items.text().len() + 512);
        xml.element(name, &[], |xml| {
            if let (Some(expires), Some(_)) = (expires, context) {
                xml.leaf("n:Expires", &[], expires);
            }
            // Windows sends an empty one when all is said; a Pull may do without.
            match context {
                Some(context) => xml.leaf("n:EnumerationContext", &[], context),
                None if prefix == "w" => xml.empty("n:EnumerationContext", &[]),
                None => {}
            }
            if !items.is_empty() || context.is_none() {
                xml.element(&format!("{prefix}:Items"), &[], |xml| xml.0.push_str(items.text()));
            }
            if context.is_none() {
                xml.empty(&format!("{prefix}:EndOfSequence"), &[]);
            }
        });
    })
}

/// The reply to GetStatus and Renew of a listing.
pub fn expires(request: &Request, message_id: &str, expires: &str) -> String {
    let name = match request.operation {
        Operation::Renew { .. } => "n:RenewResponse",
        _ => "n:GetStatusResponse",
    };
    respond(request, message_id, |xml| {
        xml.element(name, &[], |xml| xml.leaf("n:Expires", &[], expires));
    })
}

/// The reply to Release and Delete. End gets no message at all.
pub fn empty(request: &Request, message_id: &str) -> String {
    respond(request, message_id, |_| {})
}

/// The reply to Get, and to Put, which gives the instance as it is then.
pub fn get(request: &Request, message_id: &str, repository: &Repository, instance: &Instance) -> String {
    respond(request, message_id, |xml| style(request).instance(xml, repository, instance))
}

/// The reply to Get of a declaration.
pub fn get_declaration(request: &Request, message_id: &str, declaration: &str) -> String {
    respond(request, message_id, |xml| xml.0.push_str(declaration))
}

/// The reply to Get and Put of a fragment: a property of an instance of `class` by its declared name, whether it is
/// an array, and its value.
pub fn fragment(
    request: &Request,
    message_id: &str,
    class: &Class,
    fragment: &Fragment,
    (name, array, value): (&str, bool, &Value),
) -> String {
    let style = style(request);
    let uri = style.family.uri(&class.namespace, &class.name);
    let dialect = fragment.dialect.as_deref().map(|dialect| ("Dialect", dialect));
    let header = |xml: &mut Xml| {
        let mut attributes = vec![("s:mustUnderstand", "true")];
        attributes.extend(dialect);
        xml.leaf("w:FragmentTransfer", &attributes, &fragment.path);
    };
    respond_with(request, message_id, header, |xml| match value {
        // What is not there is told as null (DSP0226 7.7).
        Value::Null if fragment.text || fragment.index.is_some() => {
            xml.empty("w:XmlFragment", &[("xsi:nil", "true")]);
        }
        value => xml.element("w:XmlFragment", &[("xmlns:p", &uri)], |xml| {
            if fragment.text {
                style.text(xml, value);
            } else {
                style.value(xml, &format!("p:{name}"), value, array);
            }
        }),
    })
}

/// The reply to Create.
pub fn created(request: &Request, message_id: &str, path: &ObjectPath) -> String {
    respond(request, message_id, |xml| {
        xml.element("x:ResourceCreated", &[], |xml| style(request).reference(xml, path));
    })
}

/// The reply to a method of `class` (in its declared spelling). Why it returned a code is in a header of ours: the
/// output has the declared parameters and no others, and whoever does not know a header passes it over (SOAP 1.2 2.4).
pub fn output(
    request: &Request,
    message_id: &str,
    class: &str,
    method: &str,
    result: &MethodResult,
) -> String {
    let style = style(request);
    let namespace = request.resource.as_ref().map_or("", |r| r.namespace.as_str());
    let uri = style.family.uri(namespace, class);
    let header = |xml: &mut Xml| {
        if let Some(reason) = &result.reason {
            xml.leaf("o:Reason", &[("xmlns:o", names::OURS)], shortened(reason));
        }
    };
    respond_with(request, message_id, header, |xml| {
        xml.element(&format!("p:{method}_OUTPUT"), &[("xmlns:p", &uri)], |xml| {
            for (name, value) in &result.out.0 {
                style.value(xml, &format!("p:{name}"), value, false);
            }
            style.value(xml, "p:ReturnValue", &result.return_value, false);
        });
    })
}

/// The reply to Identify, which has no headers as its request has none.
pub fn identify(identity: &Identity<'_>) -> String {
    wrap(
        |_| {},
        |xml| {
            xml.element("wsmid:IdentifyResponse", &[("xmlns:wsmid", names::IDENTITY)], |xml| {
                xml.leaf("wsmid:ProtocolVersion", &[], names::WSMAN);
                xml.leaf("wsmid:ProductVendor", &[], identity.vendor);
                xml.leaf("wsmid:ProductVersion", &[], identity.version);
                if !identity.profiles.is_empty() {
                    xml.element("wsmid:SecurityProfiles", &[], |xml| {
                        identity.profiles.iter().for_each(|p| xml.leaf("wsmid:SecurityProfileName", &[], p));
                    });
                }
            });
        },
    )
}

/// A message with the headers of a reply.
pub(crate) fn envelope(
    action: &str,
    message_id: &str,
    relates_to: Option<&str>,
    body: impl FnOnce(&mut Xml),
) -> String {
    envelope_with(action, message_id, relates_to, |_| {}, body)
}

/// The same with more headers.
fn envelope_with(
    action: &str,
    message_id: &str,
    relates_to: Option<&str>,
    header: impl FnOnce(&mut Xml),
    body: impl FnOnce(&mut Xml),
) -> String {
    wrap(
        |xml| {
            xml.leaf("a:Action", &[], action);
            xml.leaf("a:MessageID", &[], message_id);
            xml.leaf("a:To", &[], ANONYMOUS);
            if let Some(id) = relates_to {
                xml.leaf("a:RelatesTo", &[], id);
            }
            header(xml);
        },
        body,
    )
}

/// The envelope with every prefix that is used inside. None is the default: class declarations in CIM-XML,
/// which are in no namespace, have to fit in.
pub(crate) fn wrap(header: impl FnOnce(&mut Xml), body: impl FnOnce(&mut Xml)) -> String {
    let mut xml = Xml::default();
    let attributes = [
        ("xml:lang", "en-US"),
        ("xmlns:s", names::SOAP),
        ("xmlns:a", names::ADDRESSING),
        ("xmlns:n", names::ENUMERATION),
        ("xmlns:x", names::TRANSFER),
        ("xmlns:w", names::WSMAN),
        ("xmlns:cim", names::CIM),
        ("xmlns:xsi", names::XSI),
    ];
    xml.element("s:Envelope", &attributes, |xml| {
        xml.element("s:Header", &[], header);
        xml.element("s:Body", &[], body);
    });
    xml.0
}

pub(crate) fn respond(request: &Request, message_id: &str, body: impl FnOnce(&mut Xml)) -> String {
    respond_with(request, message_id, |_| {}, body)
}

pub(crate) fn respond_with(
    request: &Request,
    message_id: &str,
    header: impl FnOnce(&mut Xml),
    body: impl FnOnce(&mut Xml),
) -> String {
    let action = format!("{}Response", request.action);
    envelope_with(&action, message_id, Some(&request.message_id), header, body)
}

pub(crate) fn style(request: &Request) -> Style {
    Style {
        family: request.resource.as_ref().map_or(Family::Cim, |r| r.family),
        precise_arrays: request.precise_arrays(),
    }
}
