//! The client half against the server half, and the text of the messages between them.

use openrdms_cim::wql::Projection;
use openrdms_cim::{
    CimError, Condition, Enumeration, Instance, Listing, MethodResult, ObjectPath, Params, Repository, Value,
    WmiCode,
};
use openrdms_wsman::client::{self, Answer, AnswerError, Call};
use openrdms_wsman::{
    Charset, Fault, InstanceItems, Items, Limits, Mode, Operation, Request, Subcode, bind, names, reply,
};
use proptest::prelude::*;
use std::time::Duration;

const LIMITS: Limits = Limits { max_request: 512_000, max_envelope: 512_000 };
const NS: &str = "root/test";
const MOF: &str = r#"
    class Test_Thing {
        [Key] string Name; [Key] uint32 Id; boolean Flag; datetime When; string Tags[]; uint8 Bytes[];
        real64 Ratio; Test_Thing ref Owner; char16 Letter; sint64 Big; string Empty; string Nobody[];
        [Static] uint32 Make([in] string Name, [in] uint32 Size, [in] string Users[], [in] boolean Hard,
                             [in] datetime When, [in] Test_Thing ref Owner, [out] Test_Thing ref Made);
        uint32 Stop([in] string Reason);
    };
    class Test_Special : Test_Thing { string More; };
"#;

fn repository() -> Repository {
    let mut repository = Repository::default();
    repository.load(NS, MOF).expect("the classes are good");
    repository
}

fn call() -> Call<'static> {
    let timeout = Some(Duration::from_millis(90_500));
    Call { to: "https://h:5986/wsman", message_id: "uuid:Q", timeout, max_envelope: 100_000, options: &[] }
}

fn path() -> ObjectPath {
    ObjectPath::class(NS, "Test_Thing").with_key("Name", "a<b").with_key("Id", 7u32)
}

fn thing(repository: &Repository, class: &str) -> Instance {
    Instance::of(repository.class(NS, class).expect("it is declared"))
        .with("Name", "a<b>&\"'\r\n\u{1}ü")
        .with("Id", 7u32)
        .with("Flag", true)
        .with("When", Value::Datetime { micros: 1_714_551_630_123_456, offset_minutes: 120 })
        .with("Tags", vec!["x", ""])
        .with("Bytes", Vec::<u8>::new())
        .with("Ratio", Value::Real64(0.5))
        .with("Owner", Value::Reference(Box::new(ObjectPath::class(NS, "Test_Thing").with_key("Name", "o"))))
        .with("Letter", Value::Char16(65))
        .with("Big", -5_000_000_000i64)
        .with("Empty", "")
}

fn server(text: &str) -> Request {
    Request::parse(text.as_bytes(), &LIMITS).unwrap_or_else(|r| panic!("{:?}", r.fault))
}

/// The same request in the other family.
fn in_wmi_family(text: &str) -> String {
    text.replace(names::CIM_CLASS, &format!("{}{NS}/", names::WMI_CLASS))
}

fn broken(xml: &str) -> String {
    xml.replace("><", ">\n<")
}

#[test]
fn requests_as_they_are_written() {
    let options = [("ExpectedUser".to_owned(), "LAB\\anna".to_owned())];
    let call = Call { options: &options, ..call() };
    let what = Enumeration {
        class: ObjectPath::class(NS, "Test_Thing"),
        condition: Some(Condition::equal("Flag", "true")),
    };
    let params = Params::default().with("Name", "n").with("Users", vec!["a", "b"]).with("Hard", Value::Null);
    let all = [
        client::identify(),
        call.enumerate(&what, 50),
        call.pull(&what.class, "uuid:C", 50),
        call.invoke(&what.class, "Make", &params),
    ];
    insta::assert_snapshot!(all.map(|m| broken(&m)).join("\n\n"));
}

#[test]
fn replies_as_they_are_written() {
    let repository = repository();
    let request = server(&in_wmi_family(&call().get(&path())));
    let get = reply::get(&request, "uuid:R", &repository, &thing(&repository, "Test_Special"));
    let request = server(&call().invoke(&path(), "Stop", &Params::default()));
    let result = MethodResult { return_value: 0u32.into(), out: Params::default(), reason: None };
    let output = reply::output(&request, "uuid:R", "Test_Thing", "Stop", &result);
    let profiles = ["http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/basic"];
    let identity = reply::Identity { vendor: "V", version: "OS: 1 SP: 0.0 Stack: 3.0", profiles: &profiles };
    let fault = Fault::from(CimError::new(WmiCode::WBEM_E_NOT_FOUND, "no such <thing>"));
    let fault = fault.message("uuid:R", Some("uuid:Q"), "h1");
    let must = Fault::must_understand("New").message("uuid:R", None, "h1");
    let refused = MethodResult {
        return_value: WmiCode::WBEM_E_INVALID_PARAMETER.into(),
        out: Params::default(),
        reason: Some("line 1: <Count> is 1 to 500".to_owned()),
    };
    let refused = reply::output(&request, "uuid:R", "Test_Thing", "Stop", &refused);
    let all = [get, output, reply::identify(&identity), fault, must, refused];
    insta::assert_snapshot!(all.map(|m| broken(&m)).join("\n\n"));
}

