//! The NT hash: all that NTLM needs of a password, and as good as the password to whoever holds it.

use md4::{Digest, Md4};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// MD4 of a password in UTF-16LE (`MS-NLMP 3.3.1`, NTOWFv1). Compared in constant time, never shown.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct NtHash([u8; 16]);

impl NtHash {
    /// The hash of a password.
    pub fn of(password: &str) -> Self {
        let utf16: Zeroizing<Vec<u8>> =
            Zeroizing::new(password.encode_utf16().flat_map(u16::to_le_bytes).collect());
        Self(Md4::digest(&*utf16).into())
    }

    /// A hash that was kept.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl PartialEq for NtHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for NtHash {}

impl std::fmt::Debug for NtHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NtHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_md4_of_utf16() {
        // MS-NLMP 4.2.2.1.2: NTOWFv1 of "Password"
        let expected =
            [0xa4, 0xf4, 0x9c, 0x40, 0x65, 0x10, 0xbd, 0xca, 0xb6, 0x82, 0x4e, 0xe7, 0xc3, 0x0f, 0xd8, 0x52];
        assert_eq!(NtHash::of("Password").as_bytes(), &expected);
        assert_ne!(NtHash::of("Password"), NtHash::of("password"));
        assert_eq!(format!("{:?}", NtHash::of("Password")), "NtHash(..)");
    }
}
