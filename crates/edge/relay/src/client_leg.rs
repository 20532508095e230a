//! The client leg up to a proved user (MS-RDPBCGR 1.3.1.1): negotiation, TLS, CredSSP, MCS, Client Info. No desktop is
//! touched here.

use crate::{
    config::{RelayConfig, SecurityPolicy},
    credssp, ending,
    framed::{read_frame, read_rest},
    ports::{Authenticator, LogonFailure},
    tls::TlsIdentity,
};
use openrdms_broker::{Arrival, ClientFacts, CookieProof, Password, Route, UserName};
use openrdms_rdp::{
    RdpError,
    accept::{AcceptStep, Accepted, Accepting},
    preconnection::{PreconnectionBlob, blob_len},
    server::{AUTHORIZATION_SUCCESS, ErrorInfo},
    x224::{ConnectionConfirm, ConnectionRequest, NegotiationFailure, Protocols, Routing},
};
use std::{io, net::IpAddr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// A client whose user is proved, and who waits for a desktop.
pub(crate) struct Client {
    /// Large, and handed on often.
    pub(crate) stream: Box<TlsStream<TcpStream>>,
    pub(crate) accepted: Box<Accepted>,
    pub(crate) user: UserName,
    /// By which the user was proved: for a machine that logs its users on by it, and then for nobody.
    pub(crate) password: Password,
    pub(crate) route: Route,
    pub(crate) security: Security,
}

/// What protected the logon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    Tls,
    Nla,
}

/// How a client can come back when its network has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comeback {
    /// By itself, if it is given a cookie.
    ByCookie,
    /// When its user starts it again.
    ByPerson,
}

/// Why a client did not get as far as a desktop. It has been told where that is possible.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("the client went away")]
    Io(#[from] io::Error),
    #[error("the client broke the protocol")]
    Protocol(#[from] RdpError),
    #[error("the client offers no security protocol that is allowed")]
    NoCommonProtocol,
    #[error("network level authentication failed: {0}")]
    Credssp(String),
    #[error("the logon was refused")]
    Logon(#[from] LogonFailure),
    #[error("the client took too long")]
    TimedOut,
    #[error("a machine's address leads back to this service")]
    Ourselves,
}

/// Everything that proving a user needs.
pub(crate) struct Doorman<'a> {
    pub(crate) config: &'a RelayConfig,
    pub(crate) identity: &'a TlsIdentity,
    pub(crate) auth: &'a dyn Authenticator,
    /// What this relay calls itself towards machines.
    pub(crate) name: &'a str,
    pub(crate) peer: IpAddr,
}

impl Client {
    /// Whether a person has started the client.
    pub(crate) fn arrival(&self) -> Arrival {
        match self.accepted.info.reconnect {
            Some(said) => {
                Arrival::Automatic(CookieProof { session_id: said.logon_id, verifier: said.verifier })
            }
            None => Arrival::Person,
        }
    }

    /// By the protocol a cookie may stand for the password; here it never does. With NLA a client has to say its
    /// password in any case. Without, those that ask for Save Session Info say both (FreeRDP). rdesktop does not ask:
    /// it would say its cookie alone, be refused, and hang.
    pub(crate) fn comeback(&self) -> Comeback {
        match self.security {
            Security::Nla => Comeback::ByCookie,
            Security::Tls if self.accepted.info.asks_for_session_info() => Comeback::ByCookie,
            Security::Tls => Comeback::ByPerson,
        }
    }

    /// What is recorded of the client.
    pub(crate) fn facts(&self, peer: IpAddr) -> ClientFacts {
        let core = &self.accepted.client.blocks.core;
        ClientFacts {
            address: peer.to_string(),
            machine: core.name.clone(),
            width: core.width,
            height: core.height,
            keyboard_layout: core.keyboard_layout,
            build: core.build,
            security: match self.security {
                Security::Tls => "tls".to_owned(),
                Security::Nla => "nla".to_owned(),
            },
        }
    }
}

impl Doorman<'_> {
    /// Proves the user behind a fresh connection, or tells it why not and closes it.
    pub(crate) async fn admit(&self, tcp: TcpStream) -> Result<Client, ClientError> {
        let begun = Instant::now();
        let limits = &self.config.limits;
        let negotiated = timeout_at(begun + limits.negotiate, self.negotiate(tcp));
        let (mut stream, requested, selected, routing) =
            negotiated.await.map_err(|_| ClientError::TimedOut)??;
        let proved = timeout_at(begun + limits.authenticate, self.prove(&mut stream, requested, selected));
        match proved.await.unwrap_or(Err(ClientError::TimedOut)) {
            Ok((accepted, user, password)) => {
                let security = if selected == Protocols::SSL { Security::Tls } else { Security::Nla };
                Ok(Client { stream, accepted, user, password, route: route(routing), security })
            }
            Err(error) => {
                // what was to be said is said; close so that it arrives
                ending::close(&mut stream, limits).await;
                Err(error)
            }
        }
    }

    async fn negotiate(
        &self,
        mut tcp: TcpStream,
    ) -> Result<(Box<TlsStream<TcpStream>>, Protocols, Protocols, Routing), ClientError> {
        let request = read_request(&mut tcp).await?;
        // before a password is asked for: one that machines get would go round for ever
        if matches!(&request.routing, Routing::User(name) if name == self.name) {
            return Err(ClientError::Ourselves);
        }
        let requested = request.protocols.unwrap_or(Protocols::RDP);
        match choose(self.config.security, requested) {
            Ok(selected) => {
                tcp.write_all(&ConnectionConfirm::encode(selected)).await?;
                let stream = TlsAcceptor::from(self.identity.config()).accept(tcp).await?;
                Ok((Box::new(stream), requested, selected, request.routing))
            }
            Err(failure) => {
                tcp.write_all(&ConnectionConfirm::encode_failure(failure)).await?;
                tcp.shutdown().await?;
                ending::drain(&mut tcp, self.config.limits.drain).await;
                Err(ClientError::NoCommonProtocol)
            }
        }
    }

    async fn prove(
        &self,
        stream: &mut TlsStream<TcpStream>,
        requested: Protocols,
        selected: Protocols,
    ) -> Result<(Box<Accepted>, UserName, Password), ClientError> {
        let mut proved = None;
        if selected != Protocols::SSL {
            let mut credssp = self.auth.credssp(self.identity.public_key(), self.peer);
            proved = Some(credssp::prove(stream, &mut *credssp).await?);
            if selected == Protocols::HYBRID_EX {
                stream.write_all(&AUTHORIZATION_SUCCESS).await?;
                stream.flush().await?;
            }
        }
        let mut state = Accepting::new(requested, selected);
        let mut accepted = loop {
            match state.step(&read_frame(stream).await?)? {
                AcceptStep::Next { reply, state: next } => {
                    stream.write_all(&reply).await?;
                    stream.flush().await?;
                    state = next;
                }
                AcceptStep::Done(accepted) => break accepted,
            }
        };
        // taken out in any case: with NLA what stands here proves nothing
        let password = std::mem::take(&mut accepted.info.password);
        let (user, password) = match proved {
            Some(proved) => proved,
            None => {
                let info = &accepted.info;
                // an account always has a password: an empty one means that the client has not asked for it
                let checked = if info.user.is_empty() || password.is_empty() {
                    Err(LogonFailure::Denied)
                } else {
                    self.auth.password(&info.domain, &info.user, password.clone(), self.peer).await
                };
                match checked {
                    Ok(user) => (user, Password::new(password)),
                    Err(failure) => {
                        let info = match failure {
                            LogonFailure::Denied => ErrorInfo::FreshCredentials,
                            LogonFailure::Busy | LogonFailure::Unavailable => ErrorInfo::Denied,
                        };
                        let early_flags = accepted.client.blocks.core.early_flags;
                        stream.write_all(&ending::refusal(early_flags, Some(info))).await?;
                        return Err(failure.into());
                    }
                }
            }
        };
        Ok((accepted, user, password))
    }
}

