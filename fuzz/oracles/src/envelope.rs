//! Requests written again from what the server read of them. Only what [`Request`] keeps is there, so reading it has to
//! give the same.

use openrdms_cim::ObjectPath;
use openrdms_cim::value::time;
use openrdms_wsman::eventing::{Acknowledged, Delivery, Endpoint, Push, Subscribe};
use openrdms_wsman::{
    Charset, Eventing, Expiry, Family, Filter, Fragment, Input, Mode, Operation, Request, names,
};
use std::time::Duration;

const EVENTING: &str = "http://schemas.xmlsoap.org/ws/2004/08/eventing";
const WSMAN: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman";

/// The text of a message; `None` for a time that has no form in UTC.
pub(crate) fn write(request: &Request) -> Option<String> {
    let body = body(request)?;
    let header = match request.operation {
        Operation::Identify => String::new(),
        Operation::End => leaf("a:Action", names::END),
        _ => header(request),
    };
    let spaces = [
        ("s", names::SOAP),
        ("a", names::ADDRESSING),
        ("n", names::ENUMERATION),
        ("w", names::WSMAN),
        ("e", EVENTING),
        ("xsi", names::XSI),
    ];
    let spaces: String = spaces.iter().map(|(prefix, uri)| format!(" xmlns:{prefix}=\"{uri}\"")).collect();
    Some(format!("<s:Envelope{spaces}><s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"))
}

fn header(request: &Request) -> String {
    let mut out = leaf("a:Action", &request.action) + &leaf("a:MessageID", &request.message_id);
    out += &format!("<a:ReplyTo>{}</a:ReplyTo>", leaf("a:Address", names::ANONYMOUS));
    out += &leaf("w:MaxEnvelopeSize", &request.max_envelope.to_string());
    if let Some(timeout) = request.timeout {
        out += &leaf("w:OperationTimeout", &duration(timeout));
    }
    if request.wants_total {
        out += "<w:RequestTotalItemsCountEstimate/>";
    }
    if let Some(resource) = &request.resource {
        out += &leaf("w:ResourceURI", &resource.family.uri(&resource.namespace, &resource.class));
        let selectors = request
            .selectors
            .iter()
            .map(|(name, value)| input("w:Selector", &attribute("Name", name), value));
        out += &format!(
            "<w:SelectorSet>{}{}</w:SelectorSet>",
            selectors.collect::<String>(),
            namespace(&resource.namespace)
        );
    }
    let options = request.options.iter().map(|(name, value)| {
        format!("<w:Option{}>{}</w:Option>", attribute("Name", &format!("wmi:{name}")), escaped(value))
    });
    out += &format!("<w:OptionSet>{}</w:OptionSet>", options.collect::<String>());
    if let Some(Fragment { path, dialect, .. }) = &request.fragment {
        let dialect = dialect.as_deref().map(|d| attribute("Dialect", d)).unwrap_or_default();
        out += &format!(
            "<w:FragmentTransfer s:mustUnderstand=\"1\"{dialect}>{}</w:FragmentTransfer>",
            escaped(path)
        );
    }
    if let Operation::Eventing(
        Eventing::Renew { identifier, .. }
        | Eventing::GetStatus { identifier }
        | Eventing::Unsubscribe { identifier },
    ) = &request.operation
    {
        out += &leaf("e:Identifier", identifier);
    }
    out
}

