//! One connection, from the first byte to the last.

use crate::{
    client_leg::{Client, ClientError, Comeback, Doorman},
    config::Limits,
    desktop_leg::{self, DesktopError, DesktopLeg, Plain, Target},
    ending,
    order::Order,
    pump::{Event, LastWords, Pump},
    server::{Shared, Unproved},
    socket,
};
use openrdms_broker::{
    ConnectionId, Cookie, Password,
    ports::{
        Admission, AttachRequest, Attached, Attachment,
        front::{ConnectionEnd, DesktopLogon},
    },
    session::DetachReason,
};
use openrdms_rdp::{
    ChannelMap,
    server::{ErrorInfo, auto_reconnect_cookie},
};
use std::{
    future::{Future as _, poll_fn},
    net::IpAddr,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_rustls::{client, server};
use tokio_util::task::AbortOnDropHandle;
use zeroize::Zeroizing;

/// A desktop's xrdp ends the leg at once; a desktop that does not is not waited for.
const DESKTOP_CLOSE: Duration = Duration::from_secs(1);

type BoundPump = Pump<Box<server::TlsStream<TcpStream>>, Box<client::TlsStream<Plain>>>;

/// How the pump came to its end.
enum Stop {
    Ordered(DetachReason),
    /// The broker no longer wants the connection.
    Unwanted(ErrorInfo),
    ClientGone,
    DesktopGone,
    /// It broke the protocol, or did not become active in time.
    DesktopBroke,
}

/// Runs one connection. `unproved` is given back as soon as the user is proved.
pub(crate) async fn run(shared: Arc<Shared>, tcp: TcpStream, peer: IpAddr, unproved: Unproved) {
    if let Err(error) = socket::tune(&tcp) {
        tracing::debug!(%error, "the client was gone at once");
        return;
    }
    let identity = shared.identity.current();
    let doorman = Doorman {
        config: &shared.config,
        identity: &identity,
        auth: &*shared.auth,
        name: &shared.name,
        peer,
    };
    let admitted = tokio::select! {
        admitted = Box::pin(doorman.admit(tcp)) => admitted,
        () = shared.shutdown.cancelled() => return,
    };
    drop(unproved);
    match admitted {
        Ok(client) => Box::pin(serve(&shared, client, peer)).await,
        Err(error @ (ClientError::Logon(_) | ClientError::Credssp(_))) => {
            tracing::info!(%peer, %error, "a logon was refused");
        }
        Err(error @ ClientError::Ourselves) => {
            tracing::warn!(%peer, %error, "take that machine out, or mend its address");
        }
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::debug!(%peer, %error, cause, "a client did not get as far as a logon");
        }
    }
}

