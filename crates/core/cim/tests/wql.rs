//! Queries by the thousand: what is printed parses to the same, what is judged is what a plain evaluator judges,
//! and no text panics.

use openrdms_cim::wql::{
    Comparison, Condition, Constant, Group, Having, Operand, Pattern, Projection, Property, Select, Step,
    Truth,
};
use openrdms_cim::{Instance, Repository, Value};
use proptest::prelude::*;
use std::time::Duration;

const COMPARISONS: [Comparison; 6] = [
    Comparison::Equal,
    Comparison::NotEqual,
    Comparison::Less,
    Comparison::LessOrEqual,
    Comparison::Greater,
    Comparison::GreaterOrEqual,
];
const RESERVED: [&str; 12] =
    ["select", "from", "where", "and", "or", "not", "is", "isa", "like", "null", "true", "false"];

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z_ÄöЖ][A-Za-z0-9_ß]{0,6}",
        prop::sample::select(vec!["Count", "Group", "By", "Within", "Having", "__CLASS", "TargetInstance"])
            .prop_map(str::to_owned),
    ]
    .prop_filter("keywords are no names", |name| !RESERVED.contains(&name.to_lowercase().as_str()))
}

fn property() -> impl Strategy<Value = Property> {
    let step =
        (name(), prop::option::weighted(0.2, any::<u32>())).prop_map(|(name, index)| Step { name, index });
    prop::collection::vec(step, 1..4).prop_map(|steps| Property { steps, ..Property::named("") })
}

fn constant() -> impl Strategy<Value = Constant> {
    prop_oneof![
        any::<String>().prop_map(Constant::Text),
        any::<i128>().prop_map(Constant::Integer),
        (-9i128..10).prop_map(Constant::Integer),
        any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(Constant::Real),
        any::<bool>().prop_map(Constant::Boolean),
    ]
}

fn comparison() -> impl Strategy<Value = Comparison> {
    prop::sample::select(COMPARISONS.to_vec())
}

fn term() -> impl Strategy<Value = Condition> {
    let operand =
        prop_oneof![4 => constant().prop_map(Operand::Constant), 1 => property().prop_map(Operand::Property)];
    prop_oneof![
        4 => (property(), comparison(), operand)
            .prop_map(|(property, comparison, operand)| Condition::Compare { property, comparison, operand }),
        1 => (property(), "[a-c%_'\"\\\\]{0,5}(\\[[^\\]^]{1,3}\\])?")
            .prop_map(|(property, text)| Condition::Like { property, pattern: Pattern::new(&text).expect("its brackets are closed") }),
        1 => property().prop_map(Condition::IsNull),
        1 => property().prop_map(Condition::IsNotNull),
        1 => (property(), name()).prop_map(|(property, class)| Condition::IsA { property, class }),
    ]
}

/// Conditions of those terms, five deep.
fn condition(term: impl Strategy<Value = Condition> + 'static) -> impl Strategy<Value = Condition> {
    term.prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Condition::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Condition::Or),
            inner.prop_map(|one| Condition::Not(Box::new(one))),
        ]
    })
}

fn seconds() -> impl Strategy<Value = Duration> {
    (0u64..366 * 86_400_000).prop_map(Duration::from_millis)
}

fn select() -> impl Strategy<Value = Select> {
    let list = || prop::collection::vec(property(), 1..4);
    let projection =
        prop_oneof![Just(Projection::All), Just(Projection::Count), list().prop_map(Projection::Properties)];
    let having = (comparison(), any::<u32>()).prop_map(|(comparison, events)| Having { comparison, events });
    let group = (seconds(), prop_oneof![Just(vec![]), list()], prop::option::of(having))
        .prop_map(|(within, by, having)| Group { within, by, having });
    (
        projection,
        name(),
        prop::option::of(seconds()),
        prop::option::of(condition(term())),
        prop::option::weighted(0.2, group),
    )
        .prop_map(|(projection, from, within, condition, group)| Select {
            projection,
            from,
            within,
            condition,
            group,
        })
}

/// A small world, in which much is equal to much.
fn instance() -> impl Strategy<Value = Instance> {
    let maybe = |value: BoxedStrategy<Value>| prop_oneof![1 => Just(Value::Null), 3 => value];
    (
        maybe("[abAB]{0,3}".prop_map(Value::from).boxed()),
        maybe("[abAB]{0,3}".prop_map(Value::from).boxed()),
        maybe((0u32..4).prop_map(Value::from).boxed()),
        maybe((0u8..4).prop_map(|n| Value::Real64(f64::from(n) / 2.0)).boxed()),
        maybe(any::<bool>().prop_map(Value::from).boxed()),
    )
        .prop_map(|(s, t, n, r, b)| Instance {
            class: "C".into(),
            namespace: "root/a".into(),
            properties: [("S", s), ("T", t), ("N", n), ("R", r), ("B", b)]
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
        })
}

