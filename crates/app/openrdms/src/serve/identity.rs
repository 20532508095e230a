//! Who this node is, and the certificate of its doors: the configured one, or a self-signed one made at first start.

use crate::private_file;
use anyhow::{Context as _, Result};
use openrdms_broker::NodeId;
use openrdms_config::Config;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A chain and its key.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Identity {
    /// For HTTPS.
    pub(crate) fn server_config(&self) -> Result<Arc<rustls::ServerConfig>> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .context("certificate and private key do not go together")?;
        Ok(Arc::new(config))
    }
}

/// Reads the identity; makes one where none is configured and none was made yet.
pub(crate) fn load(config: &Config) -> Result<Identity> {
    let (certificate, key) = files(config);
    if config.rdp.certificate.is_none() || config.rdp.private_key.is_none() {
        make_own(config, &certificate, &key)?;
    }
    read(config)
}

/// Reads the identity as it is.
pub(super) fn read(config: &Config) -> Result<Identity> {
    let (certificate, key) = files(config);
    let chain = CertificateDer::pem_file_iter(&certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("reading the certificate {}", certificate.display()))?;
    anyhow::ensure!(!chain.is_empty(), "{} holds no certificate", certificate.display());
    let key = PrivateKeyDer::from_pem_file(&key)
        .with_context(|| format!("reading the private key {}", key.display()))?;
    Ok(Identity { chain, key })
}

/// Where certificate and private key are.
pub(crate) fn files(config: &Config) -> (PathBuf, PathBuf) {
    match (&config.rdp.certificate, &config.rdp.private_key) {
        (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
        _ => {
            let dir = config.data_dir.join("tls");
            (dir.join("certificate.pem"), dir.join("private-key.pem"))
        }
    }
}

fn make_own(config: &Config, certificate: &Path, key: &Path) -> Result<()> {
    if !certificate.exists() || !key.exists() {
        super::make_dir(&config.data_dir.join("tls"), 0o700)?;
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).context("making a key")?;
        let names = vec![config.host_name.clone(), "localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = rcgen::CertificateParams::new(names).context("making a certificate")?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, config.host_name.clone());
        let made = params.self_signed(&pair).context("making a certificate")?;
        private_file::write(key, pair.serialize_pem().as_bytes())?;
        private_file::write(certificate, made.pem().as_bytes())?;
        tracing::info!(certificate = %certificate.display(), "a self-signed certificate was made");
    }
    Ok(())
}

/// The node that this data directory is: whoever holds its lock, so a restarted service is the same node and has
/// its host's lease at once.
pub(crate) fn node(data_dir: &Path) -> Result<NodeId> {
    let path = data_dir.join("node.id");
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let id = text.trim().parse().with_context(|| format!("{} holds no UUID", path.display()))?;
            Ok(NodeId(id))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let id = NodeId(uuid::Uuid::new_v4());
            private_file::write(&path, id.to_string().as_bytes())?;
            Ok(id)
        }
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}
