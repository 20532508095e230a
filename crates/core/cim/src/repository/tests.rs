use super::*;
use crate::class::is_set;

const TEXT: &str = r#"
    class A { [Key, Description("first")] string Id; uint32 N = 3; uint32 Do([in] string X); };
    class B : a { [Description("second")] string ID; boolean More; uint32 do(); };
"#;

fn loaded() -> Repository {
    let mut repository = Repository::default();
    assert_eq!(repository.load(r"Root\Test", TEXT), Ok(vec![]));
    repository
}

#[test]
fn classes_are_found_without_case() {
    let repository = loaded();
    assert_eq!(repository.class("ROOT/test", "b").unwrap().name, "B");
    assert_eq!(repository.class("root/test", "C").unwrap_err().code, WmiCode::WBEM_E_INVALID_CLASS);
    assert_eq!(repository.class("root/x", "A").unwrap_err().code, WmiCode::WBEM_E_INVALID_NAMESPACE);
    assert_eq!(repository.namespaces().collect::<Vec<_>>(), ["root/test"]);
    assert_eq!(repository.classes("root/test").count(), 2);
}

#[test]
fn a_subclass_has_what_its_base_has() {
    let repository = loaded();
    let b = repository.class("root/test", "B").unwrap();
    assert_eq!(b.properties.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["ID", "N", "More"]);
    assert!(b.property("id").unwrap().is_key());
    assert_eq!(b.property("id").unwrap().origin, "B");
    assert_eq!(b.property("n").unwrap().origin, "A");
    assert!(b.method("DO").unwrap().parameters.is_empty());
    assert!(repository.is_a(b, "A") && repository.is_a(b, "b"));
    assert!(!repository.is_a(repository.class("root/test", "A").unwrap(), "B"));
}

#[test]
fn what_does_not_fit_is_refused_whole() {
    let mut repository = loaded();
    let refused = [
        "class C {}; class A {};",
        "class C {}; class D : Nobody {};",
        "class C {}; class D : A { string N; };",
        "class C {}; class D {",
    ];
    for text in refused {
        assert!(repository.load("root/test", text).is_err(), "{text}");
        assert!(repository.class("root/test", "C").is_err(), "{text}");
    }
}

const DEEP: &str = r#"
Qualifier Mine : uint8 = 0, Scope(any), Flavor(DisableOverride, ToSubclass);
Qualifier Local : boolean = false, Scope(any), Flavor(Restricted);
[Abstract, Version("1"), Description("base"), Mine(5), Local] class A
{
    [Key, Description("id"), Deprecated{"Other"}] string Id;
    [Loose : Restricted, Kept] uint8 N;
    [Description("does")] uint32 Do([In, Description("x")] string X);
};
[Description("sub")] class B : A { [Override("N")] uint8 N; uint32 Do([Required] string X); };
class C : B {};
[Association] class L { [Key] A ref Left; [Key] A ref Right; };
class LL : L {};
"#;

fn names(list: &[Qualifier]) -> Vec<(&str, bool)> {
    list.iter().map(|q| (q.name.as_str(), q.propagated)).collect()
}

fn deep() -> Repository {
    let mut repository = Repository::default();
    assert_eq!(repository.load("root/deep", DEEP), Ok(vec![]));
    repository
}

#[test]
fn qualifiers_pass_on_as_their_flavours_say() {
    let repository = deep();
    let class = |name: &str| repository.class("root/deep", name).unwrap();
    assert_eq!(names(&class("B").qualifiers), [("Description", false), ("Mine", true)]);
    assert_eq!(names(&class("C").qualifiers), [("Description", true), ("Mine", true)]);
    assert_eq!(class("C").qualifiers[0].value, "sub".into());
    assert_eq!(names(&class("B").property("Id").unwrap().qualifiers), [("Key", true), ("Description", true)]);
    assert_eq!(names(&class("B").property("N").unwrap().qualifiers), [("Override", false), ("Kept", true)]);
    assert_eq!(names(&class("C").property("N").unwrap().qualifiers), [("Kept", true)]);
    let parameter = &class("B").method("Do").unwrap().parameters[0];
    assert_eq!(names(&parameter.qualifiers), [("Required", false), ("In", true), ("Description", true)]);
    assert!(class("A").is_abstract() && !class("B").is_abstract());
    let is_association = |name: &str| is_set(&class(name).qualifiers, "association");
    assert!(is_association("LL") && !is_association("A"));
    assert_eq!(class("LL").keys().count(), 2);
}

