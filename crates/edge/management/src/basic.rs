//! Basic authentication (RFC 7617).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use openrdms_cim::Principal;
use zeroize::Zeroizing;

/// Proves who somebody is.
#[async_trait::async_trait]
pub trait Authenticate: Send + Sync + 'static {
    /// By name (`user`, `DOMAIN\user` or `user@domain`) and password. `from` is the door and the address, for
    /// [`Principal::from`] and the audit. Dropping the future must be safe: the client may go away.
    async fn basic(
        &self,
        user: &str,
        password: Zeroizing<String>,
        from: &str,
    ) -> Result<Principal, AuthFailure>;
}

/// Why nobody was proved to be anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthFailure {
    /// Wrong name, wrong password, or not allowed in.
    #[error("access denied")]
    Denied,
    /// Cannot be checked now; worth another try.
    #[error("authentication is not available now")]
    Unavailable,
}

/// Name and password of an `Authorization` header; `None` where it is none of this scheme.
pub(crate) fn parse(header: &[u8]) -> Option<(String, Zeroizing<String>)> {
    let (scheme, token) = header.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") {
        return None;
    }
    let bytes = Zeroizing::new(STANDARD.decode(token.trim_ascii()).ok()?);
    let colon = bytes.iter().position(|b| *b == b':')?;
    let (user, password) = (bytes.get(..colon)?, bytes.get(colon + 1..)?);
    Some((decode(user), Zeroizing::new(decode(password))))
}

/// Clients send UTF-8, or else Latin-1.
fn decode(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &[u8]) -> Vec<u8> {
        format!("basic  {}", STANDARD.encode(text)).into_bytes()
    }

    #[test]
    fn name_and_password_are_split_at_the_first_colon() {
        let (user, password) = parse(&header("LAB\\ännä:a:b".as_bytes())).unwrap();
        assert_eq!((user.as_str(), password.as_str()), ("LAB\\ännä", "a:b"));
        let (user, _) = parse(&header(b"\xe4nna:")).unwrap();
        assert_eq!(user, "änna");
    }

    #[test]
    fn what_is_not_basic_is_nothing() {
        for text in ["", "Basic", "Basic ", "Basic !!!", "Basic YQ==", "Negotiate YTpi"] {
            assert!(parse(text.as_bytes()).is_none(), "{text}");
        }
    }
}