fn items() -> Items {
    Items::within(Charset::Utf8, usize::MAX, None)
}

fn one(request: &Request, mode: Mode, repository: &Repository, instance: &Instance) -> Items {
    let mut items = items();
    assert!(InstanceItems::new(request, mode, repository, &Projection::All).push(&mut items, instance));
    items
}

#[test]
fn listings_as_they_are_written() {
    let repository = repository();
    let what = Enumeration { class: ObjectPath::class(NS, "Test_Thing"), condition: None };
    let small = Instance::of(repository.class(NS, "Test_Thing").expect("it is declared"))
        .with("Name", "n")
        .with("Id", 7u32);
    let mut all = Vec::new();
    for text in [call().enumerate(&what, 1), call().pull(&what.class, "uuid:C", 1)] {
        let request = server(&text);
        for mode in [Mode::Object, Mode::Epr, Mode::ObjectAndEpr] {
            let items = one(&request, mode, &repository, &small);
            all.push(reply::listing(&request, "uuid:R", &items, (mode == Mode::Epr).then_some("uuid:C")));
        }
        all.push(reply::listing(&request, "uuid:R", &items(), None));
    }
    insta::assert_snapshot!(all.iter().map(|m| broken(m)).collect::<Vec<_>>().join("\n\n"));
}

#[test]
fn instances_read_back_in_every_family_mode_and_charset() {
    let repository = repository();
    let what = Enumeration { class: ObjectPath::class(NS, "Test_Thing"), condition: None };
    let plain = call().enumerate(&what, 5);
    for class in ["Test_Thing", "Test_Special"] {
        let sent = thing(&repository, class);
        for text in [plain.clone(), in_wmi_family(&plain)] {
            for (mode, charset) in [(Mode::Object, Charset::Utf8), (Mode::ObjectAndEpr, Charset::Utf16Le)] {
                let request = server(&text);
                let items = one(&request, mode, &repository, &sent);
                let message = charset.encode(reply::listing(&request, "uuid:R", &items, Some("uuid:C")));
                let Ok(Answer::Listing(Listing { instances, next })) =
                    client::read(&message, NS, &repository)
                else {
                    panic!("it is a listing")
                };
                assert_eq!(next.as_deref(), Some("uuid:C"));
                let [got] = instances.as_slice() else { panic!("{instances:?}") };
                assert_eq!((got.class.as_str(), got.namespace.as_str()), (class, NS));
                assert_eq!(got.get("Name"), &Value::from("a<b>&\"'\r\n?ü"));
                assert_eq!(got.get("Nobody"), &Value::Null, "a null array is not an empty one");
                assert_eq!(got.get("Bytes"), &Value::Array(vec![]));
                for name in ["Id", "Flag", "When", "Tags", "Ratio", "Owner", "Letter", "Big", "Empty", "More"]
                {
                    assert_eq!(got.get(name), sent.get(name), "{name}");
                }
            }
        }
    }
}

#[test]
fn an_unknown_class_is_read_as_strings() {
    let repository = repository();
    let request = server(&call().get(&path()));
    let message = reply::get(&request, "uuid:R", &repository, &thing(&repository, "Test_Thing"));
    let Ok(Answer::Instance(got)) = client::read(message.as_bytes(), NS, &Repository::default()) else {
        panic!("it is an instance")
    };
    assert_eq!((got.class.as_str(), got.get("Id")), ("Test_Thing", &Value::from("7")));
    assert_eq!(got.get("Tags"), &Value::from(vec!["x", ""]));
    assert_eq!(got.get("When"), &Value::from("2024-05-01T10:20:30.123456+02:00"));
    assert_eq!(got.get("Nobody"), &Value::Null);
}

