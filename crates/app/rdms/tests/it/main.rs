//! The providers behind the dispatch, on a real store and a host that does what it is told.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of what clippy takes for one")]

mod changes;
mod deployment;
mod events;
mod garbage;
mod jobs;
mod methods;
mod providers;
mod rdsh;
mod reads;
mod schema;
mod session_directory;
#[path = "../../../engine/tests/support/mod.rs"]
#[expect(dead_code, reason = "shared with the engine's tests, which use all of it")]
mod support;
mod table;
mod terminal_services;
mod virtual_desktops;

use openrdms_broker::{Credentials, UserName};
use openrdms_cim::Principal;
use openrdms_engine::Engine;
use openrdms_rdms::{Passwords, Rdms};
use std::sync::Arc;

/// The namespace of Microsoft's classes, and that of ours.
const MICROSOFT: &str = "root/cimv2/rdms";
const OURS: &str = "root/openrdms";

/// Every password but the empty one is its own hash.
struct Plain;

#[async_trait::async_trait]
impl Passwords for Plain {
    async fn credentials(
        &self,
        _: &UserName,
        password: zeroize::Zeroizing<String>,
    ) -> Result<Credentials, String> {
        if password.is_empty() {
            return Err("the password is empty".into());
        }
        Ok(Credentials { password_hash: password.to_string(), sealed_nt_hash: None })
    }
}

fn rdms(engine: &Engine) -> Rdms {
    Rdms::new(engine.clone(), Arc::new(Plain), "TEST".into(), 1000..=1010).unwrap()
}

fn admin() -> Principal {
    Principal { name: "TEST\\root".into(), admin: true, from: "test".into(), proof: None }
}

fn user(name: &str) -> Principal {
    Principal { name: format!("TEST\\{name}"), admin: false, from: "test".into(), proof: None }
}
