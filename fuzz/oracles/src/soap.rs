//! Requests, as the server reads them.

use crate::world::{self, LIMITS};
use crate::{bounded, envelope};
use openrdms_cim::{Instance, MethodResult, ObjectPath, Params, Repository, Value};
use openrdms_wsman::client::{self, Answer, AnswerError};
use openrdms_wsman::eventing::reply::{Ended, Form, Granted, Notice};
use openrdms_wsman::eventing::{self, Bookmark, Delivery};
use openrdms_wsman::{Charset, Eventing, Fault, Items, Mode, Operation, Request, bind, reply};
use std::time::Duration;

/// The smallest reply that a client may ask for: every fault fits.
const SMALLEST: usize = 8192;

/// A request that is read is the same in another encoding and written again; what is answered can be read by our own
/// client, whether it is a fault or a result.
pub fn soap(bytes: &[u8]) -> bool {
    match Request::parse(bytes, &LIMITS) {
        Err(rejected) => {
            is_told(&rejected.fault, rejected.message_id.as_deref());
            false
        }
        Ok(request) => {
            is_the_same_in_other_encodings(bytes, &request);
            is_the_same_again(&request);
            is_answered(bytes.len(), &request);
            true
        }
    }
}

fn is_told(fault: &Fault, relates_to: Option<&str>) {
    let message = fault.message("uuid:R", relates_to, "h");
    assert!(
        message.len() <= SMALLEST + 6 * relates_to.map_or(0, str::len),
        "a fault of {} bytes",
        message.len()
    );
    world::well_formed(&message);
    match client::read(message.as_bytes(), world::NS, world::repository()) {
        Err(AnswerError::Fault(error)) => assert!(!error.message.is_empty(), "{message}"),
        other => panic!("a fault is read as {other:?}: {message}"),
    }
}

fn is_the_same_in_other_encodings(bytes: &[u8], request: &Request) {
    let text = request.charset.decode(bytes).expect("it was read");
    for charset in [Charset::Utf8, Charset::Utf16Le, Charset::Utf16Be] {
        let again = Request::parse(&charset.encode(&text), &LIMITS).map_err(|rejected| rejected.fault);
        assert_eq!(again.as_ref().ok(), Some(&Request { charset, ..request.clone() }), "{text}");
    }
}

fn is_the_same_again(request: &Request) {
    let Some(text) = envelope::write(request) else { return };
    match Request::parse(text.as_bytes(), &LIMITS) {
        Ok(again) => assert_eq!(again, Request { charset: Charset::Utf8, ..request.clone() }, "{text}"),
        Err(rejected) => panic!("{:?}: {text}", rejected.fault),
    }
}

fn is_answered(length: usize, request: &Request) {
    let repository = world::repository();
    let told = |result: Result<(), Fault>| {
        if let Err(fault) = result {
            is_told(&fault, Some(&request.message_id));
        }
    };
    match &request.operation {
        Operation::Identify | Operation::End => {}
        Operation::Enumerate { mode, filter, .. } => {
            told(bind::listing(request, repository, filter.as_ref()).map(drop));
            if let Ok(bind::Wanted::Instances(_, projection)) =
                bind::listing(request, repository, filter.as_ref())
            {
                let things = [world::thing(), world::thing()];
                lists(
                    length,
                    request,
                    &world::items(request, *mode, repository, &things, &projection),
                    *mode,
                );
            }
        }
        Operation::Pull { context, .. } => {
            let none = Items::within(request.charset, 0, None);
            read(length, request, &reply::listing(request, "uuid:R", &none, Some(context)));
        }
        Operation::Status { .. } | Operation::Renew { .. } => {
            read(length, request, &reply::expires(request, "uuid:R", "PT1S"));
        }
        Operation::Release { .. } => {
            assert_eq!(read(length, request, &reply::empty(request, "uuid:R")), Answer::Empty)
        }
        Operation::Get | Operation::Delete => {
            told(bind::declaration(request, repository).map(drop));
            told(named(length, request, repository));
        }
        Operation::Put { properties } | Operation::Create { properties } => {
            told(named(length, request, repository));
            told(
                bind::class(request, repository)
                    .and_then(|class| bind::properties(class, properties))
                    .map(drop),
            );
        }
        Operation::Invoke { method, input } => {
            let called = bind::class(request, repository)
                .and_then(|class| Ok((class, bind::invocation(request, class, method, input)?)));
            told(called.as_ref().map(|_| ()).map_err(Clone::clone));
            let Ok((class, (method, path, params))) = called else { return };
            let result = MethodResult {
                return_value: 0u32.into(),
                out: params.clone(),
                reason: Some("because".to_owned()),
            };
            let output = reply::output(request, "uuid:R", &class.name, &method.name, &result);
            assert!(matches!(read(length, request, &output), Answer::Output(_)), "{output}");
            is_called_again(&path, &method.name, &params);
        }
        Operation::Eventing(eventing) => is_subscribed(request, eventing),
    }
}

/// The instance that a request names, as our own client names it, is the same; so is the reply with it.
fn named(length: usize, request: &Request, repository: &Repository) -> Result<(), Fault> {
    let class = bind::class(request, repository)?;
    let path = bind::instance(request, class)?;
    let again = world::request(&world::call().get(&path));
    let bound = bind::class(&again, repository).and_then(|class| bind::instance(&again, class));
    assert_eq!(texts(&bound?.keys), texts(&path.keys), "{path}");

    let instance = Instance { properties: path.keys.clone(), ..Instance::of(class) };
    let message = reply::get(request, "uuid:R", repository, &instance);
    // our client asks for no other change of an instance than by methods
    match (read(length, request, &message), &request.operation) {
        (Answer::Instance(told), _) => {
            assert_eq!(texts(&told.path(class).keys), texts(&path.keys), "{message}")
        }
        (_, Operation::Get) => panic!("it is no instance: {message}"),
        _ => {}
    }
    read(length, request, &reply::created(request, "uuid:R", &path));
    if let Some(fragment) = &request.fragment {
        let thing =
            Instance { class: class.name.clone(), namespace: class.namespace.clone(), ..world::thing() };
        let (name, array, value) = bind::fragment(class, &thing, fragment)?;
        let message = reply::fragment(request, "uuid:R", class, fragment, (name, array, &value));
        read(length, request, &message);
        bind::whole_property(fragment)?;
    }
    Ok(())
}

