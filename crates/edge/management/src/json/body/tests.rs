use super::*;
use crate::json::write::ShownValue;
use proptest::prelude::*;
use std::sync::LazyLock;

const MOF: &str = r#"
    class C_Thing {
        [Key] string Name; boolean Flag; uint8 Byte; sint16 Short; uint32 Number; uint64 Big; sint64 Low; real32 Half;
        real64 Ratio; char16 Letter; datetime When; string Tags[]; uint8 Bytes[]; C_Thing ref Owner;
        [EmbeddedObject] string Inner;
        uint32 Do([in] string Text, [in] uint32 Sizes[], [out] string Made);
    };
"#;

static REPOSITORY: LazyLock<Repository> = LazyLock::new(|| {
    let mut repository = Repository::default();
    repository.load("root/a", MOF).unwrap();
    repository
});

fn class() -> &'static Class {
    REPOSITORY.class("root/a", "C_Thing").unwrap()
}

fn read(body: &str) -> Result<Params, String> {
    let read = properties(&REPOSITORY, class(), None, body.as_bytes());
    read.map_err(|problem| problem.body()["wmiName"].as_str().unwrap().to_owned())
}

#[test]
fn values_have_the_types_of_their_properties() {
    let params = read(
        r#"{"name": "a", "Flag": true, "Byte": 255, "Short": -1, "Number": 7.0, "Big": "18446744073709551615",
            "Low": -9007199254740993, "Half": 0.5, "Ratio": 1, "Letter": 65, "When": "2026-05-01T08:20:30Z",
            "Tags": ["x", "y"], "Bytes": [0, 255], "Owner": "C_Thing.Name=\"b\"", "Inner": {"@type": "C_Thing", "Byte": 1}}"#,
    )
    .unwrap();
    let owner = ObjectPath::class("root/a", "C_Thing").with_key("Name", "b");
    for (name, expected) in [
        ("Name", Value::from("a")),
        ("Flag", Value::from(true)),
        ("Byte", Value::Uint8(255)),
        ("Short", Value::Sint16(-1)),
        ("Number", Value::Uint32(7)),
        ("Big", Value::Uint64(u64::MAX)),
        ("Low", Value::Sint64(-9_007_199_254_740_993)),
        ("Half", Value::Real32(0.5)),
        ("Ratio", Value::Real64(1.0)),
        ("Letter", Value::Char16(65)),
        ("When", Value::utc(1_777_623_630_000_000)),
        ("Tags", Value::from(vec!["x", "y"])),
        ("Bytes", Value::Array(vec![Value::Uint8(0), Value::Uint8(255)])),
        ("Owner", Value::Reference(Box::new(owner))),
        ("Inner", Value::Object(Box::new(Instance::of(class()).with("Byte", Value::Uint8(1))))),
    ] {
        assert_eq!(params.get(name), &expected, "{name}");
    }
}

#[test]
fn other_types_are_refused() {
    for wrong in [
        r#"{"Name": 7}"#,
        r#"{"Name": ["a"]}"#,
        r#"{"Name": {"a": 1}}"#,
        r#"{"Flag": "true"}"#,
        r#"{"Flag": 1}"#,
        r#"{"Byte": 256}"#,
        r#"{"Byte": -1}"#,
        r#"{"Byte": 1.5}"#,
        r#"{"Byte": 1e300}"#,
        r#"{"Number": "7"}"#,
        r#"{"Number": true}"#,
        r#"{"Big": "1e3"}"#,
        r#"{"Big": 18446744073709551616}"#,
        r#"{"Half": "1"}"#,
        r#"{"Half": 1e39}"#,
        r#"{"When": "yesterday"}"#,
        r#"{"When": 7}"#,
        r#"{"Tags": "x"}"#,
        r#"{"Tags": ["x", null]}"#,
        r#"{"Tags": [["x"]]}"#,
        r#"{"Owner": "?"}"#,
        r#"{"Inner": {"Byte": 1}}"#,
        r#"{"Inner": {"@type": "C_Thing", "Byte": "1"}}"#,
    ] {
        assert_eq!(read(wrong), Err("WBEM_E_TYPE_MISMATCH".to_owned()), "{wrong}");
    }
}

