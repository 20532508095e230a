//! Requests in the manner of the clients that are known, and the ways in which a request can be wrong.

use super::*;
use crate::Family;

const LIMITS: Limits = Limits { max_request: 100_000, max_envelope: 512_000 };
const WMI_URI: &str =
    "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/rdms/Win32_VirtualDesktopSession";
const CIM_URI: &str = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/Win32_VirtualDesktopSession";

/// An envelope with the prefixes that most clients use.
fn envelope(header: &str, body: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
        <s:Envelope xmlns:s="{}" xmlns:a="{}" xmlns:w="{}" xmlns:n="{}" xmlns:p="{}">
        <s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"#,
        names::SOAP,
        names::ADDRESSING,
        names::WSMAN,
        names::ENUMERATION,
        names::WSMV
    )
}

/// The headers of a good request, with more after them.
fn headers(action: &str, uri: &str, more: &str) -> String {
    format!(
        r#"<a:Action s:mustUnderstand="true">{action}</a:Action><a:To>http://x:5985/wsman</a:To>
        <w:ResourceURI s:mustUnderstand="true"> {uri}
        </w:ResourceURI><a:MessageID>uuid:A-b</a:MessageID>
        <a:ReplyTo><a:Address s:mustUnderstand="true">{}</a:Address></a:ReplyTo>{more}"#,
        names::ANONYMOUS
    )
}

fn parse(text: &str) -> Request {
    Request::parse(text.as_bytes(), &LIMITS).unwrap_or_else(|r| panic!("{:?} for {text}", r.fault))
}

/// Subcode and detail of the fault that `text` earns.
fn refused(text: &str) -> (Option<&'static str>, Option<&'static str>) {
    match Request::parse(text.as_bytes(), &LIMITS) {
        Ok(request) => panic!("{request:?} for {text}"),
        Err(rejected) => (rejected.fault.subcode.map(|s| s.qname().1), rejected.fault.detail),
    }
}

fn refused_with(more: &str) -> (Option<&'static str>, Option<&'static str>) {
    refused(&envelope(&headers(names::GET, WMI_URI, more), ""))
}

#[test]
fn openwsman_enumerates_and_pulls_by_the_wmi_uri() {
    let header = format!(
        r#"<wsa:Action xmlns:wsa="{0}" s:mustUnderstand="true">{1}</wsa:Action>
        <a:To s:mustUnderstand="1">http://x:5985/wsman</a:To>
        <w:ResourceURI s:mustUnderstand="true">{WMI_URI}</w:ResourceURI>
        <a:MessageID s:mustUnderstand="true">uuid:5c3A</a:MessageID>
        <a:ReplyTo><a:Address>{2}</a:Address></a:ReplyTo>
        <w:OperationTimeout>PT30.0S</w:OperationTimeout>"#,
        names::ADDRESSING,
        names::ENUMERATE,
        names::ANONYMOUS
    );
    let request = parse(&envelope(&header, "<n:Enumerate/>"));
    assert_eq!(request.message_id, "uuid:5c3A");
    assert_eq!(request.timeout, Some(Duration::from_secs(30)));
    assert_eq!(request.max_envelope, LIMITS.max_envelope);
    let resource = request.resource.unwrap();
    assert_eq!((resource.family, resource.namespace.as_str()), (Family::Wmi, "root/cimv2/rdms"));
    let Operation::Enumerate {
        optimize: false,
        max_elements: None,
        mode: Mode::Object,
        filter: None,
        expires: None,
    } = request.operation
    else {
        panic!("{:?}", request.operation)
    };
    let pull = "<n:Pull><n:EnumerationContext> uuid:7 </n:EnumerationContext><n:MaxElements>20</n:MaxElements></n:Pull>";
    let request = parse(&envelope(&headers(names::PULL, WMI_URI, ""), pull));
    let Operation::Pull { context, max_elements: Some(20), .. } = request.operation else { panic!() };
    assert_eq!(context, "uuid:7");
}

