//! Network level authentication on the client leg: carries TSRequests between the client and the [`Credssp`] port.
//!
//! A TSRequest (MS-CSSP 2.2.1) is read by its own DER length and not a byte further: the client sends its Connect
//! Initial right behind the last one.

use crate::{
    client_leg::ClientError,
    ports::{Credssp, CredsspStep},
};
use openrdms_broker::UserName;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

/// The longest TSRequest. Kerberos tickets with many groups make long ones.
const MAX_TS_REQUEST: usize = 64 * 1024;
/// More rounds than any mechanism needs.
const MAX_ROUNDS: u8 = 12;

/// Runs the exchange: the user it proved.
pub(crate) async fn prove<S>(stream: &mut S, credssp: &mut dyn Credssp) -> Result<UserName, ClientError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    for _ in 0..MAX_ROUNDS {
        let request = read_ts_request(stream).await?;
        match credssp.step(&request).await {
            Ok(CredsspStep::Reply(reply)) => send(stream, &reply).await?,
            Ok(CredsspStep::Done { reply, user }) => {
                if let Some(reply) = reply {
                    send(stream, &reply).await?;
                }
                return Ok(user);
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

/// Reads one DER SEQUENCE, exactly.
async fn read_ts_request<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Zeroizing<Vec<u8>>> {
    let bad = |text| io::Error::new(io::ErrorKind::InvalidData, text);
    let mut header = [0; 5];
    stream.read_exact(&mut header[..2]).await?;
    if header[0] != 0x30 {
        return Err(bad("a ts request is a der sequence"));
    }
    let (header_len, content_len) = match header[1] {
        short @ 0..=0x7f => (2, usize::from(short)),
        long @ 0x81..=0x83 => {
            let n = usize::from(long & 0x0f);
            stream.read_exact(&mut header[2..2 + n]).await?;
            (2 + n, header[2..2 + n].iter().fold(0, |length, b| length << 8 | usize::from(*b)))
        }
        _ => return Err(bad("a ts request has a definite length")),
    };
    if content_len > MAX_TS_REQUEST {
        return Err(bad("a ts request is at most 64 KiB"));
    }
    let mut request = Zeroizing::new(vec![0; header_len + content_len]);
    request[..header_len].copy_from_slice(&header[..header_len]);
    stream.read_exact(&mut request[header_len..]).await?;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_ts_request_is_read_exactly() {
        for length in [0usize, 5, 127, 128, 255, 256, 65536] {
            let header = match length {
                0..=127 => vec![0x30, length as u8],
                128..=255 => vec![0x30, 0x81, length as u8],
                256..=65535 => vec![0x30, 0x82, (length >> 8) as u8, length as u8],
                _ => vec![0x30, 0x83, (length >> 16) as u8, (length >> 8) as u8, length as u8],
            };
            let whole = [header, vec![7; length]].concat();
            let with_more = [&whole[..], b"behind"].concat();
            let mut stream = &with_more[..];
            assert_eq!(*read_ts_request(&mut stream).await.unwrap(), whole);
            assert_eq!(stream, b"behind");
        }
    }

    #[tokio::test]
    async fn what_is_too_long_or_no_sequence_is_refused_before_it_is_read() {
        for bad in [&[0x30, 0x83, 0x01, 0x00, 0x01][..], &[0x31, 0], &[0x30, 0x80], &[0x30, 0x84, 0, 0, 0, 1]]
        {
            let error = read_ts_request(&mut &bad[..]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{bad:02x?}");
        }
    }
}