fn body(request: &Request) -> Option<String> {
    let about = |name: &str, context: &str, more: String| {
        format!("<n:{name}>{}{more}</n:{name}>", leaf("n:EnumerationContext", context))
    };
    let number = |name: &str, n: &Option<usize>| n.map(|n| leaf(name, &n.to_string())).unwrap_or_default();
    Some(match &request.operation {
        Operation::Identify => format!("<i:Identify xmlns:i=\"{}\"/>", names::IDENTITY),
        Operation::Get | Operation::Delete | Operation::End => String::new(),
        Operation::Enumerate { optimize, max_elements, mode, filter, expires } => {
            let optimize = if *optimize { "<w:OptimizeEnumeration/>" } else { "" };
            let mode = match mode {
                Mode::Object => "",
                Mode::Epr => "EnumerateEPR",
                Mode::ObjectAndEpr => "EnumerateObjectAndEPR",
            };
            let mode = if mode.is_empty() { String::new() } else { leaf("w:EnumerationMode", mode) };
            let filter = filter.as_ref().map(self::filter).unwrap_or_default();
            let (most, expires) =
                (number("w:MaxElements", max_elements), self::expires("n:Expires", expires)?);
            format!("<n:Enumerate>{expires}{optimize}{most}{mode}{filter}</n:Enumerate>")
        }
        Operation::Pull { context, max_elements, max_characters, max_time } => {
            let mut more = number("n:MaxElements", max_elements) + &number("n:MaxCharacters", max_characters);
            more += &max_time.map(|time| leaf("n:MaxTime", &duration(time))).unwrap_or_default();
            about("Pull", context, more)
        }
        Operation::Status { context } => about("GetStatus", context, String::new()),
        Operation::Renew { context, expires } => {
            about("Renew", context, self::expires("n:Expires", expires)?)
        }
        Operation::Release { context } => about("Release", context, String::new()),
        Operation::Put { properties } | Operation::Create { properties } => match &request.fragment {
            Some(fragment) => format!("<w:XmlFragment{}", fragment_of(fragment, properties)),
            None => {
                let class = request.resource.as_ref().map_or("C", |resource| resource.class.as_str());
                format!("<{class}>{}</{class}>", list(properties))
            }
        },
        Operation::Invoke { input, .. } => format!("<INPUT>{}</INPUT>", list(input)),
        Operation::Eventing(eventing) => self::eventing(eventing)?,
    })
}

/// The rest of the element. A value alone has no element of its own, and needs no name that an element can have.
fn fragment_of(fragment: &Fragment, properties: &[(String, Input)]) -> String {
    match properties {
        [(name, Input::Null)] if *name == fragment.property => " xsi:nil=\"true\"/>".to_owned(),
        [(name, Input::Text(text))] if *name == fragment.property => {
            format!(">{}</w:XmlFragment>", escaped(text))
        }
        many => format!(">{}</w:XmlFragment>", list(many)),
    }
}

fn list(inputs: &[(String, Input)]) -> String {
    inputs.iter().map(|(name, value)| input(name, "", value)).collect()
}

fn input(name: &str, attributes: &str, input: &Input) -> String {
    match input {
        Input::Null => format!("<{name}{attributes} xsi:nil=\"true\"/>"),
        Input::Text(text) => format!("<{name}{attributes}>{}</{name}>", escaped(text)),
        Input::Reference(path) => format!("<{name}{attributes}>{}</{name}>", reference(path)),
        Input::Object => format!("<{name}{attributes}><x/></{name}>"),
    }
}

fn reference(path: &ObjectPath) -> String {
    let keys = path.keys.iter().map(|(name, value)| {
        format!(
            "<w:Selector{}>{}</w:Selector>",
            attribute("Name", name),
            escaped(value.as_str().unwrap_or_default())
        )
    });
    let uri = leaf("w:ResourceURI", &Family::Cim.uri(&path.namespace, &path.class));
    format!(
        "<a:ReferenceParameters>{uri}<w:SelectorSet>{}{}</w:SelectorSet></a:ReferenceParameters>",
        keys.collect::<String>(),
        namespace(&path.namespace)
    )
}

fn namespace(namespace: &str) -> String {
    format!("<w:Selector Name=\"{}\">{}</w:Selector>", names::NAMESPACE_SELECTOR, escaped(namespace))
}

fn filter(filter: &Filter) -> String {
    let (dialect, inside) = match filter {
        Filter::Wql(text) => (names::WQL, escaped(text)),
        Filter::Cql(text) => (names::CQL, escaped(text)),
        Filter::Selectors(pairs) => {
            let pairs = pairs.iter().map(|(name, text)| {
                format!("<w:Selector{}>{}</w:Selector>", attribute("Name", name), escaped(text))
            });
            (names::SELECTOR_FILTER, format!("<w:SelectorSet>{}</w:SelectorSet>", pairs.collect::<String>()))
        }
    };
    format!("<w:Filter Dialect=\"{dialect}\">{inside}</w:Filter>")
}

