//! The TLS configuration of a listener, which may change while it listens.

use rustls::ServerConfig;
use std::sync::{Arc, PoisonError, RwLock};

/// A TLS configuration that can be replaced: connections made afterwards use the new one.
#[derive(Clone)]
pub struct Tls(Arc<RwLock<Arc<ServerConfig>>>);

impl Tls {
    /// With that configuration for a start.
    pub fn new(config: Arc<ServerConfig>) -> Self {
        Self(Arc::new(RwLock::new(config)))
    }

    /// Takes another configuration, such as one with a renewed certificate.
    pub fn replace(&self, config: Arc<ServerConfig>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = config;
    }

    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}
