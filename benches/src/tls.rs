//! TLS as the measured connections use it.

use anyhow::Result;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::path::Path;
use std::sync::Arc;

/// Which certificate a server may show.
pub(crate) enum Trust<'a> {
    /// The one in this PEM file, whatever names it has.
    Only(&'a Path),
    /// Any. It still has to have the key, so that the work is the same.
    Anybody,
}

/// What is offered.
#[derive(Clone, Copy)]
pub(crate) enum Suites {
    /// What the library has.
    All,
    /// `TLS_AES_256_GCM_SHA384` with X25519, which OpenSSL takes by itself: so that every leg of what is compared
    /// does the same work.
    Same,
}

pub(crate) fn provider(suites: Suites) -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    if let Suites::Same = suites {
        provider.cipher_suites = vec![cipher_suite::TLS13_AES_256_GCM_SHA384];
        provider.kx_groups = vec![kx_group::X25519];
    }
    Arc::new(provider)
}

pub(crate) fn client(trust: Trust<'_>, suites: Suites) -> Result<ClientConfig> {
    let provider = provider(suites);
    let certificate = match trust {
        Trust::Only(path) => Some(CertificateDer::from_pem_file(path)?),
        Trust::Anybody => None,
    };
    let pin = Pin { certificate, provider: provider.clone() };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pin))
        .with_no_client_auth();
    // each handshake is a whole one
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

#[derive(Debug)]
struct Pin {
    certificate: Option<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.certificate.as_ref().is_none_or(|certificate| certificate == end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
