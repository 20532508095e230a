//! NTLM session security (MS-NLMP 3.4): sealing and signing under the exported session key, with extended
//! session security, 128 bit keys and key exchange: nothing weaker is accepted.
//!
//! ```text
//!  sealed = version 1 (4) ‖ RC4(HMAC-MD5(sign key, sequence ‖ text)[..8]) ‖ sequence (4) ‖ RC4(text)
//! ```
//!
//! The sealing is ours, and not the NTLM library's, because SPNEGO needs what the library keeps to itself: a MIC takes
//! a sequence number, but leaves the cipher's state as it was (MS-SPNG 3.3.5.1).

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

const SIGNATURE_LEN: usize = 16;

/// The constants of MS-NLMP 3.4.5.2 and 3.4.5.3, each with its final zero.
const CLIENT_SIGN: &[u8] = b"session key to client-to-server signing key magic constant\0";
const SERVER_SIGN: &[u8] = b"session key to server-to-client signing key magic constant\0";
const CLIENT_SEAL: &[u8] = b"session key to client-to-server sealing key magic constant\0";
const SERVER_SEAL: &[u8] = b"session key to server-to-client sealing key magic constant\0";

/// Both directions of one connection.
#[derive(Debug)]
pub(crate) struct Seal {
    ours: Direction,
    theirs: Direction,
}

/// A message that was not sealed or signed by who holds the session key, or not in its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message was not sealed under the session key")]
pub(crate) struct NotSealed;

#[derive(Zeroize, ZeroizeOnDrop)]
struct Direction {
    sign: [u8; 16],
    cipher: Rc4,
    sequence: u32,
}

#[derive(Clone, Zeroize, ZeroizeOnDrop)]
struct Rc4 {
    state: [u8; 256],
    i: u8,
    j: u8,
}

impl std::fmt::Debug for Direction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Direction(sequence {})", self.sequence)
    }
}

impl Seal {
    /// The server's side of the session key.
    pub(crate) fn server(session_key: &[u8]) -> Self {
        Self {
            ours: Direction::new(session_key, SERVER_SIGN, SERVER_SEAL),
            theirs: Direction::new(session_key, CLIENT_SIGN, CLIENT_SEAL),
        }
    }

    /// The client's side, for tests.
    #[cfg(test)]
    pub(crate) fn client(session_key: &[u8]) -> Self {
        let Self { ours, theirs } = Self::server(session_key);
        Self { ours: theirs, theirs: ours }
    }

    /// Seals a message of ours.
    pub(crate) fn seal(&mut self, text: &[u8]) -> Vec<u8> {
        let mut body = text.to_vec();
        self.ours.cipher.apply(&mut body);
        let mut sealed = self.ours.signature(text).to_vec();
        sealed.append(&mut body);
        sealed
    }

    /// Opens a message of theirs.
    ///
    /// # Errors
    /// [`NotSealed`]; nothing later can be opened then.
    pub(crate) fn open(&mut self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotSealed> {
        let (signature, body) = sealed.split_at_checked(SIGNATURE_LEN).ok_or(NotSealed)?;
        let mut text = Zeroizing::new(body.to_vec());
        self.theirs.cipher.apply(&mut text);
        let expected = self.theirs.signature(&text);
        if bool::from(expected.ct_eq(signature)) { Ok(text) } else { Err(NotSealed) }
    }

    /// Our MIC over the list of mechanisms.
    pub(crate) fn mic(&mut self, data: &[u8]) -> [u8; SIGNATURE_LEN] {
        self.ours.mic(data)
    }

    /// Checks their MIC over the list of mechanisms.
    ///
    /// # Errors
    /// [`NotSealed`].
    pub(crate) fn check_mic(&mut self, data: &[u8], mic: &[u8]) -> Result<(), NotSealed> {
        if bool::from(self.theirs.mic(data).ct_eq(mic)) { Ok(()) } else { Err(NotSealed) }
    }
}

impl Direction {
    fn new(session_key: &[u8], sign: &[u8], seal: &[u8]) -> Self {
        let key = |magic: &[u8]| -> Zeroizing<[u8; 16]> {
            Zeroizing::new(Md5::new().chain_update(session_key).chain_update(magic).finalize().into())
        };
        Self { sign: *key(sign), cipher: Rc4::new(&key(seal)), sequence: 0 }
    }

