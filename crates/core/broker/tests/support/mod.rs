//! A session to begin with.
#![expect(clippy::unwrap_used, reason = "test support: a failure here fails the test")]

use openrdms_broker::session::reconnect::Reconnect;
use openrdms_broker::{
    CollectionAlias, DesktopName, HostName, Session, SessionUid, State, Timestamp, UserName,
};
use uuid::Uuid;

/// Alice's, in a desktop of the collection `pool`.
pub(crate) fn session(state: State) -> Session {
    Session {
        uid: SessionUid(Uuid::from_u128(1)),
        generation: 1,
        session_id: 1,
        host: HostName::new("host").unwrap(),
        boot_id: "boot".into(),
        desktop: DesktopName::new("pool-001").unwrap(),
        collection: CollectionAlias::new("pool").unwrap(),
        user: UserName::new("TEST", "alice").unwrap(),
        created: Timestamp(0),
        client: None,
        last_input: None,
        reconnect: Reconnect::Never,
        closed: None,
        state,
    }
}
