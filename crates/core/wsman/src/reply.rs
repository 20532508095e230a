//! Replies as the server writes them. Each function gives the whole text of a message; the caller encodes it
//! in the [`crate::Charset`] of the request.
//!
//! Action and class URIs come from the request, so that a reply is always of the request's family. Items of
//! a listing are written one by one with [`item`], so that the caller can tell how many fit into a reply.

use crate::instance::Style;
use crate::names::{self, ANONYMOUS};
use crate::xml::Xml;
use crate::{Family, Mode, Operation, Request};
use openrdms_cim::{Instance, MethodResult, Repository};

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

/// One item of a listing.
pub fn item(request: &Request, mode: Mode, repository: &Repository, instance: &Instance) -> String {
    let style = style(request);
    let mut xml = Xml::default();
    match mode {
        Mode::Object => style.instance(&mut xml, repository, instance),
        Mode::Epr => style.endpoint_reference(&mut xml, repository, instance),
        Mode::ObjectAndEpr => xml.element("w:Item", &[], |xml| {
            style.instance(xml, repository, instance);
            style.endpoint_reference(xml, repository, instance);
        }),
    }
    xml.0
}

/// The reply to Enumerate or Pull. `context` is where to go on; `None` ends the listing.
///
/// The items of an EnumerateResponse are in the namespace of WS-Management, those of a PullResponse in that of
/// WS-Enumeration: a client that meets the other crashes.
pub fn listing(request: &Request, message_id: &str, items: &[String], context: Option<&str>) -> String {
    let (name, prefix) = match request.operation {
        Operation::Pull { .. } => ("n:PullResponse", "n"),
        _ => ("n:EnumerateResponse", "w"),
    };
    respond(request, message_id, |xml| {
        xml.element(name, &[], |xml| {
            // Windows sends an empty one when all is said; a Pull may do without.
            match context {
                Some(context) => xml.leaf("n:EnumerationContext", &[], context),
                None if prefix == "w" => xml.empty("n:EnumerationContext", &[]),
                None => {}
            }
            if !items.is_empty() || context.is_none() {
                xml.element(&format!("{prefix}:Items"), &[], |xml| {
                    items.iter().for_each(|i| xml.0.push_str(i))
                });
            }
            if context.is_none() {
                xml.empty(&format!("{prefix}:EndOfSequence"), &[]);
            }
        });
    })
}

/// The reply to Release. End gets no message at all.
pub fn empty(request: &Request, message_id: &str) -> String {
    respond(request, message_id, |_| {})
}

/// The reply to Get.
pub fn get(request: &Request, message_id: &str, repository: &Repository, instance: &Instance) -> String {
    respond(request, message_id, |xml| style(request).instance(xml, repository, instance))
}

/// The reply to a method of `class` (in its declared spelling).
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
    respond(request, message_id, |xml| {
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
    wrap(
        |xml| {
            xml.leaf("a:Action", &[], action);
            xml.leaf("a:MessageID", &[], message_id);
            xml.leaf("a:To", &[], ANONYMOUS);
            if let Some(id) = relates_to {
                xml.leaf("a:RelatesTo", &[], id);
            }
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

fn respond(request: &Request, message_id: &str, body: impl FnOnce(&mut Xml)) -> String {
    envelope(&format!("{}Response", request.action), message_id, Some(&request.message_id), body)
}

fn style(request: &Request) -> Style {
    Style {
        family: request.resource.as_ref().map_or(Family::Cim, |r| r.family),
        precise_arrays: request.precise_arrays(),
    }
}
