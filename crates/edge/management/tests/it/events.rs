//! Subscriptions that pull, over a log that the tests write.

use crate::fake::People;
use crate::raw::{ANNA, ROOT, basic, exchange, post, receive};
use async_trait::async_trait;
use openrdms_cim::service::{Happened, Since, Told, Watch};
use openrdms_cim::{
    CimError, CimService, Enumeration, Instance, Kind, Limits, Listing, MethodResult, ObjectPath, Params,
    Principal, Repository,
};
use openrdms_management::{Config, PushTo, Server};
use openrdms_wsman::client::{AnswerError, Call};
use openrdms_wsman::eventing::client::{
    Events, Subscribed, Wanted, read_events, read_subscribed, read_unsubscribed,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const NAMESPACE: &str = "root/a";

/// A service where something happens whenever a test says so: its number is all there is to tell.
pub(crate) struct Log {
    repository: Repository,
    /// How many are forgotten, and how many there were.
    pub(crate) span: watch::Sender<(u64, u64)>,
    /// How long the text of each is.
    length: usize,
}

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) log: Arc<Log>,
    pub(crate) shutdown: CancellationToken,
}

impl Log {
    pub(crate) fn happen(&self, count: u64) {
        self.span.send_modify(|(_, last)| *last += count);
    }
}

#[async_trait]
impl CimService for Log {
    fn repository(&self) -> &Repository {
        &self.repository
    }

    async fn enumerate(
        &self,
        _: &Principal,
        _: &Enumeration,
        _: Option<&str>,
        _: Limits,
    ) -> Result<Listing, CimError> {
        Err(CimError::of(Kind::NotSupported, "nothing to list"))
    }

    async fn get(&self, _: &Principal, _: &ObjectPath) -> Result<Instance, CimError> {
        Err(CimError::of(Kind::NotSupported, "nothing to get"))
    }

    async fn invoke(
        &self,
        _: &Principal,
        _: &ObjectPath,
        _: &str,
        _: Params,
        _: &[(String, String)],
    ) -> Result<MethodResult, CimError> {
        Err(CimError::of(Kind::NotSupported, "nothing to call"))
    }

    async fn watch(&self, _: &Principal, _: &Watch, since: Since) -> Result<Option<u64>, CimError> {
        let (forgotten, last) = *self.span.borrow();
        Ok(match since {
            Since::Now => Some(last),
            Since::Earliest => Some(forgotten),
            Since::After(position) => Some(position).filter(|p| (forgotten..=last).contains(p)),
        })
    }

    async fn changes(&self, _: &Principal, _: &Watch, after: u64, limits: Limits) -> Result<Told, CimError> {
        let (forgotten, last) = *self.span.borrow();
        if after < forgotten {
            return Ok(Told::Lost);
        }
        let event = |n| {
            Instance::of(self.repository.class(NAMESPACE, "E").unwrap())
                .with("N", n)
                .with("Text", "x".repeat(self.length))
        };
        let events: Vec<_> = (after + 1..=last)
            .take(limits.max_elements)
            .map(|n| Happened { position: n, event: event(n) })
            .collect();
        let read_to = events.last().map_or(last, |e| e.position);
        Ok(Told::Events { events, read_to })
    }

    async fn changed(&self, after: u64) {
        let mut span = self.span.subscribe();
        let _ = span.wait_for(|(_, last)| *last > after).await;
    }
}

