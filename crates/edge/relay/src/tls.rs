//! The certificate that clients see. It can be replaced while the relay runs; open connections keep the old one.

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use std::sync::{Arc, PoisonError, RwLock};
use x509_cert::der::Decode;

/// Why a certificate and key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// No certificate was given.
    #[error("the certificate chain is empty")]
    Empty,
    /// The first certificate cannot be read.
    #[error("the certificate cannot be read")]
    Certificate(#[source] x509_cert::der::Error),
    /// Key and certificate do not fit, or are of an unknown kind.
    #[error("certificate and key cannot be used for tls")]
    Unusable(#[source] rustls::Error),
}

/// A certificate chain with its key, ready for use.
pub struct TlsIdentity {
    config: Arc<ServerConfig>,
    public_key: Vec<u8>,
}

/// The identity in use, replaceable at any time.
#[derive(Clone)]
pub struct SharedIdentity(Arc<RwLock<Arc<TlsIdentity>>>);

impl TlsIdentity {
    /// Makes an identity of a chain, our own certificate first, and its key.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, TlsError> {
        let own = chain.first().ok_or(TlsError::Empty)?;
        let certificate = x509_cert::Certificate::from_der(own).map_err(TlsError::Certificate)?;
        let public_key =
            certificate.tbs_certificate().subject_public_key_info().subject_public_key.raw_bytes();
        let public_key = public_key.to_vec();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .and_then(|b| b.with_no_client_auth().with_single_cert(chain, key))
            .map_err(TlsError::Unusable)?;
        // an RDP connection lasts for hours: resumption saves nothing worth the memory of its tickets
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        Ok(Self { config: Arc::new(config), public_key })
    }

    /// The SubjectPublicKey bits of our certificate, to which CredSSP binds.
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// How we speak TLS with it.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }
}

impl std::fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsIdentity(..)")
    }
}

impl SharedIdentity {
    /// Begins with this identity.
    pub fn new(identity: TlsIdentity) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(identity))))
    }

    /// Uses another one from now on.
    pub fn replace(&self, identity: TlsIdentity) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(identity);
    }

    /// The identity in use now.
    pub fn current(&self) -> Arc<TlsIdentity> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
