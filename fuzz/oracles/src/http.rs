//! The HTTP front of the management side: a connection's bytes through the real server, on a pipe.
//!
//! The first two bytes of an input cut the rest into pieces: how long each is, and how much fits the pipe.

mod replies;
pub(crate) mod stub;

use crate::run;
use openrdms_management::{Config, Server};
pub(crate) use replies::{Replies, Reply};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use stub::{PROOF, People, Stub};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex, split};
use tokio_util::sync::CancellationToken;

/// The shortest request that is answered: `GET / HTTP/1.1` and an empty line.
const REQUEST_LEAST: usize = 16;
/// A server that says nothing for so many turns waits for more.
const QUIET_TURNS: u32 = 8;

/// However the bytes are cut: each reply is whole and short, nothing follows the last, there are no more than requests,
/// and nothing is done for somebody who has not proved who it is.
pub fn http(bytes: &[u8]) -> bool {
    let Some(([piece, pipe], rest)) = bytes.split_first_chunk() else { return false };
    let (whole, calls) = exchange(rest, rest.len().max(1), 1 << 20);
    let (cut, calls_cut) = exchange(rest, usize::from(*piece) + 1, 64 * (usize::from(*pipe) + 1));

    let (all, some) = (&whole.whole, &cut.whole);
    assert!(same(all, some) || same(some, all), "{whole:?}\nis, when it comes in pieces,\n{cut:?}");
    // hyper hangs up on what is no request, and on a body that is not read because the request is refused, if it is not
    // all there yet: what the client has not had by then, also of the refusal itself, goes only as far as the pipe takes it
    // at once
    let refused = |reply: &Reply| matches!(reply.status, 400..=499);
    let hangs_up = all.iter().skip(some.len().saturating_sub(1)).any(refused);
    assert!(!whole.cut && (!cut.cut || hangs_up), "replies are whole: {whole:?}\n{cut:?}");
    let proof = rest.windows(PROOF.len()).any(|part| part == PROOF.as_bytes());
    assert!(proof || calls + calls_cut == 0, "something was done for nobody");
    all.iter().any(|reply| matches!(reply.status, 200 | 201 | 204 | 401 | 500))
}

/// What the server answers to these bytes in such pieces, and how often its service was called.
pub(crate) fn exchange(bytes: &[u8], piece: usize, pipe: usize) -> (Replies, usize) {
    let stub = Arc::new(Stub { calls: AtomicUsize::new(0) });
    let config = Config { max_envelope: 64 * 1024, max_request: 16 * 1024, ..Config::default() };
    // the OpenAPI document is as long as the classes are many
    let reply_max = config.max_envelope.max(1 << 20) + 1024;
    let server = Server::new(stub.clone(), Arc::new(People), config);
    let heard = RefCell::new(Vec::new());
    run(async {
        let (ours, theirs) = duplex(pipe);
        let (mut hear, mut speak) = split(ours);
        let serve = server.serve_stream(theirs, "fuzz", CancellationToken::new());
        let speak = async {
            for piece in bytes.chunks(piece) {
                // a server that has said its last hangs up
                if speak.write_all(piece).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
            // a client that hangs up is no longer answered
            let (mut quiet, mut before) = (0, 0);
            while quiet < QUIET_TURNS {
                let now = heard.borrow().len();
                quiet = if now == before { quiet + 1 } else { 0 };
                before = now;
                tokio::task::yield_now().await;
            }
            drop(speak.shutdown().await);
        };
        let listen = async {
            let mut part = [0; 4096];
            while let Ok(n @ 1..) = hear.read(&mut part).await {
                heard.borrow_mut().extend_from_slice(&part[..n]);
            }
        };
        tokio::join!(serve, speak, listen);
        server.methods_ended().await;
        server.subscriptions_ended().await;
    });
    let heads = bytes.windows(4).any(|part| part.eq_ignore_ascii_case(b"HEAD"));
    let replies = replies::read(&heard.borrow(), reply_max, heads);
    let last = replies.whole.iter().filter(|reply| reply.status >= 200).count();
    assert!(last <= bytes.len() / REQUEST_LEAST + 1, "{last} replies to {} bytes", bytes.len());
    (replies, stub.calls.load(Ordering::Relaxed))
}

/// Whether the first begins as the second is: a client that hangs up may miss the end of it.
fn same(longer: &[Reply], shorter: &[Reply]) -> bool {
    // whether a client is asked for its body depends on how much of that has come
    let last = |replies: &[Reply]| -> Vec<u16> {
        replies.iter().map(|reply| reply.status).filter(|status| *status >= 200).collect()
    };
    last(longer).starts_with(&last(shorter))
}
