//! Network level authentication on the client leg: carries TSRequests between the client and the [`Credssp`] port.

use crate::{
    client_leg::ClientError,
    framed::read_ts_request,
    ports::{Credssp, CredsspStep},
};
use openrdms_broker::{Password, UserName};
use std::io;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

/// More rounds than any mechanism needs.
const MAX_ROUNDS: u8 = 12;

/// Runs the exchange: the user it proved, and the password that was delegated.
pub(crate) async fn prove<S>(
    stream: &mut S,
    credssp: &mut dyn Credssp,
) -> Result<(UserName, Password), ClientError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    for _ in 0..MAX_ROUNDS {
        let request = read_ts_request(stream).await?;
        match credssp.step(&request).await {
            Ok(CredsspStep::Reply(reply)) => send(stream, &reply).await?,
            Ok(CredsspStep::Done { reply, user, password }) => {
                if let Some(reply) = reply {
                    send(stream, &reply).await?;
                }
                return Ok((user, password));
            }
            Err(failure) => {
                if let Some(reply) = failure.reply {
                    send(stream, &reply).await?;
                }
                return Err(ClientError::Credssp(failure.message));
            }
        }
    }
    Err(ClientError::Credssp("too many rounds".to_owned()))
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}