/// A method as our own client calls it is the same.
fn is_called_again(path: &ObjectPath, method: &str, params: &Params) {
    let again = world::request(&world::call().invoke(path, method, params));
    let Operation::Invoke { method, input } = &again.operation else { panic!("{again:?}") };
    let repository = world::repository();
    let bound =
        bind::class(&again, repository).and_then(|class| bind::invocation(&again, class, method, input));
    let (_, bound_path, bound_params) = bound.unwrap_or_else(|fault| panic!("{fault:?}"));
    assert_eq!(texts(&bound_path.keys), texts(&path.keys));
    assert_eq!(texts(&bound_params.0), texts(&params.0), "of {path}.{method}");
}

/// Names and values as they travel: without nulls in arrays, and times of any zone as they are told.
fn texts(values: &[(String, Value)]) -> Vec<(String, Vec<String>)> {
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::Reference(path) => Some(path.to_string().to_lowercase()),
        value => value.text(),
    };
    values
        .iter()
        .map(|(name, value)| match value {
            Value::Array(items) => (name.clone(), items.iter().filter_map(text).collect()),
            value => (name.clone(), text(value).into_iter().collect()),
        })
        .collect()
}

fn lists(length: usize, request: &Request, items: &Items, mode: Mode) {
    let message = reply::listing(request, "uuid:R", items, None);
    let Answer::Listing(listing) = read(length, request, &message) else { panic!("{message}") };
    let wanted = if mode == Mode::Epr { listing.instances.len() } else { items.len() };
    assert_eq!((listing.instances.len(), listing.next), (wanted, None), "{message}");
}

/// Our own reply, as our own client reads it. It answers the request's own id, and is not much longer.
fn read(length: usize, request: &Request, message: &str) -> Answer {
    // a thing is about 4000 bytes, and a character may be told by six
    bounded("the reply", message, length + 4096, 8);
    world::well_formed(message);
    let document = roxmltree::Document::parse(message).expect("it is well-formed");
    let related = document.descendants().find(|node| node.tag_name().name() == "RelatesTo");
    assert_eq!(related.and_then(|node| node.text()), Some(request.message_id.as_str()), "{message}");
    let namespace = request.resource.as_ref().map_or("", |resource| resource.namespace.as_str());
    match client::read(message.as_bytes(), namespace, world::repository()) {
        Ok(answer) => answer,
        Err(AnswerError::Malformed("unknown body")) => Answer::Empty,
        Err(error) => panic!("our own reply is refused: {error}\n{message}"),
    }
}

fn is_subscribed(request: &Request, eventing: &Eventing) {
    let granted = Granted {
        identifier: "uuid:I",
        expires: Duration::from_secs(60),
        context: Some("uuid:C"),
        bookmark: Some(Bookmark::After(7)),
    };
    let message = match eventing {
        Eventing::Subscribe(_) => eventing::reply::subscribed(request, "uuid:R", &granted),
        Eventing::Renew { .. } => eventing::reply::renewed(request, "uuid:R", granted.expires),
        Eventing::GetStatus { .. } => eventing::reply::status(request, "uuid:R", granted.expires),
        Eventing::Unsubscribe { .. } => reply::empty(request, "uuid:R"),
    };
    world::well_formed(&message);
    let Eventing::Subscribe(subscribe) = eventing else { return };
    let subscribed = eventing::client::read_subscribed(message.as_bytes());
    let subscribed = subscribed.unwrap_or_else(|error| panic!("{error}: {message}"));
    assert_eq!((subscribed.identifier.as_str(), subscribed.context.as_str()), ("uuid:I", "uuid:C"));
    assert_eq!(
        (subscribed.expires, subscribed.bookmark.as_deref()),
        (Some(granted.expires), Some("change:7"))
    );

    let Delivery::Push(push) = &subscribe.delivery else { return };
    let event = Form::of(request).event(world::repository(), &world::thing());
    for to in [Some(&push.to), push.end_to.as_ref()].into_iter().flatten() {
        let notice =
            Notice { to, message_id: "uuid:N", acknowledged: push.acknowledged, bookmark: granted.bookmark };
        let messages = [
            notice.event(&event),
            notice.heartbeat(),
            notice.ended("uuid:I", Ended::SourceCanceling, "because"),
        ];
        for message in messages {
            world::well_formed(&message);
            bounded(
                "the event",
                &message,
                4096 + to.address.len()
                    + to.headers.iter().map(|(a, b, c)| a.len() + 2 * b.len() + c.len()).sum::<usize>(),
                8,
            );
            // what the client wants back comes back
            let document = roxmltree::Document::parse(&message).expect("it is well-formed");
            let told: Vec<_> = document.descendants().filter(roxmltree::Node::is_element).collect();
            for (namespace, name, text) in &to.headers {
                let found = told.iter().any(|node| {
                    node.tag_name().namespace().unwrap_or("") == namespace
                        && node.tag_name().name() == name
                        && node.text().unwrap_or("") == text
                });
                assert!(found, "{namespace} {name} {text:?}: {message}");
            }
        }
    }
}
