//! The headers of a request (DSP0226 5 and 6, MS-WSMV 3.1.4.1).

use super::options::Options;
use super::{Fragment, Input, Limits};
use crate::eventing::EVENTING;
use crate::names::{ADDRESSING, ANONYMOUS, SOAP, WSMAN, WSMV};
use crate::{Fault, Subcode, names, read};
use openrdms_cim::value::time;
use roxmltree::Node;
use std::time::Duration;

/// The smallest envelope that a client may ask for (DSP0226 6.2).
const MIN_ENVELOPE: usize = 8192;

/// The longest message id, in bytes: it goes into the reply, whose length is limited.
pub(super) const MAX_MESSAGE_ID: usize = 1024;

/// Most selectors: no class has nearly as many keys.
const MAX_SELECTORS: usize = 64;

/// Headers that are known, by namespace. What is not looked at is harmless to pass over: session and
/// operation ids (MS-WSMV 3.1.4.1.39), languages, and the estimate of a total.
const KNOWN: [(&str, &[&str]); 4] = [
    (ADDRESSING, &["Action", "To", "MessageID", "ReplyTo", "FaultTo", "From", "RelatesTo"]),
    (
        WSMAN,
        &[
            "ResourceURI",
            "SelectorSet",
            "OptionSet",
            "OperationTimeout",
            "MaxEnvelopeSize",
            "Locale",
            "FragmentTransfer",
            "RequestTotalItemsCountEstimate",
        ],
    ),
    (EVENTING, &["Identifier"]),
    (WSMV, &["DataLocale", "SessionId", "OperationID", "SequenceId", "ActivityId"]),
];

type Selectors = Vec<(String, Input)>;

/// What the headers say.
pub(super) struct Header {
    pub(super) action: String,
    pub(super) message_id: String,
    pub(super) resource_uri: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) selectors: Selectors,
    pub(super) options: Options,
    pub(super) timeout: Option<Duration>,
    pub(super) max_envelope: usize,
    pub(super) wants_total: bool,
    pub(super) fragment: Option<Fragment>,
}

/// Refuses headers that have to be understood and are not, that come twice, or ask for what is not offered.
pub(super) fn check<'a>(header: Node<'a, 'a>) -> Result<(), Fault> {
    for node in read::children(header) {
        let (namespace, name) = (node.tag_name().namespace().unwrap_or(""), node.tag_name().name());
        let must = read::flag(node.attribute((SOAP, "mustUnderstand")));
        let known = KNOWN.iter().any(|(ns, names)| *ns == namespace && names.contains(&name));
        if !known {
            if must {
                return Err(Fault::must_understand(name));
            }
            continue;
        }
        if node.prev_siblings().skip(1).any(|n| n.tag_name() == node.tag_name()) {
            return Err(invalid(name, "comes twice"));
        }
        match name {
            "ReplyTo" | "FaultTo"
                if read::child_text(node, ADDRESSING, "Address").as_deref() != Some(ANONYMOUS) =>
            {
                return Err(Fault::new(
                    Subcode::UnsupportedFeature,
                    "replies go to the anonymous address only",
                )
                .detail("AddressingMode"));
            }
            "Locale" | "DataLocale" if must => {
                return Err(
                    Fault::new(Subcode::UnsupportedFeature, "the language cannot be chosen").detail("Locale")
                );
            }
            // Passed over it would give the whole for a part (MS-WSMV 3.1.4.1.18).
            "FragmentTransfer" if !must => return Err(invalid(name, "has to be understood")),
            _ => {}
        }
    }
    Ok(())
}

impl Header {
    /// Reads the headers; [`check`] comes first.
    pub(super) fn read<'a>(header: Node<'a, 'a>, limits: &Limits) -> Result<Self, Fault> {
        let message_id = match read::child(header, ADDRESSING, "MessageID").map(read::text) {
            // It goes back as it came, space and all.
            Some(id) if id.len() > MAX_MESSAGE_ID => return Err(invalid("MessageID", "is too long")),
            Some(id) if !id.trim().is_empty() => id,
            _ => return Err(invalid("MessageID", "is missing or empty")),
        };
        let action = read::child_text(header, ADDRESSING, "Action")
            .filter(|action| !action.is_empty())
            .ok_or_else(|| required("Action"))?;
        if read::child(header, ADDRESSING, "ReplyTo").is_none() {
            return Err(required("ReplyTo"));
        }
        let (namespace, selectors) = selectors(header)?;
        Ok(Self {
            action,
            message_id,
            resource_uri: read::child_text(header, WSMAN, "ResourceURI"),
            namespace,
            selectors,
            options: Options::read(header)?,
            timeout: timeout(header)?,
            max_envelope: max_envelope(header, limits)?,
            wants_total: read::child(header, WSMAN, "RequestTotalItemsCountEstimate").is_some(),
            fragment: read::child(header, WSMAN, "FragmentTransfer").map(Fragment::read).transpose()?,
        })
    }
}

/// The namespace, and the other selectors.
fn selectors<'a>(header: Node<'a, 'a>) -> Result<(Option<String>, Selectors), Fault> {
    let (mut namespace, mut list) = (None, Selectors::new());
    for (name, node) in read::child(header, WSMAN, "SelectorSet").into_iter().flat_map(read::selectors) {
        let twice = || {
            Fault::new(Subcode::InvalidSelectors, format!("selector {name} comes twice"))
                .detail("DuplicateSelectors")
        };
        if name.eq_ignore_ascii_case(names::NAMESPACE_SELECTOR) {
            if namespace.replace(read::text(node)).is_some() {
                return Err(twice());
            }
        } else if list.len() >= MAX_SELECTORS {
            return Err(
                Fault::new(Subcode::InvalidSelectors, "too many selectors").detail("UnexpectedSelectors")
            );
        } else if list.iter().any(|(n, _)| n.eq_ignore_ascii_case(&name)) {
            return Err(twice());
        } else {
            list.push((name, Input::read(node)));
        }
    }
    Ok((namespace, list))
}

fn timeout<'a>(header: Node<'a, 'a>) -> Result<Option<Duration>, Fault> {
    let Some(text) = read::child_text(header, WSMAN, "OperationTimeout") else { return Ok(None) };
    match time::parse_duration(&text) {
        Some(micros) => Ok(Some(Duration::from_micros(micros))),
        None => Err(invalid("OperationTimeout", "is not a duration")),
    }
}

fn max_envelope<'a>(header: Node<'a, 'a>, limits: &Limits) -> Result<usize, Fault> {
    let Some(text) = read::child_text(header, WSMAN, "MaxEnvelopeSize") else {
        return Ok(limits.max_envelope);
    };
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid("MaxEnvelopeSize", "is not a number"));
    }
    // As long as it likes (xs:positiveInteger): what fits no number is more than enough.
    let size = text.parse().unwrap_or(usize::MAX);
    if size < MIN_ENVELOPE {
        let reason = format!("MaxEnvelopeSize is less than {MIN_ENVELOPE}");
        return Err(Fault::new(Subcode::EncodingLimit, reason).detail("MinimumEnvelopeLimit"));
    }
    Ok(size.min(limits.max_envelope))
}

pub(super) fn required(name: &str) -> Fault {
    Fault::new(Subcode::MessageInformationHeaderRequired, format!("header {name} is missing"))
}

fn invalid(name: &str, what: &str) -> Fault {
    Fault::new(Subcode::InvalidMessageInformationHeader, format!("header {name} {what}"))
}
