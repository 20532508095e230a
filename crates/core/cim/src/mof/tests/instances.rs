use super::*;
use crate::{Instance, ObjectPath};

const CLASSES: &str = r#"
class A { [Key] string Id; uint8 Small; A ref Next; [EmbeddedInstance("A")] string In; object Many[]; datetime At; };
class B : A { real32 Ratio; };
class Link { [Key] A ref Left; [Key] A ref Right; };
"#;

fn instances(text: &str) -> (Vec<Instance>, Vec<String>) {
    let reading = read(&format!("{CLASSES}{text}"));
    (reading.instances, reading.diagnostics.iter().map(|d| d.message.clone()).collect())
}

fn a(id: &str) -> ObjectPath {
    ObjectPath::class("", "A").with_key("Id", id)
}

fn reference(path: ObjectPath) -> Value {
    Value::Reference(Box::new(path))
}

#[test]
fn values_take_the_types_of_their_class() {
    let (made, remarks) = instances(
        r#"[Description("x")] instance of B as $B { ID = "b"; small = 5; Ratio = 1; At = "19700101000000.000000+000";
            Next = "A.Id=\"z\""; };"#,
    );
    assert_eq!(remarks, ["qualifiers of an instance are not kept"]);
    let [b] = made.as_slice() else { panic!("{made:?}") };
    assert_eq!((b.class.as_str(), b.properties[0].0.as_str()), ("B", "Id"));
    assert_eq!((b.get("Small"), b.get("Ratio")), (&Value::Uint8(5), &Value::Real32(1.0)));
    assert_eq!((b.get("At"), b.get("Next")), (&Value::utc(0), &reference(a("z"))));
}

#[test]
fn an_alias_is_a_reference_or_a_copy_by_what_belongs_there() {
    let (made, remarks) = instances(
        r#"instance of Link { Left = $one; Right = $Two; };
        instance of A as $One { Id = "1"; Next = $Two; In = $two; Many = { $Two, instance of A { Id = "3"; } }; };
        instance of A as $Two { Id = "2"; Next = $One; };"#,
    );
    assert_eq!(remarks, Vec::<String>::new());
    let [link, one, two] = made.as_slice() else { panic!("{made:?}") };
    assert_eq!((link.get("Left"), link.get("Right")), (&reference(a("1")), &reference(a("2"))));
    assert_eq!((one.get("Next"), two.get("Next")), (&reference(a("2")), &reference(a("1"))));
    assert_eq!(one.get("In"), &Value::Object(Box::new(two.clone())));
    assert!(matches!(one.get("Many"), Value::Array(items) if items.len() == 2));
}

#[test]
fn an_object_is_of_the_namespace_of_what_holds_it() {
    let other = "#pragma namespace(\"other\")\ninstance of A as $A { Size = 5; };";
    let (made, remarks) = instances(&format!("instance of A {{ Id = \"1\"; In = $A; }}; {other}"));
    assert_eq!(made.len(), 1, "the one that is named: {made:?}");
    assert!(remarks.iter().any(|r| r == "$a is in another namespace"), "{remarks:?}");
}

