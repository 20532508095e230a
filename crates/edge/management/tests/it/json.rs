//! The JSON API over real sockets.

use crate::fake::{Fake, Running};
use crate::raw::{ANNA, ROOT, Reply, ask, basic, exchange, post, send};
use openrdms_cim::Value as Cim;
use openrdms_management::Config;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;

const SESSION: &str = "/api/v1/Win32_VirtualDesktopSession";

/// A server with a client of its own.
struct Desk {
    server: Running,
    stream: TcpStream,
}

impl Desk {
    async fn new(sessions: u32, config: Config) -> Self {
        let server = Running::start(Fake::new(sessions), config, None).await;
        let stream = TcpStream::connect(server.address).await.unwrap();
        Self { server, stream }
    }

    async fn plain(sessions: u32) -> Self {
        Self::new(sessions, Config::default()).await
    }

    async fn raw(&mut self, bytes: &[u8]) -> Reply {
        exchange(&mut self.stream, bytes).await
    }

    async fn get(&mut self, path: &str) -> (u16, Value) {
        told(&self.raw(&ask("GET", path, &basic(ROOT))).await)
    }

    async fn send(&mut self, verb: &str, path: &str, body: &str) -> (u16, Value) {
        told(&self.raw(&send(verb, path, &basic(ROOT), body)).await)
    }
}

fn told(reply: &Reply) -> (u16, Value) {
    let body = match reply.body.as_slice() {
        [] => Value::Null,
        body => serde_json::from_slice(body).expect("the body is JSON"),
    };
    if reply.status >= 400 {
        assert_eq!(reply.header("content-type"), Some("application/problem+json"));
        assert_eq!(body["status"], reply.status);
    }
    (reply.status, body)
}