/// A piece of a pattern, and so of what the plain evaluator matches with.
#[derive(Clone, Debug)]
enum Piece {
    Many,
    One,
    These(bool, Vec<char>),
}

/// A term as text, and as what it means of an instance: 0 false, 1 unknown, 2 true.
type Meaning = std::rc::Rc<dyn Fn(&Instance) -> u8>;

#[derive(Clone)]
struct Plain {
    text: String,
    meaning: Meaning,
}

impl std::fmt::Debug for Plain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

fn plain(text: String, meaning: impl Fn(&Instance) -> Option<bool> + 'static) -> Plain {
    Plain { text, meaning: std::rc::Rc::new(move |i| meaning(i).map_or(1, |is| if is { 2 } else { 0 })) }
}

fn compares(comparison: Comparison, less: bool, equal: bool) -> bool {
    match comparison {
        Comparison::Equal => equal,
        Comparison::NotEqual => !equal,
        Comparison::Less => less,
        Comparison::LessOrEqual => less || equal,
        Comparison::Greater => !less && !equal,
        Comparison::GreaterOrEqual => !less,
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Uint32(n) => Some(f64::from(*n)),
        Value::Real64(n) => Some(*n),
        _ => None,
    }
}

fn fits(pieces: &[Piece], text: &[char]) -> bool {
    match pieces.split_first() {
        None => text.is_empty(),
        Some((Piece::Many, rest)) => (0..=text.len()).any(|skip| fits(rest, &text[skip..])),
        Some((Piece::One, rest)) => !text.is_empty() && fits(rest, &text[1..]),
        Some((Piece::These(among, these), rest)) => {
            text.first().is_some_and(|c| these.contains(&c.to_ascii_lowercase()) == *among)
                && fits(rest, &text[1..])
        }
    }
}

fn plain_term() -> impl Strategy<Value = Plain> {
    let texts =
        ("[ST]", comparison(), "[abAB]{0,3}", any::<bool>()).prop_map(|(p, comparison, constant, turned)| {
            let text = if turned {
                format!("'{constant}' {} {p}", comparison.turned())
            } else {
                format!("{p} {comparison} \"{constant}\"")
            };
            let constant = constant.to_lowercase();
            plain(text, move |i| {
                let value = i.get(&p).as_str()?.to_lowercase();
                Some(compares(comparison, value < constant, value == constant))
            })
        });
    let numbers = ("[NR]", comparison(), 0u8..8, 0usize..4).prop_map(|(p, comparison, half, form)| {
        let n = f64::from(half) / 2.0;
        let constant = match form {
            0 => format!("{n:?}"),
            1 => format!("'{n:?}'"),
            2 => format!("{}e-1", half * 5),
            _ => format!("+{n}"),
        };
        plain(format!("{p} {comparison} {constant}"), move |i| {
            let value = number(i.get(&p))?;
            Some(compares(comparison, value < n, value == n))
        })
    });
    let flags = (any::<bool>(), any::<bool>()).prop_map(|(flag, equal)| {
        let text = format!("B {} {}", if equal { "=" } else { "!=" }, if flag { "TRUE" } else { "0" });
        plain(text, move |i| i.get("b").as_bool().map(|b| (b == flag) == equal))
    });
    let two = comparison().prop_map(|comparison| {
        plain(format!("S {comparison} T"), move |i| {
            let (s, t) = (i.get("S").as_str()?.to_lowercase(), i.get("T").as_str()?.to_lowercase());
            Some(compares(comparison, s < t, s == t))
        })
    });
    let nulls = ("[STNRB]", any::<bool>()).prop_map(|(p, null)| {
        let text = format!("{p} IS {}NULL", if null { "" } else { "NOT " });
        plain(text, move |i| Some(i.get(&p).is_null() == null))
    });
    let piece = prop_oneof![
        Just(("%".to_owned(), Piece::Many)),
        Just(("_".to_owned(), Piece::One)),
        "[abAB]".prop_map(|c| (c.clone(), Piece::These(true, c.to_lowercase().chars().collect()))),
        (any::<bool>(), "[ab]{1,2}").prop_map(|(among, these)| {
            (
                format!("[{}{these}]", if among { "" } else { "^" }),
                Piece::These(among, these.chars().collect()),
            )
        }),
    ];
    let likes = ("[ST]", prop::collection::vec(piece, 0..6)).prop_map(|(p, pieces)| {
        let (texts, pieces): (Vec<_>, Vec<_>) = pieces.into_iter().unzip();
        plain(format!("{p} LIKE '{}'", texts.concat()), move |i| {
            let text: Vec<char> = i.get(&p).as_str()?.chars().collect();
            Some(fits(&pieces, &text))
        })
    });
    prop_oneof![texts, numbers, flags, two, nulls, likes]
}