#[test]
fn an_instance_may_stand_in_a_string() {
    let (made, remarks) =
        instances(r#"instance of A { Id = "1"; In = "instance of B { Id = \"2\"; Ratio = 0.5; };"; };"#);
    assert_eq!(remarks, Vec::<String>::new());
    let Value::Object(inner) = made[0].get("In") else { panic!("{made:?}") };
    assert_eq!((inner.class.as_str(), inner.get("Ratio")), ("B", &Value::Real32(0.5)));
    let nested = |depth: usize| {
        (0..depth).fold("instance of A { Id = \"x\"; }".to_owned(), |inner, _| {
            let inner = inner.replace('\\', "\\\\").replace('"', "\\\"");
            format!("instance of A {{ Id = \"x\"; In = \"{inner}\"; }}")
        })
    };
    assert_eq!(instances(&format!("{};", nested(3))).1, Vec::<String>::new());
    assert!(instances(&format!("{};", nested(4))).1[0].ends_with("instances in strings are nested too deep"));
}

#[test]
fn a_wrong_instance_is_left_out_and_told_of() {
    for (text, remark) in [
        ("instance of A { Id = 5; };", "not a value of type string"),
        ("instance of A { Id = \"x\"; Small = 256; };", "not a value of type uint8"),
        ("instance of A { Other = 5; };", "A has no property Other"),
        ("instance of A { Id = \"x\"; Id = \"y\"; };", "Id is given twice"),
        ("instance of A { Next = $Nobody; };", "alias $nobody is not known here"),
        ("instance of A as $X { In = $X; };", "$x is inside itself"),
        ("instance of Link as $L { Left = $L; Right = $L; };", "$l is a key of itself"),
        ("instance of A { In = \"class X\"; };", "in the text of an instance: 1:1: expected instance"),
    ] {
        let (made, remarks) = instances(text);
        assert_eq!((made.len(), remarks.first().map(String::as_str)), (0, Some(remark)), "{text}");
    }
    let (made, remarks) =
        instances("instance of A as $X { Small = 256; }; instance of A { Id = \"1\"; In = $X; };");
    assert_eq!(
        (made.len(), remarks),
        (0, vec!["not a value of type uint8".to_owned(), "$x could not be read".into()])
    );
}

#[test]
fn without_its_class_an_instance_keeps_what_it_shows() {
    let reading = read(
        r#"instance of __Win32Provider as $P { Name = "x"; Number = 5; Ratio = 0.5; List = {1, NULL}; In = instance of Y {}; };
        instance of __MethodProviderRegistration { Provider = $P; };
        class Sub : Elsewhere { uint8 Own; }; instance of Sub { Own = 1; Inherited = 1; };"#,
    );
    assert_eq!(reading.errors().count(), 0);
    let [provider, registration, sub] = reading.instances.as_slice() else { panic!("{reading:?}") };
    assert_eq!((provider.get("Number"), provider.get("Ratio")), (&Value::Sint32(5), &Value::Real64(0.5)));
    assert_eq!(registration.get("Provider"), &reference(ObjectPath::class("", "__Win32Provider")));
    assert_eq!((sub.get("Own"), sub.get("Inherited")), (&Value::Uint8(1), &Value::Sint32(1)));
}

#[test]
fn copies_by_aliases_cannot_grow_without_bound() {
    let chain = |n: usize| -> String {
        (1..n)
            .map(|i| {
                format!("instance of A as $A{i} {{ Id = \"{i}\"; Many = {{$A{0}, $A{0}, $A{0}}}; }};", i - 1)
            })
            .collect()
    };
    let first = "instance of A as $A0 { Id = \"0\"; };";
    let (made, remarks) = instances(&format!("{first}{}", chain(40)));
    assert!(made.len() < 40 && remarks.iter().any(|r| r == "too many copies by aliases"), "{remarks:?}");
    // a long text is no single value, whether it is copied or is a key that is referred to
    let long = format!("instance of A as $L {{ Id = \"{}\"; }};", "x".repeat(1 << 18));
    let copies = format!("instance of A {{ Id = \"c\"; Many = {{{}}}; }};", ["$L"; 1000].join(","));
    let link = "instance of Link { Left = $L; Right = $L; };".repeat(500);
    for more in [copies, link] {
        let (made, remarks) = instances(&format!("{long}{more}"));
        assert!(made.len() < 200 && remarks.iter().any(|r| r == "too many copies by aliases"), "{remarks:?}");
    }
    let single: String = (1..200)
        .rev()
        .map(|i| format!("instance of A as $A{i} {{ Id = \"{i}\"; In = $A{}; }};", i - 1))
        .collect();
    let (made, remarks) = instances(&format!("{single}{first}"));
    assert!(made.len() < 200 && remarks.iter().any(|r| r == "aliases are nested too deep"), "{remarks:?}");
    let keys: String = (1..200)
        .map(|i| format!("instance of Link as $A{i} {{ Left = $A{}; Right = $A0; }};", i - 1))
        .collect();
    assert!(!instances(&format!("{first}{keys}")).1.is_empty());
}

#[test]
fn included_texts_are_read_once_and_in_place() {
    let mut include = |name: &str, from: &str| -> Result<Included, String> {
        let text = match name {
            "a.mof" => "#pragma include(\"b.mof\")\nclass A : B { strin X; };\nclass A2 : B {};",
            "b.mof" => "#pragma namespace(\"root/b\")\nclass B { uint8 X; };",
            "loop.mof" => "#pragma include(\"loop.mof\")\nclass Loop {};",
            "deep" => &format!("#pragma include(\"deep\") class D{} {{}};", from.len()),
            _ => return Err("there is no such file".to_owned()),
        };
        let name = if name == "deep" { format!("{from}d") } else { name.to_owned() };
        Ok(Included { name, text: text.to_owned() })
    };
    let mut read = |text: &str| {
        let reading =
            read_with(text, Context { name: "main.mof", include: Some(&mut include), ..Context::default() });
        let classes: Vec<_> = reading.classes.iter().map(|c| format!("{}:{}", c.namespace, c.name)).collect();
        (classes, reading.diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>(), reading.instances)
    };
    let (classes, remarks, instances) = read(
        "#pragma include(\"a.mof\")\n#pragma include(\"b.mof\") class C : B {};\ninstance of C { X = 1; };\n#pragma include(\"c\")",
    );
    assert_eq!(classes, ["root/b:B", "root/b:A2", "root/b:C"]);
    assert_eq!(
        remarks,
        [
            "main.mof:2:9: b.mof is included already",
            "main.mof:4:9: c is not included: there is no such file",
            "a.mof:2:15: strin is not a type, nor a class that is known here",
        ]
    );
    assert_eq!(instances[0].get("X"), &Value::Uint8(1));
    let (classes, remarks, _) = read("#pragma include(\"loop.mof\")");
    assert_eq!(
        (classes, remarks),
        (vec![":Loop".to_owned()], vec!["loop.mof:1:9: loop.mof includes itself".to_owned()])
    );
    let (classes, remarks, _) = read("#pragma include(\"deep\")");
    assert_eq!(classes.len(), MAX_INCLUDES);
    assert!(remarks[0].ends_with("includes are nested too deep"), "{remarks:?}");
}