/// Gets a desktop for a proved user and connects the two until one of them ends it.
async fn serve(shared: &Arc<Shared>, mut client: Client, peer: IpAddr) {
    let connection = ConnectionId(uuid::Uuid::new_v4());
    let limits = &shared.config.limits;
    let bound_by = Instant::now() + limits.bind;
    let comeback = client.comeback();
    let early_flags = client.accepted.client.blocks.core.early_flags;
    let request = AttachRequest {
        connection,
        user: client.user.clone(),
        route: client.route.clone(),
        arrival: client.arrival(),
        client: client.facts(peer),
    };
    let password = std::mem::take(&mut client.password);
    tracing::info!(%connection, %peer, user = %client.user, security = ?client.security,
        arrival = ?request.arrival, "a user is proved");
    // not cancelled from here: the broker answers within its own limit
    let admission = match shared.front.attach(request).await {
        Ok(admission) => admission,
        Err(refusal) => {
            drop(password);
            tracing::info!(%connection, error = %refusal, "a user gets no desktop");
            let last = ending::refusal(early_flags, Some(ending::refused_info(refusal)));
            Box::pin(ending::tell(&mut client.stream, &last, limits)).await;
            return;
        }
    };
    let Admission { session, endpoint, certificate_sha256, desktop_user, logon, kill, mut attachment } =
        admission;
    let mut order = Order::new(kill.clone());
    let shutdown = shared.shutdown.clone();
    let _shutdown_is_an_order = AbortOnDropHandle::new(tokio::spawn(async move {
        shutdown.cancelled().await;
        kill.throw(DetachReason::Service);
    }));

    // what is not needed is wiped now, the rest as soon as the desktop has it
    let password = if logon == DesktopLogon::Password { password } else { Password::default() };
    let target = Target {
        endpoint: &endpoint,
        certificate_sha256,
        user: &desktop_user,
        us: &shared.name,
        logon,
        password: &password,
    };
    let opening = desktop_leg::open(target, &client.accepted.client, &client.accepted.info);
    let opened = tokio::select! {
        biased;
        reason = order.given() => Err(Ok(reason)),
        opened = timeout_at(bound_by, Box::pin(opening)) => {
            opened.unwrap_or(Err(DesktopError::TimedOut)).map_err(Err)
        }
    };
    drop(password);
    let leg = match opened {
        Ok(leg) => leg,
        Err(why) => {
            let info = match &why {
                Ok(reason) => ending::ordered_info(*reason),
                Err(error) => {
                    let cause = std::error::Error::source(error).map(ToString::to_string);
                    tracing::warn!(%connection, %session, %error, cause, "a desktop could not be connected to");
                    Some(ErrorInfo::DesktopFailed)
                }
            };
            let last = ending::refusal(early_flags, info);
            let told = Box::pin(ending::tell(&mut client.stream, &last, limits)).await;
            drop(client);
            let end = if why.is_ok() { ConnectionEnd::Ordered(told) } else { ConnectionEnd::DesktopFailed };
            attachment.closed(end).await;
            return;
        }
    };
    let Client { stream, accepted, .. } = client;
    let DesktopLeg { stream: desktop, ids } = leg;
    let map = ChannelMap::new(&accepted.ids, &ids);
    tracing::debug!(%connection, %session, ids_differ = map.is_some(), "both legs are connected");
    let mut pump = Pump::new(stream, desktop, map, accepted.ids.io);
    drop(accepted);
    let stop = pass(&mut pump, &mut order, &mut *attachment, connection, comeback, limits.activate).await;
    // what the end takes is not held while the connection lasts
    let end = Box::pin(finish(pump, stop, early_flags, &mut *attachment, shared)).await;
    tracing::info!(%connection, %session, ?end, "a connection has ended");
    attachment.closed(end).await;
}

/// Passes everything through until somebody ends it, or the desktop is not active `within` that time.
async fn pass(
    pump: &mut BoundPump,
    order: &mut Order,
    attachment: &mut dyn Attachment,
    connection: ConnectionId,
    comeback: Comeback,
    within: Duration,
) -> Stop {
    let mut limit = pin!(sleep(within));
    let mut active = false;
    let mut cookie = None;
    loop {
        let event = poll_fn(|cx| {
            if let Poll::Ready(reason) = order.poll(cx) {
                return Poll::Ready(Err(Stop::Ordered(reason)));
            }
            // before the pump: one that always has something to do leaves no budget for a timer
            if !active && limit.as_mut().poll(cx).is_ready() {
                tracing::warn!(%connection, ?within, "a desktop did not become active in time");
                return Poll::Ready(Err(Stop::DesktopBroke));
            }
            pump.poll(cx).map(Ok)
        });
        match event.await {
            Err(stop) => return stop,
            Ok(Event::Input) => attachment.input(Duration::ZERO),
            Ok(Event::Activated) => {
                active = true;
                let fresh = fresh_cookie();
                // the desktop's first frame waits meanwhile: nobody sees a desktop that the broker does not know of
                let activated = tokio::select! {
                    biased;
                    reason = order.given() => return Stop::Ordered(reason),
                    activated = attachment.activated(&fresh) => activated,
                };
                match activated {
                    Ok(Attached { session_id }) if comeback == Comeback::ByCookie => {
                        cookie = Some((session_id, fresh));
                    }
                    Ok(Attached { .. }) => {}
                    Err(refusal) => return Stop::Unwanted(ending::refused_info(refusal)),
                }
            }
            Ok(Event::Ready) => {
                // one that never comes back by itself sets it aside
                if let (Some((session_id, cookie)), Some(share_id)) = (cookie.take(), pump.share_id()) {
                    pump.say_to_client(auto_reconnect_cookie(share_id, session_id, cookie.bytes()));
                }
            }
            Ok(Event::ClientGone) => return Stop::ClientGone,
            Ok(Event::DesktopGone) => return Stop::DesktopGone,
            Ok(Event::ClientBroke(error)) => {
                tracing::info!(%connection, %error, "a client broke the protocol");
                return Stop::ClientGone;
            }
            Ok(Event::DesktopBroke(error)) => {
                tracing::warn!(%connection, %error, "a desktop broke the protocol");
                return Stop::DesktopBroke;
            }
        }
    }
}