#[test]
fn parameters_arrive_with_their_declared_types() {
    let repository = repository();
    let owner = Value::Reference(Box::new(ObjectPath::class(NS, "Test_Thing").with_key("Name", "o")));
    let params = Params::default()
        .with("users", vec!["only one"])
        .with("NAME", " text ")
        .with("Size", 5u32)
        .with("When", Value::utc(1_000_000))
        .with("Owner", owner.clone());
    let class = repository.class(NS, "Test_Thing").expect("it is declared");
    let request = server(&call().invoke(&ObjectPath::class(NS, "test_thing"), "make", &params));
    let Operation::Invoke { method, input } = &request.operation else { panic!("it is a method") };
    let (method, path, got) = bind::invocation(&request, class, method, input).expect("it binds");
    assert_eq!((method.name.as_str(), path.to_string().as_str()), ("Make", "root/test:Test_Thing"));
    let expected = Params::default()
        .with("Name", " text ")
        .with("Size", 5u32)
        .with("Users", vec!["only one"])
        .with("Hard", Value::Null)
        .with("When", Value::utc(1_000_000))
        .with("Owner", owner);
    assert_eq!(got, expected);
}

/// The fault that a method call earns.
#[test]
fn changes_arrive_and_their_answers_read_back() {
    let repository = repository();
    let class = repository.class(NS, "Test_Thing").expect("it is declared");
    let properties = Params::default().with("Name", "a<b").with("Tags", vec!["x", ""]).with("Flag", true);
    let request = server(&call().create(&ObjectPath::class(NS, "Test_Thing"), &properties));
    let Operation::Create { properties: given } = &request.operation else { panic!("it is Create") };
    assert_eq!(bind::properties(class, given), Ok(properties.clone()));
    let created = reply::created(&request, "uuid:R", &path());
    assert_eq!(client::read(created.as_bytes(), NS, &repository), Ok(Answer::Empty));

    let request = server(&call().put(&path(), &properties));
    let Operation::Put { properties: given } = &request.operation else { panic!("it is Put") };
    assert_eq!(bind::properties(class, given), Ok(properties));
    assert_eq!(bind::instance(&request, class), Ok(path()));
    let put = reply::get(&request, "uuid:R", &repository, &thing(&repository, "Test_Thing"));
    assert_eq!(client::read(put.as_bytes(), NS, &repository), Ok(Answer::Empty));

    let request = server(&call().delete(&path()));
    assert!(matches!(request.operation, Operation::Delete));
    assert_eq!(bind::instance(&request, class), Ok(path()));
    let gone = reply::empty(&request, "uuid:R");
    assert_eq!(client::read(gone.as_bytes(), NS, &repository), Ok(Answer::Empty));
}

fn refused(path: &ObjectPath, method: &str, params: &Params) -> (Subcode, Option<&'static str>, WmiCode) {
    let repository = repository();
    let request = server(&call().invoke(path, method, params));
    let class = bind::class(&request, &repository);
    let Operation::Invoke { method, input } = &request.operation else { panic!("it is a method") };
    let fault =
        class.and_then(|class| bind::invocation(&request, class, method, input)).expect_err("it is wrong");
    (fault.subcode.expect("all of these have one"), fault.detail, fault.code)
}

#[test]
fn what_does_not_fit_the_class_is_refused() {
    let none = Params::default();
    let class = ObjectPath::class(NS, "Test_Thing");
    let unreachable = (Subcode::DestinationUnreachable, Some("InvalidResourceURI"));
    let (subcode, detail, code) = refused(&ObjectPath::class(NS, "Nothing"), "Stop", &none);
    assert_eq!(((subcode, detail), code), (unreachable, WmiCode::WBEM_E_INVALID_CLASS));
    let (subcode, detail, code) = refused(&ObjectPath::class("root/no", "Test_Thing"), "Stop", &none);
    assert_eq!(((subcode, detail), code), (unreachable, WmiCode::WBEM_E_INVALID_NAMESPACE));
    let (subcode, _, code) = refused(&path(), "Fly", &none);
    assert_eq!((subcode, code), (Subcode::ActionNotSupported, WmiCode::WBEM_E_INVALID_METHOD));

    let selectors = |path: &ObjectPath| refused(path, "Stop", &none);
    let invalid = |detail| (Subcode::InvalidSelectors, Some(detail), WmiCode::WBEM_E_INVALID_OBJECT_PATH);
    assert_eq!(selectors(&class), invalid("InsufficientSelectors"));
    assert_eq!(selectors(&class.clone().with_key("Name", "n")), invalid("InsufficientSelectors"));
    assert_eq!(selectors(&path().with_key("Flag", true)), invalid("UnexpectedSelectors"));
    assert_eq!(selectors(&class.clone().with_key("Name", "n").with_key("Id", "x")), invalid("InvalidValue"));

    let params = |params: Params| refused(&class, "Make", &params);
    let invalid =
        (Subcode::InvalidParameter, Some("InvalidValues"), WmiCode::WBEM_E_INVALID_METHOD_PARAMETERS);
    assert_eq!(params(none.clone().with("Size", "many")), invalid);
    assert_eq!(params(none.clone().with("Size", -1i64)), invalid);
    assert_eq!(params(none.clone().with("Unknown", 1u32)), invalid);
    assert_eq!(params(none.clone().with("Made", "out only")), invalid);
    assert_eq!(params(none.clone().with("Name", vec!["a", "b"])), invalid);
    assert_eq!(
        params(none.clone().with("Name", Value::Object(Box::new(thing(&repository(), "Test_Thing"))))),
        invalid
    );
}