#[test]
fn flavours_are_those_of_the_declaration_and_of_the_place() {
    let repository = deep();
    let flavors = |name: &str, words: &[&str]| {
        let flavors = words.iter().map(|w| (*w).to_owned()).collect();
        repository.flavors("root/deep", &Qualifier { name: name.into(), flavors, ..Qualifier::default() })
    };
    let usual = Flavors::default();
    assert_eq!(flavors("nobody", &[]), usual);
    assert_eq!(flavors("KEY", &[]), Flavors { overridable: false, to_instance: true, ..usual });
    assert_eq!(flavors("abstract", &[]), Flavors { to_subclass: false, ..usual });
    assert_eq!(flavors("mine", &["enableoverride", "toinstance"]), Flavors { to_instance: true, ..usual });
    assert_eq!(
        flavors("nobody", &["restricted", "amended"]),
        Flavors { to_subclass: false, translatable: true, ..usual }
    );
    assert_eq!(repository.qualifier_type("root/deep", "MINE").unwrap().ty, Type::Uint8);
    assert_eq!(repository.qualifiers("root/deep").count(), 2);
}

#[test]
fn a_fixed_qualifier_keeps_its_value() {
    let mut repository = deep();
    for (text, message) in [
        ("[Mine(6)] class X : A {};", "X changes the qualifier Mine, which the superclass does not let it"),
        (
            "class X : A { [Key(false)] string Id; };",
            "X.Id changes the qualifier Key, which the superclass does not let it",
        ),
        (
            "class X : A { uint32 Do([In(false)] string X); };",
            "X.Do(X) changes the qualifier In, which the superclass does not let it",
        ),
        ("Qualifier Mine : string, Scope(any); class X {};", "qualifier Mine is declared twice"),
        ("class X : L { A ref Left; uint8 Right; };", "X.Right differs in type from what it overrides"),
    ] {
        assert_eq!(repository.load("root/deep", text).unwrap_err().to_string(), message);
        assert!(repository.class("root/deep", "X").is_err());
    }
    assert_eq!(
        repository.load("root/deep", "[Mine(5), Description(\"x\")] class X : A { [Key] string Id; };"),
        Ok(vec![])
    );
}

#[test]
fn the_tree_can_be_walked() {
    let repository = deep();
    let c = repository.class("root/deep", "c").unwrap();
    assert_eq!(repository.derivation(c).map(|c| c.name.as_str()).collect::<Vec<_>>(), ["B", "A"]);
}

#[test]
fn derivations_have_an_end() {
    let text: String = (1..100).map(|i| format!("class C{i} : C{} {{}};", i - 1)).collect();
    let mut repository = Repository::default();
    let refused = repository.load("root/a", &format!("class C0 {{}};{text}")).unwrap_err();
    assert_eq!(refused, RepositoryError::TooLarge(format!("C{MAX_DERIVATION}")));
}

#[test]
fn instances_are_kept_by_their_keys() {
    let mut repository = deep();
    let text = r#"instance of B as $One { Id = "One"; N = 1; }; instance of C { Id = "one"; };
        instance of B { Id = "Two"; }; instance of L { Left = $One; Right = "B.Id=\"Two\""; };"#;
    assert_eq!(repository.load("root/deep", text), Ok(vec![]));
    let class = |name: &str| repository.class("root/deep", name).unwrap();
    assert_eq!(repository.instances(class("B")).count(), 2);
    assert_eq!(repository.instances(class("A")).count(), 0);
    let found = |path: &str| repository.instance(&path.parse().unwrap()).map(|i| i.get("Id").clone());
    assert_eq!(found(r#"root/deep:b.ID="ONE""#), Some("One".into()));
    assert_eq!(found(r#"root/deep:C="one""#), Some("one".into()));
    assert_eq!(found(r#"root/deep:C="two""#), None);
    assert_eq!(repository.instances(class("L")).count(), 1);
    for (text, message) in [
        ("instance of A { Id = \"x\"; };", "instance of A: the class is abstract"),
        ("instance of B { N = 1; };", "instance of B: key Id has no value"),
        ("instance of B { Id = \"TWO\"; };", "instance of B: root/deep:B.Id=\"TWO\" is there already"),
        ("instance of Nobody {};", "instance of Nobody: class Nobody is unknown in root/deep"),
        (
            "#pragma namespace(\"root/other\")\ninstance of B {};",
            "instance of B: namespace root/other is unknown",
        ),
    ] {
        assert_eq!(repository.load("root/deep", text).unwrap_err().to_string(), message);
    }
    let b = repository.class("root/deep", "B").unwrap();
    let wrong = Instance::of(b).with("Id", 5u32);
    assert_eq!(
        repository.add_instance("root/deep", wrong).unwrap_err().to_string(),
        "instance of B: Id is not of its type"
    );
}

#[test]
fn a_pragma_says_where_a_declaration_belongs() {
    let mut repository = Repository::default();
    let text = "class A {}; #pragma namespace(\"\\\\\\\\.\\\\Root\\\\Other\") class A {}; class B : A {};";
    assert_eq!(repository.load("root/here", text), Ok(vec![]));
    assert_eq!(repository.namespaces().collect::<Vec<_>>(), ["root/here", "root/other"]);
    assert!(repository.class("root/other", "B").is_ok() && repository.class("root/here", "B").is_err());
}
