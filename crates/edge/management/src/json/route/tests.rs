use super::*;
use proptest::prelude::*;
use std::sync::LazyLock;

const MOF: &str = r#"
    [SupportsCreate, SupportsDelete] class C_Note {
        [Key] string Name; [Write] string Text;
        [Static] uint32 Make([in] string Name); uint32 Stop([in] string Reason);
    };
    class C_Pair { [Key] string Host; [Key] uint32 Id; uint32 Stop(); [Static] uint32 Count(); };
    class C_Only { string Text; };
    class __Event { };
"#;

static REPOSITORY: LazyLock<Repository> = LazyLock::new(|| {
    let mut repository = Repository::default();
    repository.load("root/a", MOF).unwrap();
    repository
});

/// What is asked for, in short.
fn asked(verb: Verb, path: &str) -> String {
    match route(&REPOSITORY, &verb, path) {
        Ok(Operation::Index) => "index".to_owned(),
        Ok(Operation::OpenApi) => "openapi".to_owned(),
        Ok(Operation::Events) => "events".to_owned(),
        Ok(Operation::List(class)) => format!("list {}", class.name),
        Ok(Operation::Create(class)) => format!("create {}", class.name),
        Ok(Operation::Get(path, _)) => format!("get {}", path.relative()),
        Ok(Operation::Patch(path, _)) => format!("patch {}", path.relative()),
        Ok(Operation::Delete(path, _)) => format!("delete {}", path.relative()),
        Ok(Operation::Invoke(path, _, method)) => format!("{} on {}", method.name, path.relative()),
        Err(problem) => {
            let body = problem.body();
            format!("{} {}", body["status"], body["wmiName"].as_str().unwrap())
        }
    }
}

