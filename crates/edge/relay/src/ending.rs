//! How a client's connection ends (MS-RDPBCGR 1.3.1.4), so that what is said last also arrives.
//!
//! Reason, ultimatum, TLS close, shut down for writing; then read and throw away until the client closes. A close with
//! unread bytes would send a reset, and a reset can overtake the reason.

use crate::{config::Limits, socket};
use openrdms_broker::{
    Limit,
    ports::{Refusal, Told},
    session::DetachReason,
};
use openrdms_rdp::{
    gcc::EARLY_ERROR_INFO,
    server::{ErrorInfo, disconnect_ultimatum, license_valid_client, set_error_info},
};
use std::{io, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::server::TlsStream;

/// What ends a connection before the client has had anything from a desktop.
pub(crate) fn refusal(early_flags: u16, info: Option<ErrorInfo>) -> Vec<u8> {
    [license_valid_client(), farewell(early_flags, 0, info)].concat()
}

/// What ends a connection: the reason, if the client understands it, and the ultimatum.
pub(crate) fn farewell(early_flags: u16, share_id: u32, info: Option<ErrorInfo>) -> Vec<u8> {
    let mut bytes = match info {
        Some(info) if early_flags & EARLY_ERROR_INFO != 0 => set_error_info(share_id, info),
        _ => Vec::new(),
    };
    bytes.extend_from_slice(&disconnect_ultimatum());
    bytes
}

/// The reason as the client knows it; `None` where nothing is to be blamed on anybody and the client may well try
/// again by itself.
pub(crate) fn ordered_info(reason: DetachReason) -> Option<ErrorInfo> {
    match reason {
        // a stopping service is also an administrator's doing; no code says it better
        DetachReason::Administrator | DetachReason::Service => Some(ErrorInfo::Disconnected),
        DetachReason::TakenOver => Some(ErrorInfo::TakenOver),
        DetachReason::Logoff => Some(ErrorInfo::LoggedOff),
        DetachReason::Limit(Limit::Idle) => Some(ErrorInfo::IdleTimeout),
        DetachReason::Limit(Limit::Active) => Some(ErrorInfo::LogonTimeout),
        // of a disconnected session no client is left to be told
        DetachReason::Limit(Limit::Disconnected) | DetachReason::ClientGone | DetachReason::DesktopClosed => {
            None
        }
    }
}

/// The refusal as the client knows it.
pub(crate) fn refused_info(refusal: Refusal) -> ErrorInfo {
    match refusal {
        Refusal::NotAllowed => ErrorInfo::NotAllowed,
        Refusal::NotFound => ErrorInfo::NotFound,
        Refusal::NoneFree => ErrorInfo::PoolNotFree,
        Refusal::Unavailable => ErrorInfo::Denied,
        Refusal::Ordered(reason) => ordered_info(reason).unwrap_or(ErrorInfo::PoolNotFree),
        // what the client was sent away for; this time it may hear it
        Refusal::Automatic(reason) => ordered_info(reason).unwrap_or(ErrorInfo::Disconnected),
    }
}

/// Sends `last` and closes, within the limits.
pub(crate) async fn tell(stream: &mut TlsStream<TcpStream>, last: &[u8], limits: &Limits) -> Told {
    let said = timeout(limits.tell, say(stream, last)).await;
    after(stream, matches!(said, Ok(Ok(()))), limits).await
}

/// Closes in order after everything has been said.
pub(crate) async fn close(stream: &mut TlsStream<TcpStream>, limits: &Limits) {
    tell(stream, &[], limits).await;
}

/// Writes `last`, TLS's close_notify and TCP's FIN. When this returns the kernel has them.
pub(crate) async fn say(stream: &mut TlsStream<TcpStream>, last: &[u8]) -> io::Result<()> {
    stream.write_all(last).await?;
    stream.shutdown().await
}

/// The last step: waits for the client to close if it was told, otherwise makes the close a reset, so that the kernel
/// does not hold on to what nobody reads.
pub(crate) async fn after(stream: &mut TlsStream<TcpStream>, said: bool, limits: &Limits) -> Told {
    let tcp = stream.get_mut().0;
    if !said {
        socket::abort(tcp);
        Told::NotTold
    } else if drain(tcp, limits.drain).await {
        Told::Told
    } else {
        socket::abort(tcp);
        Told::Sent
    }
}

/// Reads and throws away until the peer closes; false when it did not in time.
pub(crate) async fn drain(tcp: &mut TcpStream, within: Duration) -> bool {
    // not inside of the future, which whoever waits for a connection's end holds all along
    let mut sink = vec![0; 4096];
    let closed = async { while matches!(tcp.read(&mut sink).await, Ok(n) if n > 0) {} };
    timeout(within, closed).await.is_ok()
}
