use super::client::{self, Events, Subscribed, Wanted};
use super::reply::{self, Ended, Form, Granted, Notice};
use super::*;
use crate::client::{AnswerError, Call};
use crate::{Fault, Limits, Operation, Request, Subcode};
use openrdms_cim::{Instance, Repository, Value};
use proptest::prelude::*;

const LIMITS: Limits = Limits { max_request: 100_000, max_envelope: 100_000 };
const QUERY: &str = "SELECT * FROM E WHERE T.N > 1 AND T.S = 'a<b&c'";

fn call<'a>() -> Call<'a> {
    Call {
        to: "http://localhost/wsman",
        message_id: "uuid:1",
        timeout: Some(Duration::from_secs(20)),
        max_envelope: 50_000,
        options: &[],
    }
}

fn wanted<'a>() -> Wanted<'a> {
    Wanted {
        namespace: "root/a",
        query: QUERY,
        expires: Duration::from_secs(90),
        heartbeats: Some(Duration::from_secs(5)),
        bookmark: Some("change:17"),
    }
}

fn parse(text: &str) -> Result<Request, Fault> {
    Request::parse(text.as_bytes(), &LIMITS).map_err(|rejected| rejected.fault)
}

fn eventing(text: &str) -> Eventing {
    match parse(text).unwrap().operation {
        Operation::Eventing(eventing) => eventing,
        other => panic!("{other:?}"),
    }
}

fn subscribe_to(delivery: &str, more: &str) -> Result<Subscribe, Fault> {
    let text = format!(
        r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"
            xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"
            xmlns:e="http://schemas.xmlsoap.org/ws/2004/08/eventing"
            xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns:t="urn:t"><s:Header>
        <a:Action>http://schemas.xmlsoap.org/ws/2004/08/eventing/Subscribe</a:Action><a:MessageID>m</a:MessageID>
        <a:ReplyTo><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>
        <w:ResourceURI>http://schemas.microsoft.com/wbem/wsman/1/wmi/root/a/*</w:ResourceURI>
        </s:Header><s:Body><e:Subscribe><e:Delivery {delivery}</e:Delivery>
        <w:Filter Dialect="http://schemas.microsoft.com/wbem/wsman/1/WQL">SELECT * FROM E</w:Filter>{more}
        </e:Subscribe></s:Body></s:Envelope>"#
    );
    match parse(&text)?.operation {
        Operation::Eventing(Eventing::Subscribe(subscribe)) => Ok(*subscribe),
        other => panic!("{other:?}"),
    }
}

fn refused(delivery: &str, more: &str) -> (Option<Subcode>, Option<&'static str>) {
    let fault = subscribe_to(delivery, more).unwrap_err();
    (fault.subcode, fault.detail)
}

fn repository() -> Repository {
    let mut repository = Repository::default();
    let text = r#"class C { [Key] uint32 N; string S; datetime D; };
        class E { [EmbeddedObject] string T; uint64 At; };"#;
    repository.load("root/a", text).unwrap();
    repository
}

fn event(repository: &Repository, n: u32, s: &str) -> Instance {
    let class = |name| repository.class("root/a", name).unwrap();
    let inner = Instance::of(class("C")).with("N", n).with("S", s).with("D", Value::utc(1_500_000));
    Instance::of(class("E")).with("T", Value::Object(Box::new(inner))).with("At", 7_u64)
}

#[test]
fn what_our_client_asks_for_is_what_the_server_reads() {
    let request = parse(&call().subscribe(&wanted())).unwrap();
    let resource = request.resource.as_ref().unwrap();
    assert_eq!((resource.namespace.as_str(), resource.class.as_str()), ("root/a", "*"));
    assert_eq!(
        eventing(&call().subscribe(&wanted())),
        Eventing::Subscribe(Box::new(Subscribe {
            delivery: Delivery::Pull,
            filter: Filter::Wql(QUERY.to_owned()),
            expires: Some(Expiry::In(Duration::from_secs(90))),
            heartbeats: Some(Duration::from_secs(5)),
            bookmark: Some(Bookmark::After(17)),
            send_bookmarks: true,
        }))
    );
    let identifier = "uuid:x".to_owned();
    let expires = Some(Expiry::In(Duration::from_secs(5)));
    assert_eq!(
        eventing(&call().renew("root/a", "uuid:x", Duration::from_secs(5))),
        Eventing::Renew { identifier: identifier.clone(), expires }
    );
    assert_eq!(eventing(&call().unsubscribe("root/a", "uuid:x")), Eventing::Unsubscribe { identifier });
    let pull = parse(&call().pull_events("root/a", "uuid:x", 5)).unwrap();
    assert!(matches!(pull.operation, Operation::Pull { context, .. } if context == "uuid:x"));
}