#[test]
fn addresses_name_what_they_say() {
    for (verb, path, expected) in [
        (Verb::GET, "/api/v1", "index"),
        (Verb::HEAD, "/api/v1/", "index"),
        (Verb::GET, "/api/v1/openapi.json", "openapi"),
        (Verb::GET, "/api/v1/events", "events"),
        (Verb::GET, "/api/v1/c_NOTE", "list C_Note"),
        (Verb::POST, "/api/v1/C_Note", "create C_Note"),
        (Verb::GET, "/api/v1/C_Note/a%2Fb", r#"get C_Note.Name="a/b""#),
        (Verb::GET, "/api/v1/C_Note/", r#"get C_Note.Name="""#),
        (Verb::PATCH, "/api/v1/C_Note/x", r#"patch C_Note.Name="x""#),
        (Verb::DELETE, "/api/v1/C_Note/x", r#"delete C_Note.Name="x""#),
        (Verb::POST, "/api/v1/C_Note/x/sTOP", r#"Stop on C_Note.Name="x""#),
        (Verb::POST, "/api/v1/C_Note/make", "Make on C_Note"),
        (Verb::HEAD, "/api/v1/C_Pair/h/7", r#"get C_Pair.Host="h",Id=7"#),
        (Verb::POST, "/api/v1/C_Pair/h/7/Stop", r#"Stop on C_Pair.Host="h",Id=7"#),
        // an instance may have the name of a static method
        (Verb::GET, "/api/v1/C_Note/Make", r#"get C_Note.Name="Make""#),
    ] {
        assert_eq!(asked(verb.clone(), path), expected, "{verb} {path}");
    }
}

#[test]
fn what_is_not_there_is_refused_with_its_code() {
    for (verb, path, expected) in [
        (Verb::GET, "/api/v1/Other", "404 WBEM_E_INVALID_CLASS"),
        (Verb::GET, "/api/v1/__Event", "404 WBEM_E_INVALID_CLASS"),
        (Verb::GET, "/api/v1//C_Note", "list C_Note"),
        (Verb::GET, "/api/v1/C_Note/x/y", "400 WBEM_E_INVALID_OBJECT_PATH"),
        (Verb::GET, "/api/v1/C_Pair/h/seven", "400 WBEM_E_INVALID_OBJECT_PATH"),
        (Verb::GET, "/api/v1/C_Only/x", "400 WBEM_E_INVALID_OBJECT_PATH"),
        (Verb::POST, "/api/v1/C_Note/x/Other", "404 WBEM_E_INVALID_METHOD"),
        (Verb::POST, "/api/v1/C_Pair/Stop", "400 WBEM_E_INVALID_OBJECT_PATH"),
        (Verb::POST, "/api/v1/C_Note/x/Make", "400 WBEM_E_INVALID_OBJECT_PATH"),
        (Verb::GET, "/api/v1/C_Note/%", "400 WBEM_E_INVALID_PARAMETER"),
        (Verb::PUT, "/api/v1/C_Note", "405 WBEM_E_NOT_SUPPORTED"),
        (Verb::PUT, "/api/v1/C_Note/x", "405 WBEM_E_NOT_SUPPORTED"),
        (Verb::POST, "/api/v1/C_Note/x", "405 WBEM_E_NOT_SUPPORTED"),
        (Verb::GET, "/api/v1/C_Note/x/Stop", "405 WBEM_E_NOT_SUPPORTED"),
        (Verb::GET, "/api/v1/C_Pair/Count", "405 WBEM_E_NOT_SUPPORTED"),
        (Verb::PUT, "/api/v1/C_Note/Make", "405 WBEM_E_NOT_SUPPORTED"),
        (Verb::POST, "/api/v1", "405 WBEM_E_NOT_SUPPORTED"),
        (Verb::HEAD, "/api/v1/events", "405 WBEM_E_NOT_SUPPORTED"),
    ] {
        assert_eq!(asked(verb.clone(), path), expected, "{verb} {path}");
    }
}

#[test]
fn what_the_schema_does_not_declare_and_the_service_refuses_is_not_offered() {
    let told = |operation: Operation<'_>, code| {
        let body = operation.instead().of(CimError::new(code, "x").into()).body();
        body["status"].as_u64().unwrap()
    };
    let of = |verb, path| route(&REPOSITORY, &verb, path).unwrap();
    for refused in [WmiCode::WBEM_E_PROVIDER_NOT_CAPABLE, WmiCode::WBEM_E_INVALID_PARAMETER] {
        assert_eq!(told(of(Verb::POST, "/api/v1/C_Pair"), refused), 405);
        assert_eq!(told(of(Verb::PATCH, "/api/v1/C_Pair/h/1"), refused), 405);
        assert_eq!(told(of(Verb::DELETE, "/api/v1/C_Pair/h/1"), refused), 405);
    }
    assert_eq!(told(of(Verb::POST, "/api/v1/C_Pair"), WmiCode::WBEM_E_NOT_AVAILABLE), 503);
    assert_eq!(told(of(Verb::POST, "/api/v1/C_Note"), WmiCode::WBEM_E_PROVIDER_NOT_CAPABLE), 501);
    assert_eq!(told(of(Verb::PATCH, "/api/v1/C_Note/x"), WmiCode::WBEM_E_INVALID_PARAMETER), 400);
    let gone = WmiCode::WBEM_E_NOT_FOUND;
    assert_eq!(told(of(Verb::GET, "/api/v1/C_Note/Make"), gone), 405);
    assert_eq!(told(of(Verb::GET, "/api/v1/C_Note/Stop"), gone), 404);
    assert_eq!(told(of(Verb::DELETE, "/api/v1/C_Note/x"), gone), 404);
}

proptest! {
    #[test]
    fn the_address_of_an_instance_names_it(host in "[^\u{0}-\u{8}\u{b}\u{c}\u{e}-\u{1f}\u{fffe}\u{ffff}]{0,20}", id: u32) {
        let path = ObjectPath::class("root/a", "C_Pair").with_key("Host", host).with_key("Id", id);
        let class = REPOSITORY.class("root/a", "C_Pair").unwrap();
        prop_assert_eq!(route(&REPOSITORY, &Verb::GET, &text::link(&path)), Ok(Operation::Get(path, class)));
    }

    #[test]
    fn no_address_panics(path in "/api/v1/(C_Note|C_Pair|.{0,5})?(/[a-zA-Z%/0-9\u{e4}]{0,8}){0,4}") {
        for verb in [Verb::GET, Verb::POST, Verb::PATCH, Verb::DELETE, Verb::PUT] {
            asked(verb, &path);
        }
    }
}