#[test]
fn omicli_says_the_namespace_always_and_leaves_bodies_empty() {
    let more = r#"<w:MaxEnvelopeSize s:mustUnderstand="true">102400</w:MaxEnvelopeSize>
        <w:OperationTimeout>PT1M30S</w:OperationTimeout>
        <w:Locale xml:lang="en-us" s:mustUnderstand="false"/><p:DataLocale xml:lang="en-us" s:mustUnderstand="false"/>
        <w:OptionSet s:mustUnderstand="true"></w:OptionSet>
        <w:SelectorSet><w:Selector Name="SessionId">7</w:Selector><w:Selector Name="VMHostName">h</w:Selector>
        <w:Selector Name="__cimnamespace">root/CIMV2/rdms</w:Selector></w:SelectorSet>"#;
    for uri in [WMI_URI, CIM_URI] {
        let request = parse(&envelope(&headers(&format!("{uri}/Disconnect"), uri, more), ""));
        assert_eq!(request.timeout, Some(Duration::from_secs(90)));
        assert_eq!((request.max_envelope, request.options.len()), (102_400, 0));
        assert_eq!(request.resource.unwrap().namespace, "root/cimv2/rdms");
        let keys =
            [("SessionId".into(), Input::Text("7".into())), ("VMHostName".into(), Input::Text("h".into()))];
        assert_eq!(request.selectors, keys);
        let Operation::Invoke { method, input } = request.operation else { panic!() };
        assert_eq!((method.as_str(), input.len()), ("Disconnect", 0));
    }
}