#[test]
fn what_the_server_answers_is_what_our_client_reads() {
    let repository = repository();
    let request = parse(&call().subscribe(&wanted())).unwrap();
    let granted = Granted {
        identifier: "uuid:x",
        expires: Duration::from_secs(60),
        context: Some("uuid:x"),
        bookmark: Some(Bookmark::After(3)),
    };
    let text = reply::subscribed(&request, "uuid:2", &granted);
    insta::assert_snapshot!("subscribed", text);
    assert_eq!(
        client::read_subscribed(text.as_bytes()),
        Ok(Subscribed {
            identifier: "uuid:x".to_owned(),
            context: "uuid:x".to_owned(),
            expires: Some(Duration::from_secs(60)),
            bookmark: Some("change:3".to_owned()),
        })
    );

    let pull = parse(&call().pull_events("root/a", "uuid:x", 5)).unwrap();
    let form = Form::of(&pull);
    let sent = [event(&repository, 1, "a<b"), event(&repository, 2, "")];
    let items: Vec<_> = sent.iter().map(|event| form.event(&repository, event)).collect();
    let text = reply::events(&pull, "uuid:2", "uuid:x", &items, Some(Bookmark::After(5)));
    insta::assert_snapshot!("events", text);
    let read = client::read_events(text.as_bytes(), "root/a", &repository).unwrap();
    assert_eq!(read.events, sent);
    assert_eq!((read.bookmark.as_deref(), read.heartbeat), (Some("change:5"), false));

    let text = reply::events(&pull, "uuid:2", "uuid:x", &[], None);
    let read = client::read_events(text.as_bytes(), "root/a", &repository).unwrap();
    assert_eq!((read.events.len(), read.bookmark, read.heartbeat), (0, None, true));

    let renew = parse(&call().renew("root/a", "uuid:x", Duration::from_secs(5))).unwrap();
    let text = reply::renewed(&renew, "uuid:2", Duration::from_secs(5));
    assert_eq!(client::read_renewed(text.as_bytes()), Ok(Some(Duration::from_secs(5))));
    assert!(text.contains("eventing/RenewResponse</a:Action>"), "{text}");
}

#[test]
fn an_instance_within_an_event_is_in_the_namespace_of_its_own_class() {
    let repository = repository();
    let request = parse(&call().subscribe(&wanted())).unwrap();
    let text = reply::events(
        &request,
        "uuid:2",
        "x",
        &[Form::of(&request).event(&repository, &event(&repository, 1, ""))],
        None,
    );
    let document = roxmltree::Document::parse(&text).unwrap();
    let namespace = |name: &str| {
        let node = document.descendants().find(|n| n.is_element() && n.tag_name().name() == name);
        node.unwrap().tag_name().namespace().unwrap().rsplit('/').next().unwrap().to_owned()
    };
    assert_eq!(["E", "T", "At", "N", "S"].map(namespace), ["E", "E", "E", "C", "C"]);
}

#[test]
fn that_the_time_is_over_is_no_error_and_other_faults_are() {
    let repository = repository();
    let read = |subcode| {
        let fault = Fault::new(subcode, "x").message("uuid:2", Some("uuid:1"), "host");
        client::read_events(fault.as_bytes(), "root/a", &repository)
    };
    assert_eq!(read(Subcode::TimedOut), Ok(Events::default()));
    for (subcode, code) in [
        (Subcode::InvalidBookmark, openrdms_cim::WmiCode::WBEM_E_QUEUE_OVERFLOW),
        (Subcode::InvalidEnumerationContext, openrdms_cim::WmiCode::WBEM_E_INVALID_CONTEXT),
    ] {
        assert!(matches!(read(subcode), Err(AnswerError::Fault(error)) if error.code == code), "{subcode:?}");
    }
    assert!(client::read_events(b"<x/>", "root/a", &repository).is_err());
}