/// Status and name of the code.
fn problem((status, body): (u16, Value)) -> (u16, String) {
    (status, body["wmiName"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_list_goes_on_from_page_to_page() {
    let mut desk = Desk::plain(250).await;
    let (status, first) = desk.get(SESSION).await;
    assert_eq!((status, first["items"].as_array().unwrap().len()), (200, 100));
    assert_eq!(
        first["items"][0],
        json!({
            "@type": "Win32_VirtualDesktopSession", "@id": format!("{SESSION}/host1/1"), "VMHostName": "host1",
            "SessionId": 1, "VMName": "desk<1>", "ConnectState": 4, "UserName": "änna", "DomainName": "LAB",
            "CollectionId": "office", "ClientMachineName": null,
        })
    );
    let (mut ids, mut next) = (Vec::new(), json!(""));
    while let Some(cursor) = next.as_str() {
        let (_, page) = desk
            .get(
                format!("{SESSION}?limit=99&fields=sessionID&cursor={cursor}")
                    .replace("&cursor=\"\"", "")
                    .trim_end_matches("&cursor="),
            )
            .await;
        for item in page["items"].as_array().unwrap() {
            assert_eq!(item.as_object().unwrap().len(), 3, "@type, @id and what was asked for");
            ids.push(item["SessionId"].as_u64().unwrap());
        }
        assert!(page["asOf"].as_str().unwrap().ends_with('Z'));
        next = page["next"].clone();
    }
    assert_eq!(ids, (1..=250).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_list_is_chosen_from_by_properties_and_wql() {
    let mut desk = Desk::plain(20).await;
    for (query, expected) in [
        ("sessionid=7", vec![7]),
        ("UserName=%C3%84NNA&limit=2", vec![1, 2]),
        ("UserName=x", vec![]),
        ("ConnectState=4&where=SessionId+%3C+6", vec![1, 3, 5]),
        ("where=VMName+LIKE+'desk%3C1_%3E'+AND+SessionId%3E17", vec![18, 19]),
    ] {
        let (status, page) = desk.get(&format!("{SESSION}?{query}")).await;
        let ids: Vec<_> =
            page["items"].as_array().unwrap().iter().map(|i| i["SessionId"].as_u64().unwrap()).collect();
        assert_eq!((status, ids), (200, expected), "{query}");
    }
}

#[tokio::test]
async fn a_cursor_is_refused_where_it_does_not_belong() {
    let mut desk = Desk::plain(20).await;
    let (_, page) = desk.get(&format!("{SESSION}?limit=2&ConnectState=4")).await;
    let cursor = page["next"].as_str().unwrap().to_owned();
    let (_, page) = desk.get(&format!("{SESSION}?ConnectState=4&cursor={cursor}")).await;
    assert_eq!(page["items"][0]["SessionId"], 5);
    let wrong = (400, "WBEM_E_INVALID_CONTEXT".to_owned());
    for other in [SESSION.to_owned(), format!("{SESSION}?ConnectState=0"), "/api/v1/Note".to_owned()] {
        let between = if other.contains('?') { '&' } else { '?' };
        assert_eq!(problem(desk.get(&format!("{other}{between}cursor={cursor}")).await), wrong, "{other}");
    }
    assert_eq!(problem(desk.get(&format!("{SESSION}?cursor={}", "A".repeat(10_000))).await), wrong);
}

#[tokio::test]
async fn a_page_is_as_long_as_an_answer_may_be() {
    let config = Config { max_envelope: 4096, ..Config::default() };
    let mut desk = Desk::new(100, config).await;
    let (mut count, mut path) = (0, format!("{SESSION}?limit=1000"));
    loop {
        let reply = desk.raw(&ask("GET", &path, &basic(ROOT))).await;
        assert!(reply.body.len() <= 4096, "{}", reply.body.len());
        let (_, page) = told(&reply);
        let items = page["items"].as_array().unwrap().len();
        count += items;
        let Some(next) = page["next"].as_str() else { break };
        assert!(items > 5, "pages are filled");
        path = format!("{SESSION}?limit=1000&cursor={next}");
    }
    assert_eq!(count, 100);
    let mut short = Desk::new(1, Config { max_envelope: 400, ..Config::default() }).await;
    assert_eq!(problem(short.get(SESSION).await), (503, "WBEM_E_QUOTA_VIOLATION".to_owned()));
}

#[tokio::test]
async fn who_has_it_already_is_told_so() {
    let mut desk = Desk::plain(3).await;
    for (path, weak) in
        [(SESSION.to_owned(), true), (format!("{SESSION}/host1/2"), false), ("/api/v1".to_owned(), false)]
    {
        let reply = desk.raw(&ask("GET", &path, &basic(ROOT))).await;
        let tag = reply.header("etag").unwrap().to_owned();
        assert_eq!(tag.starts_with("W/"), weak, "{path}");
        let header = format!("{}If-None-Match: \"x\", {tag}\r\n", basic(ROOT));
        let reply = desk.raw(&ask("GET", &path, &header).clone()).await;
        assert_eq!(
            (reply.status, reply.header("etag"), reply.body.len()),
            (304, Some(tag.as_str()), 0),
            "{path}"
        );
        let header = format!("{}If-None-Match: \"x\"\r\n", basic(ROOT));
        assert_eq!(desk.raw(&ask("GET", &path, &header)).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_head_is_the_same_without_its_body() {
    let mut desk = Desk::plain(3).await;
    let path = format!("{SESSION}/host1/2");
    let whole = desk.raw(&ask("GET", &path, &basic(ROOT))).await;
    let head = "Connection: close\r\n".to_owned() + &basic(ROOT);
    tokio::io::AsyncWriteExt::write_all(&mut desk.stream, &ask("HEAD", &path, &head)).await.unwrap();
    let mut text = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut desk.stream, &mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("\r\n\r\n"), "{text}");
    assert!(text.contains(&format!("content-length: {}\r\n", whole.body.len())), "{text}");
    assert!(text.contains(whole.header("etag").unwrap()));
}

#[tokio::test]
async fn a_method_is_called_with_what_the_caller_says() {
    let mut desk = Desk::plain(3).await;
    let path = format!("{SESSION}/host1/2/sendmessage?ExpectedUser=%C3%A4nna&expectedstate=Active");
    let (status, body) = desk.send("POST", &path, r#"{"title": "t", "Message": "m\nn"}"#).await;
    assert_eq!((status, body), (200, json!({ "ReturnValue": 0 })));
    let calls = desk.server.fake.calls.lock().unwrap().clone();
    let [(who, path, method, params, options)] = calls.as_slice() else { panic!("one call") };
    assert_eq!((who.as_str(), method.as_str()), ("LAB\\root", "SendMessage"));
    assert_eq!(path, r#"root/cimv2/rdms:Win32_VirtualDesktopSession.VMHostName="host1",SessionId=2"#);
    assert_eq!((params.get("Title"), params.get("Message")), (&Cim::from("t"), &Cim::from("m\nn")));
    let expected = [("ExpectedUser", "änna"), ("ExpectedState", "Active")];
    assert_eq!(*options, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn what_a_method_returns_is_a_problem_with_its_status() {
    let mut desk = Desk::plain(3).await;
    let (status, body) = desk.send("POST", &format!("{SESSION}/host1/2/Logoff"), "{}").await;
    assert_eq!(
        (status, &body["wmiCode"], &body["ReturnValue"]),
        (409, &json!("0x80041016"), &json!(2_147_749_910u32))
    );
    assert_eq!(body["title"], "Not possible in the present state");
    assert_eq!(body["detail"], "it is being started");
    let anna = basic(ANNA);
    let reply = desk.raw(&send("POST", &format!("{SESSION}/host1/2/Disconnect"), &anna, "{}")).await;
    assert_eq!(problem(told(&reply)), (403, "WBEM_E_ACCESS_DENIED".to_owned()));
}

#[tokio::test]
async fn an_instance_is_made_changed_and_removed() {
    let mut desk = Desk::plain(0).await;
    let reply = desk
        .raw(&send("POST", "/api/v1/note", &basic(ROOT), r#"{"Name": "a/b", "Tags": ["x"], "Size": 1}"#))
        .await;
    let (status, made) = told(&reply);
    let at = "/api/v1/Note/a%2Fb";
    assert_eq!((status, reply.header("location")), (201, Some(at)));
    assert_eq!(
        made,
        json!({ "@type": "Note", "@id": at, "Name": "a/b", "Text": null, "Size": 1, "Tags": ["x"] })
    );
    assert_eq!(
        problem(desk.send("POST", "/api/v1/Note", r#"{"Name": "A/B"}"#).await),
        (409, "WBEM_E_ALREADY_EXISTS".to_owned())
    );

    // sent back as it was got, with a value edited
    let whole = json!({ "@type": "Note", "@id": at, "Name": "a/b", "Text": "t", "Size": null, "Tags": [] });
    let (status, changed) = desk.send("PATCH", at, &whole.to_string()).await;
    assert_eq!((status, changed), (200, whole));
    assert_eq!(
        problem(desk.send("PATCH", at, r#"{"Name": "c"}"#).await),
        (400, "WBEM_E_READ_ONLY".to_owned())
    );

    let seen = desk.raw(&ask("GET", &format!("{at}?fields=Text"), &basic(ROOT))).await;
    let tag = seen.header("etag").unwrap().to_owned();
    desk.send("PATCH", at, r#"{"Size": 9}"#).await;
    let if_match = |tag: &str| format!("{}If-Match: {tag}\r\n", basic(ROOT));
    let stale = desk.raw(&send("PATCH", at, &if_match(&tag), r#"{"Text": "u"}"#)).await;
    assert_eq!(problem(told(&stale)), (412, "WBEM_E_INVALID_OBJECT".to_owned()));
    let path = format!("{at}?fields=Text");
    let fresh = desk.raw(&send("PATCH", &path, &if_match(&tag), r#"{"Text": "u"}"#)).await;
    assert_eq!(
        (fresh.status, told(&fresh).1["Text"].clone()),
        (200, json!("u")),
        "the part that was seen is as it was"
    );
    assert_ne!(fresh.header("etag"), Some(tag.as_str()));

    assert_eq!(desk.raw(&ask("DELETE", &path, &if_match(&tag))).await.status, 412);
    let reply = desk.raw(&ask("DELETE", at, &if_match("*"))).await;
    assert_eq!((reply.status, reply.body.len()), (204, 0));
    assert_eq!(problem(desk.get(at).await), (404, "WBEM_E_NOT_FOUND".to_owned()));
}

#[tokio::test]
async fn a_verb_that_is_not_offered_is_refused_with_those_that_are() {
    let mut desk = Desk::plain(3).await;
    let session = format!("{SESSION}/host1/2");
    for (verb, path, allow) in [
        ("PUT", SESSION, "GET, HEAD"),
        ("OPTIONS", SESSION, "GET, HEAD"),
        ("DELETE", SESSION, "GET, HEAD"),
        ("POST", SESSION, "GET, HEAD"),
        ("DELETE", &session, "GET, HEAD"),
        ("PATCH", &session, "GET, HEAD"),
        ("PUT", "/api/v1/Note/x", "GET, HEAD, PATCH, DELETE"),
        ("DELETE", "/api/v1/Note", "GET, HEAD, POST"),
        ("GET", "/api/v1/Win32_VirtualDesktopSession/host1/2/Disconnect", "POST"),
        ("POST", "/api/v1", "GET, HEAD"),
        ("DELETE", "/api/v1/openapi.json", "GET, HEAD"),
        ("POST", "/api/v1/events", "GET"),
    ] {
        let reply = desk.raw(&send(verb, path, &basic(ROOT), "{}")).await;
        assert_eq!((told(&reply).0, reply.header("allow")), (405, Some(allow)), "{verb} {path}");
    }
    assert!(desk.server.fake.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn garbage_is_refused_with_the_code_that_says_why() {
    let mut desk = Desk::plain(3).await;
    let long = "x".repeat(10_000);
    let session = format!("{SESSION}/host1/2");
    let before = desk.server.fake.notes.all();
    for (verb, path, body, status, name) in [
        ("GET", format!("/api/v1/{long}"), "", 404, "WBEM_E_INVALID_CLASS"),
        ("GET", format!("{SESSION}/{long}/2"), "", 200, ""),
        ("GET", format!("{SESSION}/host1/{long}"), "", 400, "WBEM_E_INVALID_OBJECT_PATH"),
        ("GET", format!("{SESSION}/host1"), "", 400, "WBEM_E_INVALID_OBJECT_PATH"),
        ("GET", format!("{SESSION}/host1/4294967296"), "", 400, "WBEM_E_INVALID_OBJECT_PATH"),
        ("GET", format!("{SESSION}/host1/99"), "", 404, "WBEM_E_NOT_FOUND"),
        ("GET", format!("{SESSION}/%zz/1"), "", 400, "WBEM_E_INVALID_PARAMETER"),
        ("GET", format!("{SESSION}?{long}=1"), "", 400, "WBEM_E_INVALID_PARAMETER"),
        ("GET", format!("{SESSION}?SessionId={long}"), "", 400, "WBEM_E_TYPE_MISMATCH"),
        ("GET", format!("{SESSION}?where={long}"), "", 400, "WBEM_E_INVALID_QUERY"),
        ("GET", format!("{SESSION}?where=Other=1"), "", 400, "WBEM_E_INVALID_QUERY"),
        ("GET", format!("{SESSION}?fields={long}"), "", 400, "WBEM_E_INVALID_PARAMETER"),
        ("GET", format!("{SESSION}?fields="), "", 400, "WBEM_E_INVALID_PARAMETER"),
        ("GET", format!("{SESSION}?limit=0"), "", 400, "WBEM_E_VALUE_OUT_OF_RANGE"),
        ("GET", format!("{SESSION}?limit=1001"), "", 400, "WBEM_E_VALUE_OUT_OF_RANGE"),
        ("GET", format!("{SESSION}?limit=1&limit=1"), "", 400, "WBEM_E_INVALID_PARAMETER"),
        ("GET", format!("{SESSION}?{}", "SessionId=1&".repeat(101)), "", 400, "WBEM_E_INVALID_PARAMETER"),
        ("GET", format!("{session}?limit=1"), "", 400, "WBEM_E_INVALID_PARAMETER"),
        ("POST", format!("{session}/{long}"), "{}", 404, "WBEM_E_INVALID_METHOD"),
        ("POST", format!("{session}/SendMessage"), &long, 400, "WBEM_E_INVALID_PARAMETER"),
        ("POST", format!("{session}/SendMessage"), "", 400, "WBEM_E_INVALID_PARAMETER"),
        ("POST", format!("{session}/SendMessage"), "[]", 400, "WBEM_E_INVALID_PARAMETER"),
        (
            "POST",
            format!("{session}/SendMessage"),
            r#"{"Title": 7}"#,
            400,
            "WBEM_E_INVALID_METHOD_PARAMETERS",
        ),
        (
            "POST",
            format!("{session}/SendMessage"),
            r#"{"Other": 7}"#,
            400,
            "WBEM_E_INVALID_METHOD_PARAMETERS",
        ),
        ("POST", format!("{session}/Disconnect?ExpectedUsr=x"), "{}", 400, "WBEM_E_INVALID_PARAMETER"),
        ("POST", format!("{SESSION}/Disconnect"), "{}", 400, "WBEM_E_INVALID_OBJECT_PATH"),
        ("POST", "/api/v1/Note".to_owned(), r#"{"Name": ["a"]}"#, 400, "WBEM_E_TYPE_MISMATCH"),
        ("POST", "/api/v1/Note".to_owned(), r#"{"Nmae": "a"}"#, 400, "WBEM_E_INVALID_PARAMETER"),
        ("PATCH", "/api/v1/Note/first".to_owned(), r#"{"Size": "1"}"#, 400, "WBEM_E_TYPE_MISMATCH"),
        ("GET", "/api/v1/__InstanceCreationEvent".to_owned(), "", 404, "WBEM_E_INVALID_CLASS"),
    ] {
        let told = desk.send(verb, &path, body).await;
        assert!(told.1.to_string().len() < 1000, "what came is not sent back at any length");
        assert_eq!(
            problem(told),
            (status, name.to_owned()),
            "{verb} {}",
            path.chars().take(90).collect::<String>()
        );
    }
    assert!(desk.server.fake.calls.lock().unwrap().is_empty());
    assert_eq!(desk.server.fake.notes.all(), before);
}

#[tokio::test]
async fn a_page_of_another_site_can_call_nothing() {
    let mut desk = Desk::plain(3).await;
    let path = format!("{SESSION}/host1/2/Disconnect");
    for kind in ["", "Content-Type: text/plain\r\n", "Content-Type: application/x-www-form-urlencoded\r\n"] {
        let reply = desk.raw(&post(&path, &format!("{}{kind}", basic(ROOT)), b"{}")).await;
        assert_eq!(told(&reply).0, 415, "{kind}");
    }
    let reply =
        desk.raw(&ask("OPTIONS", &path, &format!("{}Origin: https://x.example\r\n", basic(ROOT)))).await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (405, None));
    assert!(desk.server.fake.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn nothing_is_told_or_done_for_somebody_unproved() {
    let mut desk = Desk::plain(3).await;
    for path in ["/api/v1", "/api/v1/openapi.json", "/api/v1/events?class=Note", SESSION, "/api/v1/Other"] {
        for who in [String::new(), basic("LAB\\root:wrong")] {
            let reply = desk.raw(&ask("GET", path, &who)).await;
            assert_eq!(problem(told(&reply)), (401, "WBEM_E_ACCESS_DENIED".to_owned()));
            assert!(reply.header("www-authenticate").unwrap().starts_with("Basic realm="));
        }
    }
    let reply = desk.raw(&send("POST", &format!("{SESSION}/host1/2/Disconnect"), "", "{}")).await;
    assert_eq!(told(&reply).0, 401);
    assert!(desk.server.fake.calls.lock().unwrap().is_empty());
    let reply = desk.raw(&ask("GET", SESSION, &basic("broken:x"))).await;
    assert_eq!((told(&reply).0, reply.header("retry-after")), (503, Some("1")));
    for path in ["/api/v2", "/api", "/api/v10", "/"] {
        assert_eq!(desk.raw(&ask("GET", path, &basic(ROOT))).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn long_and_slow_bodies_are_refused_as_for_the_other_front() {
    let config = Config { max_request: 1000, body_timeout: Duration::from_millis(100), ..Config::default() };
    let mut desk = Desk::new(1, config).await;
    let reply = desk.raw(&send("POST", SESSION, &basic(ROOT), &" ".repeat(1001))).await;
    assert_eq!((problem(told(&reply)).0, reply.header("connection")), (413, Some("close")));
    let mut desk = Desk { stream: TcpStream::connect(desk.server.address).await.unwrap(), ..desk };
    let slow = format!("POST {SESSION} HTTP/1.1\r\nHost: x\r\n{}Content-Length: 9\r\n\r\n{{", basic(ROOT));
    assert_eq!(problem(told(&desk.raw(slow.as_bytes()).await)).0, 408);
}

#[tokio::test]
async fn careful_clients_are_asked_for_their_body() {
    let mut desk = Desk::plain(3).await;
    let path = format!("{SESSION}/host1/2/Disconnect");
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\n{}Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
        basic(ROOT)
    );
    assert_eq!(desk.raw(head.as_bytes()).await.status, 100);
    assert_eq!(told(&desk.raw(b"{}").await).0, 200);
}

#[tokio::test]
async fn a_method_runs_on_when_its_caller_goes_and_there_are_only_so_many() {
    let config = Config { max_methods: 1, request_timeout: Duration::from_millis(100), ..Config::default() };
    let mut desk = Desk::new(3, config).await;
    let gate = desk.server.fake.gate.acquire_many(1000).await.unwrap();
    let path = format!("{SESSION}/host1/2/Disconnect");
    let fake = desk.server.fake.clone();
    assert_eq!(
        problem(told(&exchange(&mut desk.stream, &send("POST", &path, &basic(ROOT), "{}")).await)),
        (504, "WBEM_E_TIMED_OUT".to_owned())
    );
    let busy = exchange(&mut desk.stream, &send("POST", &path, &basic(ROOT), "{}")).await;
    assert_eq!(
        (problem(told(&busy)), busy.header("retry-after")),
        ((503, "WBEM_E_SERVER_TOO_BUSY".to_owned()), Some("1"))
    );
    drop(gate);
    desk.server.server.methods_ended().await;
    assert_eq!(fake.calls.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn the_index_and_the_document_tell_of_every_class() {
    let mut desk = Desk::plain(0).await;
    let (_, index) = desk.get("/api/v1").await;
    let classes = index["classes"].as_array().unwrap();
    let session = classes.iter().find(|class| class["href"] == SESSION).unwrap();
    assert_eq!(session["keys"], json!(["VMHostName", "SessionId"]));
    assert!(classes.iter().any(|class| class["name"] == "Note_Long"));
    assert!(!classes.iter().any(|class| class["name"].as_str().unwrap().starts_with("__")));
    let (_, document) = desk.get("/api/v1/openapi.json").await;
    let of_note: Vec<_> = document["paths"]["/api/v1/Note/{Name}"].as_object().unwrap().keys().collect();
    assert_eq!(of_note, ["delete", "get", "parameters", "patch"]);
    assert!(document["paths"]["/api/v1/Note"]["post"].is_object());
    assert!(document["paths"][SESSION]["post"].is_null());
}
