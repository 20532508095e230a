//! A desktop's own certificate: made once, pinned by the relay, proof of nothing else.

use crate::files::{self, Owner};
use crate::layout::DeskDir;
use aws_lc_rs::digest;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, PKCS_ECDSA_P256_SHA256};
use std::io;
use zeroize::Zeroizing;

const DER_MAX: u64 = 64 * 1024;

/// The SHA-256 of the desktop's certificate, which is made if there is none.
pub(crate) fn ensure(desk: &DeskDir, name: &str) -> io::Result<[u8; 32]> {
    let der = match files::read_hostile(&desk.certificate_der(), DER_MAX) {
        Ok(der) => der,
        Err(e) if e.kind() == io::ErrorKind::NotFound => make(desk, name)?,
        Err(e) => return Err(e),
    };
    let mut sum = [0; 32];
    sum.copy_from_slice(digest::digest(&digest::SHA256, &der).as_ref());
    Ok(sum)
}

fn make(desk: &DeskDir, name: &str) -> io::Result<Vec<u8>> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(io::Error::other)?;
    let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(io::Error::other)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.self_signed(&key).map_err(io::Error::other)?;
    let key = Zeroizing::new(key.serialize_pem());
    // The store will hold the sum of what is made here: the directory must not be the one to get lost.
    files::sync_names(desk.0.parent().unwrap_or(&desk.0))?;
    files::write_durable(&desk.key(), key.as_bytes(), 0o600, Owner::Us)?;
    files::write_durable(&desk.certificate_pem(), certificate.pem().as_bytes(), 0o600, Owner::Us)?;
    // Last: a DER on the disk says that all three are there and belong together.
    files::write_durable(&desk.certificate_der(), certificate.der(), 0o600, Owner::Us)?;
    Ok(certificate.der().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let desk = DeskDir(dir.path().to_owned());
        let first = ensure(&desk, "pool1-001").unwrap();
        assert_eq!(first, ensure(&desk, "pool1-001").unwrap());
        std::fs::remove_file(desk.certificate_der()).unwrap();
        assert_ne!(first, ensure(&desk, "pool1-001").unwrap());
    }
}
