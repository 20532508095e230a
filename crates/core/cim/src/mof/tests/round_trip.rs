//! What is printed reads back to the same, over made-up schemas.

use super::*;
use crate::{Class, Instance, Method, Parameter, Property, Qualifier, QualifierType, Repository};

/// The types that have names of their own.
fn simple() -> Vec<Type> {
    Type::NAMES.iter().map(|(ty, _)| *ty).collect()
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z_ä][A-Za-z0-9_ß]{0,8}",
        "ref|class|instance|of|as|void|string|qualifier|object|null|true"
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["\\PC{0,20}", "[a-z \"'\\\\\n\t\r\u{0}\u{7f}\u{85}\u{2028}é😀]{0,300}", "[a-z]{150}"]
}

/// A value of a simple type, never null.
fn scalar(ty: Type) -> BoxedStrategy<Value> {
    match ty {
        Type::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        Type::Real32 => any::<f32>().prop_map(|n| Value::Real32(if n.is_finite() { n } else { 1.5 })).boxed(),
        Type::Real64 => any::<f64>().prop_map(|n| Value::Real64(if n.is_finite() { n } else { 1.5 })).boxed(),
        Type::Char16 => any::<u16>().prop_map(Value::Char16).boxed(),
        Type::String => text().prop_map(Value::String).boxed(),
        Type::Datetime => prop_oneof![
            (0i64..1 << 52, -900i16..900)
                .prop_map(|(micros, offset_minutes)| Value::Datetime { micros, offset_minutes }),
            (0u64..1 << 52).prop_map(Value::Interval),
            Just("2024**********.******+***").prop_map(|t| Value::parse(Type::Datetime, t).unwrap()),
        ]
        .boxed(),
        Type::Reference => (name(), text())
            .prop_map(|(name, text)| {
                Value::Reference(Box::new(crate::ObjectPath::class("root/x", "C").with_key(&name, text)))
            })
            .boxed(),
        Type::Object => Just(Value::Null).boxed(),
        ty => any::<i64>()
            .prop_map(move |n| Value::integer(ty, n.into()).unwrap_or(Value::integer(ty, 7).unwrap()))
            .boxed(),
    }
}

fn value(ty: Type, array: bool) -> BoxedStrategy<Value> {
    if !array {
        return prop_oneof![Just(Value::Null), scalar(ty)].boxed();
    }
    let items = prop::collection::vec(prop_oneof![1 => Just(Value::Null), 5 => scalar(ty)], 0..6);
    prop_oneof![1 => Just(Value::Null), 4 => items.prop_map(Value::Array)].boxed()
}

fn any_type() -> impl Strategy<Value = Type> {
    prop::sample::select([&simple()[..], &[Type::Reference, Type::Object]].concat())
}

fn flavors() -> impl Strategy<Value = Vec<String>> {
    prop::sample::subsequence(
        vec!["tosubclass".to_owned(), "disableoverride".into(), "amended".into()],
        0..=3,
    )
}

/// Qualifiers of the made-up declarations, which are called `Q0` and so on, and some that nobody declares.
fn qualifiers(declared: Vec<QualifierType>) -> BoxedStrategy<Vec<Qualifier>> {
    let own = move |declared: &QualifierType| {
        let name = declared.name.clone();
        (value(declared.ty, declared.array), flavors())
            .prop_map(move |(value, flavors)| Qualifier {
                name: name.clone(),
                value,
                flavors,
                propagated: false,
            })
            .boxed()
    };
    let loose = prop_oneof![
        Just(Value::Boolean(true)),
        Just(Value::Boolean(false)),
        any::<i32>().prop_map(Value::Sint32),
        text().prop_map(Value::String),
        prop::collection::vec(text().prop_map(Value::String), 0..12).prop_map(Value::Array),
    ];
    let loose = (loose, flavors()).prop_map(|(value, flavors)| Qualifier {
        name: "Loose".into(),
        value,
        flavors,
        propagated: false,
    });
    let all: Vec<_> = declared.iter().map(own).chain([loose.boxed()]).collect();
    (prop::sample::subsequence(all.clone(), 0..=all.len())).prop_flat_map(|some| some).boxed()
}

fn declared() -> impl Strategy<Value = Vec<QualifierType>> {
    let one = (prop::sample::select(simple()), any::<bool>(), prop::option::of(0u32..9), flavors());
    let one = one.prop_flat_map(|(ty, array, size, flavors)| {
        value(ty, array).prop_map(move |default| QualifierType {
            ty,
            array,
            size: size.filter(|_| array),
            default,
            scope: vec!["any".into()],
            flavors: flavors.clone(),
            ..Default::default()
        })
    });
    prop::collection::vec(one, 0..4).prop_map(|mut list| {
        list.iter_mut().enumerate().for_each(|(i, q)| q.name = format!("Q{i}"));
        list
    })
}

