//! The client half reads what Windows and OMI send, which is not what our own server sends: other prefixes, other
//! details, other orders. The messages are built by hand from MS-WSMV 2.2, 3.1.4.1 and 4.1, DSP0226 and DSP0230.

use openrdms_cim::{CimError, Class, Kind, Listing, ObjectPath, Repository, Type, Value, WmiCode, cim_xml};
use openrdms_wsman::client::{Answer, AnswerError, read};
use openrdms_wsman::{Charset, names};

const NS: &str = "root/cimv2/rdms";
const MOF: &str = r#"
    class Win32_VirtualDesktopSession {
        [Key] string VMHostName; [Key] uint32 SessionId; uint32 ConnectState; string UserName; datetime LogonTime;
        datetime IdleTime; string Groups[]; string Notes[]; boolean Hidden; Win32_Thing ref Owner; real32 Load;
        uint32 Disconnect();
    };
    class Win32_Sub : Win32_VirtualDesktopSession { string More; };
"#;

fn repository() -> Repository {
    let mut repository = Repository::default();
    repository.load(NS, MOF).expect("the classes are good");
    repository
}

/// A reply with the prefixes of Windows, and headers that we never send.
fn windows(action: &str, body: &str) -> String {
    format!(
        r#"<s:Envelope xml:lang="en-US" xmlns:s="http://www.w3.org/2003/05/soap-envelope"
            xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"
            xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration"
            xmlns:x="http://schemas.xmlsoap.org/ws/2004/09/transfer"
            xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
            xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"><s:Header>
            <a:Action>{action}</a:Action><a:MessageID>uuid:0A1B</a:MessageID>
            <p:OperationID s:mustUnderstand="false">uuid:3C4D</p:OperationID><p:SequenceId>1</p:SequenceId>
            <a:To>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:To>
            <a:RelatesTo>uuid:Q</a:RelatesTo></s:Header><s:Body>{body}</s:Body></s:Envelope>"#
    )
}

fn answer(text: &str) -> Answer {
    read(text.as_bytes(), NS, &repository()).expect("it is an answer")
}

fn get(action: &str, body: &str) -> openrdms_cim::Instance {
    let Answer::Instance(instance) = answer(&windows(action, body)) else { panic!("it is an instance") };
    instance
}

const INSTANCE: &str = r#"<p:Win32_VirtualDesktopSession xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/rdms/Win32_VirtualDesktopSession"
    xmlns:cim="http://schemas.dmtf.org/wbem/wscim/1/common" xmlns:m="http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"
    xsi:type="p:Win32_VirtualDesktopSession_Type"><p:ConnectState>4</p:ConnectState><p:Groups>one</p:Groups>
    <p:Hidden>true</p:Hidden><p:IdleTime><cim:Interval>P0DT1H0M0S</cim:Interval></p:IdleTime>
    <p:Load>0.25</p:Load><p:LogonTime><cim:Datetime>2024-05-01T10:20:30.123456+02:00</cim:Datetime></p:LogonTime>
    <p:Notes xsi:nil="true" m:IsNullArray="true"/><p:Owner><a:Address>role/anonymous</a:Address>
    <a:ReferenceParameters><w:ResourceURI>http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/Win32_Thing</w:ResourceURI>
    <w:SelectorSet><w:Selector Name="Name">n</w:Selector><w:Selector Name="__cimnamespace">root/cimv2</w:Selector></w:SelectorSet>
    </a:ReferenceParameters></p:Owner><p:SessionId>7</p:SessionId><p:UserName xsi:nil="true"/>
    <p:VMHostName>H1</p:VMHostName></p:Win32_VirtualDesktopSession>"#;

#[test]
fn an_instance_of_windows_has_its_declared_types() {
    let got = get(&format!("{}Response", names::GET), INSTANCE);
    assert_eq!(got.class, "Win32_VirtualDesktopSession");
    assert_eq!(got.get("SessionId"), &Value::Uint32(7));
    assert_eq!(got.get("Hidden"), &Value::Boolean(true));
    assert_eq!(got.get("Load"), &Value::Real32(0.25));
    assert_eq!(got.get("UserName"), &Value::Null);
    assert_eq!(got.get("Groups"), &Value::from(vec!["one"]), "one element is an array too");
    assert_eq!(got.get("Notes"), &Value::Null, "IsNullArray");
    assert_eq!(got.get("IdleTime"), &Value::Interval(3_600_000_000));
    let time = Value::Datetime { micros: 1_714_551_630_123_456, offset_minutes: 120 };
    assert_eq!(got.get("LogonTime"), &time);
    let owner = ObjectPath::class("root/cimv2", "Win32_Thing").with_key("Name", "n");
    assert_eq!(got.get("Owner"), &Value::Reference(Box::new(owner)));
}

