use super::*;
use crate::{Type, Value};
use proptest::prelude::*;

mod instances;
mod round_trip;

pub(super) const ALL_OF_IT: &str = r#"
#pragma namespace("\\\\.\\root\\test")
#pragma classflags("forceupdate") #pragma autorecover
Qualifier Key : boolean = false, Scope(property), Flavor(DisableOverride);
Qualifier Levels : sint8[2] = {1, -2}, Scope(class, any);
/* a comment
   over lines */ // and another
[Description("a " "long " // between
   "text\n\x41\"") : Amended ToSubclass, Version("1"), Levels{3}, Color(0x10), Big(4294967296), Values]
class Base_Thing as $Thing : Root_Thing
{
    [Key, Read(true) : ToInstance DisableOverride, MaxLen(64)] string Id;
    [ValueMap{"0", "4"}, Values{"Active", "Disconnected"} : Amended] uint32 State = 0x10;
    boolean Flag = TRUE;
    sint8 Small = -0101b;
    uint16 Octal = 017;
    real32 Ratio = 1.5e-1;
    real64 Whole = 3;
    char16 Letter = '\x42';
    datetime When = "20240501102030.000000+120";
    string Names[] = {"a", "b" "c", NULL, "\xD83D\xDE00"};
    uint8 Bytes[4] = {};
    string Nothing = NULL;
    Base_Other REF Other = "root/test:Base_Other.K=5";
    object Ref Anything;
    [EmbeddedInstance("Base_Other")] string Inner;
    object Loose;
    Base_Thing Own;
    string ref; uint8 class[];
    [Static] uint32 Make([in] string Name, [out] Base_Thing ref Made, [in, out] uint32 Counts[], object ref, uint8 D[3] = {1});
    void Stop();
};;
class Last {};
"#;

#[test]
fn reads_the_whole_language() {
    let reading = read(ALL_OF_IT);
    let remarks: Vec<_> = reading.diagnostics.iter().map(ToString::to_string).collect();
    assert_eq!(remarks, ["30:121: the default of a parameter is not kept"]);
    let [key, levels] = reading.qualifiers.as_slice() else { panic!("{:?}", reading.qualifiers) };
    assert_eq!((key.ty, key.array, &key.default), (Type::Boolean, false, &Value::Boolean(false)));
    assert_eq!(
        (key.scope.as_slice(), key.flavors.as_slice()),
        (&["property".into()][..], &["disableoverride".into()][..])
    );
    assert_eq!((levels.ty, levels.array, levels.size), (Type::Sint8, true, Some(2)));
    assert_eq!(levels.default, Value::Array(vec![Value::Sint8(1), Value::Sint8(-2)]));
    let [thing, last] = reading.classes.as_slice() else { panic!("{:?}", reading.classes) };
    assert_eq!((last.name.as_str(), last.superclass.as_deref()), ("Last", None));
    assert_eq!((thing.superclass.as_deref(), thing.namespace.as_str()), (Some("Root_Thing"), "root/test"));
    assert_eq!(thing.qualifiers[0].value, Value::from("a long text\nA\""));
    assert_eq!(thing.qualifiers[0].flavors, ["amended", "tosubclass"]);
    let values: Vec<_> = thing.qualifiers[1..].iter().map(|q| &q.value).collect();
    let levels = Value::Array(vec![Value::Sint8(3)]);
    assert_eq!(values, [&"1".into(), &levels, &Value::Sint32(16), &Value::Sint64(1 << 32), &Value::Null]);
    let got: Vec<_> = thing.properties.iter().map(|p| (p.name.as_str(), p.ty, p.array, &p.default)).collect();
    let date = Value::Datetime { micros: 1_714_551_630_000_000, offset_minutes: 120 };
    let other = crate::ObjectPath::class("root/test", "Base_Other").with_key("K", Value::Sint32(5));
    let names = Value::Array(vec!["a".into(), "bc".into(), Value::Null, "😀".into()]);
    assert_eq!(
        got,
        [
            ("Id", Type::String, false, &Value::Null),
            ("State", Type::Uint32, false, &Value::Uint32(16)),
            ("Flag", Type::Boolean, false, &Value::Boolean(true)),
            ("Small", Type::Sint8, false, &Value::Sint8(-5)),
            ("Octal", Type::Uint16, false, &Value::Uint16(15)),
            ("Ratio", Type::Real32, false, &Value::Real32(0.15)),
            ("Whole", Type::Real64, false, &Value::Real64(3.0)),
            ("Letter", Type::Char16, false, &Value::Char16(0x42)),
            ("When", Type::Datetime, false, &date),
            ("Names", Type::String, true, &names),
            ("Bytes", Type::Uint8, true, &Value::Array(vec![])),
            ("Nothing", Type::String, false, &Value::Null),
            ("Other", Type::Reference, false, &Value::Reference(Box::new(other))),
            ("Anything", Type::Reference, false, &Value::Null),
            ("Inner", Type::Object, false, &Value::Null),
            ("Loose", Type::Object, false, &Value::Null),
            ("Own", Type::Object, false, &Value::Null),
            ("ref", Type::String, false, &Value::Null),
            ("class", Type::Uint8, true, &Value::Null),
        ]
    );
    assert!(thing.property("id").unwrap().is_key());
    assert_eq!(thing.property("Bytes").unwrap().size, Some(4));
    let pointed = |name: &str| thing.property(name).unwrap().reference.as_deref();
    assert_eq!(
        (pointed("Other"), pointed("Anything"), pointed("Inner")),
        (Some("Base_Other"), None, Some("Base_Other"))
    );
    assert_eq!((pointed("Own"), pointed("Loose")), (Some("Base_Thing"), None));
    let make = thing.method("make").unwrap();
    assert!(make.is_static());
    let got: Vec<_> =
        make.parameters.iter().map(|p| (p.name.as_str(), p.ty, p.array, p.is_in(), p.is_out())).collect();
    assert_eq!(
        got,
        [
            ("Name", Type::String, false, true, false),
            ("Made", Type::Reference, false, false, true),
            ("Counts", Type::Uint32, true, true, true),
            ("ref", Type::Object, false, true, false),
            ("D", Type::Uint8, true, true, false),
        ]
    );
    assert_eq!(thing.method("Stop").unwrap().returns, None);
}

