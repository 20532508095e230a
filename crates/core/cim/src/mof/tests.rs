use super::*;
use crate::{Type, Value};
use proptest::prelude::*;

const ALL_OF_IT: &str = r#"
#pragma namespace("\\\\.\\root\\test")
/* a comment
   over lines */ // and another
[Description("a " "long " // between
   "text\n\x41\"") : Amended ToSubclass, Version("1")]
class Base_Thing as $Thing : Root_Thing
{
    [Key, Read(true) : ToInstance DisableOverride, MaxLen(64)] string Id;
    [ValueMap{"0", "4"}, Values{"Active", "Disconnected"}] uint32 State = 0x10;
    boolean Flag = TRUE;
    sint8 Small = -0101b;
    uint16 Octal = 017;
    real32 Ratio = 1.5e-1;
    real64 Whole = 3;
    char16 Letter = '\x42';
    datetime When = "20240501102030.000000+120";
    string Names[] = {"a", "b" "c"};
    uint8 Bytes[4] = {};
    string Nothing = NULL;
    Base_Other REF Other;
    [EmbeddedInstance("Base_Other")] string Inner;
    [Static] uint32 Make([in] string Name, [out] Base_Thing ref Made, [in, out] uint32 Counts[]);
    void Stop();
};
instance of Base_Thing as $I { Id = "x;"; Names = {"};"}; };
Qualifier Key : boolean = false, Scope(property), Flavor(DisableOverride);
class Last {};
"#;

#[test]
fn reads_the_common_language() {
    let reading = read(ALL_OF_IT);
    let remarks: Vec<_> = reading.diagnostics.iter().map(|d| (d.line, d.column, d.severity)).collect();
    assert_eq!(remarks, [(2, 1, Severity::Warning), (26, 1, Severity::Warning), (27, 1, Severity::Warning)]);
    let [thing, last] = reading.classes.as_slice() else { panic!("{:?}", reading.classes) };
    assert_eq!((last.name.as_str(), last.superclass.as_deref()), ("Last", None));
    assert_eq!(thing.superclass.as_deref(), Some("Root_Thing"));
    assert_eq!(thing.qualifiers[0].value, Value::from("a long text\nA\""));
    assert_eq!(thing.qualifiers[0].flavors, ["amended", "tosubclass"]);
    let got: Vec<_> = thing.properties.iter().map(|p| (p.name.as_str(), p.ty, p.array, &p.default)).collect();
    let date = Value::Datetime { micros: 1_714_551_630_000_000, offset_minutes: 120 };
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
            ("Names", Type::String, true, &vec!["a", "bc"].into()),
            ("Bytes", Type::Uint8, true, &Value::Array(vec![])),
            ("Nothing", Type::String, false, &Value::Null),
            ("Other", Type::Reference, false, &Value::Null),
            ("Inner", Type::Object, false, &Value::Null),
        ]
    );
    assert!(thing.property("id").unwrap().is_key());
    assert_eq!(thing.property("Other").unwrap().reference.as_deref(), Some("Base_Other"));
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
        ]
    );
    assert_eq!(thing.method("Stop").unwrap().returns, None);
}

/// The classes that are left, and the first diagnostic.
fn check(text: &str, classes: &[&str], first: &str) {
    let reading = read(text);
    let names: Vec<_> = reading.classes.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, classes, "{text}");
    assert_eq!(reading.diagnostics.first().map(ToString::to_string).unwrap_or_default(), first, "{text}");
}

#[test]
fn a_mistake_costs_its_declaration_only() {
    check("class A { strin X; }; class B {};", &["B"], "1:11: strin is not a type");
    check("class A { string X }; class B {};", &["B"], "1:20: expected ';'");
    check("class A { uint8 X = 256; };\nclass B {};", &["B"], "1:21: not a value of type uint8");
    check("class A { string X; string x; }; class B {};", &["B"], "1:28: x is declared twice");
    check("class A { uint32 F(string a, string A); }; class B {};", &["B"], "1:37: A is declared twice");
    check("class A { void X; }; class B {};", &["B"], "1:11: a property cannot be void");
    check("class A { string X = \"\\q\"; }; class B {};", &["B"], "1:22: unknown escape");
    check("class A { string X = 'ab'; };\nclass B {};", &["B"], "1:22: character without an end");
    check("class A { uint32 X = 0x; }; class B {};", &["B"], "1:22: 0x is not a number");
    check("[Key, key] class A {}; class B {};", &["B"], "1:7: qualifier key is given twice");
    check("@ ; class B {};", &["B"], "1:1: unexpected character '@'");
    check("/* class B {};", &[], "1:1: comment without an end");
    check("class A {", &[], "1:10: expected a name");
    check("\u{feff}class A {};", &["A"], "");
}

#[test]
fn depth_and_size_are_limited() {
    let deep = format!("instance of X {{ {} }};", "{".repeat(MAX_DEPTH + 1));
    assert!(read(&deep).diagnostics.iter().any(|d| d.message == "nested too deep"));
    assert_eq!(read(&" ".repeat(MAX_TEXT + 1)).diagnostics.len(), 1);
    assert!(read(&"@;".repeat(10_000)).diagnostics.len() <= MAX_DIAGNOSTICS);
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