#[test]
fn times_come_in_each_of_the_forms() {
    for (form, micros) in [
        ("<cim:Datetime>2024-05-01T08:20:30Z</cim:Datetime>", 1_714_551_630_000_000),
        ("<cim:CIM_DateTime>20240501102030.000000+120</cim:CIM_DateTime>", 1_714_551_630_000_000),
        ("2024-05-01T08:20:30Z", 1_714_551_630_000_000),
    ] {
        let body = format!(
            r#"<q:Win32_VirtualDesktopSession xmlns:q="{0}" xmlns:cim="{1}"><q:LogonTime>{form}</q:LogonTime></q:Win32_VirtualDesktopSession>"#,
            "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/Win32_VirtualDesktopSession",
            names::CIM
        );
        let got = get(&format!("{}Response", names::GET), &body);
        let Value::Datetime { micros: read, .. } = got.get("LogonTime") else { panic!("{form}: {got:?}") };
        assert_eq!(*read, micros, "{form}");
    }
}

fn listing(text: &str) -> Listing {
    let Answer::Listing(listing) = answer(text) else { panic!("it is a listing") };
    listing
}

#[test]
fn an_empty_context_ends_a_listing_and_so_does_the_end_of_the_sequence() {
    let action = format!("{}Response", names::ENUMERATE);
    let items = format!("<w:Items><w:Item>{INSTANCE}<a:EndpointReference/></w:Item></w:Items>");
    for (context, end, next) in [
        ("<n:EnumerationContext/>", "<w:EndOfSequence/>", None),
        ("<n:EnumerationContext></n:EnumerationContext>", "", None),
        ("<n:EnumerationContext>uuid:C</n:EnumerationContext>", "<w:EndOfSequence/>", None),
        ("<n:EnumerationContext>uuid:C</n:EnumerationContext>", "", Some("uuid:C")),
    ] {
        let body = format!("<n:EnumerateResponse>{context}{items}{end}</n:EnumerateResponse>");
        let got = listing(&windows(&action, &body));
        assert_eq!(got.next.as_deref(), next, "{context}{end}");
        assert_eq!(got.instances.len(), 1);
        assert_eq!(got.instances[0].get("SessionId"), &Value::Uint32(7), "the pair's first half");
    }
}

#[test]
fn a_pull_has_its_items_in_its_own_namespace_and_may_be_empty() {
    let action = format!("{}Response", names::PULL);
    let body = format!("<n:PullResponse><n:Items>{INSTANCE}</n:Items><n:EndOfSequence/></n:PullResponse>");
    let got = listing(&windows(&action, &body));
    assert_eq!((got.instances.len(), got.next), (1, None));
    for empty in ["<n:Items/><n:EndOfSequence/>", "<n:EndOfSequence/>"] {
        let body = format!("<n:PullResponse>{empty}</n:PullResponse>");
        assert!(listing(&windows(&action, &body)).instances.is_empty());
    }
}

#[test]
fn a_fragment_has_the_selected_properties_with_their_types() {
    let fragment = r#"<w:XmlFragment xmlns:q="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/Win32_VirtualDesktopSession">
        <q:SessionId>7</q:SessionId><q:UserName>anna</q:UserName><q:Groups>one</q:Groups></w:XmlFragment>"#;
    let body = format!("<n:PullResponse><n:Items>{fragment}</n:Items><n:EndOfSequence/></n:PullResponse>");
    let got = listing(&windows(&format!("{}Response", names::PULL), &body));
    let [got] = got.instances.as_slice() else { panic!("{got:?}") };
    assert_eq!(got.class, "Win32_VirtualDesktopSession");
    let values: Vec<_> = got.properties.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    let groups = Value::from(vec!["one"]);
    assert_eq!(values, [("SessionId", Value::Uint32(7)), ("UserName", "anna".into()), ("Groups", groups)]);
}

#[test]
fn a_subclass_is_listed_as_what_it_is() {
    let sub = INSTANCE
        .replace("Win32_VirtualDesktopSession", "Win32_Sub")
        .replace("<p:ConnectState>", "<p:More>m</p:More><p:ConnectState>");
    let got = get(&format!("{}Response", names::GET), &sub);
    assert_eq!((got.class.as_str(), got.get("More")), ("Win32_Sub", &Value::from("m")));
    assert_eq!(got.get("SessionId"), &Value::Uint32(7));
}

