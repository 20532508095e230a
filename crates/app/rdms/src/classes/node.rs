//! `OpenRDMS_Node`: the processes of the service that have ever given their word for a host, and draining.

use super::{datetime, intake};
use crate::error::{MethodError, fault};
use crate::provider::{Call, Context, Provider, Query, Wanted, admin_only};
use openrdms_broker::{Intake, KnownNode, NodeId};
use openrdms_cim::{CimError, Class, Instance, Listing, ObjectPath, Value};
use openrdms_engine::EngineError;

pub(crate) struct OpenRdmsNode;

#[async_trait::async_trait]
impl Provider for OpenRdmsNode {
    fn serves(&self) -> (&'static str, &'static str) {
        ("root/openrdms", "OpenRDMS_Node")
    }

    async fn enumerate(&self, cx: &Context, query: &Query<'_>) -> Result<Listing, CimError> {
        admin_only(query.who)?;
        let nodes = cx.engine.store().nodes().await.map_err(fault)?;
        let instances = nodes.iter().map(|node| instance(cx, query.class, node)).collect();
        Ok(Listing { instances, next: None })
    }

    async fn get(&self, cx: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        admin_only(wanted.who)?;
        let node = cx.engine.store().node(id(wanted.path).map_err(fault)?).await.map_err(fault)?;
        let node = node.ok_or_else(|| fault(EngineError::NotFound("node")))?;
        Ok(instance(cx, wanted.class, &node))
    }

    async fn invoke(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        call.audit.target = text(call.path).to_owned();
        let intake = intake(call)?;
        cx.engine.set_node_intake(id(call.path)?, intake).await?;
        Ok(())
    }
}

fn text(path: &ObjectPath) -> &str {
    path.key("Id").and_then(Value::as_str).unwrap_or_default()
}

/// What is no id names no node.
fn id(path: &ObjectPath) -> Result<NodeId, EngineError> {
    text(path).parse().map(NodeId).map_err(|_| EngineError::NotFound("node"))
}

fn instance(cx: &Context, class: &Class, node: &KnownNode) -> Instance {
    let state = match (node.is_up(cx.engine.now()), node.intake) {
        (false, _) => "Lost",
        (true, Intake::Drained) => "Drained",
        (true, Intake::Open) => "Up",
    };
    Instance::of(class)
        .with("Id", node.lease.node.to_string())
        .with("HostName", node.lease.host.as_str())
        .with("State", state)
        .with("Drained", node.intake == Intake::Drained)
        .with("LeaseUntil", datetime(node.lease.until))
        .with("Version", node.lease.version.as_str())
}