/// The classes that are left, and the first diagnostic.
#[track_caller]
fn check(text: &str, classes: &[&str], first: &str) {
    let reading = read(text);
    let names: Vec<_> = reading.classes.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, classes, "{text}");
    assert_eq!(reading.diagnostics.first().map(ToString::to_string).unwrap_or_default(), first, "{text}");
}

#[test]
fn a_mistake_costs_its_declaration_only() {
    check(
        "class A { strin X; }; class B {};",
        &["B"],
        "1:11: strin is not a type, nor a class that is known here",
    );
    check("class A { string X }; class B {};", &["B"], "1:20: expected ';'");
    check("class A { uint8 X = 256; };\nclass B {};", &["B"], "1:19: not a value of type uint8");
    check("class A { string X; string x; }; class B {};", &["B"], "1:28: x is declared twice");
    check("class A { uint32 F(string a, string A); }; class B {};", &["B"], "1:37: A is declared twice");
    check("class A { void X; }; class B {};", &["B"], "1:11: a property cannot be void");
    check("class A { string X = \"\\q\"; }; class B {};", &["B"], "1:22: unknown escape");
    check(
        "class A { string X = \"\\xD83D\"; }; class B {};",
        &["B"],
        "1:22: escape names half of a surrogate pair",
    );
    check("class A { string X = 'ab'; };\nclass B {};", &["B"], "1:22: character without an end");
    check("class A { uint32 X = 0x; }; class B {};", &["B"], "1:22: 0x is not a number");
    check("class A { real64 X = 1e999; }; class B {};", &["B"], "1:22: 1e999 is not a number");
    check("class A { real32 X = 1e39; }; class B {};", &["B"], "1:20: not a value of type real32");
    check("class A { string X[] = \"a\"; }; class B {};", &["B"], "1:22: expected a list in braces");
    check(
        "class A { A ref X = \"C.\"; }; class B {};",
        &["B"],
        "1:19: not an object path: at character 3: expected the name of a key",
    );
    check("class A { A ref X = $Y; }; class B {};", &["B"], "1:19: alias $y is not known here");
    check("class A { string X[-1]; }; class B {};", &["B"], "1:20: not the length of an array");
    check("[Key, key] class A {}; class B {};", &["B"], "1:7: qualifier key is given twice");
    check(
        "Qualifier Q : uint8, Scope(any); [Q(256)] class A {}; class B {};",
        &["B"],
        "1:35: qualifier Q takes a value of type uint8",
    );
    check("Qualifier Q : uint8 = 256; class B {};", &["B"], "1:21: not a value of type uint8");
    check("[Description(5)] class B {};", &["B"], "");
    check("[A : Sticky] class B {};", &["B"], "1:6: flavor sticky is not known");
    check("Qualifier Q : string, Scope(planet); class B {};", &["B"], "1:28: scope planet is not known");
    check(
        "#pragma deleteclass(\"A\", nofail)\nclass B {};",
        &["B"],
        "1:9: pragma deleteclass is not carried out",
    );
    check(
        "#pragma include(\"x.mof\")\nclass B {};",
        &["B"],
        "1:9: x.mof is not included: there are no other texts here",
    );
    check("@ ; class B {};", &["B"], "1:1: unexpected character '@'");
    check("/* class B {};", &[], "1:1: comment without an end");
    check("class A {", &[], "1:10: expected a name");
    check("\u{feff}class A {};", &["A"], "");
    let long = "x".repeat(257);
    check(&format!("class {long} {{}}; class B {{}};"), &["B"], "1:7: name is longer than 256 characters");
    check(&format!("class {} {{}};", &long[1..]), &[&long[1..]], "");
    let pragma = format!("#pragma namespace(\"{}\")", long.repeat(4));
    check(&format!("{pragma} class B {{}};"), &["B"], "1:9: namespace is longer than 1024 bytes");
    let pragma = "#pragma namespace(\"root/ci\x0cmv2\")";
    check(&format!("{pragma} class B {{}};"), &["B"], "1:9: namespace has the character '\\u{c}'");
}

