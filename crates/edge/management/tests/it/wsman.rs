//! Operations from end to end, by the client half of `openrdms-wsman`.

use crate::fake::{CLASS, Fake, NAMESPACE, Running};
use crate::raw::{ANNA, ROOT, Reply, basic, exchange, post};
use openrdms_cim::{CimError, Condition, Enumeration, Kind, Listing, ObjectPath, Params, Value, WmiCode};
use openrdms_management::Config;
use openrdms_wsman::Charset;
use openrdms_wsman::client::{Answer, AnswerError, Call, read};
use std::time::Duration;
use tokio::net::TcpStream;

fn call(options: &[(String, String)]) -> Call<'_> {
    Call { to: "http://x/wsman", message_id: "uuid:1", timeout: None, max_envelope: 512_000, options }
}

fn class() -> ObjectPath {
    ObjectPath::class(NAMESPACE, CLASS)
}

fn session(id: u32) -> ObjectPath {
    class().with_key("VMHostName", "host1").with_key("SessionId", id)
}

pub(crate) fn enumerate(max: usize) -> String {
    call(&[]).enumerate(&Enumeration { class: class(), condition: None }, max)
}

pub(crate) fn invoke(id: u32, method: &str, params: &[(&str, &str)]) -> String {
    let params = params.iter().fold(Params::default(), |all, (n, v)| all.with(n, *v));
    call(&[]).invoke(&session(id), method, &params)
}

async fn ask(server: &Running, who: &str, body: &str) -> (Reply, Result<Answer, AnswerError>) {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let reply = exchange(&mut stream, &post("/wsman", &basic(who), body.as_bytes())).await;
    let answer = read(&reply.body, NAMESPACE, openrdms_cim::CimService::repository(&*server.fake));
    assert_eq!(reply.status, if matches!(answer, Err(AnswerError::Fault(_))) { 500 } else { 200 });
    (reply, answer)
}

async fn listing(server: &Running, body: &str) -> Listing {
    match ask(server, ROOT, body).await.1 {
        Ok(Answer::Listing(listing)) => listing,
        other => panic!("{other:?}"),
    }
}

