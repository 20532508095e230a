use super::*;
use proptest::prelude::*;

const TEXT: &str = r#"
[Abstract] class A { [Key, Description("a \"b\" <c>")] string Id; uint16 Codes[4] = {1, NULL}; void Stop(); };
[Version("1")] class B : A {
    A ref Other; boolean Flag = true; char16 Letter = '<'; datetime When = "20240501102030.000000+120";
    [EmbeddedInstance("A")] string Inner; string Tab = "a\tb";
    [Static] uint32 Do([Out] A ref Made, [In, Out] string Names[], [In] A ref Others[]);
};
"#;

fn xml(name: &str, options: Options) -> String {
    let mut repository = Repository::default();
    assert_eq!(repository.load("root/a", TEXT), Ok(vec![]));
    class(&repository, repository.class("root/a", name).unwrap(), options)
}

/// The text with a line break before each element that begins.
fn lines(xml: &str) -> Vec<String> {
    xml.replace("><", ">\n<").lines().filter(|l| !l.starts_with("</")).map(str::to_owned).collect()
}

#[test]
fn a_class_is_told_with_all_that_the_cim_cmdlets_read() {
    let xml = xml("B", Options::default());
    let start = r#"<CLASS NAME="B" SUPERCLASS="A" DERIVATION="A"><QUALIFIER NAME="Version" TYPE="string" PROPAGATED="false" "#;
    assert!(xml.starts_with(start), "{xml}");
    for part in [
        r#"<PROPERTY NAME="Id" TYPE="string" CLASSORIGIN="A" PROPAGATED="true"><QUALIFIER NAME="Key" TYPE="boolean" PROPAGATED="true" OVERRIDABLE="false" TOSUBCLASS="true" TOINSTANCE="true"><VALUE>TRUE</VALUE></QUALIFIER>"#,
        r#"<VALUE>a &quot;b&quot; &lt;c&gt;</VALUE>"#,
        r#"<PROPERTY.ARRAY NAME="Codes" TYPE="uint16" ARRAYSIZE="4" CLASSORIGIN="A" PROPAGATED="true"><VALUE.ARRAY><VALUE>1</VALUE><VALUE.NULL/></VALUE.ARRAY></PROPERTY.ARRAY>"#,
        r#"<PROPERTY.REFERENCE NAME="Other" REFERENCECLASS="A" CLASSORIGIN="B" PROPAGATED="false"/>"#,
        r#"<PROPERTY NAME="Flag" TYPE="boolean" CLASSORIGIN="B" PROPAGATED="false"><VALUE>TRUE</VALUE></PROPERTY>"#,
        r#"TYPE="char16" CLASSORIGIN="B" PROPAGATED="false"><VALUE>&lt;</VALUE>"#,
        r#"<VALUE>20240501102030.000000+120</VALUE>"#,
        r#"<PROPERTY NAME="Inner" TYPE="string" EmbeddedObject="instance" CLASSORIGIN="B" PROPAGATED="false">"#,
        r#"<VALUE>a&#9;b</VALUE>"#,
        r#"<METHOD NAME="Stop" CLASSORIGIN="A" PROPAGATED="true"/>"#,
        r#"<METHOD NAME="Do" TYPE="uint32" CLASSORIGIN="B" PROPAGATED="false">"#,
        r#"<PARAMETER.REFERENCE NAME="Made" REFERENCECLASS="A">"#,
        r#"<PARAMETER.ARRAY NAME="Names" TYPE="string">"#,
        r#"<PARAMETER.REFARRAY NAME="Others" REFERENCECLASS="A">"#,
    ] {
        assert!(xml.contains(part), "{part}\nis not in\n{xml}");
    }
}

#[test]
fn a_parameter_tells_its_place_and_direction() {
    let xml = xml("B", Options::default());
    let told = |name: &str| {
        let from = xml.find(&format!("NAME=\"{name}\"")).unwrap();
        let rest = &xml[from..from + xml[from..].find("</PARAMETER").unwrap()];
        let names = lines(rest).into_iter().filter(|l| l.starts_with("<QUALIFIER"));
        let names: Vec<_> = names.map(|l| l.split('"').nth(1).unwrap().to_ascii_lowercase()).collect();
        (names, rest.contains(r#"TYPE="sint32""#))
    };
    assert_eq!(told("Made"), (vec!["out".into(), "id".into()], true));
    assert_eq!(told("Names"), (vec!["in".into(), "out".into(), "id".into()], true));
    assert_eq!(told("Others"), (vec!["in".into(), "id".into()], true));
}

#[test]
fn options_leave_out_what_is_not_asked_for() {
    let all = Options::default();
    let without = xml("B", Options { include_qualifiers: false, ..all });
    assert!(!without.contains("QUALIFIER") && without.contains("CLASSORIGIN"));
    let without = xml("B", Options { include_class_origin: false, ..all });
    assert!(!without.contains("CLASSORIGIN") && without.contains("PROPAGATED"));
    let without = xml("B", Options { include_inheritance_hierarchy: false, ..all });
    assert!(!without.contains("DERIVATION") && without.contains(r#"SUPERCLASS="A""#));
    let without = xml("B", Options { include_inherited_elements: false, ..all });
    assert!(!without.contains(r#"NAME="Id""#) && without.contains(r#"NAME="Other""#));
    assert!(!xml("A", all).contains("SUPERCLASS") && !xml("A", all).contains("DERIVATION"));
}

proptest! {
    #[test]
    fn whatever_stands_in_it_reads_back(text: String) {
        let mut repository = Repository::default();
        repository.load("root/a", "class A { string X; };").unwrap();
        let mut changed = repository.class("root/a", "A").unwrap().clone();
        changed.qualifiers.push(Qualifier { name: text.clone(), value: text.as_str().into(), ..Qualifier::default() });
        let xml = class(&repository, &changed, Options::default());
        let document = roxmltree::Document::parse(&xml).unwrap();
        let sent = text.replace(|c: char| (c < ' ' && !"\t\n\r".contains(c)) || "\u{fffe}\u{ffff}".contains(c), "?");
        let qualifier = document.descendants().find(|n| n.has_tag_name("QUALIFIER")).unwrap();
        prop_assert_eq!(qualifier.attribute("NAME"), Some(sent.as_str()));
        prop_assert_eq!(qualifier.first_element_child().unwrap().text().unwrap_or_default(), sent);
    }
}

#[test]
fn our_own_classes_are_well_formed() {
    let mut repository = Repository::default();
    repository.load("root/a", include_str!("../../../../../schema/RDManagement.mof")).unwrap();
    repository.load("root/a", include_str!("../../../../../schema/OpenRDMS.mof")).unwrap();
    for declared in repository.classes("root/a") {
        let xml = class(&repository, declared, Options::default());
        let document = roxmltree::Document::parse(&xml).unwrap();
        let count = |tag: &str| document.descendants().filter(|n| n.has_tag_name(tag)).count();
        assert_eq!(count("METHOD"), declared.methods.len());
        assert_eq!(count("PROPERTY") + count("PROPERTY.ARRAY"), declared.properties.len());
        assert!(document.root_element().tag_name().namespace().is_none());
    }
}