fn expires(name: &str, expires: &Option<Expiry>) -> Option<String> {
    Some(match expires {
        None => String::new(),
        Some(Expiry::In(time)) => leaf(name, &duration(*time)),
        Some(Expiry::At(micros)) => {
            let text = time::print(*micros, 0);
            // the last hours of the year 9999 in a zone before UTC
            time::parse(&text).filter(|value| *value == openrdms_cim::Value::utc(*micros))?;
            leaf(name, &text)
        }
    })
}

fn eventing(eventing: &Eventing) -> Option<String> {
    Some(match eventing {
        Eventing::Renew { expires, .. } => {
            format!("<e:Renew>{}</e:Renew>", self::expires("e:Expires", expires)?)
        }
        Eventing::GetStatus { .. } => "<e:GetStatus/>".to_owned(),
        Eventing::Unsubscribe { .. } => "<e:Unsubscribe/>".to_owned(),
        Eventing::Subscribe(subscribe) => {
            let Subscribe { delivery, filter, expires, heartbeats, bookmark, send_bookmarks } = &**subscribe;
            let heartbeats =
                heartbeats.map(|every| leaf("w:Heartbeats", &duration(every))).unwrap_or_default();
            let (mode, inside, end_to) = match delivery {
                Delivery::Pull => (format!("{WSMAN}/Pull"), String::new(), String::new()),
                Delivery::Push(push) => pushed(push),
            };
            let mut more = self::expires("e:Expires", expires)? + &self::filter(filter);
            more += &bookmark.map(|bookmark| leaf("w:Bookmark", &bookmark.to_string())).unwrap_or_default();
            if *send_bookmarks {
                more += "<w:SendBookmarks/>";
            }
            format!(
                "<e:Subscribe>{end_to}<e:Delivery Mode=\"{mode}\">{heartbeats}{inside}</e:Delivery>{more}</e:Subscribe>"
            )
        }
    })
}

/// Mode, what is in Delivery, and EndTo.
fn pushed(push: &Push) -> (String, String, String) {
    let Push { to, end_to, acknowledged, retry, charset } = push;
    let mode = match acknowledged {
        Acknowledged::ByStatus => format!("{EVENTING}/DeliveryModes/Push"),
        Acknowledged::ByMessage => format!("{WSMAN}/PushWithAck"),
    };
    let mut inside = format!("<e:NotifyTo>{}</e:NotifyTo>", endpoint(to));
    if let Some((total, every)) = retry {
        inside += &format!("<w:ConnectionRetry Total=\"{total}\">{}</w:ConnectionRetry>", duration(*every));
    }
    inside += &leaf(
        "w:ContentEncoding",
        match charset {
            Charset::Utf8 => "UTF-8",
            Charset::Utf16Le | Charset::Utf16Be => "UTF-16",
        },
    );
    let end_to = end_to.as_ref().map(|to| format!("<e:EndTo>{}</e:EndTo>", endpoint(to))).unwrap_or_default();
    (mode, inside, end_to)
}

fn endpoint(endpoint: &Endpoint) -> String {
    let headers = endpoint.headers.iter().map(|(namespace, name, text)| match namespace.as_str() {
        "" => leaf(name, text),
        // the one prefix that is bound already, and must not be anew
        "http://www.w3.org/XML/1998/namespace" => leaf(&format!("xml:{name}"), text),
        _ => format!("<r:{name}{}>{}</r:{name}>", attribute("xmlns:r", namespace), escaped(text)),
    });
    leaf("a:Address", &endpoint.address)
        + &format!("<a:ReferenceParameters>{}</a:ReferenceParameters>", headers.collect::<String>())
}

fn duration(duration: Duration) -> String {
    time::print_duration(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

fn leaf(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escaped(text))
}

fn attribute(name: &str, value: &str) -> String {
    format!(" {name}=\"{}\"", escaped(value))
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '<' | '>' | '"' | '\t' | '\n' | '\r' => out.push_str(&format!("&#{};", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}