#[test]
fn faults_of_events_declare_their_prefix() {
    for subcode in
        [Subcode::UnableToRenew, Subcode::DeliveryModeRequestedUnavailable, Subcode::InvalidExpiration]
    {
        let text = Fault::new(subcode, "x").message("uuid:2", None, "host");
        let document = roxmltree::Document::parse(&text).unwrap();
        let value = document.descendants().filter(|n| n.tag_name().name() == "Value").nth(1).unwrap();
        let prefix = value.text().unwrap().split(':').next().unwrap();
        assert_eq!(value.lookup_namespace_uri(Some(prefix)), Some(EVENTING), "{text}");
    }
    assert_eq!(Subcode::InvalidExpiration.qname(), ("e", "InvalidExpirationTime"));
}

#[test]
fn a_push_says_where_to_and_how() {
    let delivery = r#"Mode="http://schemas.dmtf.org/wbem/wsman/1/wsman/PushWithAck"><e:NotifyTo>
        <a:Address> http://there:1/x </a:Address><a:ReferenceProperties><t:Id>7</t:Id></a:ReferenceProperties>
        <a:ReferenceParameters><Plain>8</Plain></a:ReferenceParameters></e:NotifyTo>
        <w:ConnectionRetry Total="4">PT2S</w:ConnectionRetry><w:ContentEncoding>utf-16</w:ContentEncoding>"#;
    let end_to = "<e:EndTo><a:Address>http://there:1/end</a:Address></e:EndTo>";
    let Delivery::Push(push) = subscribe_to(delivery, end_to).unwrap().delivery else { panic!("a push") };
    let header =
        |namespace: &str, name: &str, text: &str| (namespace.to_owned(), name.to_owned(), text.to_owned());
    let to = Endpoint {
        address: "http://there:1/x".to_owned(),
        headers: vec![header("urn:t", "Id", "7"), header("", "Plain", "8")],
    };
    let expected = Push {
        to: to.clone(),
        end_to: Some(Endpoint { address: "http://there:1/end".to_owned(), headers: Vec::new() }),
        acknowledged: Acknowledged::ByMessage,
        retry: Some((4, Duration::from_secs(2))),
        charset: Charset::Utf16Le,
    };
    assert_eq!(*push, expected);
    let notice = Notice {
        to: &to,
        message_id: "uuid:9",
        acknowledged: Acknowledged::ByMessage,
        bookmark: Some(Bookmark::After(1)),
    };
    insta::assert_snapshot!("pushed", notice.event("<event/>"));
    let gone = Notice { acknowledged: Acknowledged::ByStatus, bookmark: None, ..notice };
    insta::assert_snapshot!(
        "ended",
        gone.ended("uuid:x", Ended::SourceShuttingDown, "the service is stopping")
    );
}