async fn refused(server: &Running, who: &str, body: &str) -> CimError {
    match ask(server, who, body).await.1 {
        Err(AnswerError::Fault(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn ids(listing: &Listing) -> Vec<i128> {
    listing.instances.iter().map(|i| i.get("SessionId").as_int().unwrap()).collect()
}

#[tokio::test]
async fn a_long_listing_comes_whole_in_batches() {
    let server = Running::plain(2500).await;
    let mut page = listing(&server, &enumerate(32_000)).await;
    let mut all = ids(&page);
    assert!((1..=1000).contains(&all.len()), "{}", all.len());
    let mut pulls = 0;
    while let Some(context) = page.next {
        page = listing(&server, &call(&[]).pull(&class(), &context, 32_000)).await;
        all.extend(ids(&page));
        pulls += 1;
    }
    assert_eq!(all, (1..=2500).collect::<Vec<i128>>());
    assert!(pulls >= 2);
}

#[tokio::test]
async fn a_reply_brings_what_was_asked_for_in_however_many_pages_it_is_read() {
    let server = Running::plain(1500).await;
    let page = listing(&server, &enumerate(701)).await;
    assert_eq!(ids(&page), (1..=701).collect::<Vec<i128>>());
    let rest = call(&[]).pull(&class(), &page.next.unwrap(), 701);
    assert_eq!(ids(&listing(&server, &rest).await), (702..=1402).collect::<Vec<i128>>());
    let odd = Enumeration { class: class(), condition: Some(Condition::equal("ConnectState", "4")) };
    let page = listing(&server, &call(&[]).enumerate(&odd, 701)).await;
    assert_eq!(ids(&page), (1..=1401).step_by(2).collect::<Vec<i128>>());
}

#[tokio::test]
async fn a_reply_is_filled_as_far_as_the_envelope_goes() {
    let server = Running::plain(2500).await;
    let page = listing(&server, &enumerate(1000)).await;
    let small = Call { max_envelope: 100_000, ..call(&[]) };
    let what = Enumeration { class: class(), condition: None };
    let (reply, answer) = ask(&server, ROOT, &small.enumerate(&what, 1000)).await;
    let Ok(Answer::Listing(fewer)) = answer else { panic!("{answer:?}") };
    assert!((95_000..=100_000).contains(&reply.body.len()), "{}", reply.body.len());
    assert!((150..page.instances.len()).contains(&fewer.instances.len()), "{}", fewer.instances.len());
}

#[tokio::test]
async fn a_reply_fits_into_the_clients_envelope() {
    let server = Running::plain(300).await;
    let small = Call { max_envelope: 8192, ..call(&[]) };
    let what = Enumeration { class: class(), condition: None };
    let mut body = small.enumerate(&what, 200);
    let mut all = Vec::new();
    loop {
        let (reply, answer) = ask(&server, ROOT, &body).await;
        assert!(reply.body.len() <= 8192, "{}", reply.body.len());
        let Ok(Answer::Listing(page)) = answer else { panic!("{answer:?}") };
        assert!(!page.instances.is_empty());
        all.extend(ids(&page));
        let Some(context) = page.next else { break };
        body = small.pull(&class(), &context, 200);
    }
    assert_eq!(all.len(), 300);
}

#[tokio::test]
async fn equality_filters_are_passed_on() {
    let server = Running::plain(5).await;
    let what = Enumeration { class: class(), condition: Some(Condition::equal("connectstate", "4")) };
    assert_eq!(ids(&listing(&server, &call(&[]).enumerate(&what, 10)).await), [1, 3, 5]);
    let what = Enumeration { class: class(), condition: Some(Condition::equal("Nothing", "4")) };
    let error = refused(&server, ROOT, &call(&[]).enumerate(&what, 10)).await;
    assert_eq!(error.code, WmiCode::WBEM_E_INVALID_QUERY);
}

#[tokio::test]
async fn somebody_elses_listing_and_a_released_one_are_unknown() {
    let server = Running::plain(5).await;
    let context = listing(&server, &enumerate(2)).await.next.unwrap();
    let pull = call(&[]).pull(&class(), &context, 2);
    assert_eq!(refused(&server, ANNA, &pull).await.code, WmiCode::WBEM_E_INVALID_CONTEXT);
    assert_eq!(ids(&listing(&server, &pull).await), [3, 4]);
    let release = call(&[]).release(&class(), &context);
    assert_eq!(ask(&server, ROOT, &release).await.1, Ok(Answer::Empty));
    assert_eq!(refused(&server, ROOT, &pull).await.code, WmiCode::WBEM_E_INVALID_CONTEXT);
}

#[tokio::test]
async fn get_gives_the_instance_or_says_that_there_is_none() {
    let server = Running::plain(3).await;
    let Ok(Answer::Instance(instance)) = ask(&server, ROOT, &call(&[]).get(&session(2))).await.1 else {
        panic!("there is a session 2")
    };
    assert_eq!(instance.get("VMName"), &Value::from("desk<2>"));
    assert_eq!(instance.get("UserName"), &Value::from("änna"));
    assert_eq!(instance.get("ClientMachineName"), &Value::Null);
    let error = refused(&server, ROOT, &call(&[]).get(&session(4))).await;
    assert_eq!((error.code, error.message.as_str()), (WmiCode::WBEM_E_NOT_FOUND, "no such session"));
}

#[tokio::test]
async fn methods_get_their_parameters_and_options() {
    let server = Running::plain(3).await;
    let options = [("ExpectedUser".to_owned(), "LAB\\änna".to_owned())];
    let params = Params::default().with("title", "T").with("Message", "a\r\n<b>\u{1}");
    let body = call(&options).invoke(&session(2), "sendmessage", &params);
    let Ok(Answer::Output(result)) = ask(&server, ROOT, &body).await.1 else { panic!("it returns") };
    assert_eq!(result.return_value, Value::Uint32(0));
    let calls = server.fake.calls.lock().unwrap().clone();
    let [(who, path, method, params, got)] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!((who.as_str(), method.as_str()), ("LAB\\root", "SendMessage"));
    assert_eq!(path, "root/cimv2/rdms:Win32_VirtualDesktopSession.VMHostName=\"host1\",SessionId=2");
    assert_eq!(params.string("Title"), Ok(Some("T")));
    assert_eq!(params.string("Message"), Ok(Some("a\r\n<b>?")));
    assert_eq!(got.as_slice(), options);
}

#[tokio::test]
async fn a_code_is_a_return_value_and_an_error_a_fault() {
    let server = Running::plain(3).await;
    let Ok(Answer::Output(result)) = ask(&server, ROOT, &invoke(1, "Logoff", &[])).await.1 else {
        panic!("it returns")
    };
    assert_eq!(result.return_value, Value::from(WmiCode::WBEM_E_INVALID_OPERATION));
    assert_eq!(refused(&server, ANNA, &invoke(1, "Logoff", &[])).await.kind, Kind::Denied);
    assert_eq!(refused(&server, ROOT, &invoke(9, "Logoff", &[])).await.code, WmiCode::WBEM_E_NOT_FOUND);
    assert_eq!(refused(&server, ROOT, &invoke(1, "Reboot", &[])).await.code, WmiCode::WBEM_E_INVALID_METHOD);
}

#[tokio::test]
async fn a_method_runs_on_when_its_caller_waits_no_longer() {
    let server = Running::plain(3).await;
    let held = server.fake.gate.acquire_many(1000).await.unwrap();
    let hasty = Call { timeout: Some(Duration::from_millis(20)), ..call(&[]) };
    let body = hasty.invoke(&session(1), "Disconnect", &Params::default());
    assert_eq!(refused(&server, ROOT, &body).await.code, WmiCode::WBEM_E_TIMED_OUT);
    assert!(server.fake.calls.lock().unwrap().is_empty());
    drop(held);
    server.server.methods_ended().await;
    assert_eq!(server.fake.calls.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn methods_at_once_are_limited() {
    let config = Config { max_methods: 1, request_timeout: Duration::from_millis(20), ..Config::default() };
    let server = Running::start(Fake::new(3), config, None).await;
    let _held = server.fake.gate.acquire_many(1000).await.unwrap();
    let body = invoke(1, "Disconnect", &[]);
    assert_eq!(refused(&server, ROOT, &body).await.code, WmiCode::WBEM_E_TIMED_OUT);
    assert_eq!(refused(&server, ROOT, &body).await.code, WmiCode::WBEM_E_SERVER_TOO_BUSY);
}

#[tokio::test]
async fn a_user_does_not_take_the_administrators_room_nor_that_of_other_users() {
    for (max_user_methods, max_user_methods_each) in [(1, 8), (8, 1)] {
        let request_timeout = Duration::from_millis(20);
        let config = Config { max_user_methods, max_user_methods_each, request_timeout, ..Config::default() };
        let server = Running::start(Fake::new(3), config, None).await;
        let held = server.fake.gate.acquire_many(1000).await.unwrap();
        let body = invoke(1, "Disconnect", &[]);
        assert_eq!(refused(&server, ANNA, &body).await.code, WmiCode::WBEM_E_TIMED_OUT, "it runs");
        assert_eq!(refused(&server, ANNA, &body).await.code, WmiCode::WBEM_E_SERVER_TOO_BUSY);
        for _ in 0..2 {
            assert_eq!(refused(&server, ROOT, &body).await.code, WmiCode::WBEM_E_TIMED_OUT, "it runs");
        }
        drop(held);
        server.server.methods_ended().await;
        assert_eq!(server.fake.calls.lock().unwrap().len(), 2, "both of the administrator");
        assert_eq!(refused(&server, ANNA, &body).await.kind, Kind::Denied, "there is room again");
    }
}

#[tokio::test]
async fn a_utf_16_client_gets_utf_16() {
    let server = Running::plain(1).await;
    for charset in [Charset::Utf16Le, Charset::Utf16Be] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        for (body, status) in [(call(&[]).get(&session(1)), 200), (call(&[]).get(&session(2)), 500)] {
            let request = post("/wsman", &basic(ROOT), &charset.encode(&body));
            let reply = exchange(&mut stream, &request).await;
            assert_eq!(reply.status, status);
            assert_eq!(reply.header("content-type"), Some("application/soap+xml;charset=UTF-16"));
            assert_eq!(Charset::detect(&reply.body), charset);
            assert!(charset.decode(&reply.body).unwrap().contains("Envelope"));
        }
    }
}

#[tokio::test]
async fn the_end_of_a_powershell_operation_is_heard_in_silence() {
    let server = Running::plain(1).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let end = call(&[]).get(&session(1)).replace(openrdms_wsman::names::GET, openrdms_wsman::names::END);
    let reply = exchange(&mut stream, &post("/wsman", &basic(ROOT), end.as_bytes())).await;
    assert_eq!((reply.status, reply.body.len()), (200, 0));
}

#[tokio::test]
async fn what_is_not_understood_is_a_fault_too() {
    let server = Running::plain(1).await;
    for body in [" ", "<a/>", "--Encrypted Boundary"] {
        assert_eq!(refused(&server, ROOT, body).await.code, WmiCode::WBEM_E_INVALID_PARAMETER);
    }
}