#[test]
fn powershell_sends_many_headers_and_types_its_parameters() {
    let more = r#"<w:MaxEnvelopeSize s:mustUnderstand="true">512000</w:MaxEnvelopeSize>
        <p:SessionId s:mustUnderstand="false">uuid:1</p:SessionId><p:OperationID s:mustUnderstand="false">uuid:2</p:OperationID>
        <p:SequenceId s:mustUnderstand="false">1</p:SequenceId>
        <w:OptionSet xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
        <w:Option Name="wmi:__MI_CallbackRegistration" Type="x:string">11</w:Option>
        <w:Option Name="wmiarray:__MI_OPERATIONOPTIONS_CHANNELVALUE">0</w:Option>
        <w:Option Name="wmiarray:__MI_OPERATIONOPTIONS_CHANNELVALUE">1</w:Option>
        <w:Option Name="msftwinrm:UsePreciseArrays">true</w:Option>
        <w:Option Name="wmi:ExpectedUser" MustComply="true">LAB\anna</w:Option></w:OptionSet>
        <w:OperationTimeout>PT60.000S</w:OperationTimeout>"#;
    // The prefix in the value of xsi:type is declared nowhere.
    let body = format!(
        r#"<q:SendMessage_INPUT xmlns:q="{CIM_URI}" xmlns:xsi="{}">
        <q:Message xsi:type="cim:cimString"> a &amp; b </q:Message><q:Title xsi:nil="true"/></q:SendMessage_INPUT>"#,
        names::XSI
    );
    let request = parse(&envelope(&headers(&format!("{CIM_URI}/SendMessage"), CIM_URI, more), &body));
    assert!(request.precise_arrays());
    assert_eq!(request.option("expecteduser"), Some("LAB\\anna"));
    assert_eq!(request.options.len(), 5);
    let Operation::Invoke { input, .. } = request.operation else { panic!() };
    assert_eq!(input, [("Message".into(), Input::Text(" a & b ".into())), ("Title".into(), Input::Null)]);

    let enumerate = r"<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>32000</w:MaxElements>
        <w:EnumerationMode>EnumerateObjectAndEPR</w:EnumerationMode></n:Enumerate>";
    let insisting = envelope(&headers(names::ENUMERATE, CIM_URI, more), enumerate);
    assert_eq!(
        refused(&insisting),
        (Some("InvalidOptions"), Some("NotSupported")),
        "a list has no such option"
    );
    let request = parse(&insisting.replace(r#" MustComply="true""#, ""));
    let Operation::Enumerate { optimize: true, max_elements: Some(32_000), mode: Mode::ObjectAndEpr, .. } =
        request.operation
    else {
        panic!()
    };

    let end = headers(names::END, "http://schemas.microsoft.com/wbem/wsman/1/wsman/FullDuplex", "");
    let bare = format!("<a:Action>{}</a:Action>", names::END);
    for header in [end, bare] {
        assert!(matches!(parse(&envelope(&header, "")).operation, Operation::End));
    }
}

#[test]
fn omicli_binds_xsi_to_another_namespace() {
    let body = format!(r#"<X xmlns:xsi="{}"><Title xsi:nil="true"/><Message/></X>"#, names::XSD);
    let request = parse(&envelope(&headers(&format!("{WMI_URI}/SendMessage"), WMI_URI, ""), &body));
    let Operation::Invoke { input, .. } = request.operation else { panic!() };
    assert_eq!(input, [("Title".into(), Input::Null), ("Message".into(), Input::Text(String::new()))]);
}

#[test]
fn identify_needs_no_header() {
    let body = format!(r#"<i:Identify xmlns:i="{}"/>"#, names::IDENTITY);
    let text =
        format!(r#"<e:Envelope xmlns:e="{}"><e:Header/><e:Body>{body}</e:Body></e:Envelope>"#, names::SOAP);
    assert!(matches!(parse(&text).operation, Operation::Identify));
    assert!(matches!(parse(&text.replace("<e:Header/>", "")).operation, Operation::Identify));
}

#[test]
fn a_selector_may_be_a_reference() {
    let more = format!(
        r#"<w:SelectorSet><w:Selector Name="Owner"><a:EndpointReference><a:Address>x</a:Address><a:ReferenceParameters>
        <w:ResourceURI>{CIM_URI}</w:ResourceURI><w:SelectorSet><w:Selector Name="K">v</w:Selector>
        <w:Selector Name="__cimnamespace">root/x</w:Selector></w:SelectorSet></a:ReferenceParameters>
        </a:EndpointReference></w:Selector></w:SelectorSet>"#
    );
    let request = parse(&envelope(&headers(names::GET, CIM_URI, &more), ""));
    let path = ObjectPath::class("root/x", "Win32_VirtualDesktopSession").with_key("K", "v");
    assert_eq!(request.selectors, [("Owner".into(), Input::Reference(path))]);
}

#[test]
fn headers_that_have_to_be_understood() {
    assert_eq!(refused_with(r#"<p:New s:mustUnderstand="1"/>"#), (None, None));
    assert_eq!(refused_with(r#"<New xmlns="urn:x" s:mustUnderstand="true"/>"#), (None, None));
    let unsupported = |detail| (Some("UnsupportedFeature"), Some(detail));
    assert_eq!(refused_with(r#"<w:Locale s:mustUnderstand="true"/>"#), unsupported("Locale"));
    assert_eq!(refused_with(r#"<p:DataLocale s:mustUnderstand="true"/>"#), unsupported("DataLocale"));
    let fragment = r#"<w:FragmentTransfer s:mustUnderstand="true">SessionId</w:FragmentTransfer>"#;
    let of_a_listing = envelope(&headers(names::ENUMERATE, WMI_URI, fragment), "<n:Enumerate/>");
    assert_eq!(refused(&of_a_listing), unsupported("FragmentLevelAccess"));
    let fragment = fragment.replace("true", "false");
    assert_eq!(refused_with(&fragment), (Some("InvalidMessageInformationHeader"), None));
    let good = r#"<p:New/><New xmlns="urn:x" s:mustUnderstand="false"/><w:RequestTotalItemsCountEstimate/>"#;
    parse(&envelope(&headers(names::GET, WMI_URI, good), ""));
}

#[test]
fn headers_that_are_missing_or_wrong() {
    let good = headers(names::GET, WMI_URI, "");
    let without = |from: &str, to: &str| {
        let (head, rest) = good.split_once(from).unwrap();
        refused(&envelope(&format!("{head}{}", rest.split_once(to).unwrap().1), "")).0
    };
    assert_eq!(without("<a:MessageID>", "</a:MessageID>"), Some("InvalidMessageInformationHeader"));
    assert_eq!(without("<a:ReplyTo>", "</a:ReplyTo>"), Some("MessageInformationHeaderRequired"));
    assert_eq!(without("<a:Action", "</a:Action>"), Some("MessageInformationHeaderRequired"));
    assert_eq!(without("<w:ResourceURI", "</w:ResourceURI>"), Some("DestinationUnreachable"));
    let invalid = Some("InvalidMessageInformationHeader");
    assert_eq!(refused(&envelope(&good.replace("uuid:A-b", " "), "")).0, invalid);
    assert_eq!(refused(&envelope(&good.replace("uuid:A-b", &"x".repeat(1025)), "")).0, invalid);
    assert_eq!(refused_with("<a:MessageID>uuid:2</a:MessageID>").0, invalid);
    assert_eq!(refused_with("<w:OperationTimeout>soon</w:OperationTimeout>").0, invalid);
    assert_eq!(refused_with("<w:MaxEnvelopeSize>big</w:MaxEnvelopeSize>").0, invalid);
    let elsewhere = good.replace(names::ANONYMOUS, "http://elsewhere/");
    assert_eq!(refused(&envelope(&elsewhere, "")), (Some("UnsupportedFeature"), Some("AddressingMode")));
}

#[test]
fn envelope_sizes() {
    let small = "<w:MaxEnvelopeSize>8191</w:MaxEnvelopeSize>";
    assert_eq!(refused_with(small), (Some("EncodingLimit"), Some("MinimumEnvelopeLimit")));
    for (asked, given) in [("8192", 8192), ("99999999999", LIMITS.max_envelope)] {
        let more = format!("<w:MaxEnvelopeSize> {asked} </w:MaxEnvelopeSize>");
        assert_eq!(parse(&envelope(&headers(names::GET, WMI_URI, &more), "")).max_envelope, given);
    }
}

#[test]
fn selectors_options_and_filters_that_cannot_be() {
    let twice = r#"<w:SelectorSet><w:Selector Name="A">1</w:Selector><w:Selector Name="a">2</w:Selector></w:SelectorSet>"#;
    assert_eq!(refused_with(twice), (Some("InvalidSelectors"), Some("DuplicateSelectors")));
    let many: String = (0..65).map(|n| format!(r#"<w:Selector Name="S{n}">1</w:Selector>"#)).collect();
    let many = format!("<w:SelectorSet>{many}</w:SelectorSet>");
    assert_eq!(refused_with(&many), (Some("InvalidSelectors"), Some("UnexpectedSelectors")));
    let other = r#"<w:SelectorSet><w:Selector Name="__cimnamespace">root/other</w:Selector></w:SelectorSet>"#;
    assert_eq!(refused_with(other), (Some("InternalError"), None));
    let must = r#"<w:OptionSet><w:Option Name="wmi:Anything" MustComply="true">1</w:Option></w:OptionSet>"#;
    assert_eq!(refused_with(must), (Some("InvalidOptions"), Some("NotSupported")));

    let enumerate = |inside: &str| {
        let body = format!("<n:Enumerate>{inside}</n:Enumerate>");
        refused(&envelope(&headers(names::ENUMERATE, WMI_URI, ""), &body)).0
    };
    for filter in [
        r#"<w:Filter Dialect="http://www.w3.org/TR/1999/REC-xpath-19991116">/a</w:Filter>"#,
        r#"<w:Filter Dialect="http://schemas.dmtf.org/wbem/wsman/1/cimbinding/associationFilter"/>"#,
        "<w:Filter>x</w:Filter>",
    ] {
        assert_eq!(enumerate(filter), Some("FilterDialectRequestedUnavailable"));
    }
    let empty = format!(r#"<w:Filter Dialect="{}"/>"#, names::SELECTOR_FILTER);
    assert_eq!(enumerate(&empty), Some("CannotProcessFilter"));
    assert_eq!(enumerate("<w:EnumerationMode>All</w:EnumerationMode>"), Some("UnsupportedFeature"));
    for bad in ["0", "-1", "x", ""] {
        let inside = format!("<w:MaxElements>{bad}</w:MaxElements>");
        assert_eq!(enumerate(&inside), Some("SchemaValidationError"));
    }
}

#[test]
fn actions_and_bodies_that_do_not_fit() {
    let act = |action: &str, body: &str| refused(&envelope(&headers(action, WMI_URI, ""), body)).0;
    for action in [
        "http://schemas.xmlsoap.org/ws/2004/09/mex/GetMetadata/Request",
        "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/rdms/Other/Disconnect",
        "Disconnect",
        "é",
    ] {
        assert_eq!(act(action, ""), Some("ActionNotSupported"), "{action}");
    }
    assert_eq!(act(names::ENUMERATE, ""), Some("SchemaValidationError"));
    assert_eq!(act(names::PULL, "<n:Pull/>"), Some("InvalidEnumerationContext"));
    let empty = "<n:Release><n:EnumerationContext/></n:Release>";
    assert_eq!(act(names::RELEASE, empty), Some("InvalidEnumerationContext"));
}

#[test]
fn queries_come_in_either_filter_element_and_dialect() {
    for (filter, expected) in [
        (
            r#"<w:Filter Dialect="HTTP://schemas.microsoft.com/wbem/wsman/1/wql"> select * from C</w:Filter>"#,
            Filter::Wql(" select * from C".into()),
        ),
        (
            r#"<n:Filter Dialect="http://schemas.dmtf.org/wbem/cql/1/dsp0202.pdf">SELECT A FROM C</n:Filter>"#,
            Filter::Cql("SELECT A FROM C".into()),
        ),
    ] {
        let body = format!("<n:Enumerate>{filter}</n:Enumerate>");
        let request = parse(&envelope(&headers(names::ENUMERATE, names::ALL_CLASSES, ""), &body));
        let Operation::Enumerate { filter, .. } = request.operation else { panic!() };
        assert_eq!(filter, Some(expected));
    }
}

#[test]
fn lifetimes_and_limits_of_listings() {
    let enumerate = |expires: &str| {
        let body = format!("<n:Enumerate><n:Expires>{expires}</n:Expires></n:Enumerate>");
        envelope(&headers(names::ENUMERATE, WMI_URI, "<w:RequestTotalItemsCountEstimate/>"), &body)
    };
    for (text, expected) in
        [(" PT10M ", Expiry::In(Duration::from_secs(600))), ("1970-01-01T00:00:01Z", Expiry::At(1_000_000))]
    {
        let request = parse(&enumerate(text));
        assert!(request.wants_total);
        let Operation::Enumerate { expires, .. } = request.operation else { panic!() };
        assert_eq!(expires, Some(expected));
    }
    for text in ["", "PT0S", "-PT1S", "soon"] {
        assert_eq!(refused(&enumerate(text)).0, Some("InvalidExpirationTime"), "{text}");
    }
    let pull = |more: &str| {
        let body = format!("<n:Pull><n:EnumerationContext>uuid:1</n:EnumerationContext>{more}</n:Pull>");
        envelope(&headers(names::PULL, WMI_URI, ""), &body)
    };
    let request = parse(&pull("<n:MaxTime>PT5S</n:MaxTime><n:MaxCharacters>9000</n:MaxCharacters>"));
    let Operation::Pull { max_elements: None, max_characters: Some(9000), max_time: Some(time), .. } =
        request.operation
    else {
        panic!()
    };
    assert_eq!(time, Duration::from_secs(5));
    for bad in [
        "<n:MaxTime>5</n:MaxTime>",
        "<n:MaxCharacters>0</n:MaxCharacters>",
        "<n:MaxElements>-1</n:MaxElements>",
    ] {
        assert_eq!(refused(&pull(bad)).0, Some("SchemaValidationError"), "{bad}");
    }
    let context = "<n:EnumerationContext>uuid:1</n:EnumerationContext>";
    let renew = format!("<n:Renew>{context}<n:Expires>PT1M</n:Expires></n:Renew>");
    let request = parse(&envelope(&headers(names::RENEW, WMI_URI, ""), &renew));
    assert!(matches!(request.operation, Operation::Renew { expires: Some(Expiry::In(_)), .. }));
    let status = format!("<n:GetStatus>{context}</n:GetStatus>");
    let request = parse(&envelope(&headers(names::GET_STATUS, WMI_URI, ""), &status));
    assert!(matches!(request.operation, Operation::Status { context } if context == "uuid:1"));
}

#[test]
fn changes_carry_an_instance_or_a_fragment() {
    let xsi = names::XSI;
    let instance = format!(
        r#"<q:Win32_VirtualDesktopSession xmlns:q="{CIM_URI}" xmlns:xsi="{xsi}"><q:A>1</q:A><q:B xsi:nil="true"/>
        <q:D xsi:nil="true">edited</q:D><q:E>x</q:E><q:E>y</q:E></q:Win32_VirtualDesktopSession>"#
    );
    let text = |t: &str| Input::Text(t.into());
    let all = [
        ("A".to_owned(), text("1")),
        ("B".into(), Input::Null),
        ("D".into(), text("edited")),
        ("E".into(), text("x")),
        ("E".into(), text("y")),
    ];
    let request = parse(&envelope(&headers(names::PUT, CIM_URI, ""), &instance));
    assert!(matches!(&request.operation, Operation::Put { properties } if *properties == all));
    let request = parse(&envelope(&headers(names::CREATE, CIM_URI, ""), &instance));
    assert!(matches!(&request.operation, Operation::Create { properties } if *properties == all));

    let fragment = |path: &str, body: &str| {
        let header = format!(r#"<w:FragmentTransfer s:mustUnderstand="true">{path}</w:FragmentTransfer>"#);
        envelope(&headers(names::PUT, CIM_URI, &header), &format!("<w:XmlFragment>{body}</w:XmlFragment>"))
    };
    for (path, body) in
        [("A", r#"<q:A xmlns:q="u">2</q:A>"#), (" p:A/text() ", "2"), ("/p:C/p:A", "<A>2</A>")]
    {
        let request = parse(&fragment(path, body));
        assert_eq!(request.fragment.map(|f| f.property).as_deref(), Some("A"));
        assert!(
            matches!(&request.operation, Operation::Put { properties } if *properties == [("A".into(), text("2"))])
        );
    }
    let invalid = |detail| (Some("InvalidRepresentation"), Some(detail));
    assert_eq!(refused(&fragment("A", "<B>2</B>")), invalid("InvalidFragment"));
    assert_eq!(refused(&fragment("A/B/C", "<B>2</B>")), invalid("InvalidFragment"));
    assert_eq!(refused(&envelope(&headers(names::PUT, CIM_URI, ""), "")), invalid("MissingValues"));
    assert_eq!(refused(&envelope(&headers(names::CREATE, CIM_URI, ""), "<C/>")), invalid("InvalidNamespace"));
    let dialect =
        fragment("A", "<A/>").replace("<w:FragmentTransfer", r#"<w:FragmentTransfer Dialect="urn:x""#);
    assert_eq!(refused(&dialect).0, Some("FragmentDialectNotSupported"));

    let declarations = "http://schemas.dmtf.org/wbem/cim-xml/2/cim-schema/2/*";
    let header = r#"<w:FragmentTransfer s:mustUnderstand="true">Name</w:FragmentTransfer>"#;
    let of_a_declaration = envelope(&headers(names::GET, declarations, header), "");
    assert_eq!(refused(&of_a_declaration), (Some("UnsupportedFeature"), Some("FragmentLevelAccess")));
    assert_eq!(
        refused(&envelope(&headers(names::PUT, declarations, ""), &instance)).0,
        Some("ActionNotSupported")
    );
}

#[test]
fn what_is_no_envelope_at_all() {
    let invalid = (Some("SchemaValidationError"), None);
    let old = envelope("", "").replace("2003/05/soap-envelope", "2001/12/soap-envelope");
    let headless = envelope("", "");
    for text in ["", "hello", "<a/>", "<!DOCTYPE a []><a/>", &old, &headless.replace("s:Body", "s:Rump")] {
        assert_eq!(refused(text), invalid, "{text}");
    }
    assert_eq!(refused(&headless).0, Some("InvalidMessageInformationHeader"));
    assert_eq!(refused(&format!("<a>{}", " ".repeat(LIMITS.max_request))).0, Some("EncodingLimit"));
    assert_eq!(refused(&envelope("", &"<a>".repeat(100))), invalid);
}

#[test]
fn a_fault_goes_back_to_its_request_where_that_is_known() {
    let text = envelope(&headers("Nonsense", WMI_URI, ""), "");
    for charset in [Charset::Utf8, Charset::Utf16Le, Charset::Utf16Be] {
        let rejected = Request::parse(&charset.encode(&text), &LIMITS).unwrap_err();
        assert_eq!((rejected.charset, rejected.message_id.as_deref()), (charset, Some("uuid:A-b")));
    }
}

#[test]
fn passwords_are_not_shown() {
    let body = "<X><Password>hunter2</Password></X>";
    let request = parse(&envelope(&headers(&format!("{WMI_URI}/SetPassword"), WMI_URI, ""), body));
    assert!(!format!("{request:?}").contains("hunter2"));
}

#[test]
fn a_listing_has_one_filter_of_plain_values_and_its_end_is_told_to_nobody() {
    let enumerate = |more: &str| {
        let body = format!("<n:Enumerate>{more}</n:Enumerate>");
        refused(&envelope(&headers(names::ENUMERATE, WMI_URI, ""), &body))
    };
    let wql = |prefix| format!("<{prefix}:Filter Dialect='{}'>SELECT * FROM C</{prefix}:Filter>", names::WQL);
    assert_eq!(enumerate(&(wql("w") + &wql("n"))), (Some("CannotProcessFilter"), None));
    assert_eq!(
        enumerate("<n:EndTo><a:Address>http://x</a:Address></n:EndTo>"),
        (Some("UnsupportedFeature"), Some("AddressingMode"))
    );
    let reference = format!(
        "<w:Filter Dialect='{}'><w:SelectorSet><w:Selector Name='A'><a:EndpointReference>\
         <a:Address>{}</a:Address></a:EndpointReference></w:Selector></w:SelectorSet></w:Filter>",
        names::SELECTOR_FILTER,
        names::ANONYMOUS
    );
    assert_eq!(enumerate(&reference), (Some("CannotProcessFilter"), None));
}

#[test]
fn a_namespace_is_selected_once() {
    let twice = "<w:SelectorSet><w:Selector Name='__cimnamespace'>root/a</w:Selector>\
                 <w:Selector Name='__CIMNAMESPACE'>root/a</w:Selector></w:SelectorSet>";
    assert_eq!(refused_with(twice), (Some("InvalidSelectors"), Some("DuplicateSelectors")));
}