#[test]
fn what_is_no_such_object_is_refused() {
    let deep = format!(r#"{{"Name": {}1{}}}"#, "[".repeat(1000), "]".repeat(1000));
    let wide = format!("{{{}}}", (0..1001).map(|n| format!("\"a{n}\": 1")).collect::<Vec<_>>().join(","));
    for wrong in [
        "",
        " ",
        "null",
        "[]",
        "7",
        "{",
        r#"{"Name": "a"} x"#,
        r#"{"Name": "a", "NAME": "b"}"#,
        r#"{"Other": 1}"#,
        r#"{"@other": 1}"#,
        r#"{"@type": "C_Other"}"#,
        r#"{"@type": 7}"#,
        r#"{"@id": "/api/v1/C_Thing/a"}"#,
        r#"{"Name": "\u0000"}"#,
        r#"{"Name": "\ud800"}"#,
        &deep,
        &wide,
    ] {
        assert_eq!(read(wrong), Err("WBEM_E_INVALID_PARAMETER".to_owned()), "{wrong}");
    }
    assert_eq!(read(r#"{"@type": "c_thing"}"#), Ok(Params::default()));
}

#[test]
fn an_instance_comes_back_as_it_was_shown() {
    let path = ObjectPath::class("root/a", "C_Thing").with_key("Name", "a b");
    let read = |id: &str| {
        let body = format!(r#"{{"@type": "C_Thing", "@id": "{id}", "Byte": 1}}"#);
        properties(&REPOSITORY, class(), Some(&path), body.as_bytes())
    };
    assert!(read("/api/v1/C_Thing/a%20b").is_ok());
    assert!(read("/api/v1/C_Thing/other").is_err(), "not another's");
}

#[test]
fn parameters_are_those_that_the_method_declares() {
    let method = class().method("Do").unwrap();
    let read = |body: &str| {
        parameters(&REPOSITORY, class(), method, body.as_bytes())
            .map_err(|problem| problem.body()["wmiName"].as_str().unwrap().to_owned())
    };
    let sizes = Value::Array(vec![Value::Uint32(1)]);
    assert_eq!(
        read(r#"{"sizes": [1]}"#),
        Ok(Params::default().with("Text", Value::Null).with("Sizes", sizes))
    );
    let wrong = || Err("WBEM_E_INVALID_METHOD_PARAMETERS".to_owned());
    for body in [r#"{"Made": "x"}"#, r#"{"Txet": "x"}"#, r#"{"Text": 1}"#, r#"{"Sizes": 1}"#] {
        assert_eq!(read(body), wrong(), "{body}");
    }
}

#[test]
fn only_json_is_taken() {
    let check = |text: &str, patch| {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, text.parse().unwrap());
        require_json(&headers, patch).is_ok()
    };
    for good in ["application/json", "Application/JSON; charset=UTF-8", "application/json;charset=\"utf-8\""]
    {
        assert!(check(good, IsPatch::No), "{good}");
    }
    // what a form and a script of another site can send without asking
    for wrong in ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        assert!(!check(wrong, IsPatch::No), "{wrong}");
    }
    assert!(!check("application/json; charset=utf-16", IsPatch::No));
    assert!(require_json(&HeaderMap::new(), IsPatch::No).is_err());
    let merge = "application/merge-patch+json";
    assert!(check(merge, IsPatch::Yes) && !check(merge, IsPatch::No));
}

/// A value of that type.
fn of(ty: Type) -> BoxedStrategy<Value> {
    match ty {
        Type::Boolean => any::<bool>().prop_map(Value::from).boxed(),
        Type::Uint64 => any::<u64>().prop_map(Value::from).boxed(),
        Type::Sint64 => any::<i64>().prop_map(Value::from).boxed(),
        Type::Uint32 => any::<u32>().prop_map(Value::from).boxed(),
        Type::Real64 => {
            any::<f64>().prop_filter("NaN equals nothing", |n| !n.is_nan()).prop_map(Value::Real64).boxed()
        }
        Type::Real32 => {
            any::<f32>().prop_filter("NaN equals nothing", |n| !n.is_nan()).prop_map(Value::Real32).boxed()
        }
        Type::Char16 => any::<u16>().prop_map(Value::Char16).boxed(),
        Type::Datetime => (0..4_000_000_000_000_000i64).prop_map(Value::utc).boxed(),
        _ => "[^\u{0}-\u{8}\u{b}\u{c}\u{e}-\u{1f}\u{fffe}\u{ffff}]{0,20}".prop_map(Value::from).boxed(),
    }
}

proptest! {
    #[test]
    fn what_is_shown_reads_back(
        (name, value) in prop_oneof![
            of(Type::Boolean).prop_map(|v| ("Flag", v)), of(Type::Uint64).prop_map(|v| ("Big", v)),
            of(Type::Sint64).prop_map(|v| ("Low", v)), of(Type::Uint32).prop_map(|v| ("Number", v)),
            of(Type::Real64).prop_map(|v| ("Ratio", v)), of(Type::Real32).prop_map(|v| ("Half", v)),
            of(Type::Char16).prop_map(|v| ("Letter", v)), of(Type::Datetime).prop_map(|v| ("When", v)),
            of(Type::String).prop_map(|v| ("Name", v)),
            prop::collection::vec(of(Type::String), 0..4).prop_map(|v| ("Tags", Value::Array(v))),
        ]
    ) {
        let text = serde_json::to_string(&ShownValue(&REPOSITORY, &value)).unwrap();
        let read = read(&format!(r#"{{"{name}": {text}}}"#)).unwrap();
        prop_assert_eq!(read.get(name), &value);
    }

    #[test]
    fn no_body_panics(body in r#"\{?("[A-Za-z@]{0,6}"|[\[\]{}:,0-9.eE"-]|null|true|\\u[0-9a-f]{4}){0,20}\}?"#) {
        drop(read(&body));
    }
}

#[test]
fn a_text_is_moved_out_and_what_is_left_is_wiped() {
    let declared =
        Declared { namespace: "root/a", ty: Type::String, array: false, class: None, qualifiers: &[] };
    let mut json = Json::from("a password");
    assert_eq!(value(&REPOSITORY, declared, &mut json, 0).unwrap(), Some(Value::from("a password")));
    assert_eq!(json, Json::from(""), "nobody else has it");
    let mut left = serde_json::json!({ "a": ["b", { "c": "d" }], "n": 1 });
    wipe(&mut left);
    assert_eq!(left, serde_json::json!({ "a": ["", { "c": "" }], "n": 1 }));
}