/// The class that a reference points to, or an object is of.
fn pointed(ty: Type) -> Option<String> {
    match ty {
        Type::Reference => Some("Pointed".into()),
        _ => None,
    }
}

fn property(declared: Vec<QualifierType>) -> impl Strategy<Value = Property> {
    (any_type(), any::<bool>(), prop::option::of(0u32..100), name()).prop_flat_map(
        move |(ty, array, size, name)| {
            (value(ty, array), qualifiers(declared.clone())).prop_map(move |(default, qualifiers)| Property {
                name: name.clone(),
                ty,
                array,
                size: size.filter(|_| array),
                reference: pointed(ty),
                default,
                qualifiers,
                origin: String::new(),
            })
        },
    )
}

fn method(declared: Vec<QualifierType>) -> impl Strategy<Value = Method> {
    let parameter = (any_type(), any::<bool>(), name(), qualifiers(declared.clone())).prop_map(
        |(ty, array, name, qualifiers)| Parameter {
            name,
            ty,
            array,
            size: None,
            reference: pointed(ty),
            qualifiers,
        },
    );
    let parameters = prop::collection::vec(parameter, 0..4).prop_map(|list| distinct(list, |p| &p.name));
    let returns = prop::option::of(prop::sample::select(simple()));
    (name(), returns, parameters, qualifiers(declared)).prop_map(|(name, returns, parameters, qualifiers)| {
        Method { name, returns, parameters, qualifiers, origin: String::new() }
    })
}

fn class(declared: Vec<QualifierType>) -> impl Strategy<Value = Class> {
    let properties = prop::collection::vec(property(declared.clone()), 0..5);
    let methods = prop::collection::vec(method(declared.clone()), 0..3);
    (properties, methods, qualifiers(declared), prop::option::of(Just("Elsewhere".to_owned()))).prop_map(
        |(properties, methods, qualifiers, superclass)| {
            let properties = distinct(properties, |p| &p.name);
            let taken: Vec<_> = properties.iter().map(|p| p.name.to_ascii_lowercase()).collect();
            let mut methods = distinct(methods, |m| &m.name);
            methods.retain(|m| !taken.contains(&m.name.to_ascii_lowercase()));
            Class { qualifiers, properties, methods, superclass, ..Class::default() }
        },
    )
}

fn distinct<T>(list: Vec<T>, name: impl Fn(&T) -> &str) -> Vec<T> {
    let mut names = std::collections::HashSet::new();
    list.into_iter().filter(|it| names.insert(name(it).to_ascii_lowercase())).collect()
}

/// An instance of the class with a value for each of its properties; objects hold another one.
fn instance(class: &Class) -> BoxedStrategy<Instance> {
    let start =
        Just(Instance { class: class.name.clone(), namespace: class.namespace.clone(), properties: vec![] });
    class.properties.iter().fold(start.boxed(), |instance, property| {
        let (name, ty, array) = (property.name.clone(), property.ty, property.array);
        (instance, value(ty, array), text())
            .prop_map(move |(mut instance, value, text)| {
                let inner = |text| {
                    let inner = Instance {
                        class: "Unknown".into(),
                        namespace: instance.namespace.clone(),
                        properties: vec![],
                    };
                    Value::Object(Box::new(inner.with("Text", text)))
                };
                let value = match (ty, array) {
                    (Type::Object, true) => Value::Array(vec![inner(text.clone()), Value::Null, inner(text)]),
                    (Type::Object, false) => inner(text),
                    _ => value,
                };
                instance.properties.push((name.clone(), value));
                instance
            })
            .boxed()
    })
}

fn schema() -> impl Strategy<Value = Reading> {
    declared().prop_flat_map(|qualifiers| {
        let namespace =
            prop_oneof![Just(String::new()), Just("root/a".to_owned()), Just("root/b/c".to_owned())];
        let classes = prop::collection::vec((class(qualifiers.clone()), namespace.clone()), 0..3);
        (classes, namespace).prop_flat_map(move |(classes, namespace)| {
            let mut reading = Reading { qualifiers: qualifiers.clone(), ..Reading::default() };
            reading.qualifiers.iter_mut().for_each(|q| q.namespace.clone_from(&namespace));
            for (i, (mut class, namespace)) in classes.into_iter().enumerate() {
                class.name = format!("C{i}");
                class.namespace = namespace;
                class.properties.iter_mut().for_each(|p| p.origin.clone_from(&class.name));
                class.methods.iter_mut().for_each(|m| m.origin.clone_from(&class.name));
                reading.classes.push(class);
            }
            let instances: Vec<_> = reading.classes.iter().map(instance).collect();
            instances.prop_map(move |instances| Reading { instances, ..reading.clone() })
        })
    })
}

