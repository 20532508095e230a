//! What went wrong, as `application/problem+json` (RFC 9457) with the WMI code, its name and its meaning.

use super::json_reply;
use crate::http::Reply;
use http::header::{ALLOW, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use openrdms_cim::{CimError, Kind, WmiCode};
use serde_json::{Map, Value as Json, json};

/// Where each code is described; the fragment is its name in lower case.
const DESCRIBED: &str = "https://github.com/openrdms/openrdms/blob/main/docs/json-api.md";

/// A refusal. The detail goes to the caller: no internals, no secrets.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Problem {
    status: StatusCode,
    code: WmiCode,
    detail: String,
    /// The verbs that are offered there instead.
    allow: Option<String>,
    /// What a method gave back that returned a code: that, and its out parameters.
    returned: Option<Map<String, Json>>,
}

impl Problem {
    fn new(status: StatusCode, code: WmiCode, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), allow: None, returned: None }
    }

    /// A request that is wrong and will stay wrong.
    pub(super) fn wrong(detail: impl Into<String>) -> Self {
        CimError::new(WmiCode::WBEM_E_INVALID_PARAMETER, detail).into()
    }

    /// A mistake of ours.
    pub(super) fn bug(detail: &str) -> Self {
        CimError::of(Kind::Bug, detail).into()
    }

    /// What HTTP says with a status alone.
    pub(super) fn of_status(status: StatusCode) -> Self {
        let (code, detail) = match status {
            StatusCode::UNAUTHORIZED => (
                WmiCode::WBEM_E_ACCESS_DENIED,
                "say who you are: a name and a password by Basic authentication",
            ),
            StatusCode::FORBIDDEN => (WmiCode::WBEM_E_ACCESS_DENIED, "access denied"),
            StatusCode::PAYLOAD_TOO_LARGE => (WmiCode::WBEM_E_QUOTA_VIOLATION, "the body is too long"),
            StatusCode::REQUEST_TIMEOUT => (WmiCode::WBEM_E_TIMED_OUT, "the body did not come in time"),
            StatusCode::SERVICE_UNAVAILABLE => (WmiCode::WBEM_E_NOT_AVAILABLE, "not available now"),
            StatusCode::EXPECTATION_FAILED => {
                (WmiCode::WBEM_E_NOT_SUPPORTED, "nothing but 100-continue can be expected")
            }
            _ => (WmiCode::WBEM_E_INVALID_PARAMETER, "the request cannot be read"),
        };
        Self::new(status, code, detail)
    }

    /// The verb is not offered there.
    pub(super) fn verb(allow: &str, detail: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::METHOD_NOT_ALLOWED, WmiCode::WBEM_E_NOT_SUPPORTED, detail);
        Self { allow: Some(allow.to_owned()), ..problem }
    }

    /// A body of another kind.
    pub(super) fn media_type() -> Self {
        let detail = "the body has to be JSON, and its Content-Type application/json";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, WmiCode::WBEM_E_NOT_SUPPORTED, detail)
    }

    /// The instance is not the one that the caller knows.
    pub(super) fn changed_meanwhile() -> Self {
        let detail = "the instance is not as If-Match says";
        Self::new(StatusCode::PRECONDITION_FAILED, WmiCode::WBEM_E_INVALID_OBJECT, detail)
    }

    /// Events that nobody knows any more.
    pub(super) fn lost() -> Self {
        let detail =
            "events after the last one are not known any more: list anew, and listen without Last-Event-ID";
        Self::new(StatusCode::GONE, WmiCode::WBEM_E_QUEUE_OVERFLOW, detail)
    }

    /// What a method gave back that returned something else than 0, and why where it said so.
    pub(super) fn returned(
        method: &str,
        code: i128,
        reason: Option<String>,
        returned: Map<String, Json>,
    ) -> Self {
        let code = WmiCode(u32::try_from(code).unwrap_or(u32::MAX));
        let detail = reason.unwrap_or_else(|| {
            let meaning = code.meaning().unwrap_or("a code of the method's own");
            format!("{method} returned {code}: {}", meaning.to_lowercase())
        });
        Self { returned: Some(returned), ..CimError::new(code, detail).into() }
    }

    /// Whether there is nothing of that name.
    pub(super) fn is_not_found(&self) -> bool {
        self.code == WmiCode::WBEM_E_NOT_FOUND && self.returned.is_none()
    }

    /// Whether another request would do: nothing failed and nothing is missing.
    pub(super) fn is_the_callers(&self) -> bool {
        self.status.is_client_error() || self.status == StatusCode::NOT_IMPLEMENTED
    }

    /// The same as a verb that is not offered.
    pub(super) fn not_allowed(self, allow: String) -> Self {
        Self { status: StatusCode::METHOD_NOT_ALLOWED, allow: Some(allow), ..self }
    }

    /// As JSON.
    pub(super) fn body(&self) -> Json {
        let name = self.code.name();
        let own = json!({
            "type": match name {
                Some(name) => format!("{DESCRIBED}#{}", name.to_lowercase()),
                None => "about:blank".to_owned(),
            },
            "title": self.code.meaning().unwrap_or("An unknown code"),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "wmiCode": format!("0x{:08X}", self.code.0),
            "wmiName": name,
        });
        // a test holds that no out parameter has the name of a member
        let mut body = self.returned.clone().unwrap_or_default();
        if let Json::Object(own) = own {
            body.extend(own);
        }
        body.into()
    }

    pub(super) fn reply(self) -> Reply {
        let mut text = self.body().to_string().into_bytes();
        text.push(b'\n');
        let mut reply = json_reply(self.status, text.into(), "application/problem+json");
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Some(allow) = self.allow.and_then(|allow| HeaderValue::from_str(&allow).ok()) {
            reply.headers_mut().insert(ALLOW, allow);
        }
        reply
    }
}

impl From<CimError> for Problem {
    fn from(error: CimError) -> Self {
        // the table has nothing but statuses that there are
        let status =
            StatusCode::from_u16(error.kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(status, error.code, error.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_described_where_its_type_points() {
        let page = include_str!("../../../../../docs/json-api.md");
        for (code, name, kind, _) in WmiCode::ALL {
            let meaning = code.meaning().expect("a code of ours has a meaning");
            let row = format!(
                "| <a id=\"{}\"></a>`{name}` | `0x{:08X}` | {} | {meaning} |",
                name.to_lowercase(),
                code.0,
                kind.http_status()
            );
            assert!(page.contains(&row), "docs/json-api.md lacks this row:\n{row}");
        }
    }

    #[test]
    fn what_a_method_returned_is_told_with_its_meaning() {
        let gave =
            |code: u32| json!({ "ReturnValue": code, "Was": null }).as_object().cloned().expect("it is one");
        let body = Problem::returned("C.Logoff", 0x8004_1016, None, gave(0x8004_1016)).body();
        assert_eq!((&body["wmiName"], &body["status"]), (&json!("WBEM_E_INVALID_OPERATION"), &json!(409)));
        assert_eq!((&body["ReturnValue"], body.get("Was")), (&json!(0x8004_1016u32), Some(&Json::Null)));
        assert_eq!(body["title"], "Not possible in the present state");
        assert!(body["detail"].as_str().is_some_and(|text| text.starts_with("C.Logoff returned WBEM_E_")));
        let own = Problem::returned("C.Other", 5, Some("because".to_owned()), gave(5)).body();
        assert_eq!((&own["wmiCode"], &own["status"]), (&json!("0x00000005"), &json!(500)));
        assert_eq!(own["detail"], "because");
    }
}
