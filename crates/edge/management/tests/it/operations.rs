//! Messages of all kinds as other clients write them, and what they get.

use crate::fake::{Fake, Running};
use crate::notes::NAMESPACE;
use crate::raw::{ROOT, basic, exchange, post};
use openrdms_management::Config;
use openrdms_wsman::names;
use std::time::Duration;
use tokio::net::TcpStream;

const NOTE: &str = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/Note";
const CLASSES: &str = "http://schemas.dmtf.org/wbem/cim-xml/2/cim-schema/2/*";
const SESSIONS: &str =
    "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/rdms/Win32_VirtualDesktopSession";
const ALL_SESSIONS: &str = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/rdms/*";

fn message(action: &str, uri: &str, more: &str, body: &str) -> String {
    format!(
        r#"<s:Envelope xmlns:s="{}" xmlns:a="{}" xmlns:n="{}" xmlns:w="{}" xmlns:xsi="{}"><s:Header>
        <a:To>http://h/wsman</a:To><w:ResourceURI s:mustUnderstand="true">{uri}</w:ResourceURI>
        <a:ReplyTo><a:Address>{}</a:Address></a:ReplyTo><a:Action s:mustUnderstand="true">{action}</a:Action>
        <a:MessageID>uuid:1</a:MessageID>{more}</s:Header><s:Body>{body}</s:Body></s:Envelope>"#,
        names::SOAP,
        names::ADDRESSING,
        names::ENUMERATION,
        names::WSMAN,
        names::XSI,
        names::ANONYMOUS
    )
}

fn selectors(list: &[(&str, &str)]) -> String {
    let list: String =
        list.iter().map(|(n, v)| format!(r#"<w:Selector Name="{n}">{v}</w:Selector>"#)).collect();
    format!(
        r#"<w:SelectorSet>{list}<w:Selector Name="__cimnamespace">{NAMESPACE}</w:Selector></w:SelectorSet>"#
    )
}

async fn ask(server: &Running, text: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let reply = exchange(&mut stream, &post("/wsman", &basic(ROOT), text.as_bytes())).await;
    (reply.status, reply.text().to_owned())
}

async fn good(server: &Running, text: &str) -> String {
    let (status, text) = ask(server, text).await;
    assert_eq!(status, 200, "{text}");
    text
}

/// The subcode of a fault and its detail, without what stands before them.
async fn fault(server: &Running, text: &str) -> (String, String) {
    let (status, text) = ask(server, text).await;
    assert_eq!(status, 500, "{text}");
    let between = |from: &str, to: &str| {
        let rest = text.split_once(from).map_or("", |(_, rest)| rest);
        rest.split_once(to).map_or("", |(inside, _)| inside).to_owned()
    };
    let detail = between("<w:FaultDetail>", "</w:FaultDetail>");
    (
        between("<s:Subcode><s:Value>", "</s:Value>"),
        detail.strip_prefix(names::FAULT_DETAIL).unwrap_or_default().to_owned(),
    )
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let rest = text.split_once(from).unwrap_or_else(|| panic!("no {from} in {text}")).1;
    rest.split_once(to).unwrap_or_else(|| panic!("no {to} in {text}")).0
}

#[tokio::test]
async fn an_instance_is_made_read_edited_sent_back_and_removed() {
    let server = Running::plain(0).await;
    let of = selectors(&[("Name", "second")]);
    let body = format!(
        r#"<q:Note xmlns:q="{NOTE}"><q:Name>second</q:Name><q:Tags>one</q:Tags><q:Text xsi:nil="true"/></q:Note>"#
    );
    let create = message(names::CREATE, NOTE, &selectors(&[]), &body);
    let created = good(&server, &create).await;
    let made = between(&created, "<x:ResourceCreated>", "</x:ResourceCreated>");
    assert!(made.contains(r#"<w:Selector Name="Name">second</w:Selector>"#) && made.contains(NOTE), "{made}");
    assert_eq!(fault(&server, &create).await.0, "w:AlreadyExists");

    // openwsman gets an instance, edits it in place, leaves the mark of null where it was, and puts it back.
    let got = good(&server, &message(names::GET, NOTE, &of, "")).await;
    let instance = between(&got, "<s:Body>", "</s:Body>")
        .replace(r#"<p:Text xsi:nil="true"/>"#, r#"<p:Text xsi:nil="true">written</p:Text>"#);
    let put = good(&server, &message(names::PUT, NOTE, &of, &instance)).await;
    assert!(put.contains("<p:Text>written</p:Text>") && put.contains("<p:Tags>one</p:Tags>"), "{put}");
    assert!(put.contains("transfer/PutResponse"));

    let wrong = |inside: &str| message(names::PUT, NOTE, &of, &format!("<Note>{inside}</Note>"));
    let invalid = |detail: &str| ("x:InvalidRepresentation".to_owned(), detail.to_owned());
    assert_eq!(fault(&server, &wrong("<Name>third</Name>")).await, invalid("InvalidValues"));
    assert_eq!(fault(&server, &wrong("<Size>much</Size>")).await, invalid("InvalidValues"));
    assert_eq!(fault(&server, &wrong("<Colour>red</Colour>")).await, invalid("InvalidValues"));
    assert_eq!(fault(&server, &wrong("<Text>a</Text><Text>b</Text>")).await, invalid("InvalidValues"));
    assert_eq!(fault(&server, &message(names::PUT, NOTE, &of, "")).await, invalid("MissingValues"));

    let deleted = good(&server, &message(names::DELETE, NOTE, &of, "")).await;
    assert!(deleted.contains("<s:Body></s:Body>"), "{deleted}");
    let gone = ("a:DestinationUnreachable".to_owned(), "InvalidResourceURI".to_owned());
    assert_eq!(fault(&server, &message(names::DELETE, NOTE, &of, "")).await, gone);
    let missing = message(names::DELETE, NOTE, &selectors(&[]), "");
    assert_eq!(fault(&server, &missing).await.0, "w:InvalidSelectors");
}

#[tokio::test]
async fn a_fragment_is_read_written_and_emptied() {
    let server = Running::plain(0).await;
    let header = |path: &str| {
        let of = selectors(&[("Name", "first")]);
        format!(r#"{of}<w:FragmentTransfer s:mustUnderstand="true">{path}</w:FragmentTransfer>"#)
    };
    for (path, expected) in [
        ("Text", "<p:Text>a&lt;b</p:Text>"),
        ("/p:Note/p:Text/text()", "a&lt;b"),
        ("Tags", "<p:Tags>x</p:Tags><p:Tags>y</p:Tags>"),
        ("p:Tags[2]", "<p:Tags>y</p:Tags>"),
        ("Size", r#"<p:Size xsi:nil="true"/>"#),
    ] {
        let got = good(&server, &message(names::GET, NOTE, &header(path), "")).await;
        let opening = format!(r#"<w:XmlFragment xmlns:p="{NOTE}">"#);
        assert_eq!(between(&got, &opening, "</w:XmlFragment>"), expected, "{path}");
        let echoed = format!(r#"<w:FragmentTransfer s:mustUnderstand="true">{path}</w:FragmentTransfer>"#);
        assert!(got.contains(&echoed), "{got}");
    }
    let got = good(&server, &message(names::GET, NOTE, &header("Tags[3]"), "")).await;
    assert!(got.contains(r#"<w:XmlFragment xsi:nil="true"/>"#), "{got}");

    let write = |action, path: &str, inside: &str| {
        message(action, NOTE, &header(path), &format!("<w:XmlFragment>{inside}</w:XmlFragment>"))
    };
    let put = good(&server, &write(names::PUT, "Text", "<q:Text xmlns:q='u'>new</q:Text>")).await;
    assert!(put.contains("<p:Text>new</p:Text></w:XmlFragment>"), "{put}");
    let put = good(&server, &write(names::PUT, "Tags", "<Tags>1</Tags><Tags>2</Tags>")).await;
    assert!(put.contains("<p:Tags>1</p:Tags><p:Tags>2</p:Tags></w:XmlFragment>"), "{put}");
    assert_eq!(fault(&server, &write(names::CREATE, "Text", "again")).await.0, "w:AlreadyExists");
    good(&server, &message(names::DELETE, NOTE, &header("Text"), "")).await;
    let created = good(&server, &write(names::CREATE, "Text/text()", "made")).await;
    assert!(created.contains("<x:ResourceCreated>"), "{created}");
    let [note] = server.fake.notes.all().try_into().unwrap_or_else(|all| panic!("{all:?}"));
    assert_eq!(note.get("Text"), &openrdms_cim::Value::from("made"));
    let part = fault(&server, &write(names::PUT, "Tags[1]", "z")).await;
    assert_eq!(part, ("w:UnsupportedFeature".into(), "FragmentLevelAccess".into()));
    let unknown = fault(&server, &message(names::GET, NOTE, &header("Colour"), "")).await;
    assert_eq!(unknown, ("x:InvalidRepresentation".into(), "InvalidFragment".into()));
}

#[tokio::test]
async fn classes_that_only_tell_answer_that_the_action_is_not_supported() {
    let server = Running::plain(1).await;
    let of = r#"<w:SelectorSet><w:Selector Name="VMHostName">host1</w:Selector>
        <w:Selector Name="SessionId">1</w:Selector></w:SelectorSet>"#;
    let instance = "<Win32_VirtualDesktopSession><VMName>x</VMName></Win32_VirtualDesktopSession>";
    for (action, of, body) in
        [(names::PUT, of, instance), (names::CREATE, "", instance), (names::DELETE, of, "")]
    {
        let refused = fault(&server, &message(action, SESSIONS, of, body)).await;
        assert_eq!(refused, ("a:ActionNotSupported".to_owned(), String::new()), "{action}");
    }
}

#[tokio::test]
async fn declarations_are_got_and_listed() {
    let server = Running::plain(0).await;
    let of = selectors(&[("ClassName", "note_long")]);
    let got = good(&server, &message(names::GET, CLASSES, &of, "")).await;
    assert!(got.contains(r#"<s:Body><CLASS NAME="Note_Long" SUPERCLASS="Note" DERIVATION="Note">"#), "{got}");
    let unknown = message(names::GET, CLASSES, &selectors(&[("ClassName", "Nobody")]), "");
    assert_eq!(fault(&server, &unknown).await.0, "a:DestinationUnreachable");

    let of = selectors(&[("ClassName", "")]);
    let body = "<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>1</w:MaxElements></n:Enumerate>";
    let first = good(&server, &message(names::ENUMERATE, CLASSES, &of, body)).await;
    assert!(between(&first, "<w:Items>", "</w:Items>").starts_with(r#"<CLASS NAME="Note">"#), "{first}");
    let context = between(&first, "<n:EnumerationContext>", "</n:EnumerationContext>");
    let pull = format!(
        "<n:Pull><n:EnumerationContext>{context}</n:EnumerationContext><n:MaxElements>9</n:MaxElements></n:Pull>"
    );
    let second = good(&server, &message(names::PULL, CLASSES, &of, &pull)).await;
    assert!(
        between(&second, "<n:Items>", "</n:Items>").starts_with(r#"<CLASS NAME="Note_Long""#),
        "{second}"
    );
    assert!(second.contains("<n:EndOfSequence/>"));
}

/// An Enumerate with a WQL query and everything in the first reply.
fn query(uri: &str, text: &str) -> String {
    let filter = format!(r#"<w:Filter Dialect="{}">{text}</w:Filter>"#, names::WQL);
    let body = format!(
        "<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>32000</w:MaxElements>{filter}</n:Enumerate>"
    );
    message(names::ENUMERATE, uri, "<w:RequestTotalItemsCountEstimate/>", &body)
}

#[tokio::test]
async fn queries_select_and_project_and_count() {
    let server = Running::plain(2500).await;
    for uri in [SESSIONS, ALL_SESSIONS] {
        let text = "select SessionId, UserName from Win32_VirtualDesktopSession where SessionId &lt;= 2";
        let found = good(&server, &query(uri, text)).await;
        assert_eq!(found.matches("<w:XmlFragment").count(), 2, "{found}");
        assert!(found.contains("<p:SessionId>1</p:SessionId><p:UserName>änna</p:UserName></w:XmlFragment>"));
        assert!(found.contains("<w:TotalItemsCountEstimate>2</w:TotalItemsCountEstimate>"), "{found}");
        let whole =
            good(&server, &query(uri, "select * from win32_virtualdesktopsession where SessionId = 7")).await;
        assert!(whole.contains("<p:Win32_VirtualDesktopSession ") && whole.contains("<p:VMName>"), "{whole}");
        let count = "select count(*) from Win32_VirtualDesktopSession where ConnectState = 4";
        let counted = good(&server, &query(uri, count)).await;
        assert!(
            counted.contains("<p:Count>1250</p:Count>") && counted.contains("<w:EndOfSequence/>"),
            "{counted}"
        );
    }
    let classes = good(&server, &query(ALL_SESSIONS, "select * from meta_class")).await;
    assert!(classes.contains(r#"<CLASS NAME="Win32_VirtualDesktopSession""#), "{classes}");
    let wrong = query(ALL_SESSIONS, "select * form Win32_VirtualDesktopSession");
    assert_eq!(fault(&server, &wrong).await.0, "n:CannotProcessFilter");
    let (_, text) = ask(&server, &wrong).await;
    assert!(text.contains("at character 10"), "{text}");
    let dialect = query(ALL_SESSIONS, "x").replace(names::WQL, "urn:other");
    assert_eq!(fault(&server, &dialect).await.0, "n:FilterDialectRequestedUnavailable");
}

#[tokio::test]
async fn a_listing_has_the_lifetime_and_the_portions_that_were_asked_for() {
    let server = Running::plain(30).await;
    let header = "<w:RequestTotalItemsCountEstimate/>";
    let body = "<n:Enumerate><n:Expires>PT5M</n:Expires></n:Enumerate>";
    let opened = good(&server, &message(names::ENUMERATE, SESSIONS, header, body)).await;
    assert!(opened.contains("<n:Expires>P0DT0H5M0S</n:Expires>"), "{opened}");
    assert!(opened.contains(r#"<w:TotalItemsCountEstimate xsi:nil="true"/>"#), "{opened}");
    let context = between(&opened, "<n:EnumerationContext>", "</n:EnumerationContext>").to_owned();
    let about = |action, name: &str, more: &str| {
        let body =
            format!("<n:{name}><n:EnumerationContext>{context}</n:EnumerationContext>{more}</n:{name}>");
        message(action, SESSIONS, "", &body)
    };
    let status = good(&server, &about(names::GET_STATUS, "GetStatus", "")).await;
    assert!(status.contains("<n:GetStatusResponse><n:Expires>P0DT0H4M"), "{status}");
    let renewed = good(&server, &about(names::RENEW, "Renew", "<n:Expires>PT1M</n:Expires>")).await;
    assert!(renewed.contains("<n:RenewResponse><n:Expires>P0DT0H1M0S</n:Expires>"), "{renewed}");
    let pull = |more: &str| about(names::PULL, "Pull", more);
    let one = good(&server, &pull("")).await;
    assert_eq!(one.matches("<p:SessionId>").count(), 1, "who does not say how many gets one");
    let some =
        good(&server, &pull("<n:MaxElements>20</n:MaxElements><n:MaxCharacters>2000</n:MaxCharacters>"))
            .await;
    let items = between(&some, "<n:Items>", "</n:Items>");
    assert!(items.chars().count() <= 2000 && items.matches("<p:SessionId>").count() >= 2, "{items}");
    let none = fault(&server, &pull("<n:MaxCharacters>50</n:MaxCharacters>")).await;
    assert_eq!(none, ("w:EncodingLimit".to_owned(), "MaxEnvelopeSize".to_owned()));
    good(&server, &about(names::RELEASE, "Release", "")).await;
    for (action, name) in [(names::PULL, "Pull"), (names::GET_STATUS, "GetStatus"), (names::RENEW, "Renew")] {
        assert_eq!(fault(&server, &about(action, name, "")).await.0, "n:InvalidEnumerationContext");
    }
}

#[tokio::test]
async fn a_listing_that_nobody_goes_on_with_expires() {
    const IDLE: Duration = Duration::from_millis(1);
    let config = Config { listing_idle: IDLE, ..Config::default() };
    let server = Running::start(Fake::new(5), config, None).await;
    let opened = good(&server, &message(names::ENUMERATE, SESSIONS, "", "<n:Enumerate/>")).await;
    let context = between(&opened, "<n:EnumerationContext>", "</n:EnumerationContext>");
    let pull = format!("<n:Pull><n:EnumerationContext>{context}</n:EnumerationContext></n:Pull>");
    let pull = message(names::PULL, SESSIONS, "", &pull);
    tokio::time::sleep(2 * IDLE).await;
    assert_eq!(fault(&server, &pull).await.0, "n:InvalidEnumerationContext");
}
