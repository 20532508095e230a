//! Streams of events, over a log that the tests write.

use crate::events::Running;
use crate::raw::{ANNA, ROOT, ask, basic, exchange};
use openrdms_management::Config;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const OF_E: &str = "/api/v1/events?class=E";

/// A client that reads a stream line by line.
struct Listener(BufReader<TcpStream>);

impl Listener {
    /// By HTTP/1.0, where the stream comes without chunks.
    async fn begin(server: &Running, who: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let request = format!("GET {OF_E} HTTP/1.0\r\n{}{headers}\r\n", basic(who));
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut listener = Self(BufReader::new(stream));
        let head = listener.block().await.unwrap();
        assert!(head.contains("200 OK") && head.contains("content-type: text/event-stream"), "{head}");
        assert!(!head.contains("transfer-encoding") && !head.contains("content-length"), "{head}");
        listener
    }

    /// Lines up to an empty one; `None` at the end.
    async fn block(&mut self) -> Option<String> {
        let mut block = String::new();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            if line.trim().is_empty() {
                return Some(block);
            }
            block += &line;
        }
    }
}

#[tokio::test]
async fn what_happens_is_told_in_order_and_can_be_gone_on_with() {
    let server = Running::start(1, Config::default()).await;
    server.log.happen(2);
    let mut listener = Listener::begin(&server, ROOT, "").await;
    assert_eq!(listener.block().await.unwrap(), "retry: 2000\nid: 2\n: listening\n");
    server.log.happen(1);
    let told = listener.block().await.unwrap();
    let event = r#"{"event":{"@type":"E","N":"3","Text":"x"}}"#;
    assert_eq!(told, format!("id: 3\nevent: happened\ndata: {event}\n"));
    drop(listener);
    server.log.happen(1);
    let mut listener = Listener::begin(&server, ROOT, "Last-Event-ID: 2\r\n").await;
    listener.block().await.unwrap();
    for id in [3, 4] {
        assert!(listener.block().await.unwrap().starts_with(&format!("id: {id}\n")), "nothing is missed");
    }
}

#[tokio::test]
async fn to_newer_clients_a_stream_comes_in_chunks_and_ends_its_connection() {
    let server = Running::start(1, Config::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&ask("GET", OF_E, &basic(ROOT))).await.unwrap();
    let mut lines = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        lines.read_line(&mut head).await.unwrap();
    }
    assert!(
        head.contains("transfer-encoding: chunked\r\n") && head.contains("connection: close\r\n"),
        "{head}"
    );
    server.shutdown.cancel();
    let mut rest = String::new();
    lines.read_to_string(&mut rest).await.unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "the end is told: {rest}");
}

#[tokio::test]
async fn what_is_forgotten_is_told() {
    let server = Running::start(1, Config::default()).await;
    server.log.span.send_replace((5, 9));
    for (id, status) in [("4", 410), ("10", 410), ("99999999999999999999999", 410), ("x", 400)] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let headers = format!("{}Last-Event-ID: {id}\r\n", basic(ROOT));
        let reply = exchange(&mut stream, &ask("GET", OF_E, &headers)).await;
        assert_eq!(reply.status, status, "{id}: {}", reply.text());
    }
    let mut listener = Listener::begin(&server, ROOT, "").await;
    listener.block().await.unwrap();
    server.log.span.send_replace((20, 21));
    let last = listener.block().await.unwrap();
    assert!(last.starts_with("event: lost\n") && last.contains("WBEM_E_QUEUE_OVERFLOW"), "{last}");
    assert_eq!(listener.block().await, None);
}

#[tokio::test]
async fn a_quiet_stream_says_so_with_its_position() {
    let config = Config { stream_heartbeat: Duration::from_millis(20), ..Config::default() };
    let server = Running::start(1, config).await;
    let mut listener = Listener::begin(&server, ROOT, "").await;
    listener.block().await.unwrap();
    for _ in 0..2 {
        assert_eq!(listener.block().await.unwrap(), "id: 0\n: nothing new\n");
    }
}

#[tokio::test]
async fn streams_are_limited_and_users_keep_no_administrator_out() {
    let config = Config { max_streams: 4, max_streams_each: 3, ..Config::default() };
    let server = Running::start(1, config).await;
    let refused = async |who: &str| {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let reply = exchange(&mut stream, &ask("GET", OF_E, &basic(who))).await;
        assert_eq!(reply.status, 503, "{who}: {}", reply.text());
        assert!(reply.text().contains("WBEM_E_QUOTA_VIOLATION") && reply.header("retry-after").is_some());
    };
    let mut open = vec![Listener::begin(&server, ANNA, "").await, Listener::begin(&server, ANNA, "").await];
    refused(ANNA).await;
    for _ in 0..2 {
        open.push(Listener::begin(&server, ROOT, "").await);
    }
    refused(ROOT).await;
    server.shutdown.cancel();
    for mut listener in open {
        while listener.block().await.is_some() {}
    }
}

#[tokio::test]
async fn what_cannot_be_watched_is_refused() {
    let server = Running::start(1, Config::default()).await;
    for (query, status) in [
        ("", 400),
        ("?class=E&query=x", 400),
        ("?other=E", 400),
        ("?class=Other", 404),
        ("?query=garbage", 400),
        ("?query=SELECT+*+FROM+__InstanceOperationEvent", 400),
    ] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let reply = exchange(&mut stream, &ask("GET", &format!("/api/v1/events{query}"), &basic(ROOT))).await;
        assert_eq!(reply.status, status, "{query}: {}", reply.text());
    }
    let long =
        format!("/api/v1/events?query=SELECT+*+FROM+__InstanceOperationEvent+WHERE+x='{}'", "y".repeat(5000));
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(exchange(&mut stream, &ask("GET", &long, &basic(ROOT))).await.status, 400);
}