#[test]
fn outputs_and_faults_read_back() {
    let repository = repository();
    let request = server(&call().invoke(&path(), "Stop", &Params::default()));
    let made = Value::Reference(Box::new(path()));
    let result = MethodResult {
        return_value: WmiCode::WBEM_E_NOT_AVAILABLE.into(),
        out: Params::default(),
        reason: None,
    };
    let message = reply::output(&request, "uuid:R", "Test_Thing", "Stop", &result);
    assert_eq!(client::read(message.as_bytes(), NS, &repository), Ok(Answer::Output(result.clone())));
    for (reason, told) in [
        (" <line> 1 & \"2\"\n", Some("<line> 1 & \"2\"".to_owned())),
        (" \n", None),
        ("ä".repeat(100_000).as_str(), Some("ä".repeat(400))),
    ] {
        let sent = MethodResult { reason: Some(reason.to_owned()), ..result.clone() };
        let message = reply::output(&request, "uuid:R", "Test_Thing", "Stop", &sent);
        let read = client::read(message.as_bytes(), NS, &repository);
        assert_eq!(read, Ok(Answer::Output(MethodResult { reason: told, ..result.clone() })));
        assert!(message.len() < 8192, "{}", message.len());
    }
    // a server may be anybody's
    let long = "ä".repeat(100_000);
    let header = format!(r#"<o:Reason xmlns:o="{}">{long}</o:Reason></s:Header>"#, names::OURS);
    let message = reply::output(&request, "uuid:R", "Test_Thing", "Stop", &result);
    let message = message.replace("</s:Header>", &header);
    let Ok(Answer::Output(read)) = client::read(message.as_bytes(), NS, &repository) else {
        panic!("it is one")
    };
    assert_eq!(read.reason, Some("ä".repeat(400)));
    let sent =
        MethodResult { return_value: 0u32.into(), out: Params::default().with("Made", made), reason: None };
    let message = reply::output(&request, "uuid:R", "Test_Thing", "Make", &sent);
    let Ok(Answer::Output(got)) = client::read(message.as_bytes(), NS, &repository) else {
        panic!("it is one")
    };
    // A reference does not tell the types of its keys.
    let Value::Reference(got) = got.out.get("Made") else { panic!("{got:?}") };
    assert_eq!(got.key("Id"), Some(&Value::from("7")));

    for (code, _, _, _) in WmiCode::ALL {
        let error = CimError::new(*code, "because");
        let message = Fault::from(error.clone()).message("uuid:R", Some("uuid:Q"), "h");
        assert_eq!(client::read(message.as_bytes(), NS, &repository), Err(AnswerError::Fault(error)));
    }
}

#[test]
fn a_fault_without_details_is_told_by_its_subcode() {
    let full = Fault::new(Subcode::TimedOut, "late").message("uuid:R", None, "h");
    let (head, rest) = full.split_once("<s:Detail>").expect("it has details");
    let short = format!("{head}{}", rest.split_once("</s:Detail>").expect("they end").1);
    let expected = CimError::new(WmiCode::WBEM_E_TIMED_OUT, "late");
    assert_eq!(client::read(short.as_bytes(), NS, &repository()), Err(AnswerError::Fault(expected)));
    assert!(matches!(client::read(b"<html/>", NS, &repository()), Err(AnswerError::Malformed(_))));
}

#[test]
fn a_reply_answers_its_request_byte_for_byte_and_in_its_family() {
    let repository = repository();
    let id = "uuid:aA-<&>";
    for (family, other) in [(names::CIM_CLASS, names::WMI_CLASS), (names::WMI_CLASS, names::CIM_CLASS)] {
        let mut text = Call { message_id: id, ..call() }.invoke(&path(), "Stop", &Params::default());
        if family == names::WMI_CLASS {
            text = in_wmi_family(&text);
        }
        let request = server(&text);
        assert_eq!(request.message_id, id);
        let result = MethodResult { return_value: 0u32.into(), out: Params::default(), reason: None };
        let message = reply::output(&request, "uuid:R", "Test_Thing", "Stop", &result);
        assert!(message.contains("<a:RelatesTo>uuid:aA-&lt;&amp;&gt;</a:RelatesTo>"));
        assert!(message.contains(&format!("{}Response</a:Action>", request.action)));
        assert!(message.contains(family) && !message.contains(other));
        let get = reply::get(&request, "uuid:R", &repository, &thing(&repository, "Test_Thing"));
        assert!(get.contains(family) && !get.contains(other));
    }
}

#[test]
fn precise_arrays_are_marked_for_those_who_ask() {
    let repository = repository();
    let text = call().get(&path()).replace(
        "<w:SelectorSet>",
        r#"<w:OptionSet><w:Option Name="msftwinrm:UsePreciseArrays">True</w:Option></w:OptionSet><w:SelectorSet>"#,
    );
    let get = reply::get(&server(&text), "uuid:R", &repository, &thing(&repository, "Test_Thing"));
    assert_eq!(get.matches("m:IsNullArray=\"true\"").count(), 1);
    assert!(
        get.contains("<p:Nobody xsi:nil=\"true\"") && !get.contains("<p:Bytes"),
        "an empty array is no element"
    );
}

#[test]
fn an_instance_that_comes_back_is_what_was_sent() {
    let repository = repository();
    let class = repository.class(NS, "Test_Thing").expect("it is declared");
    let sent = thing(&repository, "Test_Thing");
    let get = call().get(&path());
    for text in [get.clone(), in_wmi_family(&get)] {
        let message = reply::get(&server(&text), "uuid:R", &repository, &sent);
        let body = message.split_once("<s:Body>").expect("it has one").1;
        let back = text.replace(names::GET, names::PUT).replace("</s:Body></s:Envelope>", body);
        let request = server(&back);
        let Operation::Put { properties } = &request.operation else { panic!("it is one") };
        let properties = bind::properties(class, properties).expect("it binds");
        for property in &class.properties {
            let given = properties.0.iter().find(|(name, _)| *name == property.name).map(|(_, value)| value);
            match sent.get(&property.name) {
                Value::Array(items) if items.is_empty() => assert_eq!(given, None, "{}", property.name),
                Value::String(text) => assert_eq!(given, Some(&Value::from(text.replace('\u{1}', "?")))),
                value => assert_eq!(given, Some(value), "{}", property.name),
            }
        }
    }
}

proptest! {
    #[test]
    fn texts_go_there_and_back(name: String, id: u32, tags in prop::collection::vec(".{0,8}", 0..4)) {
        let repository = repository();
        let clean = |s: &str| s.replace(
            |c: char| (c < ' ' && !"\t\n\r".contains(c)) || "\u{fffe}\u{ffff}".contains(c), "?");
        let path = ObjectPath::class(NS, "Test_Thing").with_key("Name", name.as_str()).with_key("Id", id);
        let request = server(&call().get(&path));
        let class = bind::class(&request, &repository).expect("it is declared");
        let got = bind::instance(&request, class).expect("it binds");
        prop_assert_eq!(got.key("Name"), Some(&Value::from(clean(&name))));
        prop_assert_eq!(got.key("Id"), Some(&Value::Uint32(id)));
        let sent = Instance::of(class).with("Name", name.as_str()).with("Tags", tags.clone());
        let message = reply::get(&request, "uuid:R", &repository, &sent);
        let Ok(Answer::Instance(got)) = client::read(message.as_bytes(), NS, &repository) else { panic!() };
        prop_assert_eq!(got.get("Name"), &Value::from(clean(&name)));
        let tags: Vec<String> = tags.iter().map(|t| clean(t)).collect();
        prop_assert_eq!(got.get("Tags"), &Value::from(tags));
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, cut in 0usize..3000, with in "[<>/&\"='a-z:]{0,4}") {
        let _ = Request::parse(&bytes, &LIMITS);
        let _ = client::read(&bytes, NS, &Repository::default());
        let good = call().invoke(&path(), "Stop", &Params::default().with("Reason", "r"));
        let (head, tail) = (good.get(..cut).unwrap_or(""), good.get(cut..).unwrap_or(""));
        let _ = Request::parse(format!("{head}{with}{tail}").as_bytes(), &LIMITS);
        let fault = Fault::must_understand("x").message("uuid:R", None, "h");
        let (head, tail) = (fault.get(..cut).unwrap_or(""), fault.get(cut..).unwrap_or(""));
        let _ = client::read(format!("{head}{with}{tail}").as_bytes(), NS, &Repository::default());
    }
}