#[test]
fn a_brace_that_is_never_closed_costs_its_class_only() {
    check(
        "class A {\n  string X;\n\nclass B {};\nclass C {};",
        &["B", "C"],
        "4:1: expected '}': a declaration begins inside a class",
    );
    check(
        "class A { [Description(\"x\"]\n string X; };\n[Version(\"1\")]\nclass B {};",
        &["B"],
        "1:27: expected ')'",
    );
}

#[test]
fn depth_size_and_number_are_limited() {
    let deep = format!("instance of X {{ a = {} }};", "instance of X { a = ".repeat(MAX_DEPTH));
    assert!(read(&deep).diagnostics.iter().any(|d| d.message == "nested too deep"));
    assert_eq!(read(&" ".repeat(MAX_TEXT + 1)).diagnostics.len(), 1);
    assert!(read(&"@;".repeat(10_000)).diagnostics.len() <= MAX_DIAGNOSTICS);
}

#[test]
fn files_are_text_in_any_encoding() {
    let text = "class Ä {};";
    let wide = |mark: [u8; 2], unit: fn(u16) -> [u8; 2]| -> Vec<u8> {
        mark.into_iter().chain(text.encode_utf16().flat_map(unit)).collect()
    };
    assert_eq!(decode(&wide([0xff, 0xfe], u16::to_le_bytes)), text);
    assert_eq!(decode(&wide([0xfe, 0xff], u16::to_be_bytes)), text);
    assert_eq!(decode(text.as_bytes()), text);
    assert_eq!(decode(format!("\u{feff}{text}").as_bytes()), text);
    assert_eq!(decode(b"class \xc4 {};"), text);
}

proptest! {
    #[test]
    fn no_text_panics_or_hangs(text in "\\PC{0,80}") {
        read(&text);
    }

    #[test]
    fn no_cut_or_changed_text_panics(at in 0..ALL_OF_IT.len(), with in "[\\[\\]{}();:,\"'$#/*\\\\x0-9.+-]{0,3}") {
        let (head, tail) = (ALL_OF_IT.get(..at).unwrap_or(""), ALL_OF_IT.get(at..).unwrap_or(""));
        read(&format!("{head}{with}{tail}"));
        read(&format!("{head}{with}"));
    }
}
