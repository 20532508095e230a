//! HTTP listeners for WS-Management and JSON: TLS, loopback and Unix sockets in front of one
//! [`openrdms_cim::CimService`].
//!
//! What may come in is limited before it is looked at: connections, header time, body size and time, the time
//! of a request, open listings. Nothing is executed for a caller who has not proved who it is. Replies carry
//! their length and are never chunked, because some clients cannot read chunks; only a stream of events is, whose clients
//! can.

mod basic;
mod contexts;
mod dispatch;
mod http;
mod json;
mod listen;
mod shares;
mod subscriptions;
mod tls;

pub use basic::{AuthFailure, Authenticate};
pub use json::openapi;
pub use listen::{PeerPolicy, ServeError};
pub use subscriptions::{PushTo, PushToError};
pub use tls::Tls;

use openrdms_cim::CimService;
use std::sync::Arc;
use std::time::Duration;

/// How much is taken from outside.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name of this machine, as faults tell it.
    pub machine: String,
    /// Connections per listener; more wait to be accepted.
    pub max_connections: usize,
    /// Connections of one address (of IPv6, one /64) to a TCP listener that have not authenticated yet; more are
    /// closed at once.
    pub max_unproved_each: usize,
    /// Longest request body, in bytes.
    pub max_request: usize,
    /// Longest reply, in bytes.
    pub max_envelope: usize,
    /// Most instances in one reply.
    pub max_batch: usize,
    /// Open listings in all; users who are no administrators have half of the room at most.
    pub max_listings: usize,
    /// Open listings of one principal.
    pub max_listings_each: usize,
    /// Methods of administrators that run at once, those included whose caller has gone.
    pub max_methods: usize,
    /// Methods of everybody else that run at once besides: they never keep an administrator out.
    pub max_user_methods: usize,
    /// Methods of one principal among these.
    pub max_user_methods_each: usize,
    /// How long a listing stays open after its last reply.
    pub listing_idle: Duration,
    /// The longest that a client may ask for instead.
    pub listing_longest: Duration,
    /// Subscriptions in all; users who are no administrators have half of the room at most.
    pub max_subscriptions: usize,
    /// Subscriptions of one principal.
    pub max_subscriptions_each: usize,
    /// How long a subscription lives whose client does not say.
    pub subscription_life: Duration,
    /// The longest that a client may ask for.
    pub subscription_longest: Duration,
    /// Streams of events over JSON in all; users who are no administrators have half of the room at most.
    pub max_streams: usize,
    /// Streams of one principal.
    pub max_streams_each: usize,
    /// How often a stream in which nothing happens says so.
    pub stream_heartbeat: Duration,
    /// Where events may be pushed.
    pub push_to: Arc<PushTo>,
    /// How long the TLS handshake may take.
    pub handshake_timeout: Duration,
    /// From being accepted until a connection has authenticated for the first time; it is closed otherwise.
    pub unproved_limit: Duration,
    /// How long the headers of a request may take, and so how long a connection may be idle.
    pub header_timeout: Duration,
    /// How long a request body may take.
    pub body_timeout: Duration,
    /// How long the client of a TCP connection may take nothing of a reply.
    pub send_timeout: Duration,
    /// How long a request may run, whatever the client asks for.
    pub request_timeout: Duration,
    /// How long requests that are being answered may go on once the server is told to stop.
    pub grace: Duration,
}

/// The server. Cheap to clone; one serves any number of listeners.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

struct Shared {
    service: Arc<dyn CimService>,
    auth: Arc<dyn Authenticate>,
    config: Config,
    contexts: contexts::Contexts,
    methods: dispatch::Methods,
    subscriptions: Arc<subscriptions::Subscriptions>,
    streams: json::Streams,
    document: json::Document,
    turns: Arc<json::Turns>,
}

impl Server {
    /// A server in front of `service`.
    pub fn new(service: Arc<dyn CimService>, auth: Arc<dyn Authenticate>, config: Config) -> Self {
        let contexts = contexts::Contexts::new(&config);
        let methods = dispatch::Methods::new(&config);
        let subscriptions = Arc::new(subscriptions::Subscriptions::new(&config));
        let streams = json::Streams::new(&config);
        let document = json::Document::default();
        let turns = Arc::default();
        let shared =
            Shared { service, auth, config, contexts, methods, subscriptions, streams, document, turns };
        Self { shared: Arc::new(shared) }
    }

    /// Waits until no method runs any more, those included whose caller has gone: for after the listeners
    /// have stopped. Cancel-safe.
    pub async fn methods_ended(&self) {
        self.shared.methods.ended(&self.shared.config).await;
    }

    /// Ends all subscriptions, tells so whoever has events pushed, and waits until that is done: for after the
    /// listeners have stopped. Cancel-safe.
    pub async fn subscriptions_ended(&self) {
        self.shared.subscriptions.close();
        self.shared.subscriptions.ended().await;
    }
}

impl Shared {
    /// Lets nobody wait for events any longer.
    fn close(&self) {
        self.subscriptions.close();
        self.streams.close();
    }
}

impl Default for Config {
    /// The limits of Windows where it has them (MS-WSMV 2.2.4, 3.1.2).
    fn default() -> Self {
        Self {
            machine: "localhost".to_owned(),
            max_connections: 512,
            max_unproved_each: 512 / 4,
            max_request: 512_000,
            max_envelope: 512_000,
            max_batch: 1000,
            max_listings: 1000,
            max_listings_each: 100,
            max_methods: 256,
            max_user_methods: 256 / 4,
            max_user_methods_each: 8,
            listing_idle: Duration::from_secs(60),
            listing_longest: Duration::from_secs(600),
            max_subscriptions: 1000,
            max_subscriptions_each: 50,
            subscription_life: Duration::from_secs(600),
            subscription_longest: Duration::from_secs(24 * 3600),
            max_streams: 128,
            max_streams_each: 16,
            stream_heartbeat: Duration::from_secs(15),
            push_to: Arc::default(),
            handshake_timeout: Duration::from_secs(10),
            unproved_limit: Duration::from_secs(30),
            header_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(30),
            send_timeout: Duration::from_secs(60),
            request_timeout: Duration::from_secs(60),
            grace: Duration::from_secs(10),
        }
    }
}