/// Reads the Connection Request, and a preconnection blob if one is before it.
async fn read_request(tcp: &mut TcpStream) -> Result<ConnectionRequest, ClientError> {
    let mut first = [0; 4];
    tcp.read_exact(&mut first).await?;
    if let Some(length) = blob_len(first)? {
        let mut blob = vec![0; length];
        blob[..4].copy_from_slice(&first);
        tcp.read_exact(&mut blob[4..]).await?;
        let blob = PreconnectionBlob::parse(&blob)?;
        tracing::debug!(id = blob.id, "a preconnection blob is set aside");
        tcp.read_exact(&mut first).await?;
    }
    Ok(ConnectionRequest::parse(&read_rest(tcp, first).await?)?)
}

/// The best protocol that both sides allow.
fn choose(policy: SecurityPolicy, offered: Protocols) -> Result<Protocols, NegotiationFailure> {
    if policy.nla && offered.has(Protocols::HYBRID_EX) {
        Ok(Protocols::HYBRID_EX)
    } else if policy.nla && offered.has(Protocols::HYBRID) {
        Ok(Protocols::HYBRID)
    } else if policy.tls && offered.has(Protocols::SSL) {
        Ok(Protocols::SSL)
    } else if policy.tls {
        Err(NegotiationFailure::SslRequired)
    } else {
        Err(NegotiationFailure::HybridRequired)
    }
}

fn route(routing: Routing) -> Route {
    match routing {
        Routing::Collection(alias) => Route::Collection(alias),
        Routing::Desktop(alias) => Route::Desktop(alias),
        Routing::None | Routing::User(_) | Routing::Other(_) => Route::Default,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_allowed_protocol_is_chosen_and_a_refusal_names_what_is_needed() {
        use NegotiationFailure::*;
        let both = SecurityPolicy { nla: true, tls: true };
        let (nla, tls) = (SecurityPolicy { tls: false, ..both }, SecurityPolicy { nla: false, ..both });
        let cases = [
            (both, 0x0b, Ok(Protocols::HYBRID_EX)),
            (both, 0x03, Ok(Protocols::HYBRID)),
            (both, 0x01, Ok(Protocols::SSL)),
            (both, 0x00, Err(SslRequired)),
            (both, 0x14, Err(SslRequired)),
            (nla, 0x01, Err(HybridRequired)),
            (nla, 0x0b, Ok(Protocols::HYBRID_EX)),
            (tls, 0x0b, Ok(Protocols::SSL)),
            (tls, 0x02, Err(SslRequired)),
        ];
        for (policy, offered, expected) in cases {
            assert_eq!(choose(policy, Protocols(offered)), expected, "{policy:?} {offered:#x}");
        }
    }
}
