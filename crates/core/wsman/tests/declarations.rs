//! Declarations of classes, and queries, as the CIM cmdlets of PowerShell and other clients ask for them.

use openrdms_cim::wql::{Projection, count_of};
use openrdms_cim::{Instance, Repository, WmiCode};
use openrdms_wsman::bind::{self, Detail, Wanted};
use openrdms_wsman::{Fault, Limits, Mode, Operation, Request, Subcode, names, reply};

const LIMITS: Limits = Limits { max_request: 512_000, max_envelope: 512_000 };
const NS: &str = "root/test";
const MOF: &str = r#"
    [Description("a thing")] class Test_Thing {
        [Key, Description("its name")] string Name; uint32 Size; string Tags[]; Test_Thing ref Owner;
        [Static] uint32 Make([In] string Name, [In, Out] uint32 Sizes[], [Out] Test_Thing ref Made);
    };
    class Test_Special : Test_Thing { string More; };
    class Test_Rare : Test_Special { };
    class Other { [Key] string Id; };
"#;

fn repository() -> Repository {
    let mut repository = Repository::default();
    repository.load(NS, MOF).expect("the classes are good");
    repository
}

/// A request as PowerShell writes it; `selectors` and `options` are pairs.
fn request(
    action: &str,
    uri: &str,
    selectors: &[(&str, &str)],
    options: &[(&str, &str)],
    body: &str,
) -> Request {
    let selectors: String =
        selectors.iter().map(|(n, v)| format!(r#"<w:Selector Name="{n}">{v}</w:Selector>"#)).collect();
    let options: String = options
        .iter()
        .map(|(n, v)| format!(r#"<w:Option Name="{n}" Type="x:string">{v}</w:Option>"#))
        .collect();
    let text = format!(
        r#"<s:Envelope xmlns:s="{}" xmlns:a="{}" xmlns:n="{}" xmlns:w="{}" xmlns:p="{}"><s:Header>
        <a:To>https://h:5986/wsman</a:To><w:ResourceURI s:mustUnderstand="true">{uri}</w:ResourceURI>
        <a:ReplyTo><a:Address s:mustUnderstand="true">{}</a:Address></a:ReplyTo>
        <a:Action s:mustUnderstand="true">{action}</a:Action>
        <w:MaxEnvelopeSize s:mustUnderstand="true">512000</w:MaxEnvelopeSize>
        <a:MessageID>uuid:0A1B2C3D-0000-0000-0000-000000000001</a:MessageID>
        <w:Locale xml:lang="en-US" s:mustUnderstand="false"/><p:DataLocale xml:lang="en-US" s:mustUnderstand="false"/>
        <p:SessionId s:mustUnderstand="false">uuid:1</p:SessionId>
        <p:OperationID s:mustUnderstand="false">uuid:2</p:OperationID>
        <p:SequenceId s:mustUnderstand="false">1</p:SequenceId>
        <w:OptionSet>{options}</w:OptionSet><w:SelectorSet>{selectors}</w:SelectorSet>
        </s:Header><s:Body>{body}</s:Body></s:Envelope>"#,
        names::SOAP,
        names::ADDRESSING,
        names::ENUMERATION,
        names::WSMAN,
        names::WSMV,
        names::ANONYMOUS
    );
    Request::parse(text.as_bytes(), &LIMITS).unwrap_or_else(|r| panic!("{:?}", r.fault))
}

const ALL_CLASSES: &str = "http://schemas.dmtf.org/wbem/cim-xml/2/cim-schema/2/*";
/// What Get-CimInstance asks for when the first instance of a class has come.
const POWERSHELL: [(&str, &str); 8] = [
    ("wmi:__MI_CallbackRegistration", "11"),
    ("wmiarray:__MI_OPERATIONOPTIONS_CHANNELVALUE", "0"),
    ("wmiarray:__MI_OPERATIONOPTIONS_CHANNELVALUE", "1"),
    ("wmi:__MI_OPERATIONOPTIONS_WRITEERRORMODE", "1"),
    ("msftwinrm:UsePreciseArrays", "true"),
    ("IncludeInheritanceHierarchy", "true"),
    ("IncludeInheritedElements", "true"),
    ("IncludeQualifiers", "true"),
];

#[test]
fn a_declaration_as_powershell_gets_it() {
    let repository = repository();
    let selectors = [("__cimnamespace", "root/test"), ("ClassName", "test_special")];
    let request = request(names::GET, ALL_CLASSES, &selectors, &POWERSHELL, "");
    let class = bind::declaration(&request, &repository).expect("it is declared");
    let declaration = reply::declaration(&repository, class, bind::detail(&request));
    let message = reply::get_declaration(&request, "uuid:R", &declaration);
    insta::assert_snapshot!(message.replace("><", ">\n<"));

    let document = roxmltree::Document::parse(&message).expect("it is xml");
    let declared = document.descendants().find(|n| n.tag_name().name() == "CLASS").expect("it is there");
    assert!(
        declared.parent().expect("it has one").has_tag_name((names::SOAP, "Body")),
        "directly in the body"
    );
    for node in declared.descendants().filter(roxmltree::Node::is_element) {
        assert_eq!(node.tag_name().namespace(), None, "cim-xml is in no namespace");
    }
}

#[test]
fn options_say_how_much_is_told() {
    let repository = repository();
    let tell = |options: &[(&str, &str)]| {
        let selectors = [("ClassName", "Test_Special"), ("__cimnamespace", r"ROOT\Test")];
        let request = request(names::GET, ALL_CLASSES, &selectors, options, "");
        let class = bind::declaration(&request, &repository).expect("it is declared");
        reply::declaration(&repository, class, bind::detail(&request))
    };
    let all = tell(&[]);
    assert!(
        ["<QUALIFIER", "CLASSORIGIN=", "DERIVATION=", "\"Size\"", "\"More\""]
            .iter()
            .all(|part| all.contains(part))
    );
    for (option, part) in [
        ("IncludeQualifiers", "<QUALIFIER"),
        ("IncludeClassOrigin", "CLASSORIGIN="),
        ("IncludeInheritanceHierarchy", "DERIVATION="),
        ("IncludeInheritedElements", "\"Size\""),
    ] {
        let without = tell(&[(option, "FALSE")]);
        assert!(!without.contains(part) && without.contains("\"More\""), "{option}: {without}");
        assert_eq!(tell(&[(option, "true")]), all);
    }
    let names_only = tell(&[("ExcludeClassSpecification", "true")]);
    assert_eq!(names_only, r#"<CLASS NAME="Test_Special" SUPERCLASS="Test_Thing"/>"#);
}

fn listed(selectors: &[(&str, &str)], options: &[(&str, &str)]) -> Result<Vec<String>, Fault> {
    let body = "<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>32000</w:MaxElements></n:Enumerate>";
    let request = request(names::ENUMERATE, ALL_CLASSES, selectors, options, body);
    match bind::listing(&request, &repository(), None)? {
        Wanted::Classes { namespace, names, detail: Detail::Whole(_) } => {
            assert_eq!(namespace, NS);
            Ok(names)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_classes_or_subclasses_are_listed() {
    let ns = ("__cimnamespace", NS);
    let all = ["Other", "Test_Rare", "Test_Special", "Test_Thing"].map(str::to_owned);
    assert_eq!(listed(&[ns, ("ClassName", "")], &[]), Ok(all.to_vec()));
    assert_eq!(listed(&[ns], &[("IncludeSubClasses", "true")]), Ok(all.to_vec()));
    let tops = ["Other", "Test_Thing"].map(str::to_owned);
    assert_eq!(listed(&[("ClassName", ""), ns], &[("IncludeSubClasses", "false")]), Ok(tops.to_vec()));
    let of_thing = [ns, ("classname", "TEST_THING")];
    assert_eq!(listed(&of_thing, &[]), Ok(vec!["Test_Special".to_owned()]));
    let below = ["Test_Rare", "Test_Special"].map(str::to_owned);
    assert_eq!(listed(&of_thing, &[("IncludeSubClasses", "true")]), Ok(below.to_vec()));
    let code = |selectors: &[(&str, &str)]| listed(selectors, &[]).expect_err("it is refused").code;
    assert_eq!(code(&[ns, ("ClassName", "Nobody")]), WmiCode::WBEM_E_INVALID_CLASS);
    assert_eq!(code(&[("__cimnamespace", "root/no")]), WmiCode::WBEM_E_INVALID_NAMESPACE);
    assert_eq!(code(&[ns, ("Name", "x")]), WmiCode::WBEM_E_INVALID_OBJECT_PATH);
}

#[test]
fn a_declaration_needs_a_class_that_is_there() {
    let repository = repository();
    let get = |selectors: &[(&str, &str)]| {
        let request = request(names::GET, ALL_CLASSES, selectors, &[], "");
        let fault = bind::declaration(&request, &repository).expect_err("it is refused");
        (fault.subcode, fault.detail, fault.code)
    };
    let ns = ("__cimnamespace", NS);
    let insufficient =
        (Some(Subcode::InvalidSelectors), Some("InsufficientSelectors"), WmiCode::WBEM_E_INVALID_OBJECT_PATH);
    assert_eq!(get(&[ns]), insufficient);
    assert_eq!(get(&[ns, ("ClassName", " ")]), insufficient);
    let unknown = |code| (Some(Subcode::DestinationUnreachable), Some("InvalidResourceURI"), code);
    assert_eq!(get(&[ns, ("ClassName", "Nobody")]), unknown(WmiCode::WBEM_E_INVALID_CLASS));
    assert_eq!(get(&[("ClassName", "Other")]), unknown(WmiCode::WBEM_E_INVALID_NAMESPACE));
}

/// An Enumerate with a query, by one of the dialects.
fn query(
    uri: &str,
    selectors: &[(&str, &str)],
    dialect: &str,
    text: &str,
) -> (Request, Result<Wanted, Fault>) {
    let body = format!(r#"<n:Enumerate><w:Filter Dialect="{dialect}">{text}</w:Filter></n:Enumerate>"#);
    let request = request(names::ENUMERATE, uri, selectors, &[], &body);
    let Operation::Enumerate { filter, .. } = &request.operation else { panic!("it is one") };
    let wanted = bind::listing(&request, &repository(), filter.as_ref());
    (request, wanted)
}

const WMI_ALL: &str = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/test/*";
const WMI_THING: &str = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/test/Test_Thing";

#[test]
fn queries_are_taken_on_classes_and_on_all_of_a_namespace() {
    let ns = [("__cimnamespace", NS)];
    let thing = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/Test_Thing";
    for (uri, selectors) in
        [(WMI_ALL, &[][..]), (WMI_ALL, &ns), (WMI_THING, &[]), (names::ALL_CLASSES, &ns), (thing, &ns)]
    {
        for (dialect, text) in [
            (names::WQL, "\n select * from Test_Special where Size &gt; 3 "),
            (names::CQL, "SELECT * FROM Test_Special WHERE Size &gt; 3"),
        ] {
            let Ok(Wanted::Instances(what, Projection::All)) = query(uri, selectors, dialect, text).1 else {
                panic!("{uri} {text}")
            };
            assert_eq!((what.class.class.as_str(), what.class.namespace.as_str()), ("Test_Special", NS));
            assert!(what.condition.is_some());
        }
    }
    assert!(matches!(query(WMI_ALL, &[], names::WQL, "select count(*) from Other").1, Ok(Wanted::Count(_))));
    let Ok(Wanted::Classes { names, .. }) =
        query(WMI_ALL, &[], names::WQL, "select * from meta_class where __this isa 'Test_Thing'").1
    else {
        panic!("it is about classes")
    };
    assert_eq!(names, ["Test_Rare", "Test_Special", "Test_Thing"]);
    let counted = query(WMI_ALL, &[], names::WQL, "select count(*) from meta_class").1;
    assert_eq!(counted, Ok(Wanted::ClassCount { namespace: NS.into(), count: 4 }));
}

#[test]
fn queries_that_cannot_be_are_faults_that_say_where() {
    let refused = |uri, text| {
        let fault = query(uri, &[], names::WQL, text).1.expect_err("it is refused");
        (fault.subcode, fault.code, fault.reason)
    };
    let (subcode, code, reason) = refused(WMI_ALL, "select * form Other");
    assert_eq!((subcode, code), (Some(Subcode::CannotProcessFilter), WmiCode::WBEM_E_INVALID_QUERY));
    assert!(reason.contains("at character 10"), "{reason}");
    for (uri, text) in [
        (WMI_ALL, ""),
        (WMI_ALL, "select * from Other where Nothing = 1"),
        (WMI_THING, "select * from Other"),
        (WMI_ALL, "select * from __InstanceCreationEvent within 5"),
    ] {
        let (subcode, ..) = refused(uri, text);
        let expected = [Subcode::CannotProcessFilter, Subcode::DestinationUnreachable];
        assert!(subcode.is_some_and(|s| expected.contains(&s)), "{text}: {subcode:?}");
    }
    let (subcode, code, _) = refused(WMI_ALL, "select * from Nobody");
    assert_eq!((subcode, code), (Some(Subcode::DestinationUnreachable), WmiCode::WBEM_E_INVALID_CLASS));
    let elsewhere = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/no/*";
    let (subcode, code, _) = refused(elsewhere, "select * from meta_class");
    assert_eq!((subcode, code), (Some(Subcode::DestinationUnreachable), WmiCode::WBEM_E_INVALID_NAMESPACE));
    let unfiltered = request(names::ENUMERATE, WMI_ALL, &[], &[], "<n:Enumerate/>");
    let fault = bind::listing(&unfiltered, &repository(), None).expect_err("it needs a query");
    assert_eq!(fault.code, WmiCode::WBEM_E_INVALID_QUERY);
}

#[test]
fn a_projection_is_told_as_fragments() {
    let repository = repository();
    let (request, wanted) =
        query(WMI_ALL, &[], names::WQL, "select Tags, name, Tags[1], Owner from Test_Special");
    let Ok(Wanted::Instances(_, projection)) = wanted else { panic!("{wanted:?}") };
    let class = repository.class(NS, "Test_Special").expect("it is declared");
    let instance = Instance::of(class).with("Name", "n").with("Size", 3u32).with("Tags", vec!["a", "b"]);
    let mut items: Vec<String> = [Mode::Object, Mode::ObjectAndEpr]
        .map(|mode| reply::item(&request, mode, &repository, &instance, &projection))
        .to_vec();
    items.push(reply::count_item(&request, &count_of(NS, 7)));
    insta::assert_snapshot!(items.join("\n").replace("><", ">\n<"));
}

#[test]
fn declarations_are_told_by_name_alone_where_that_is_wished() {
    let repository = repository();
    let class = repository.class(NS, "Other").expect("it is declared");
    assert_eq!(reply::declaration(&repository, class, Detail::Names), r#"<CLASS NAME="Other"/>"#);
}
