//! Messages that are made to hurt: each is refused, or read as what it says, and costs little. No time is measured:
//! a test of work that grows with the square of these sizes would not end.

use openrdms_cim::{Repository, Value};
use openrdms_wsman::client::{self, Answer};
use openrdms_wsman::{Charset, Input, Limits, Operation, Request, Subcode, names};

/// As long as the server ever takes.
const LIMITS: Limits = Limits { max_request: 8 << 20, max_envelope: 512_000 };

const URI: &str = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/a/C";

fn headers(more: &str) -> String {
    format!(
        "<a:Action>{URI}/M</a:Action><w:ResourceURI>{URI}</w:ResourceURI><a:MessageID>uuid:1</a:MessageID>
        <a:ReplyTo><a:Address>{}</a:Address></a:ReplyTo>{more}",
        names::ANONYMOUS
    )
}

fn envelope(attributes: &str, header: &str, body: &str) -> String {
    format!(
        r#"<s:Envelope xmlns:s="{}" xmlns:a="{}" xmlns:w="{}" {attributes}><s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"#,
        names::SOAP,
        names::ADDRESSING,
        names::WSMAN
    )
}

/// The parameters of a method call.
fn input(text: &str) -> Vec<(String, Input)> {
    let request = Request::parse(text.as_bytes(), &LIMITS).unwrap_or_else(|r| panic!("{:?}", r.fault));
    let Operation::Invoke { input, .. } = request.operation else { panic!("it is a method") };
    input
}

fn call(body: &str) -> String {
    envelope("", &headers(""), body)
}

#[track_caller]
fn refused(bytes: &[u8]) -> Option<Subcode> {
    Request::parse(bytes, &LIMITS).expect_err("it is refused").fault.subcode
}

#[track_caller]
fn invalid(text: &str) {
    assert_eq!(refused(text.as_bytes()), Some(Subcode::SchemaValidationError));
}

#[test]
fn no_document_type_and_so_no_entities() {
    let good = call("<M_INPUT><P>v</P></M_INPUT>");
    input(&good);
    for dtd in [
        "<!DOCTYPE a>",
        "<!DOCTYPE a SYSTEM 'file:///etc/passwd'>",
        "<!DOCTYPE a PUBLIC '-//x' 'http://127.0.0.1:1/x.dtd'>",
        "<!DOCTYPE a [<!ENTITY % p SYSTEM 'http://127.0.0.1:1/'> %p;]>",
        "<!DOCTYPE a [<!ENTITY e 'x'>]>",
        // ten entities, each ten of the one before
        &format!(
            "<!DOCTYPE a [<!ENTITY e0 'lol'>{}]>",
            (1..10)
                .map(|n| format!("<!ENTITY e{n} '{}'>", format!("&e{};", n - 1).repeat(10)))
                .collect::<String>()
        ),
        &format!("<!DOCTYPE a [<!ENTITY e '{}'>]>", "x".repeat(100_000)),
    ] {
        invalid(&format!("{dtd}{good}"));
        invalid(&format!("<?xml version='1.0'?>{dtd}{}", good.replace(">v<", ">&e;<")));
    }
    invalid(&good.replace(">v<", ">&e;<"));
    invalid(&good.replace(">v<", ">&#0;<"));
    assert_eq!(input(&good.replace(">v<", ">&lt;&#x41;&amp;<")), [("P".into(), Input::Text("<A&".into()))]);
}

#[test]
fn depth_and_width_and_length_are_limited() {
    let deep = 100_000;
    invalid(&call(&format!("{}{}", "<a>".repeat(deep), "</a>".repeat(deep))));
    invalid(&call(&"<a>".repeat(deep)));
    invalid(&"<a>".repeat(deep));
    invalid(&call(&format!("<a>{}</a>", "<b/>".repeat(1_000_000))));
    invalid(&call(&format!("<a>{}</a>", "<b></b> ".repeat(500_000))));
    let attributes: String = (0..100_000).map(|n| format!(" a{n}='{n}'")).collect();
    invalid(&call(&format!("<a{attributes}/>")));
    let declarations: String = (0..100_000).map(|n| format!(" xmlns:n{n}='u:{n}'")).collect();
    invalid(&call(&format!("<a{declarations}/>")));
    invalid(&call(&format!("<a>{}</a>", "<b xmlns='u'/>".repeat(100_000))));
    let long = "n".repeat(4_000_000);
    // long names are only long
    assert_eq!(input(&call(&format!("<M_INPUT><{long}>v</{long}></M_INPUT>"))).len(), 1);
    invalid(&call(&format!("<a><{long}</a>")));
    invalid(&call(&format!("<a {long}='1' {long}='1'/>")));
    let huge = call(&format!("<M_INPUT><P>{}</P></M_INPUT>", "x".repeat(LIMITS.max_request)));
    assert_eq!(refused(huge.as_bytes()), Some(Subcode::EncodingLimit));
}

