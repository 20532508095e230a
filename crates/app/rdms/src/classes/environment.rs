//! `Win32_RDMSEnvironment`: the deployment itself. It has methods only, all static.
//!
//! Windows has one active management server and others that wait. Here every node manages: the active server is the
//! node that answers, and to make it that changes nothing. The client access name and the setting
//! `DeploymentRedirectorServer` are one.

use super::deployment_settings::{CLIENT_ACCESS_NAME, answer, set_text, text_of};
use crate::error::MethodError;
use crate::provider::{Call, Context, Provider, admin_only, no_method};

pub(crate) struct Environment;

#[async_trait::async_trait]
impl Provider for Environment {
    fn serves(&self) -> (&'static str, &'static str) {
        ("root/cimv2/rdms", "Win32_RDMSEnvironment")
    }

    async fn invoke(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        let server = cx.engine.host().name().to_string();
        match call.method {
            "GetActiveServer" => answer(call, "ServerName", server.into()),
            "SetActiveServer" => {
                call.audit.target = server;
                Ok(())
            }
            "GetClientAccessName" => {
                let name = text_of(cx, CLIENT_ACCESS_NAME).await?;
                answer(call, "ClientAccessName", name.into())
            }
            "SetClientAccessName" => {
                call.audit.target = "deployment".to_owned();
                set_text(cx, call, CLIENT_ACCESS_NAME, "ClientAccessName").await
            }
            _ => Err(no_method(call)),
        }
    }
}
