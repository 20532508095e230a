//! Reading one frame of the handshake, and not a byte more: behind the last one before TLS begins TLS.

use openrdms_rdp::MAX_HANDSHAKE_FRAME;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};
use zeroize::Zeroizing;

/// Reads a whole TPKT frame. It is wiped when dropped, because one of them holds the password.
pub(crate) async fn read_frame<R: AsyncRead + Unpin>(stream: &mut R) -> io::Result<Zeroizing<Vec<u8>>> {
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