impl Running {
    pub(crate) async fn start(length: usize, config: Config) -> Self {
        let mut repository = Repository::default();
        repository
            .load(NAMESPACE, "class __InstanceOperationEvent {}; class E { uint64 N; string Text; };")
            .unwrap();
        let log = Arc::new(Log { repository, span: watch::Sender::new((0, 0)), length });
        let server = Server::new(Arc::clone(&log) as _, Arc::new(People), config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
        let stop = shutdown.clone();
        tokio::spawn(async move { server.serve_tcp(listener, None, stop).await.unwrap() });
        Self { address, log, shutdown }
    }

    async fn ask(&self, who: &str, body: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        exchange(&mut stream, &post("/wsman", &basic(who), body.as_bytes())).await.body
    }

    async fn subscribe(&self, who: &str, bookmark: Option<&str>) -> Result<Subscribed, AnswerError> {
        read_subscribed(&self.ask(who, &subscribing(bookmark)).await)
    }

    async fn pull(&self, who: &str, context: &str, most: usize) -> Result<Events, AnswerError> {
        let body = call(8192).pull_events(NAMESPACE, context, most);
        read_events(&self.ask(who, &body).await, NAMESPACE, &self.log.repository)
    }

    /// Root's Pull of up to 9, asked and not answered yet.
    async fn begin_pull(&self, context: &str) -> TcpStream {
        let body = call(8192).pull_events(NAMESPACE, context, 9);
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(&post("/wsman", &basic(ROOT), body.as_bytes())).await.unwrap();
        stream
    }

    /// Resolves once somebody waits for what happens.
    async fn somebody_waits(&self) {
        while self.log.span.receiver_count() == 0 {
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn call<'a>(max_envelope: usize) -> Call<'a> {
    Call {
        to: "http://x/wsman",
        message_id: "uuid:1",
        timeout: Some(Duration::from_secs(20)),
        max_envelope,
        options: &[],
    }
}

/// A Subscribe that pulls.
fn subscribing(bookmark: Option<&str>) -> String {
    call(8192).subscribe(&Wanted {
        namespace: NAMESPACE,
        query: "SELECT * FROM E",
        expires: Duration::from_secs(600),
        heartbeats: None,
        bookmark,
    })
}

fn numbers(events: &Events) -> Vec<i128> {
    events.events.iter().filter_map(|event| event.get("N").as_int()).collect()
}

fn refused<T: std::fmt::Debug>(answer: Result<T, AnswerError>) -> String {
    match answer {
        Err(AnswerError::Fault(error)) => error.message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn events_come_in_replies_as_long_as_the_client_takes() {
    let server = Running::start(1500, Config::default()).await;
    let subscribed = server.subscribe(ROOT, None).await.unwrap();
    server.log.happen(20);
    let (mut all, mut replies) = (Vec::new(), 0);
    while all.len() < 20 {
        let events = server.pull(ROOT, &subscribed.context, 100).await.unwrap();
        assert!(!events.events.is_empty());
        all.extend(numbers(&events));
        assert_eq!(
            events.bookmark.unwrap(),
            format!("change:{}", all.last().unwrap()),
            "it is behind the last that came"
        );
        replies += 1;
    }
    assert_eq!(all, (1..=20).collect::<Vec<_>>());
    assert!((5..=10).contains(&replies), "{replies} replies of 8 KiB");
    let again = server.subscribe(ROOT, Some("change:7")).await.unwrap();
    assert_eq!(numbers(&server.pull(ROOT, &again.context, 1).await.unwrap()), [8]);
}

#[tokio::test]
async fn an_event_that_no_reply_can_hold_is_an_error_and_not_passed_over() {
    let server = Running::start(9000, Config::default()).await;
    let subscribed = server.subscribe(ROOT, None).await.unwrap();
    server.log.happen(1);
    assert!(refused(server.pull(ROOT, &subscribed.context, 1).await).contains("longer"));
    let body = call(100_000).pull_events(NAMESPACE, &subscribed.context, 1);
    let events = read_events(&server.ask(ROOT, &body).await, NAMESPACE, &server.log.repository).unwrap();
    assert_eq!(numbers(&events), [1]);
}

#[tokio::test]
async fn a_pull_is_answered_when_something_happens() {
    let server = Running::start(1, Config::default()).await;
    let subscribed = server.subscribe(ROOT, None).await.unwrap();
    let mut stream = server.begin_pull(&subscribed.context).await;
    let mut reply = tokio::spawn(async move { receive(&mut stream).await.unwrap() });
    tokio::select! {
        early = &mut reply => panic!("{early:?}"),
        () = server.somebody_waits() => {}
    }
    server.log.happen(2);
    let events = read_events(&reply.await.unwrap().body, NAMESPACE, &server.log.repository).unwrap();
    assert_eq!(numbers(&events), [1, 2]);
}

#[tokio::test]
async fn a_client_that_goes_away_waiting_leaves_nobody_waiting_and_loses_nothing() {
    let server = Running::start(1, Config::default()).await;
    let subscribed = server.subscribe(ROOT, None).await.unwrap();
    let stream = server.begin_pull(&subscribed.context).await;
    server.somebody_waits().await;
    drop(stream);
    server.log.span.closed().await;
    server.log.happen(3);
    assert_eq!(numbers(&server.pull(ROOT, &subscribed.context, 9).await.unwrap()), [1, 2, 3]);
}

#[tokio::test]
async fn the_later_of_two_pulls_is_answered() {
    let server = Running::start(1, Config::default()).await;
    let subscribed = server.subscribe(ROOT, None).await.unwrap();
    let mut earlier = server.begin_pull(&subscribed.context).await;
    server.somebody_waits().await;
    let mut later = server.begin_pull(&subscribed.context).await;
    let given_way = receive(&mut earlier).await.unwrap();
    assert!(refused(read_events(&given_way.body, NAMESPACE, &server.log.repository)).contains("later Pull"));
    server.log.happen(1);
    let answered = receive(&mut later).await.unwrap();
    assert_eq!(numbers(&read_events(&answered.body, NAMESPACE, &server.log.repository).unwrap()), [1]);
}

#[tokio::test]
async fn what_was_forgotten_before_it_was_told_ends_the_subscription() {
    let server = Running::start(1, Config::default()).await;
    let subscribed = server.subscribe(ROOT, None).await.unwrap();
    server.log.span.send_modify(|span| *span = (5, 9));
    assert!(refused(server.pull(ROOT, &subscribed.context, 9).await).contains("not known any more"));
    assert!(refused(server.pull(ROOT, &subscribed.context, 9).await).contains("unknown"));
    assert!(refused(server.subscribe(ROOT, Some("change:3")).await).contains("not known any more"));
    assert!(refused(server.subscribe(ROOT, Some("change:10")).await).contains("not known any more"));
    let earliest = "http://schemas.dmtf.org/wbem/wsman/1/wsman/bookmark/earliest";
    let again = server.subscribe(ROOT, Some(earliest)).await.unwrap();
    assert_eq!(numbers(&server.pull(ROOT, &again.context, 9).await.unwrap()), [6, 7, 8, 9]);
}

#[tokio::test]
async fn a_subscription_is_its_owners_alone() {
    let server = Running::start(1, Config::default()).await;
    let subscribed = server.subscribe(ROOT, None).await.unwrap();
    server.log.happen(1);
    assert!(refused(server.pull(ANNA, &subscribed.context, 9).await).contains("unknown"));
    let unsubscribe = call(8192).unsubscribe(NAMESPACE, &subscribed.identifier);
    assert!(refused(read_unsubscribed(&server.ask(ANNA, &unsubscribe).await)).contains("unknown"));
    assert_eq!(numbers(&server.pull(ROOT, &subscribed.context, 9).await.unwrap()), [1]);
    read_unsubscribed(&server.ask(ROOT, &unsubscribe).await).unwrap();
    assert!(refused(server.pull(ROOT, &subscribed.context, 9).await).contains("unknown"));

    let again = server.subscribe(ROOT, None).await.unwrap();
    let release = call(8192).release(&ObjectPath::class(NAMESPACE, "*"), &again.context);
    read_unsubscribed(&server.ask(ROOT, &release).await).unwrap();
    assert!(refused(server.pull(ROOT, &again.context, 9).await).contains("unknown"), "Release ends it too");
}

#[tokio::test]
async fn subscriptions_are_bounded_and_users_keep_no_administrator_out() {
    let config = Config { max_subscriptions: 6, max_subscriptions_each: 4, ..Config::default() };
    let server = Running::start(1, config).await;
    for _ in 0..3 {
        server.subscribe(ANNA, None).await.unwrap();
    }
    assert!(
        refused(server.subscribe(ANNA, None).await).contains("too many"),
        "half of the room is for users"
    );
    for _ in 0..3 {
        server.subscribe(ROOT, None).await.unwrap();
    }
    assert!(refused(server.subscribe(ROOT, None).await).contains("too many"));
    let config = Config { max_subscriptions_each: 1, ..Config::default() };
    let server = Running::start(1, config).await;
    server.subscribe(ROOT, None).await.unwrap();
    assert!(refused(server.subscribe(ROOT, None).await).contains("too many"));
}

#[tokio::test]
async fn pushes_are_refused_unless_an_administrator_has_listed_the_address() {
    let server = Running::start(1, Config::default()).await;
    let pull = "http://schemas.dmtf.org/wbem/wsman/1/wsman/Pull\">";
    let push = "http://schemas.xmlsoap.org/ws/2004/08/eventing/DeliveryModes/Push\"><e:NotifyTo><a:Address>\
                http://127.0.0.1:9/</a:Address></e:NotifyTo>";
    let body = subscribing(None);
    assert!(body.contains(pull), "{body}");
    let answer = read_subscribed(&server.ask(ROOT, &body.replace(pull, push)).await);
    assert!(refused(answer).contains("push_to"), "the reason says what to do");
}

#[tokio::test]
async fn addresses_are_looked_up_within_limits() {
    let push_to = Arc::new(PushTo::parse(["192.0.2.0/24"]).unwrap());
    let config = Config { max_user_methods: 0, push_to, ..Config::default() };
    let server = Running::start(1, config).await;
    let push = |who: &'static str| {
        let delivery = "http://schemas.xmlsoap.org/ws/2004/08/eventing/DeliveryModes/Push\"><e:NotifyTo><a:Address>\
                        http://127.0.0.1:9/</a:Address></e:NotifyTo>";
        let body = subscribing(None).replace("http://schemas.dmtf.org/wbem/wsman/1/wsman/Pull\">", delivery);
        let server = &server;
        async move { refused(read_subscribed(&server.ask(who, &body).await)) }
    };
    assert!(push(ANNA).await.contains("too many addresses"));
    assert!(push(ROOT).await.contains("may not be sent to"));
    server.subscribe(ANNA, None).await.unwrap();
}

#[tokio::test]
async fn whoever_waits_is_told_of_the_stop() {
    let server = Running::start(1, Config::default()).await;
    let subscribed = server.subscribe(ROOT, None).await.unwrap();
    let mut stream = server.begin_pull(&subscribed.context).await;
    server.somebody_waits().await;
    server.shutdown.cancel();
    let reply = receive(&mut stream).await.unwrap();
    let events = read_events(&reply.body, NAMESPACE, &server.log.repository).unwrap();
    assert_eq!(events, Events::default(), "as if the time was over: pull again, and find out");
}