fn fresh_cookie() -> Cookie {
    let mut random = Zeroizing::new([0; 16]);
    aws_lc_rs::rand::fill(&mut *random).expect("the system has random numbers, or tls would not have worked");
    Cookie::new(*random)
}

/// Ends both legs.
async fn finish(
    mut pump: BoundPump,
    stop: Stop,
    early_flags: u16,
    attachment: &mut dyn Attachment,
    shared: &Shared,
) -> ConnectionEnd {
    let limits = &shared.config.limits;
    let info = match stop {
        Stop::ClientGone => {
            // its last words, a disconnect request perhaps
            let _ = timeout(DESKTOP_CLOSE, pump.empty_to_desktop()).await;
            close_desktop(&mut pump.desktop).await;
            // a client may leave as soon as it has read that the desktop does
            return match pump.last_words() {
                LastWords::None => ConnectionEnd::ClientGone,
                LastWords::Leaving => ConnectionEnd::DesktopGone,
                LastWords::LoggedOff => ConnectionEnd::LoggedOff,
            };
        }
        Stop::DesktopGone => {
            // its last words, its own reason perhaps
            let said = timeout(limits.tell, async {
                pump.empty_to_client().await?;
                ending::say(&mut pump.client, &[]).await
            });
            let said = matches!(said.await, Ok(Ok(())));
            ending::after(&mut pump.client, said, limits).await;
            return match pump.last_words() {
                LastWords::None | LastWords::Leaving => ConnectionEnd::DesktopGone,
                LastWords::LoggedOff => ConnectionEnd::LoggedOff,
            };
        }
        Stop::Ordered(reason) => ending::ordered_info(reason),
        Stop::Unwanted(info) => Some(info),
        Stop::DesktopBroke => Some(ErrorInfo::DesktopFailed),
    };
    let said = say_last(&mut pump, early_flags, info, limits).await;
    let Pump { client, desktop, .. } = &mut pump;
    let client = async {
        let told = ending::after(client, said, limits).await;
        // whoever gave the order need not wait for the desktop's RDP server, which has its output to get over
        attachment.dismissed(told);
        told
    };
    let (told, ()) = tokio::join!(client, close_desktop(desktop));
    match stop {
        Stop::DesktopBroke => ConnectionEnd::DesktopFailed,
        _ => ConnectionEnd::Ordered(told),
    }
}

/// Tells the client why it has to go, within the limit; whether that could be written.
async fn say_last(pump: &mut BoundPump, early_flags: u16, info: Option<ErrorInfo>, limits: &Limits) -> bool {
    let last = if pump.client_had_any() {
        ending::farewell(early_flags, pump.share_id().unwrap_or(0), info)
    } else {
        ending::refusal(early_flags, info)
    };
    // one limit for all of it: a client that reads nothing, or a desktop that stops in the middle of a frame, must
    // not hold up the answer to whoever ordered this
    let said = timeout(limits.tell, async {
        pump.finish_client_frame().await?;
        ending::say(&mut pump.client, &last).await
    });
    matches!(said.await, Ok(Ok(())))
}

/// Closes the desktop leg and waits for the desktop's RDP server to notice: a new leg that is opened before that
/// would be taken for a second client. Closing a leg never harms the desktop.
async fn close_desktop(desktop: &mut client::TlsStream<Plain>) {
    let closing = async {
        if desktop.shutdown().await.is_ok() {
            let mut sink = vec![0; 4096];
            while matches!(desktop.get_mut().0.read(&mut sink).await, Ok(n) if n > 0) {}
        }
    };
    let _ = timeout(DESKTOP_CLOSE, closing).await;
}
