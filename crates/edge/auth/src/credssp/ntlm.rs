//! NTLM's three messages (MS-NLMP 2.2.1), the server's side.
//!
//! ```text
//!  NEGOTIATE ──▶ Challenge ── CHALLENGE ──▶ client ── AUTHENTICATE ──▶ Claim ── hash ──▶ session key
//! ```
//!
//! A [`Claim`] has proved nothing, and nor has its session key: a wrong hash only makes a key that opens nothing.
//! The proof is the first sealed message that opens.

use super::{Refusal, quiet::quiet};
use crate::NtHash;
use sspi::{
    AuthIdentity, BufferType, DataRepresentation, NTLM_HASH_PREFIX, Ntlm, SecurityBuffer, ServerRequestFlags,
    Sspi, SspiEx, SspiImpl, Username, ntlm::NtlmConfig,
};
use std::fmt::Write;
use zeroize::Zeroizing;

/// NEGOTIATE_SIGN, _SEAL, _EXTENDED_SESSIONSECURITY, _128 and _KEY_EXCH (MS-NLMP 2.2.2.5). Every client of this
/// century has them all, and CredSSP is not safe without.
const REQUIRED_FLAGS: u32 = 0x0000_0010 | 0x0000_0020 | 0x0008_0000 | 0x2000_0000 | 0x4000_0000;

/// Where NegotiateFlags stands in an AUTHENTICATE_MESSAGE (MS-NLMP 2.2.1.3).
const FLAGS_AT: usize = 60;

/// A challenge that was sent.
pub(crate) struct Challenge(Box<Ntlm>);

/// An answer to a challenge, not proved.
pub(crate) struct Claim {
    ntlm: Box<Ntlm>,
    username: Username,
}

/// Answers a NEGOTIATE_MESSAGE with a CHALLENGE_MESSAGE.
pub(crate) fn challenge(negotiate: &[u8]) -> Result<(Challenge, Vec<u8>), Refusal> {
    let mut ntlm = Box::new(quiet(|| Ntlm::with_config(NtlmConfig::default()))?);
    let message = accept(&mut ntlm, negotiate)?;
    Ok((Challenge(ntlm), message))
}

impl Challenge {
    /// Reads the AUTHENTICATE_MESSAGE.
    pub(crate) fn answered(self, authenticate: &[u8]) -> Result<Claim, Refusal> {
        let mut ntlm = self.0;
        let flags =
            authenticate.get(FLAGS_AT..).and_then(|b| b.first_chunk()).ok_or(Refusal::Malformed("NTLM"))?;
        if u32::from_le_bytes(*flags) & REQUIRED_FLAGS != REQUIRED_FLAGS {
            return Err(Refusal::Malformed("NTLM flags: too weak"));
        }
        accept(&mut ntlm, authenticate)?;
        let names = quiet(|| ntlm.query_context_names())?.map_err(|_| Refusal::Malformed("NTLM name"))?;
        Ok(Claim { ntlm, username: names.username })
    }
}

impl Claim {
    /// The name as the client spelled it: `name`, `domain\name` or `name@domain`.
    pub(crate) fn name(&self) -> &str {
        self.username.inner()
    }

    /// The session key under this hash.
    ///
    /// # Errors
    /// [`Refusal::LogonFailure`] where the message's own MIC shows already that the hash is wrong.
    pub(crate) fn session_key(mut self, hash: &NtHash) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let mut password = Zeroizing::new(String::with_capacity(NTLM_HASH_PREFIX.len() + 32));
        password.push_str(NTLM_HASH_PREFIX);
        for byte in hash.as_bytes() {
            write!(password, "{byte:02x}").map_err(|_| Refusal::Defect)?;
        }
        let identity = AuthIdentity { username: self.username, password: (*password).clone().into() };
        quiet(|| {
            self.ntlm.custom_set_auth_identity(identity)?;
            self.ntlm.complete_auth_token(&mut [])?;
            let keys = self.ntlm.query_context_session_key()?;
            Ok(Zeroizing::new(keys.session_key.as_ref().clone()))
        })?
        .map_err(|_: sspi::Error| Refusal::LogonFailure("wrong password or unknown account"))
    }
}

/// One message in, one (or none) out.
fn accept(ntlm: &mut Ntlm, message: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut input = [SecurityBuffer::new(message.to_vec(), BufferType::Token)];
    let mut output = [SecurityBuffer::new(Vec::new(), BufferType::Token)];
    let mut credentials = None;
    quiet(|| {
        let builder = ntlm
            .accept_security_context()
            .with_credentials_handle(&mut credentials)
            .with_context_requirements(ServerRequestFlags::empty())
            .with_target_data_representation(DataRepresentation::Native)
            .with_input(&mut input)
            .with_output(&mut output);
        ntlm.accept_security_context_impl(builder)?.resolve_to_result().map(drop)
    })?
    .map_err(|_| Refusal::Malformed("NTLM"))?;
    let [output] = output;
    Ok(output.buffer)
}