#[test]
fn headers_are_limited_in_number() {
    let selector = |n: usize| format!(r#"<w:Selector Name="S{n}">v</w:Selector>"#);
    let many = |list: String| envelope("", &headers(&format!("<w:SelectorSet>{list}</w:SelectorSet>")), "");
    assert_eq!(refused(many((0..5000).map(selector).collect()).as_bytes()), Some(Subcode::InvalidSelectors));
    let option = |n: usize| format!(r#"<w:Option Name="O{n}">v</w:Option>"#);
    let many = |list: String| envelope("", &headers(&format!("<w:OptionSet>{list}</w:OptionSet>")), "");
    assert_eq!(refused(many((0..5000).map(option).collect()).as_bytes()), Some(Subcode::InvalidOptions));
    let long = format!(r#"<w:Option Name="O">{}</w:Option>"#, "v".repeat(1_000_000));
    assert_eq!(refused(many(long).as_bytes()), Some(Subcode::InvalidOptions));
    let unknown = "<X xmlns='' />".repeat(200) + &"<a:From/>".repeat(2);
    let twice = refused(envelope("", &headers(&unknown), "").as_bytes());
    assert_eq!(twice, Some(Subcode::InvalidMessageInformationHeader));
}

#[test]
fn a_value_is_all_of_itself_or_nothing() {
    let value = |inside: &str| call(&format!("<M_INPUT><P>{inside}</P></M_INPUT>"));
    // One reader takes the text before a comment, the next all of it.
    invalid(&value("alice<!-- -->.admin"));
    invalid(&value("<!-- -->alice"));
    invalid(&value("alice<?x y?>"));
    invalid(&format!("<?x y?>{}", value("alice")));
    let with_comments = value("alice").replace("<s:Body>", "<!-- a --><s:Body><!-- b -->");
    assert_eq!(input(&with_comments), [("P".into(), Input::Text("alice".into()))]);
    let data = "<![CDATA[<b>&amp;]]>";
    assert_eq!(input(&value(&format!("a{data}c"))), [("P".into(), Input::Text("a<b>&amp;c".into()))]);
    invalid(&value("<![CDATA[a"));
    invalid(&value("<!-- a"));
}

#[test]
fn prefixes_mean_what_they_are_bound_to() {
    // The usual prefixes bound to other things, and the elements in the default namespace.
    let turned = format!(
        r#"<Envelope xmlns="{}" xmlns:s="{}" xmlns:w="{}"><Header>
        <s:Action>{URI}/M</s:Action><a:ResourceURI xmlns:a="{2}">{URI}</a:ResourceURI>
        <s:MessageID>uuid:1</s:MessageID><s:ReplyTo><s:Address>{3}</s:Address></s:ReplyTo>
        </Header><Body><s:M_INPUT xmlns:s="urn:x"><P xmlns="">v</P></s:M_INPUT></Body></Envelope>"#,
        names::SOAP,
        names::ADDRESSING,
        names::WSMAN,
        names::ANONYMOUS
    );
    assert_eq!(input(&turned), [("P".into(), Input::Text("v".into()))]);
    // A header of another namespace is not ours, whatever its name.
    let foreign = headers("").replace("<a:Action>", "<a:Action xmlns:a='urn:x'>");
    assert_eq!(
        refused(envelope("", &foreign, "").as_bytes()),
        Some(Subcode::MessageInformationHeaderRequired)
    );
    let second = headers("<a:Action xmlns:a='urn:x'>urn:evil</a:Action>");
    assert_eq!(input(&envelope("", &second, "")), []);
    // Undeclared prefixes, rebound xml and xmlns, the same attribute by two prefixes.
    invalid(&call("<u:M_INPUT/>"));
    invalid(&call("<M_INPUT xmlns:xml='urn:x'/>"));
    invalid(&call("<M_INPUT xmlns:xmlns='urn:x'/>"));
    invalid(&call("<M_INPUT xmlns:p=''/>"));
    invalid(&call("<M_INPUT xmlns:p='u' xmlns:q='u' p:a='1' q:a='2'/>"));
    // Two readers might take another of two bodies.
    invalid(&call("").replace("</s:Envelope>", "<s:Body><M_INPUT><P>v</P></M_INPUT></s:Body></s:Envelope>"));
    invalid(&call("").replace("<s:Header>", "<s:Header/><s:Header>"));
    // An envelope hidden in a header does not count.
    let hidden = headers(&format!("<x><s:Body><M_INPUT><P>{}</P></M_INPUT></s:Body></x>", "v"));
    assert_eq!(input(&envelope("", &hidden, "")), []);
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let good = call("<M_INPUT><P>v</P></M_INPUT>");
    let with = |bytes: &[u8]| {
        let (head, tail) = good.split_once(">v<").expect("it is there");
        [head.as_bytes(), b">", bytes, b"<", tail.as_bytes()].concat()
    };
    let schema = Some(Subcode::SchemaValidationError);
    for bytes in [
        &b"\0"[..],
        b"\x01",
        b"\xff",
        b"\xc0\xbc",         // an overlong <
        b"\xe0\x80\xbc",     // and a longer one
        b"\xed\xa0\x80",     // half of a pair
        b"\xf4\x90\x80\x80", // beyond the last character
        b"\xef\xbf\xbf",     // U+FFFF
    ] {
        assert_eq!(refused(&with(bytes)), schema, "{bytes:?}");
    }
    assert_eq!(refused(&[&b"\0\0\xfe\xff"[..], good.as_bytes()].concat()), schema, "UTF-32");
    for (charset, high) in [(Charset::Utf16Le, [0x00, 0xd8]), (Charset::Utf16Be, [0xd8, 0x00])] {
        let bytes = charset.encode(&good);
        assert!(Request::parse(&bytes, &LIMITS).is_ok());
        let at = bytes.len() - 40;
        let half = [&bytes[..at], &high, &bytes[at..]].concat();
        assert_eq!(refused(&half), schema, "half of a pair");
        assert_eq!(refused(&bytes[..bytes.len() - 1]), schema, "half of a unit");
    }
    // the declaration may say what it likes: the bytes decide
    let lies = format!("<?xml version='1.0' encoding='UTF-7'?>{}", good.replace(">v<", ">+ADw-script+AD4-<"));
    assert_eq!(input(&lies), [("P".into(), Input::Text("+ADw-script+AD4-".into()))]);
}

#[test]
fn an_answer_is_read_once_however_it_is_spelt_and_nested() {
    let answer = |body: &str| {
        let message = envelope("", "", &format!("<C xmlns='urn:c'>{body}</C>"));
        let header = format!("<s:Header><a:Action>{}Response</a:Action></s:Header>", names::GET);
        let message = message.replace("<s:Header></s:Header>", &header);
        match client::read(message.as_bytes(), "root/a", &Repository::default()) {
            Ok(Answer::Instance(instance)) => instance,
            other => panic!("{other:?}"),
        }
    };
    // Each level has a name in several spellings: whoever took all of them for each would take 4^20.
    let deep = (0..19)
        .fold("v".to_owned(), |inner, _| format!("<ab>{inner}</ab><aB/><Ab/><AB/><ab/><aB/><Ab/><AB/>"));
    let instance = answer(&deep);
    let [(name, Value::Array(items))] = instance.properties.as_slice() else { panic!("{instance:?}") };
    assert_eq!((name.as_str(), items.len()), ("ab", 8));
    // and the work is not the square of the number of names
    let wide: String = (0..190_000).map(|n| format!("<p{n}/>")).collect();
    assert_eq!(answer(&wide).properties.len(), 190_000);
}