    fn signature(&mut self, text: &[u8]) -> [u8; SIGNATURE_LEN] {
        let sequence = self.sequence.to_le_bytes();
        self.sequence = self.sequence.wrapping_add(1);
        let mut mac = Hmac::<Md5>::new_from_slice(&self.sign).expect("HMAC takes keys of any length");
        mac.update(&sequence);
        mac.update(text);
        let mut checksum: [u8; 8] =
            mac.finalize().into_bytes()[..8].try_into().expect("an MD5 has sixteen bytes");
        self.cipher.apply(&mut checksum);

        let mut signature = [0; SIGNATURE_LEN];
        signature[0] = 1;
        signature[4..12].copy_from_slice(&checksum);
        signature[12..].copy_from_slice(&sequence);
        signature
    }

    fn mic(&mut self, data: &[u8]) -> [u8; SIGNATURE_LEN] {
        let before = self.cipher.clone();
        let mic = self.signature(data);
        self.cipher = before;
        mic
    }
}

impl Rc4 {
    fn new(key: &[u8; 16]) -> Self {
        let mut state = [0; 256];
        for (value, byte) in (0..=255).zip(&mut state) {
            *byte = value;
        }
        let mut j = 0_u8;
        for i in 0..256 {
            j = j.wrapping_add(state[i]).wrapping_add(key[i % key.len()]);
            state.swap(i, usize::from(j));
        }
        Self { state, i: 0, j: 0 }
    }

    fn apply(&mut self, data: &mut [u8]) {
        for byte in data {
            self.i = self.i.wrapping_add(1);
            let a = self.state[usize::from(self.i)];
            self.j = self.j.wrapping_add(a);
            let b = self.state[usize::from(self.j)];
            self.state.swap(usize::from(self.i), usize::from(self.j));
            *byte ^= self.state[usize::from(a.wrapping_add(b))];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_sealed_as_the_specification_shows() {
        // MS-NLMP 4.2.4.4: NTLMv2, the random session key 0x55…, "Plaintext" in UTF-16LE
        let text: Vec<u8> = "Plaintext".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut client = Seal::client(&[0x55; 16]);
        let sealed = client.seal(&text);
        assert_eq!(sealed[..16], [1, 0, 0, 0, 0x7f, 0xb3, 0x8e, 0xc5, 0xc5, 0x5d, 0x49, 0x76, 0, 0, 0, 0]);
        let body = [
            0x54, 0xe5, 0x01, 0x65, 0xbf, 0x19, 0x36, 0xdc, 0x99, 0x60, 0x20, 0xc1, 0x81, 0x1b, 0x0f, 0x06,
            0xfb, 0x5f,
        ];
        assert_eq!(sealed[16..], body);
        assert_eq!(*Seal::server(&[0x55; 16]).open(&sealed).unwrap(), text);
    }

    #[test]
    fn a_mic_takes_a_number_and_leaves_the_cipher() {
        let (mut client, mut server) = (Seal::client(b"key"), Seal::server(b"key"));
        let mic = client.mic(b"list");
        server.check_mic(b"list", &mic).unwrap();
        let sealed = client.seal(b"text");
        assert_eq!(sealed[12..16], [1, 0, 0, 0]);
        assert_eq!(
            sealed[16..],
            Seal::client(b"key").seal(b"text")[16..],
            "the same key stream as without the MIC"
        );
        assert_eq!(**server.open(&sealed).unwrap(), *b"text");
        assert_eq!(server.check_mic(b"list", &mic), Err(NotSealed), "not twice");
    }

    #[test]
    fn nothing_but_the_next_message_under_the_key_opens() {
        let sealed = Seal::client(b"key").seal(b"text");
        assert!(Seal::server(b"other").open(&sealed).is_err());
        assert!(Seal::client(b"key").open(&sealed).is_err(), "our own message sent back to us");
        for i in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[i] ^= 1;
            assert!(Seal::server(b"key").open(&damaged).is_err(), "byte {i}");
            assert!(Seal::server(b"key").open(&sealed[..i]).is_err(), "cut at {i}");
        }
        let mut server = Seal::server(b"key");
        server.open(&sealed).unwrap();
        assert!(server.open(&sealed).is_err(), "not twice");
    }
}
