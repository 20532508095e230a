use super::*;
use crate::{CimError, Class, Instance, ObjectPath, Repository, WmiCode};

const NS: &str = "root/test";
const MOF: &str = r#"
    class Test_Base { [Key] string Name; [Key] uint32 Id; };
    class Test_Thing : Test_Base {
        boolean Flag; sint64 Big; real64 Ratio; char16 Letter; datetime When; datetime Lasted; string Tags[];
        Test_Base ref Owner; string Text; string Other;
    };
    class Test_Special : Test_Thing { string More; };
    class __Event { uint64 TIME_CREATED; };
    class __InstanceModificationEvent : __Event { string TargetInstance; string PreviousInstance; };
"#;

fn repository() -> Repository {
    let mut repository = Repository::default();
    repository.load(NS, MOF).expect("the classes are good");
    repository
}

fn thing(repository: &Repository) -> Instance {
    Instance::of(repository.class(NS, "Test_Thing").expect("it is declared"))
        .with("Name", "Änna")
        .with("Id", 7u32)
        .with("Flag", true)
        .with("Big", -5_000_000_000i64)
        .with("Ratio", Value::Real64(0.5))
        .with("Letter", Value::Char16(65))
        .with("When", Value::Datetime { micros: 1_714_551_630_000_000, offset_minutes: 120 })
        .with("Lasted", Value::Interval(60_000_000))
        .with("Tags", vec!["red", "green"])
        .with("Owner", Value::Reference(Box::new(path("berta", 8))))
        .with("Text", "50% off_[x]\\")
        .with("Other", Value::Null)
}

fn path(name: &str, id: u32) -> ObjectPath {
    ObjectPath::class(NS, "Test_Base").with_key("Name", name).with_key("Id", id)
}

/// What a condition says of the thing, and that its printed form says the same.
#[track_caller]
fn of_thing(text: &str) -> Truth {
    let (repository, condition) = (repository(), Condition::parse(text).expect(text));
    assert_eq!(Condition::parse(&condition.to_string()).as_ref(), Ok(&condition), "{text}");
    condition.check(repository.class(NS, "Test_Thing").unwrap(), &repository).expect(text);
    condition.holds(&thing(&repository), &repository)
}

#[track_caller]
fn true_of_thing(texts: &[&str]) {
    for text in texts {
        assert_eq!(of_thing(text), Truth::True, "{text}");
        assert_eq!(of_thing(&format!("NOT ({text})")), Truth::False, "{text}");
    }
}

#[track_caller]
fn unknown_of_thing(texts: &[&str]) {
    for text in texts {
        assert_eq!(of_thing(text), Truth::Unknown, "{text}");
        assert_eq!(of_thing(&format!("NOT ({text})")), Truth::Unknown, "{text}");
    }
}

fn names(text: &str) -> Condition {
    Condition::parse(text).expect(text)
}

