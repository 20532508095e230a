//! Reading one message of the handshake, and not a byte more: behind the last frame before TLS begins TLS, and right
//! behind its last TSRequest a client sends its Connect Initial.

use openrdms_rdp::MAX_HANDSHAKE_FRAME;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};
use zeroize::Zeroizing;

/// The longest TSRequest. Kerberos tickets with many groups make long ones.
const MAX_TS_REQUEST: usize = 64 * 1024;

/// Reads a whole TPKT frame of a handshake. It is wiped when dropped, because one of them holds the password. Not
/// cancel-safe.
///
/// # Errors
/// `InvalidData` for anything else, and for a frame that no handshake has, before it is read; those of the stream,
/// which has to bring all of it.
pub async fn read_frame<R: AsyncRead + Unpin>(stream: &mut R) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).await?;
    read_rest(stream, header).await
}

/// Reads the rest of a TPKT frame that begins with `header`.
pub(crate) async fn read_rest<R: AsyncRead + Unpin>(
    stream: &mut R,
    header: [u8; 4],
) -> io::Result<Zeroizing<Vec<u8>>> {
    let length = match openrdms_rdp::frame_len(&header) {
        Ok(Some(length)) if header[0] == 3 && length <= MAX_HANDSHAKE_FRAME => length,
        _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "not a frame of a handshake")),
    };
    let mut frame = Zeroizing::new(vec![0; length]);
    let (head, rest) = frame.split_at_mut(header.len());
    head.copy_from_slice(&header);
    stream.read_exact(rest).await?;
    Ok(frame)
}

/// Reads one TSRequest (MS-CSSP 2.2.1), a DER SEQUENCE, exactly. Not cancel-safe.
///
/// # Errors
/// `InvalidData` for something else, and for more than 64 KiB of content, before any of it is read; those of the
/// stream, which has to bring all of it.
pub async fn read_ts_request<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Zeroizing<Vec<u8>>> {
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