#[test]
fn a_method_answers_whatever_its_element_and_action_are_called() {
    for (action, element) in [
        (
            "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/rdms/Win32_VirtualDesktopSession/DisconnectResponse",
            "Disconnect_OUTPUT",
        ),
        // OMI's server repeats the action of the request and names the element by the class.
        (
            "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/Win32_VirtualDesktopSession/Disconnect",
            "Win32_VirtualDesktopSession_OUTPUT",
        ),
    ] {
        let body = format!(
            r#"<p:{element} xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/rdms/Win32_VirtualDesktopSession"><p:ReturnValue>2147749890</p:ReturnValue></p:{element}>"#
        );
        let Answer::Output(result) = answer(&windows(action, &body)) else { panic!("it is an output") };
        assert_eq!(result.return_value, Value::Uint32(0x8004_1002));
    }
}

fn fault(subcode: &str, reason: &str, detail: &str) -> CimError {
    let body = format!(
        r#"<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>{subcode}</s:Value></s:Subcode></s:Code>
        <s:Reason><s:Text xml:lang="en-US">{reason}</s:Text></s:Reason><s:Detail>{detail}</s:Detail></s:Fault>"#
    );
    match read(windows(names::WSMAN_FAULT_ACTION, &body).as_bytes(), NS, &repository()) {
        Err(AnswerError::Fault(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn faults_of_windows_tell_their_code_in_each_of_the_details() {
    let provider = r#"<w:FaultDetail>http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/InvalidResourceURI</w:FaultDetail>
        <f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" Code="2147749890" Machine="H1">
        <f:Message><f:ProviderFault provider="WMI Provider" path="%systemroot%\system32\WsmWmiPl.dll">
        <f:WSManFault Code="2147749890" Machine="H1"><f:Message>Not found </f:Message></f:WSManFault>
        <f:ExtendedError><p:__ExtendedStatus xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/__ExtendedStatus">
        <p:StatusCode>9</p:StatusCode></p:__ExtendedStatus></f:ExtendedError></f:ProviderFault></f:Message></f:WSManFault>"#;
    let error = fault("a:DestinationUnreachable", "Not found", provider);
    assert_eq!((error.code, error.kind), (WmiCode::WBEM_E_NOT_FOUND, Kind::NotFound));
    assert_eq!(error.message, "Not found");

    let wmi = r#"<p:MSFT_WmiError b:IsCIM_Error="true" xmlns:b="http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd"
        xmlns:p="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSFT_WmiError">
        <p:CIMStatusCode>5</p:CIMStatusCode><p:Message>Invalid class</p:Message><p:MessageID>HRESULT 0x80041010</p:MessageID>
        <p:error_Code>2147749904</p:error_Code><p:error_Type>HRESULT</p:error_Type></p:MSFT_WmiError>"#;
    let error =
        fault("a:DestinationUnreachable", "The WS-Management service cannot process the request.", wmi);
    assert_eq!(error.code, WmiCode::WBEM_E_INVALID_CLASS);

    // A subcode alone, with a prefix of the server's own choosing.
    assert_eq!(fault("wsman:AccessDenied", "No.", "").kind, Kind::Denied);
    assert_eq!(fault("zz:SomethingNew", "", "").code, WmiCode::WBEM_E_FAILED);
    assert!(!fault("zz:SomethingNew", "", "").message.is_empty(), "people see something");
}

#[test]
fn a_reply_in_utf_16_is_read() {
    let text = windows(&format!("{}Response", names::GET), INSTANCE);
    let bytes = Charset::Utf16Le.encode(&text);
    let Ok(Answer::Instance(got)) = read(&bytes, NS, &repository()) else { panic!("it is an instance") };
    assert_eq!(got.get("VMHostName"), &Value::from("H1"));
}

fn declaration(body: &str) -> Class {
    let text = windows(&format!("{}Response", names::GET), body);
    let Answer::Class(class) = answer(&text) else { panic!("it is a class") };
    *class
}

#[test]
fn a_declaration_of_windows_tells_keys_methods_and_the_order_of_parameters() {
    let class = declaration(
        r#"<CLASS NAME="Win32_Session" SUPERCLASS="CIM_Job" DERIVATION="CIM_Job,CIM_LogicalElement">
        <QUALIFIER NAME="dynamic" PROPAGATED="false" TYPE="boolean" OVERRIDABLE="true" TOSUBCLASS="false"><VALUE>TRUE</VALUE></QUALIFIER>
        <PROPERTY NAME="Id" CLASSORIGIN="Win32_Session" PROPAGATED="false" TYPE="uint32">
            <QUALIFIER NAME="key" TYPE="boolean" TOINSTANCE="true"><VALUE>TRUE</VALUE></QUALIFIER></PROPERTY>
        <PROPERTY.ARRAY NAME="Names" TYPE="string"><QUALIFIER NAME="Values" TYPE="string"><VALUE.ARRAY>
            <VALUE>a</VALUE><VALUE>b</VALUE></VALUE.ARRAY></QUALIFIER></PROPERTY.ARRAY>
        <PROPERTY.REFERENCE NAME="Owner" REFERENCECLASS="Win32_Account"/>
        <METHOD NAME="Send" TYPE="uint32" CLASSORIGIN="CIM_Job">
            <PARAMETER NAME="Text" TYPE="string"><QUALIFIER NAME="ID" TYPE="sint32"><VALUE>1</VALUE></QUALIFIER>
                <QUALIFIER NAME="IN" TYPE="boolean"><VALUE>TRUE</VALUE></QUALIFIER></PARAMETER>
            <PARAMETER NAME="Title" TYPE="string"><QUALIFIER NAME="ID" TYPE="sint32"><VALUE>0</VALUE></QUALIFIER>
                <QUALIFIER NAME="IN" TYPE="boolean"><VALUE>TRUE</VALUE></QUALIFIER></PARAMETER>
            <PARAMETER.ARRAY NAME="Lost" TYPE="uint8"><QUALIFIER NAME="ID" TYPE="sint32"><VALUE>2</VALUE></QUALIFIER>
                <QUALIFIER NAME="out" TYPE="boolean"><VALUE>TRUE</VALUE></QUALIFIER></PARAMETER.ARRAY>
        </METHOD></CLASS>"#,
    );
    assert_eq!((class.name.as_str(), class.superclass.as_deref()), ("Win32_Session", Some("CIM_Job")));
    assert_eq!(class.keys().map(|k| k.name.as_str()).collect::<Vec<_>>(), ["Id"]);
    let names = class.property("Names").expect("it is there");
    assert_eq!((names.ty, names.array, names.origin.as_str()), (Type::String, true, "Win32_Session"));
    assert_eq!(names.qualifiers[0].value, Value::from(vec!["a", "b"]));
    assert_eq!(class.property("Owner").and_then(|p| p.reference.as_deref()), Some("Win32_Account"));
    let send = class.method("send").expect("it is there");
    assert_eq!((send.returns, send.origin.as_str()), (Some(Type::Uint32), "CIM_Job"));
    let order: Vec<_> = send.parameters.iter().map(|p| (p.name.as_str(), p.is_in(), p.is_out())).collect();
    assert_eq!(order, [("Title", true, false), ("Text", true, false), ("Lost", false, true)]);
}

#[test]
fn our_own_declarations_read_back() {
    let mut repository = repository();
    let mof = r#"
        class Base { [Key, Description("a <b> & \"c\"")] string Id; uint32 N = 7; };
        class Made : Base { string Tags[3] = {"x", "y"}; Base ref Other; datetime When;
            [ValueMap{"0", "1"}, Values{"no", "yes"}] uint16 Flag;
            [Static] uint32 Make([in] string A, [in, out] uint8 B[], [out] Base ref C); };
    "#;
    repository.load("root/test", mof).expect("the classes are good");
    for name in ["Base", "Made"] {
        let declared = repository.class("root/test", name).expect("it is declared");
        let read = declaration(&cim_xml::class(&repository, declared, cim_xml::Options::default()));
        assert_eq!((&read.name, &read.superclass), (&declared.name, &declared.superclass));
        let shape = |c: &Class| -> Vec<_> {
            c.properties
                .iter()
                .map(|p| {
                    (p.name.clone(), p.ty, p.array, p.size, p.default.clone(), p.is_key(), p.origin.clone())
                })
                .collect()
        };
        assert_eq!(shape(&read), shape(declared));
        let methods = |c: &Class| -> Vec<_> {
            let parameters = |m: &openrdms_cim::Method| -> Vec<_> {
                m.parameters
                    .iter()
                    .map(|p| (p.name.clone(), p.ty, p.array, p.reference.clone(), p.is_in(), p.is_out()))
                    .collect()
            };
            c.methods.iter().map(|m| (m.name.clone(), m.returns, m.is_static(), parameters(m))).collect()
        };
        assert_eq!(methods(&read), methods(declared));
        let texts = |c: &Class| -> Vec<_> {
            c.properties
                .iter()
                .flat_map(|p| &p.qualifiers)
                .map(|q| (q.name.to_lowercase(), q.value.clone()))
                .collect()
        };
        assert_eq!(texts(&read), texts(declared));
    }
}