fn plain_condition() -> impl Strategy<Value = Plain> {
    plain_term().prop_recursive(4, 20, 3, |inner| {
        let several = |word: &'static str, pick: fn(u8, u8) -> u8, inner: BoxedStrategy<Plain>| {
            prop::collection::vec(inner, 2..4).prop_map(move |all| {
                let text = all.iter().map(|one| format!("({})", one.text)).collect::<Vec<_>>().join(word);
                let meaning = move |i: &Instance| {
                    all.iter().map(|one| (one.meaning)(i)).reduce(pick).expect("two at least")
                };
                Plain { text, meaning: std::rc::Rc::new(meaning) }
            })
        };
        prop_oneof![
            several(" and ", u8::min, inner.clone().boxed()),
            several(" Or ", u8::max, inner.clone().boxed()),
            inner.prop_map(|one| {
                let meaning = move |i: &Instance| 2 - (one.meaning)(i);
                Plain { text: format!("not ({})", one.text), meaning: std::rc::Rc::new(meaning) }
            }),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same(select in select()) {
        let text = select.to_string();
        prop_assert_eq!(Select::parse(&text), Ok(select), "{}", text);
    }

    #[test]
    fn a_condition_says_what_a_plain_evaluator_says(plain in plain_condition(), instance in instance()) {
        let condition = Condition::parse(&plain.text).expect(&plain.text);
        let expected = [Truth::False, Truth::Unknown, Truth::True][usize::from((plain.meaning)(&instance))];
        let repository = Repository::default();
        prop_assert_eq!(condition.holds(&instance, &repository), expected, "{} of {:?}", plain.text, instance);
        // and an equality that is pushed down excludes no match
        if expected == Truth::True {
            for (name, constant) in condition.equalities() {
                let alone = Condition::equal(name, constant.clone());
                prop_assert_eq!(alone.holds(&instance, &repository), Truth::True, "{}", alone);
            }
        }
    }

    #[test]
    fn no_text_panics(any: String, words in prop::collection::vec(word(), 0..30), cut in 0usize..200) {
        let words = words.join("");
        let event = "SELECT a.b[0] FROM c WITHIN .5 WHERE x LIKE '[^a-c]%' AND NOT (y <> -1e5) GROUP WITHIN 1 BY z";
        let cut = event.get(..cut).unwrap_or(event);
        for text in [&any, &words, &format!("SELECT * FROM c WHERE {words}"), &format!("{cut}{any}")] {
            if let Ok(select) = Select::parse_cql(text) {
                // printed as WQL, and it is the same in WQL
                prop_assert_eq!(Select::parse(&select.to_string()), Ok(select));
            }
            if let Ok(select) = Select::parse(text) {
                let again = Select::parse(&select.to_string());
                prop_assert_eq!(again.as_ref(), Ok(&select));
                let instance = Instance { class: "c".into(), namespace: "n".into(), properties: vec![] };
                let _ = select.condition.map(|c| c.holds(&instance, &Repository::default()));
            }
        }
    }

    #[test]
    fn no_pattern_panics(pattern in "[a%_^\\[\\]=-]{0,12}", any: String, text: String) {
        for pattern in [&pattern, &any] {
            if let Ok(pattern) = Pattern::new(pattern) {
                let _ = pattern.matches(&text);
            }
        }
    }
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "SELECT ",
            "* ",
            "FROM ",
            "WHERE ",
            "AND ",
            "or ",
            "NOT ",
            "LIKE ",
            "IS ",
            "NULL ",
            "ISA ",
            "TRUE ",
            "a ",
            "b",
            ".",
            "[",
            "]",
            "(",
            ")",
            ",",
            "=",
            "<>",
            "<",
            ">=",
            "'x'",
            "'",
            "\"",
            "\\",
            "7",
            "-",
            "0x",
            "1e",
            "WITHIN ",
            "GROUP ",
            "BY ",
            "HAVING ",
            "NumberOfEvents ",
            "COUNT(*) ",
            "%",
            "__this ",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ]
}
