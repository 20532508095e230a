//! Clients that know alice's password.

use super::{KEY, NAME, PASSWORD};
use sspi::credssp::{ClientMode, ClientState, CredSspClient, CredSspMode, TsRequest};
use sspi::negotiate::NegotiateConfig;
use sspi::ntlm::NtlmConfig;
use sspi::{
    AuthIdentity, AuthIdentityBuffers, BufferType, ClientRequestFlags, CredentialUse, DataRepresentation,
    EncryptionFlags, Ntlm, SecurityBuffer, SecurityBufferRef, Sspi, SspiImpl, Username,
};

/// A version from before the nonce: what is bound is the key itself, which needs no hash.
const VERSION: u32 = 4;
const TARGET: &str = "TERMSRV/host1";
const SIGNATURE_LEN: usize = 16;

/// What NTLM's messages come in.
#[derive(Clone, Copy)]
pub(super) enum Package {
    Ntlm,
    Spnego,
}

/// The library's own client.
pub(super) struct Client(CredSspClient);

/// A client that delegates whatever it is told to.
pub(super) struct Liar {
    ntlm: Ntlm,
    credentials: Option<AuthIdentityBuffers>,
}

fn alice() -> AuthIdentity {
    AuthIdentity {
        username: Username::parse(NAME).expect("it is a name"),
        password: PASSWORD.to_owned().into(),
    }
}

pub(super) fn bytes(request: &TsRequest) -> Vec<u8> {
    let mut bytes = Vec::new();
    request.encode_ts_request(&mut bytes).expect("it can be written");
    bytes
}

impl Client {
    pub(super) fn new(package: Package) -> Self {
        let ntlm = NtlmConfig::new("client".to_owned());
        let mode = match package {
            Package::Ntlm => ClientMode::Ntlm(ntlm),
            Package::Spnego => ClientMode::Negotiate(NegotiateConfig::new(
                Box::new(ntlm),
                Some("ntlm,!kerberos,!pku2u".to_owned()),
                "client".to_owned(),
            )),
        };
        let client = CredSspClient::new_with_version(
            KEY.to_vec(),
            alice().into(),
            CredSspMode::WithCredentials,
            6,
            mode,
            TARGET.to_owned(),
        );
        Self(client.expect("its settings are good"))
    }

    /// What it says to this, if it says anything more.
    pub(super) fn next(&mut self, answer: TsRequest) -> Option<Vec<u8>> {
        match self.0.process(answer).resolve_to_result() {
            Ok(ClientState::ReplyNeeded(request) | ClientState::FinalMessage(request)) => {
                Some(bytes(&request))
            }
            Err(_) => None,
        }
    }
}

impl Liar {
    pub(super) fn new() -> Self {
        let mut ntlm = Ntlm::with_config(NtlmConfig::new("client".to_owned()));
        let credentials = ntlm
            .acquire_credentials_handle()
            .with_credential_use(CredentialUse::Outbound)
            .with_auth_data(&alice())
            .execute(&mut ntlm)
            .expect("its credentials are good")
            .credentials_handle;
        Self { ntlm, credentials }
    }

    pub(super) fn begin(&mut self) -> Vec<u8> {
        let nego_tokens = Some(self.token(&[]));
        bytes(&TsRequest { version: VERSION, nego_tokens, ..TsRequest::default() })
    }

    pub(super) fn authenticate(&mut self, answer: &TsRequest) -> Vec<u8> {
        let challenge = answer.nego_tokens.as_deref().expect("it is a challenge");
        let nego_tokens = Some(self.token(challenge));
        let pub_key_auth = Some(self.seal(KEY));
        bytes(&TsRequest { version: VERSION, nego_tokens, pub_key_auth, ..TsRequest::default() })
    }

    pub(super) fn delegate(&mut self, info: &[u8]) -> Vec<u8> {
        let auth_info = Some(self.seal(info));
        bytes(&TsRequest { version: VERSION, auth_info, ..TsRequest::default() })
    }

    fn token(&mut self, challenge: &[u8]) -> Vec<u8> {
        let mut input = [SecurityBuffer::new(challenge.to_vec(), BufferType::Token)];
        let mut output = [SecurityBuffer::new(Vec::new(), BufferType::Token)];
        let mut builder = self
            .ntlm
            .initialize_security_context()
            .with_credentials_handle(&mut self.credentials)
            .with_context_requirements(ClientRequestFlags::INTEGRITY | ClientRequestFlags::CONFIDENTIALITY)
            .with_target_data_representation(DataRepresentation::Native)
            .with_target_name(TARGET)
            .with_input(&mut input)
            .with_output(&mut output);
        let done = self.ntlm.initialize_security_context_impl(&mut builder);
        done.and_then(|mut done| done.resolve_to_result()).expect("the challenge is good");
        let [output] = output;
        output.buffer
    }

    fn seal(&mut self, text: &[u8]) -> Vec<u8> {
        let (mut signature, mut body) = ([0; SIGNATURE_LEN], text.to_vec());
        let mut message =
            [SecurityBufferRef::token_buf(&mut signature), SecurityBufferRef::data_buf(&mut body)];
        self.ntlm.encrypt_message(EncryptionFlags::empty(), &mut message).expect("the keys are there");
        [&signature[..], &body].concat()
    }
}