/// Whether what is read of a text, once printed and read again, stays the same for ever.
fn settles(text: &str) -> bool {
    let again = |reading| Reading { diagnostics: vec![], ..read(&print::reading(&reading)) };
    let once = again(read(text));
    again(once.clone()) == once
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(schema in schema()) {
        let text = print::reading(&schema);
        let again = read(&text);
        prop_assert_eq!(again.errors().next(), None, "{}", text);
        prop_assert_eq!(Reading { diagnostics: vec![], ..again }, schema, "{}", text);
    }

    #[test]
    fn whatever_is_read_settles(at in 0..TEXT.len(), with in "[\\[\\]{}();:,\"'$#/*\\\\x0-9.+-]{0,3}") {
        let (head, tail) = (TEXT.get(..at).unwrap_or(""), TEXT.get(at..).unwrap_or(""));
        let text = format!("{head}{with}{tail}");
        prop_assert!(settles(&text));
    }
}

const TEXT: &str = concat!(
    include_str!("../../../tests/fixtures/printer.mof"),
    include_str!("../../../tests/fixtures/schema.mof"),
    r#"
    [Late(5)] class Early {}; Qualifier Late : uint8[3] = {1}, Scope(any);
    class Key { [Key] uint8 Small; [Key] Key ref Next; [Key] datetime At; };
    instance of Key as $K1 { Small = 1; At = "19700101000000.000000+000"; Next = "Key=5"; };
    instance of Key as $K2 { Small = 2; At = NULL; Next = $K1; };
    instance of Key { Small = 2; At = "00000000001500.000000:000"; Next = $K2; };
    "#
);

#[test]
fn references_read_back_with_the_types_of_their_keys() {
    let reading = read(
        r#"class A { [Key] uint8 Small; }; class L { [Key] A ref One; [Key] L ref Next; };
        instance of A as $A { Small = 5; }; instance of L as $L { One = $A; Next = NULL; }; instance of L { One = $A; Next = $L; };"#,
    );
    assert_eq!(reading.diagnostics, []);
    assert_eq!(reading.instances.len(), 3);
    assert_eq!(read(&print::reading(&reading)), reading);
}

#[test]
fn what_is_printed_is_for_people() {
    let reading = read(
        r#"Qualifier Description : string = null, Scope(any), Flavor(EnableOverride, ToSubclass, Translatable);
        [Dynamic, Description("One user's session in one virtual desktop, and what an administrator can do with it, which is much.")]
        class Win32_Thing : Base { [Key, Read] string Id; [ValueMap{"0", "1"}, Values{"Active", "Disconnected"} : Amended] uint32 State = 1;
        [Static, Description("Makes.")] uint32 Make([In] string Name, [Out, Description("A text that is long enough for a line of its own, or two of them.")] Win32_Thing ref Made[2]); void Stop(); };
        instance of Win32_Thing { Id = "say \"no\"\n"; State = 0; };"#,
    );
    let text = print::reading(&reading);
    let wanted = r#"Qualifier Description : string,
    Scope(any),
    Flavor(EnableOverride, ToSubclass, Translatable);

[Dynamic,
 Description("One user's session in one virtual desktop, and what an administrator can do with it, "
             "which is much.")]
class Win32_Thing : Base
{
    [Key, Read]
    string Id;
    [ValueMap{"0", "1"}, Values{"Active", "Disconnected"} : Amended]
    uint32 State = 1;
    [Static, Description("Makes.")]
    uint32 Make(
        [In] string Name,
        [Out, Description("A text that is long enough for a line of its own, or two of them.")]
        Win32_Thing ref Made[2]);
    void Stop();
};

instance of Win32_Thing
{
    Id = "say \"no\"\n";
    State = 0;
};

"#;
    assert_eq!(text, wanted);
}

#[test]
fn a_qualifier_without_scope_prints_without_one() {
    let reading = read("Qualifier Q : sint8[2];");
    assert_eq!(print::qualifier_type(&reading.qualifiers[0]), "Qualifier Q : sint8[2];\n\n");
}

#[test]
fn a_class_of_a_repository_prints_what_it_declares_itself() {
    let mut repository = Repository::default();
    repository.load("root/a", "[Version(\"1\"), Description(\"x\")] class A { [Key] string Id; void F(); }; class B : A { uint8 X; };").unwrap();
    assert_eq!(print::class(repository.class("root/a", "B").unwrap()), "class B : A\n{\n    uint8 X;\n};\n");
}

#[test]
fn a_name_that_no_mof_can_hold_is_bent() {
    let class = Class { name: "A {}; class \u{1b}[31mB".into(), ..Class::default() };
    assert_eq!(print::class(&class), "class A_____class___31mB\n{\n};\n");
}