#[test]
fn a_reference_brings_no_headers_that_are_the_sender_s_own() {
    for own in [r#"<a:Action>x</a:Action>"#, r#"<s:Role xmlns:s="http://www.w3.org/2003/05/soap-envelope"/>"#]
    {
        let delivery = format!(
            "><e:NotifyTo><a:Address>http://there</a:Address><a:ReferenceParameters>{own}\
             </a:ReferenceParameters></e:NotifyTo>"
        );
        let refused = subscribe_to(&delivery, "").unwrap_err();
        assert_eq!(refused.subcode, Some(Subcode::EventDeliverToUnusable), "{own}");
    }
}

#[test]
fn an_acknowledgement_names_the_message() {
    let ack = |action: &str, id: &str| {
        let text = crate::reply::envelope(action, "uuid:3", Some(id), |_| {});
        reply::is_acknowledged(text.as_bytes(), "uuid:9")
    };
    assert!(ack(ACK, "uuid:9"));
    assert!(!ack(ACK, "uuid:8") && !ack(EVENT, "uuid:9"));
    assert!(!reply::is_acknowledged(b"", "uuid:9") && !reply::is_acknowledged(b"\xff<", "uuid:9"));
}

#[test]
fn what_is_not_offered_is_refused_by_its_own_fault() {
    let pull = r#"Mode="http://schemas.dmtf.org/wbem/wsman/1/wsman/Pull">"#;
    assert!(subscribe_to(pull, "").is_ok());
    let to = "<e:NotifyTo><a:Address>http://there</a:Address></e:NotifyTo>";
    assert!(matches!(subscribe_to(&format!(">{to}"), "").unwrap().delivery, Delivery::Push(_)));
    for (delivery, more, expected) in [
        (r#"Mode="urn:telepathy">"#, "", (Subcode::DeliveryModeRequestedUnavailable, None)),
        (">", "", (Subcode::EventDeliverToUnusable, None)),
        (
            &format!("{pull}<w:Heartbeats>PT0.5S</w:Heartbeats>"),
            "",
            (Subcode::UnsupportedFeature, Some("Heartbeats")),
        ),
        (&format!("{pull}<w:Heartbeats>soon</w:Heartbeats>"), "", (Subcode::SchemaValidationError, None)),
        (
            &format!("{pull}<w:ContentEncoding>EBCDIC</w:ContentEncoding>"),
            "",
            (Subcode::EncodingLimit, Some("CharacterSet")),
        ),
        (
            &format!(">{to}<w:Auth Profile='x'/>"),
            "",
            (Subcode::UnsupportedFeature, Some("AuthorizationMode")),
        ),
        (pull, "<e:Expires>PT0S</e:Expires>", (Subcode::InvalidExpiration, None)),
        (pull, "<e:Expires>tomorrow</e:Expires>", (Subcode::InvalidExpiration, None)),
        (pull, "<w:Bookmark>change:-1</w:Bookmark>", (Subcode::InvalidBookmark, Some("InvalidFormat"))),
        (pull, "<w:Bookmark/>", (Subcode::InvalidBookmark, Some("InvalidFormat"))),
    ] {
        assert_eq!(refused(delivery, more), (Some(expected.0), expected.1), "{delivery} {more}");
    }
    let earliest = format!("<w:Bookmark>{EARLIEST}</w:Bookmark>");
    assert_eq!(subscribe_to(pull, &earliest).unwrap().bookmark, Some(Bookmark::Earliest));
}

proptest! {
    #[test]
    fn a_bookmark_reads_back_and_nothing_else_is_one(position: u64, text in ".{0,20}") {
        let bookmark = Bookmark::After(position);
        prop_assert_eq!(Bookmark::parse(&bookmark.to_string()), Some(bookmark));
        if let Some(found) = Bookmark::parse(&text) {
            prop_assert_eq!(found.to_string(), text);
        }
    }

    #[test]
    fn events_read_back_whatever_is_in_them(n: u32, s in "[^\u{0}-\u{1f}\u{fffe}\u{ffff}]{0,40}", position: u64) {
        let repository = repository();
        let pull = parse(&call().pull_events("root/a", "uuid:x", 5)).unwrap();
        let sent = event(&repository, n, &s);
        let items = [Form::of(&pull).event(&repository, &sent)];
        let text = reply::events(&pull, "uuid:2", "uuid:x", &items, Some(Bookmark::After(position)));
        let read = client::read_events(text.as_bytes(), "root/a", &repository).unwrap();
        prop_assert_eq!(read.events, vec![sent]);
        prop_assert_eq!(Bookmark::parse(&read.bookmark.unwrap()), Some(Bookmark::After(position)));
    }

    #[test]
    fn no_message_makes_a_reader_panic(cut in 0usize..2000, with in ".{0,8}") {
        for text in [call().subscribe(&wanted()), call().renew("root/a", "uuid:x", Duration::from_secs(5))] {
            let at = text.char_indices().map(|(at, _)| at).nth(cut).unwrap_or(text.len());
            let (head, tail) = text.split_at(at);
            let text = format!("{head}{with}{tail}");
            let _ = Request::parse(text.as_bytes(), &LIMITS);
            let _ = client::read_subscribed(text.as_bytes());
            let _ = client::read_events(text.as_bytes(), "root/a", &Repository::default());
            let _ = reply::is_acknowledged(text.as_bytes(), "x");
        }
    }
}