#[test]
fn the_queries_that_clients_send() {
    for (text, printed) in [
        ("select * from Win32_VirtualDesktopSession", "SELECT * FROM Win32_VirtualDesktopSession"),
        (
            "SELECT UserName,SessionId FROM C WHERE ConnectState=4 and UserName<>'x\\\\y'",
            r#"SELECT UserName, SessionId FROM C WHERE ConnectState = 4 AND UserName <> "x\\y""#,
        ),
        ("Select Count(*) From C", "SELECT COUNT(*) FROM C"),
        ("select count from c where count = 1", "SELECT count FROM c WHERE count = 1"),
        ("SELECT * FROM C WHERE (5 < A)", "SELECT * FROM C WHERE A > 5"),
        ("SELECT * FROM C WHERE A != null OR NULL = B", "SELECT * FROM C WHERE A IS NOT NULL OR B IS NULL"),
        (
            "SELECT * FROM C WHERE a=1 or b=2 and not c=3",
            "SELECT * FROM C WHERE a = 1 OR b = 2 AND NOT c = 3",
        ),
        ("SELECT * FROM C WHERE (a=1 or b=2) and c=3", "SELECT * FROM C WHERE (a = 1 OR b = 2) AND c = 3"),
        ("SELECT * FROM C WHERE a not like '[^a-c]%'", r#"SELECT * FROM C WHERE NOT a LIKE "[^a-c]%""#),
        ("select * from meta_class where __this isa 'X'", r#"SELECT * FROM meta_class WHERE __this ISA "X""#),
        ("SELECT * FROM C WHERE a = 0x1F AND b > -1.5e2", "SELECT * FROM C WHERE a = 31 AND b > -150.0"),
        (
            "SELECT * FROM __InstanceModificationEvent WITHIN 0.5 WHERE TargetInstance ISA 'C' AND \
             PreviousInstance.S <> TargetInstance.S GROUP WITHIN 10 BY TargetInstance.A, b HAVING NumberOfEvents >= 5",
            "SELECT * FROM __InstanceModificationEvent WITHIN 0.500 WHERE TargetInstance ISA \"C\" AND \
             PreviousInstance.S <> TargetInstance.S GROUP WITHIN 10 BY TargetInstance.A, b HAVING NumberOfEvents >= 5",
        ),
    ] {
        let parsed = Select::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(parsed.to_string(), printed);
        assert_eq!(Select::parse(printed).as_ref(), Ok(&parsed));
    }
}

#[test]
fn the_plain_part_of_cql() {
    let both = "SELECT A, B FROM C WHERE A <> 'x' AND (B IS NOT NULL OR D ISA C) AND E >= 5";
    assert_eq!(Select::parse_cql(both), Select::parse(both));
    let code = |text: &str| CimError::from(Select::parse_cql(text).unwrap_err()).code;
    assert_eq!(code("SELECT * FROM C WHERE A LIKE 'x.*'"), WmiCode::WBEM_E_NOT_SUPPORTED);
    assert_eq!(code("SELECT * FROM C WHERE A = \"x\""), WmiCode::WBEM_E_INVALID_QUERY);
    assert_eq!(code("SELECT * FROM C, D WHERE C.A = D.A"), WmiCode::WBEM_E_INVALID_QUERY);
}

#[test]
fn not_binds_closer_than_and_and_and_closer_than_or() {
    // true OR (true AND false) is true; (true OR true) AND false would be false
    true_of_thing(&["Id=7 OR Id=7 AND Id=8", "NOT Id=8 AND Id=7", "NOT (Id=8 AND Id=7)", "NOT NOT Id=7"]);
    assert_eq!(of_thing("(Id=7 OR Id=7) AND Id=8"), Truth::False);
    assert_eq!(of_thing("NOT Id=8 AND Id=8"), Truth::False);
}

#[test]
fn strings_compare_without_case() {
    true_of_thing(&[
        "Name = 'ÄNNA'",
        "name = \"änna\"",
        "Name <> 'Anna'",
        "Name > 'b'",
        "'b' < Name",
        "Name <= 'ÄNNA'",
        r"Text = '50% OFF_[X]\\'",
        "Name <> Text",
    ]);
}

#[test]
fn a_constant_is_taken_for_the_type_of_the_property() {
    true_of_thing(&[
        "Id = 7",
        "Id = '7'",
        "Id = ' 0x7 '",
        "Id = 7.0",
        "Id > 6.5",
        "Id < 1e300",
        "Id > -1",
        "Id <> 99999999999999999999999",
        "Big = -5000000000",
        "Big < 0",
        "Ratio = 0.5",
        "Ratio = '.5'",
        "Ratio < 1",
        "1 > Ratio",
        "Flag = TRUE",
        "Flag = 1",
        "Flag = -1",
        "Flag = 'true'",
        "Flag <> False",
        "Letter = 'A'",
        "Letter = 65",
        "Letter < 'B'",
    ]);
    // as text
    let (repository, seven) =
        (repository(), Instance { properties: vec![("T".into(), "7".into())], ..thing(&repository()) });
    assert!(names("T = 7").holds(&seven, &repository).is_true());
}

#[test]
fn datetimes_compare_as_points_in_time_and_intervals_by_length() {
    true_of_thing(&[
        "When = '20240501102030.000000+120'",
        "When = '20240501082030.000000+000'",
        "When = '2024-05-01T08:20:30Z'",
        "When > '20240430000000.000000+000'",
        "When < '2024-05-01T10:20:31+02:00'",
        "Lasted = '00000000000100.000000:000'",
        "Lasted > 'PT59S'",
    ]);
    unknown_of_thing(&["When > 'PT59S'"]);
}

#[test]
fn what_is_null_is_unknown_and_not_listed() {
    unknown_of_thing(&[
        "Other = 'x'",
        "Other <> 'x'",
        "Other LIKE '%'",
        "Other = Name",
        "Tags[5] = 'red'",
        "Other = 'x' AND Id = 7",
        "Other = 'x' OR Id = 8",
    ]);
    true_of_thing(&[
        "Other IS NULL",
        "Other = NULL",
        "Id IS NOT NULL",
        "Id <> NULL",
        "Other = 'x' OR Id = 7",
        "NOT (Other = 'x' AND Id = 8)",
    ]);
}

#[test]
fn like_knows_wildcards_sets_and_escapes() {
    true_of_thing(&[
        "Name LIKE '%'",
        "Name LIKE 'ä%A'",
        "Name LIKE '_nn_'",
        "NOT Name LIKE '___'",
        "Name LIKE '[ä-ö][n][^o]%'",
        "Name LIKE '[Ä]nn[a-f]'",
        "Name LIKE '_[l=o]na'",
        "Name NOT LIKE '[^Ä]%'",
        "Text LIKE '50[%] off[_][[]x]%'",
        r"Text LIKE '%\\'",
        "Text LIKE '%[]]%'",
        "Text LIKE '%[^]-]%'",
        "NOT Text LIKE '50[^%]%'",
    ]);
}

#[test]
fn like_takes_no_longer_for_many_wildcards() {
    // a matcher that tries every split would take 2^200 steps
    let pattern = Pattern::new(&"%a".repeat(200)).unwrap();
    assert!(!pattern.matches(&("a".repeat(199) + "b")));
    assert!(pattern.matches(&"a".repeat(5000)));
    assert!(Pattern::new(&"%".repeat(MAX_PATTERN + 1)).is_err());
}

#[test]
fn paths_elements_and_references() {
    true_of_thing(&[
        "Tags[0] = 'RED'",
        "Tags[1] LIKE 'g%'",
        "Test_Thing.Id = 7",
        "test_base.ID = 7",
        r#"Owner = 'Test_Base.Name="BERTA",Id=8'"#,
        r#"Owner = '\\\\host\\root\\test:Test_Base.Name="berta",Id=8'"#,
        r#"Owner <> 'root/other:Test_Base.Name="berta",Id=8'"#,
        "Owner ISA 'Test_Base'",
        "NOT Owner ISA Test_Thing",
    ]);
}

#[test]
fn system_properties() {
    true_of_thing(&[
        "__CLASS = 'test_thing'",
        "__SUPERCLASS = 'Test_Base'",
        "__DYNASTY = 'Test_Base'",
        "__GENUS = 2",
        "__PROPERTY_COUNT = 12",
        "__DERIVATION[0] = 'Test_Base'",
        "__DERIVATION[1] IS NULL",
        "__NAMESPACE = 'root\\\\test'",
        "__SERVER = '.'",
        r#"__RELPATH = 'Test_Thing.Name="Änna",Id=7'"#,
        r#"__PATH = '\\\\.\\root\\test:Test_Thing.Name="Änna",Id=7'"#,
        "__this ISA 'Test_Base'",
        "NOT __this ISA 'Test_Special'",
    ]);
}

#[test]
fn event_queries_look_into_embedded_instances() {
    let repository = repository();
    let before = thing(&repository);
    let mut after = before.clone();
    after.properties.retain(|(name, _)| name != "Id");
    let after = after.with("Id", 8u32);
    let event = Instance::of(repository.class(NS, "__InstanceModificationEvent").unwrap())
        .with("TargetInstance", Value::Object(Box::new(after)))
        .with("PreviousInstance", Value::Object(Box::new(before)));
    let says = |text: &str| {
        let query = format!("SELECT * FROM __InstanceModificationEvent WITHIN 1 WHERE {text}");
        let query = Select::parse(&query).expect(text);
        query.check(&repository, NS).expect(text);
        query.condition.expect("it has one").holds(&event, &repository)
    };
    for text in [
        "TargetInstance ISA 'Test_Base'",
        "TargetInstance ISA 'Test_Thing' AND TargetInstance.Id = 8",
        "TargetInstance.Id <> PreviousInstance.Id",
        "TargetInstance.Tags[0] = 'red'",
        "TargetInstance.__CLASS = 'Test_Thing'",
        "__InstanceModificationEvent.TargetInstance IS NOT NULL",
    ] {
        assert_eq!(says(text), Truth::True, "{text}");
    }
    assert_eq!(says("TargetInstance ISA 'Test_Special'"), Truth::False);
    assert_eq!(says("TargetInstance.Nothing = 8"), Truth::Unknown);
    assert_eq!(says("TargetInstance.Name.Id = 8"), Truth::Unknown);
}

#[test]
fn equalities_are_those_that_every_match_fulfils() {
    let found = |text: &str| {
        let condition = names(text);
        let found: Vec<_> = condition.equalities().iter().map(|(n, c)| format!("{n}={}", c.text())).collect();
        (found.join(" "), condition.only_equalities().is_some())
    };
    assert_eq!(found("a = 1 AND b = 'x' AND (c = TRUE AND d = 5)"), ("a=1 b=x c=true d=5".into(), true));
    assert_eq!(found("a = 1 AND b <> 2 AND 7 = c"), ("a=1 c=7".into(), false));
    assert_eq!(found("a = 1 OR b = 2"), (String::new(), false));
    assert_eq!(found("NOT a = 1"), (String::new(), false));
    assert_eq!(found("a.b = 1 AND c[0] = 2 AND d = e"), (String::new(), false));
    let built = Condition::equalities_of([("a", "1"), ("b", "2"), ("c", "3")]).unwrap();
    assert_eq!(built.to_string(), r#"a = "1" AND b = "2" AND c = "3""#);
    assert_eq!(Condition::equalities_of([("a", "1"); 0]), None);
}

#[test]
fn a_constant_becomes_a_key_only_where_nothing_else_equals_it() {
    let text = |t: &str| Constant::from(t);
    assert_eq!(text("7").value(Type::Uint32), Some(Value::Uint32(7)));
    assert_eq!(text("x").value(Type::Uint32), None);
    assert_eq!(Constant::Integer(7).value(Type::Uint32), Some(Value::Uint32(7)));
    assert_eq!(Constant::Integer(-1).value(Type::Uint32), None);
    assert_eq!(Constant::Integer(7).value(Type::String), Some("7".into()));
    assert_eq!(Constant::Integer(1).value(Type::Boolean), Some(true.into()));
    assert_eq!(Constant::Real(7.5).value(Type::Uint32), None);
    assert_eq!(text("a").value(Type::String), Some("a".into()));
}

#[test]
fn a_query_is_checked_against_its_class() {
    let repository = repository();
    let check = |text: &str| Select::parse(text).expect(text).check(&repository, NS).expect_err(text);
    let code = |text: &str| check(text).code;
    assert_eq!(code("SELECT * FROM Nothing"), WmiCode::WBEM_E_INVALID_CLASS);
    assert_eq!(code("SELECT * FROM Test_Thing WHERE Owner ISA 'Nothing'"), WmiCode::WBEM_E_INVALID_CLASS);
    let nowhere =
        Select::parse("SELECT * FROM meta_class").unwrap().check(&repository, "root/no").unwrap_err();
    assert_eq!(nowhere.code, WmiCode::WBEM_E_INVALID_NAMESPACE);
    let event = "SELECT * FROM __InstanceModificationEvent WITHIN 1 WHERE";
    let all = [
        "SELECT Nothing FROM Test_Thing",
        "SELECT * FROM Test_Thing WHERE Nothing = 1",
        "SELECT * FROM Test_Thing WHERE Id = 'seven'",
        "SELECT * FROM Test_Thing WHERE Id = TRUE",
        "SELECT * FROM Test_Thing WHERE Flag < TRUE",
        "SELECT * FROM Test_Thing WHERE Flag = 2",
        "SELECT * FROM Test_Thing WHERE When > 'yesterday'",
        "SELECT * FROM Test_Thing WHERE When > 5",
        "SELECT * FROM Test_Thing WHERE Letter = 'AB'",
        "SELECT * FROM Test_Thing WHERE Owner < 'x'",
        "SELECT * FROM Test_Thing WHERE Tags = 'red'",
        "SELECT * FROM Test_Thing WHERE Name[0] = 'A'",
        "SELECT * FROM Test_Thing WHERE Id LIKE '7%'",
        "SELECT * FROM Test_Thing WHERE Id ISA 'Test_Thing'",
        "SELECT * FROM Test_Thing WHERE Id.Name = 'x'",
        "SELECT * FROM Test_Thing WHERE Id = Nothing",
        "SELECT * FROM meta_class WHERE Name = 'x'",
        &format!("{event} TargetInstance ISA 'Test_Thing' AND TargetInstance.Nothing = 1"),
        &format!("{event} TargetInstance.Id = 1 GROUP WITHIN 1 BY Nothing"),
    ];
    let messages: Vec<String> = all
        .iter()
        .map(|text| {
            let error = check(text);
            assert_eq!(error.code, WmiCode::WBEM_E_INVALID_QUERY, "{text}");
            format!("{text}\n  {error}")
        })
        .collect();
    insta::assert_snapshot!("checked", messages.join("\n"));
    // a property of a subclass may be asked for: instances of it are listed too
    Select::parse("SELECT More FROM Test_Base WHERE More = 'x'").unwrap().check(&repository, NS).unwrap();
}

#[test]
fn mistakes_are_pointed_at() {
    let deep = format!("SELECT * FROM C WHERE {}a=1{}", "(".repeat(33), ")".repeat(33));
    let nots = format!("SELECT * FROM C WHERE {}a=1", "NOT ".repeat(1000));
    let many = format!("SELECT * FROM C WHERE a=1{}", " OR a=1".repeat(1000));
    let long = format!("SELECT * FROM C WHERE a='{}'", "x".repeat(MAX_LENGTH));
    let pattern = format!("SELECT * FROM C WHERE a LIKE '{}'", "x".repeat(MAX_PATTERN + 1));
    let all = [
        "",
        "selec * from C",
        "SELECT",
        "SELECT FROM C",
        "SELECT * FORM C",
        "SELECT A B FROM C",
        "SELECT COUNT(A) FROM C",
        "SELECT * FROM",
        "SELECT * FROM WHERE A = 1",
        "SELECT * FROM C WHER A = 1",
        "SELECT * FROM C WHERE",
        "SELECT * FROM C WHERE A",
        "SELECT * FROM C WHERE A =",
        "SELECT * FROM C WHERE A == 1",
        "SELECT * FROM C WHERE 1 = 1",
        "SELECT * FROM C WHERE A = 1 AND",
        "SELECT * FROM C WHERE A = 1 B = 2",
        "SELECT * FROM C WHERE (A = 1 AND B = 2",
        "SELECT * FROM C WHERE A = 1)",
        "SELECT * FROM C WHERE A IS 5",
        "SELECT * FROM C WHERE A IS NOT 5",
        "SELECT * FROM C WHERE A NOT IN (1, 2)",
        "SELECT * FROM C WHERE A < NULL",
        "SELECT * FROM C WHERE A LIKE 5",
        "SELECT * FROM C WHERE A LIKE '[abc'",
        "SELECT * FROM C WHERE A ISA 'not a name'",
        "SELECT * FROM C WHERE A = 'no end",
        r"SELECT * FROM C WHERE A = 'LAB\anna'",
        "SELECT * FROM C WHERE A = 12x",
        "SELECT * FROM C WHERE A = 1e999",
        "SELECT * FROM C WHERE A = 0x",
        "SELECT * FROM C WHERE A = #1",
        "SELECT * FROM C WHERE A[x] = 1",
        "SELECT * FROM C WHERE A[-1] = 1",
        "SELECT * FROM C WHERE a.b.c.d.e.f.g.h.i = 1",
        "SELECT * FROM C WITHIN soon",
        "SELECT * FROM C WITHIN -1",
        "SELECT * FROM C GROUP BY a",
        "SELECT * FROM C GROUP WITHIN 5 HAVING Count > 1",
        "SELECT * FROM C GROUP WITHIN 5 HAVING NumberOfEvents > -1",
        "ASSOCIATORS OF {C.A=1}",
        "references of {C.A=1}",
        "SELECT * FROM \u{1}Ünïcödé WHERE \u{1F600} = 1",
        &deep,
        &nots,
        &many,
        &long,
        &pattern,
    ];
    let messages: Vec<String> = all
        .iter()
        .map(|text| {
            let error = Select::parse(text).expect_err(text);
            let shown: String = text.chars().take(70).map(|c| if c.is_control() { '?' } else { c }).collect();
            assert!(error.to_string().len() < 250, "{error}");
            format!("{shown}\n  {error}")
        })
        .collect();
    insta::assert_snapshot!("mistakes", messages.join("\n"));
    let not_offered = Select::parse("ASSOCIATORS OF {C.A=1}").unwrap_err();
    assert_eq!(CimError::from(not_offered).code, WmiCode::WBEM_E_NOT_SUPPORTED);
    assert_eq!(CimError::from(Select::parse("").unwrap_err()).code, WmiCode::WBEM_E_INVALID_QUERY);
}

#[test]
fn a_query_at_its_limits_is_read() {
    let deep = format!("{}a=1{}", "(".repeat(MAX_DEPTH), ")".repeat(MAX_DEPTH));
    assert_eq!(Condition::parse(&deep), Ok(names("a=1")));
    let many = vec!["a=1"; MAX_TERMS].join(" OR ");
    assert!(Condition::parse(&many).is_ok());
}

#[test]
fn a_plan_says_what_is_to_be_listed() {
    let repository = repository();
    let plan = |text: &str| Select::parse(text).expect(text).plan(&repository, r"ROOT\test");
    let class = ObjectPath::class(NS, "Test_Thing");
    let condition = Some(Condition::equal("Id", 7u32));
    let what = crate::Enumeration { class, condition };
    assert_eq!(plan("SELECT Name FROM test_thing WHERE Id = 7"), Ok(Plan::Instances(what.clone())));
    assert_eq!(plan("SELECT COUNT(*) FROM test_thing WHERE Id = 7"), Ok(Plan::Count(what)));
    let classes = |text: &str| match plan(text) {
        Ok(Plan::Classes(classes)) => classes.iter().map(|c: &&Class| c.name.clone()).collect::<Vec<_>>(),
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(classes("SELECT * FROM meta_class").len(), 5);
    let things = "SELECT * FROM meta_class WHERE __this ISA";
    assert_eq!(classes(&format!("{things} 'Test_Thing'")), ["Test_Special", "Test_Thing"]);
    assert_eq!(classes(&format!("{things} 'test_special'")), ["Test_Special"]);
    assert!(classes(&format!("{things} 'Nothing'")).is_empty());
    assert_eq!(classes("SELECT * FROM Meta_Class WHERE __Class = 'test_base'"), ["Test_Base"]);
    assert_eq!(classes("SELECT * FROM meta_class WHERE __SUPERCLASS = 'Test_Base'"), ["Test_Thing"]);
    assert_eq!(classes("SELECT * FROM meta_class WHERE __Class LIKE '[_][_]%' AND __GENUS = 1").len(), 2);
    for text in ["SELECT * FROM __Event", "SELECT * FROM Test_Thing WITHIN 5"] {
        assert_eq!(plan(text).unwrap_err().code, WmiCode::WBEM_E_INVALID_QUERY, "{text}");
    }
}

#[test]
fn a_projection_gives_what_was_selected_by_declared_names() {
    let repository = repository();
    let select = Select::parse("SELECT ID, name, __class, Tags[1], Other FROM Test_Thing").unwrap();
    let given = select.projection.of(&thing(&repository), &repository);
    let expected: [(&str, Value); 5] = [
        ("Id", 7u32.into()),
        ("Name", "Änna".into()),
        ("__class", "Test_Thing".into()),
        ("Tags[1]", "green".into()),
        ("Other", Value::Null),
    ];
    assert_eq!(given, expected.map(|(name, value)| (name.to_owned(), value)));
    assert_eq!(Projection::All.of(&thing(&repository), &repository).len(), 12);
    assert_eq!(count_of(r"Root\Test", 5).get("Count"), &Value::Uint64(5));
}
