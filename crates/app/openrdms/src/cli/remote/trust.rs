//! Whether a server is the one that is meant: by the system's roots, or by the fingerprint of its certificate.
//!
//! The decision is made within the handshake, before anything is sent to the server: no password, no request.

use aws_lc_rs::digest::{SHA256, digest};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

/// The SHA-256 of a certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; 32]);

/// Judges the certificate of one server.
#[derive(Debug)]
pub(crate) struct Judge {
    /// The only one to accept; `None`: any that the roots vouch for.
    pinned: Option<Fingerprint>,
    roots: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    seen: Mutex<Option<Fingerprint>>,
}

impl Fingerprint {
    fn of(certificate: &CertificateDer<'_>) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, certificate).as_ref());
        Self(bytes)
    }
}

impl Judge {
    pub(crate) fn new(pinned: Option<Fingerprint>) -> Arc<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let roots = if pinned.is_some() { None } else { roots(&provider) };
        Arc::new(Self { pinned, roots, provider, seen: Mutex::default() })
    }

    /// For a connection that it judges.
    pub(crate) fn client_config(self: &Arc<Self>) -> Result<Arc<ClientConfig>, Error> {
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(self) as Arc<dyn ServerCertVerifier>)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }

    /// The certificate that the server showed.
    pub(crate) fn seen(&self) -> Option<Fingerprint> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The system's roots; `None` where it has none, and then nobody vouches for anybody.
fn roots(provider: &Arc<CryptoProvider>) -> Option<Arc<WebPkiServerVerifier>> {
    verifier(rustls_native_certs::load_native_certs().certs, provider)
}

fn verifier(
    roots: Vec<CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Option<Arc<WebPkiServerVerifier>> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots);
    WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider)).build().ok()
}

/// Whether a root has the name of the issuer but is not who signed. Debian's ssl-cert, which xrdp brings, makes such a
/// root, called as the machine is, and so is a certificate of our own making.
fn by_a_namesake(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(
            CertificateError::BadSignature
                | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
        )
    )
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = Fingerprint::of(end_entity);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
        let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        match (self.pinned, &self.roots) {
            // Whoever has its key is who is meant: neither its name nor its dates say more.
            (Some(pinned), _) if pinned == shown => Ok(ServerCertVerified::assertion()),
            (Some(_), _) | (None, None) => Err(unknown),
            (None, Some(roots)) => {
                let verdict =
                    roots.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
                verdict.map_err(|error| if by_a_namesake(&error) { unknown } else { error })
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl FromStr for Fingerprint {
    type Err = &'static str;

    /// 64 hexadecimal digits, with or without colons.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "a SHA-256 fingerprint has 64 hexadecimal digits, with or without colons";
        let digits: Vec<u8> = text.bytes().filter(|b| *b != b':').collect();
        if digits.len() != 64 {
            return Err(wrong);
        }
        let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok()).ok_or(wrong);
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Fingerprint {
    /// As `openssl x509 -fingerprint -sha256` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(":")?;
            }
            write!(f, "{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_reads_back_in_every_form() {
        let fingerprint = Fingerprint::of(&CertificateDer::from(vec![1, 2, 3]));
        let text = fingerprint.to_string();
        assert_eq!((text.len(), text.get(..6)), (95, Some("03:90:")));
        for form in [text.clone(), text.to_lowercase(), text.replace(':', "")] {
            assert_eq!(form.parse(), Ok(fingerprint));
        }
        for wrong in ["", "03", &text[..94], &text.replace('0', "g"), &format!("{text}:00"), "ä"] {
            assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_pinned_certificate_is_accepted_and_no_other() {
        let (one, other) = (CertificateDer::from(vec![1]), CertificateDer::from(vec![2]));
        let judge = Judge::new(Some(Fingerprint::of(&one)));
        let name = ServerName::try_from("h").unwrap();
        let verdict =
            |c: &CertificateDer<'_>| judge.verify_server_cert(c, &[], &name, &[], UnixTime::now()).is_ok();
        assert!(verdict(&one) && !verdict(&other));
        assert_eq!(judge.seen(), Some(Fingerprint::of(&other)));
    }

    #[test]
    fn the_roots_vouch_for_a_name_and_not_for_any() {
        let pair = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["right.example".to_owned()]).unwrap();
        let certificate = params.self_signed(&pair).unwrap().der().clone();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let judge = |roots| Judge {
            pinned: None,
            roots: verifier(roots, &provider),
            provider: Arc::clone(&provider),
            seen: Mutex::default(),
        };
        let verdict = |judge: &Judge, name: &'static str| {
            let name = ServerName::try_from(name).unwrap();
            judge.verify_server_cert(&certificate, &[], &name, &[], UnixTime::now()).is_ok()
        };
        let knowing = judge(vec![certificate.clone()]);
        assert!(verdict(&knowing, "right.example") && !verdict(&knowing, "wrong.example"));
        assert!(!verdict(&judge(Vec::new()), "right.example"), "no roots, nobody vouches");
    }

    #[test]
    fn a_root_that_only_has_the_issuers_name_is_not_the_issuer() {
        let params = rcgen::CertificateParams::new(vec!["desk".to_owned()]).unwrap();
        let made = |algorithm| {
            let pair = rcgen::KeyPair::generate_for(algorithm).unwrap();
            params.self_signed(&pair).unwrap().der().clone()
        };
        let shown = made(&rcgen::PKCS_ECDSA_P256_SHA256);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        for namesake in [made(&rcgen::PKCS_ECDSA_P256_SHA256), made(&rcgen::PKCS_ED25519)] {
            let roots = verifier(vec![namesake], &provider);
            let judge =
                Judge { pinned: None, roots, provider: Arc::clone(&provider), seen: Mutex::default() };
            let name = ServerName::try_from("desk").unwrap();
            let verdict = judge.verify_server_cert(&shown, &[], &name, &[], UnixTime::now());
            assert_eq!(verdict.unwrap_err(), Error::InvalidCertificate(CertificateError::UnknownIssuer));
        }
    }
}
