//! A desktop on a Unix socket that does as [`Order`]s say. It speaks RDP, or from the first byte TLS alone, for peers
//! that know nothing of RDP.

use super::client::{Stream, read_frame};
use super::orders::{Order, PONG, pattern};
use crate::tls;
use anyhow::{Context, Result};
use openrdms_rdp::{
    accept::{AcceptStep, Accepting},
    mcs::send_data_indication,
    server::license_valid_client,
    x224::{ConnectionConfirm, ConnectionRequest, Protocols},
};
use rustix::net::RecvFlags;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio_rustls::TlsAcceptor;

/// Patterns in one write.
const TOGETHER: u64 = 4;

/// Serves until the process ends. `ready` is called when clients may come.
pub(crate) async fn run(socket: &Path, certificate: &Path, key: &Path, ready: impl FnOnce()) -> Result<()> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let mut config = ServerConfig::builder_with_provider(tls::provider(tls::Suites::Same))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    // each handshake is a whole one
    config.send_tls13_tickets = 0;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = UnixListener::bind(socket).context("binding the socket")?;
    ready();
    loop {
        let (stream, _) = listener.accept().await?;
        let acceptor = acceptor.clone();
        // a client that goes is no fault of the desktop's
        tokio::spawn(async move { drop(serve(stream, acceptor).await) });
    }
}

async fn serve(mut plain: UnixStream, acceptor: TlsAcceptor) -> Result<()> {
    let speaks_rdp = first_byte(&plain).await? == 3;
    if speaks_rdp {
        let request = read_frame(&mut plain).await?;
        ConnectionRequest::parse(&request)?;
        plain.write_all(&ConnectionConfirm::encode(Protocols::SSL)).await?;
    }
    let mut stream = acceptor.accept(plain).await?;
    if speaks_rdp {
        greet(&mut stream).await?;
    }
    obey(stream).await
}

/// Looks at it without taking it.
async fn first_byte(plain: &UnixStream) -> Result<u8> {
    let byte = plain.async_io(Interest::READABLE, || {
        let mut byte = [0];
        rustix::net::recv(plain, &mut byte, RecvFlags::PEEK)?;
        Ok(byte[0])
    });
    Ok(byte.await?)
}

/// The handshake up to Demand Active.
async fn greet(stream: &mut impl Stream) -> Result<()> {
    let mut state = Accepting::new(Protocols::SSL, Protocols::SSL);
    while let AcceptStep::Next { reply, state: next } = state.step(&read_frame(stream).await?)? {
        stream.write_all(&reply).await?;
        stream.flush().await?;
        state = next;
    }
    #[rustfmt::skip]
    let demand_active = send_data_indication(&[
        0x0e, 0x00, 0x11, 0x00, 0xea, 0x03, // share control: Demand Active
        0xea, 0x03, 0x01, 0x00,             // share id
        0x00, 0x00, 0x00, 0x00,             // no source, no capabilities
    ])?;
    stream.write_all(&[license_valid_client(), demand_active].concat()).await?;
    Ok(stream.flush().await?)
}

async fn obey(mut stream: impl Stream) -> Result<()> {
    let patterns = pattern().repeat(TOGETHER as usize);
    let one = patterns.len() / TOGETHER as usize;
    loop {
        match Order::parse(&read_frame(&mut stream).await?) {
            None => {}
            Some(Order::Ping) => stream.write_all(&PONG).await?,
            Some(Order::Patterns(mut left)) => {
                while left > 0 {
                    let now = left.min(TOGETHER);
                    stream.write_all(&patterns[..one * now as usize]).await?;
                    left -= now;
                }
            }
            Some(Order::Stream(time)) => {
                let begun = Instant::now();
                while begun.elapsed() < time {
                    stream.write_all(&patterns).await?;
                }
            }
        }
        stream.flush().await?;
    }
}
