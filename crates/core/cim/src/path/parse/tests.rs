use super::*;
use crate::Repository;
use proptest::prelude::*;

fn keys(list: &[(&str, Value)]) -> Vec<(String, Value)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

#[test]
fn every_form_is_read() {
    let five = Value::Sint32(5);
    for (text, server, namespace, wanted) in [
        (
            r#"\\pc-1\root\cimv2:C.Key="x",K2=5"#,
            Some("pc-1"),
            "root/cimv2",
            keys(&[("Key", "x".into()), ("K2", five.clone())]),
        ),
        (r#"\\.\ROOT\CIMV2:C.Key='C:'"#, None, "root/cimv2", keys(&[("Key", "C:".into())])),
        (r#"//host:5989/root/cimv2:C.k=5"#, Some("host:5989"), "root/cimv2", keys(&[("k", five.clone())])),
        (r#"//[::1]:5989/root/cimv2:C.k=5"#, Some("[::1]:5989"), "root/cimv2", keys(&[("k", five.clone())])),
        (
            r#"https://user@host/root/cimv2:C.k=5"#,
            Some("user@host"),
            "root/cimv2",
            keys(&[("k", five.clone())]),
        ),
        ("///root/cimv2:C", None, "root/cimv2", keys(&[])),
        ("/root/cimv2:C", None, "root/cimv2", keys(&[])),
        (r"root\cimv2:C", None, "root/cimv2", keys(&[])),
        ("  C  ", None, "", keys(&[])),
        ("C=@", None, "", keys(&[("", Value::Null)])),
        (r#"root:C="only""#, None, "root", keys(&[("", "only".into())])),
        ("C=5", None, "", keys(&[("", five.clone())])),
        ("C . A = -5 , B = 0x1F ", None, "", keys(&[("A", Value::Sint32(-5)), ("B", Value::Sint32(31))])),
        (
            "C.A=18446744073709551615,B=4294967296",
            None,
            "",
            keys(&[("A", Value::Uint64(u64::MAX)), ("B", Value::Sint64(1 << 32))]),
        ),
        (
            "C.A=TRUE,B=false,C='c',D='\\x0041',E=1.5,F=NULL",
            None,
            "",
            keys(&[
                ("A", true.into()),
                ("B", false.into()),
                ("C", Value::Char16(99)),
                ("D", Value::Char16(65)),
                ("E", Value::Real64(1.5)),
                ("F", Value::Null),
            ]),
        ),
        (
            r#"C.A="a\"b\\c,d=e.f:g",B='\''"#,
            None,
            "",
            keys(&[("A", "a\"b\\c,d=e.f:g".into()), ("B", Value::Char16(39))]),
        ),
        (r#"C.A="root:D.B=\"x\\\"y\"""#, None, "", keys(&[("A", r#"root:D.B="x\"y""#.into())])),
        (r#"C.A="http://x/y:z""#, None, "", keys(&[("A", "http://x/y:z".into())])),
        ("__Ünï_1.ä=5", None, "", keys(&[("ä", five.clone())])),
    ] {
        let (got_server, got) = ObjectPath::parse_with_server(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(
            (got_server.as_deref(), got.namespace.as_str(), &got.keys),
            (server, namespace, &wanted),
            "{text}"
        );
    }
}

#[test]
fn a_mistake_is_told_with_its_place() {
    for (text, error) in [
        ("", "at character 1: expected a class name"),
        ("root/cimv2", "at character 11: expected ':' and a class name"),
        (r"\\.\root", "at character 9: expected ':' and a class name"),
        (r"\\.", "at character 4: expected a namespace"),
        ("root:", "at character 6: expected a class name"),
        ("root:5", "at character 6: expected a class name"),
        ("C D", "at character 3: expected '.', '=' or the end"),
        ("C.", "at character 3: expected the name of a key"),
        ("C.ü", "at character 4: expected '='"),
        ("C.ü=", "at character 5: expected a value: a number, a truth value or a text in quotes"),
        ("C.A=abc", "at character 5: expected a value: a number, a truth value or a text in quotes"),
        ("C.A=1e999", "at character 5: expected a value: a number, a truth value or a text in quotes"),
        (
            "C.A=99999999999999999999",
            "at character 5: expected a value: a number, a truth value or a text in quotes",
        ),
        ("C.A=1,", "at character 7: expected the name of a key"),
        ("C.A=1,a=2", "at character 7: expected another key, 64 at most"),
        ("C.A=1 B=2", "at character 7: expected ',' or the end"),
        (r#"C.A="x"#, "at character 7: expected the quote that ends the string"),
        (
            r#"C.A="C:\x""#,
            r"at character 9: expected '\' or a quote behind '\': a backslash in a string is written twice",
        ),
    ] {
        assert_eq!(ObjectPath::parse(text).unwrap_err().to_string(), error, "{text}");
    }
}

#[test]
fn length_number_and_nesting_are_limited() {
    let keys = |n: usize| (0..n).map(|i| format!("k{i}=1")).collect::<Vec<_>>().join(",");
    assert!(ObjectPath::parse(&format!("C.{}", keys(MAX_KEYS))).is_ok());
    assert!(ObjectPath::parse(&format!("C.{}", keys(MAX_KEYS + 1))).is_err());
    assert!(ObjectPath::parse(&"C".repeat(MAX_PATH + 1)).is_err());
    let deep = (0..200).fold(ObjectPath::class("root", "C"), |path, _| {
        let twice = Value::Reference(Box::new(path.clone()));
        ObjectPath::class("root", "C").with_key("K", twice)
    });
    assert!(deep.to_string().len() < 1000);
}

#[test]
fn the_class_tells_names_and_types() {
    let mut repository = Repository::default();
    let text = r#"class One { [Key] string Name; }; class None {};
        class All { [Key] uint8 Small; [Key] datetime At; [Key] One ref To; [Key] char16 Letter; [Key] boolean B; };"#;
    repository.load("root/a", text).unwrap();
    let class = |name: &str| repository.class("root/a", name).unwrap();
    let typed = |text: &str, name: &str| ObjectPath::parse(text).unwrap().typed(class(name));
    let one = ObjectPath::class("root/a", "One").with_key("Name", "x");
    assert_eq!(typed("one=\"x\"", "One"), Ok(one.clone()));
    assert_eq!(typed("ONE.NAME='x'", "One"), Ok(one.clone()));
    assert_eq!(typed("none=@", "None"), Ok(ObjectPath::class("root/a", "None")));
    let all = typed(
        r#"All.b=TRUE,letter="y",to="root/a:One.Name=\"x\"",small=7,at="19700101000000.000000+000""#,
        "All",
    );
    let wanted = ObjectPath::class("root/a", "All")
        .with_key("Small", 7u8)
        .with_key("At", Value::utc(0))
        .with_key("To", Value::Reference(Box::new(one)))
        .with_key("Letter", Value::Char16(121))
        .with_key("B", true);
    assert_eq!(all, Ok(wanted));
    for (text, name) in [
        ("One=@", "One"),
        ("One.Name=5", "One"),
        ("One.Name=true", "One"),
        ("One.Other=\"x\"", "One"),
        ("All=5", "All"),
        ("All.Small=256,At=1,To=1,Letter=1,B=1", "All"),
        ("None=5", "None"),
    ] {
        assert!(typed(text, name).is_err(), "{text}");
    }
}

fn value() -> impl Strategy<Value = Value> {
    let simple = prop_oneof![
        any::<bool>().prop_map(Value::Boolean),
        any::<u8>().prop_map(Value::Uint8),
        any::<u64>().prop_map(Value::Uint64),
        any::<i64>().prop_map(Value::Sint64),
        any::<u16>().prop_map(Value::Char16),
        any::<f64>().prop_map(|n| Value::Real64(if n.is_finite() { n } else { 0.0 })),
        ".{0,12}".prop_map(Value::String),
        (0i64..1 << 50).prop_map(Value::utc),
        (0u64..1 << 50).prop_map(Value::Interval),
    ];
    simple.prop_recursive(3, 8, 2, |inner| {
        prop::collection::vec(("[a-z]{1,3}", inner), 0..3)
            .prop_map(|keys| Value::Reference(Box::new(path_of(keys))))
    })
}

fn path_of(mut keys: Vec<(String, Value)>) -> ObjectPath {
    keys.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase());
    keys.sort_by(|a, b| a.0.cmp(&b.0));
    keys.dedup_by(|a, b| a.0 == b.0);
    ObjectPath { keys, ..ObjectPath::class("root/a", "C_1") }
}

/// A class whose keys have the types of the path's values.
fn class_of(path: &ObjectPath) -> crate::Class {
    let key = crate::Qualifier { name: "Key".into(), value: true.into(), ..Default::default() };
    let property = |(name, value): &(String, Value)| crate::Property {
        name: name.clone(),
        ty: value.ty().unwrap(),
        array: false,
        size: None,
        reference: None,
        default: Value::Null,
        qualifiers: vec![key.clone()],
        origin: path.class.clone(),
    };
    let properties = path.keys.iter().map(property).collect();
    crate::Class {
        name: path.class.clone(),
        namespace: path.namespace.clone(),
        properties,
        ..Default::default()
    }
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(list in prop::collection::vec(("[a-zA-Z_][a-z0-9]{0,5}", value()), 0..4)) {
        let path = path_of(list);
        let text = path.to_string();
        let read = ObjectPath::parse(&text).unwrap();
        prop_assert_eq!(read.to_string(), &*text);
        prop_assert_eq!(ObjectPath::parse(&path.wmi("pc")).unwrap(), read.clone());
        prop_assert_eq!(ObjectPath::parse(&path.wbem_uri("pc")).unwrap(), read.clone());
        let typed = read.typed(&class_of(&path)).unwrap();
        prop_assert_eq!(typed.to_string(), &*text);
        // A reference inside a reference keeps the types that its text has.
        if !path.keys.iter().any(|(_, value)| matches!(value, Value::Reference(_))) {
            prop_assert_eq!(typed, path);
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,40}", marks in r#"[a-c0-9.,=:"'\\/@x-]{0,30}"#) {
        for text in [text, marks] {
            if let Ok(path) = ObjectPath::parse(&text) {
                prop_assert_eq!(ObjectPath::parse(&path.to_string()), Ok(path));
            }
        }
    }
}
