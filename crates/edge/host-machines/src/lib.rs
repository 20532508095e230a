//! The Host port on machines that already speak RDP: PCs, session hosts, virtual machines of a cloud.
//!
//! Such a machine is somebody else's. It can be asked whether its RDP server answers with the pinned certificate, and
//! clients can be led to it; nothing on it can be started, frozen, logged off or shown a message. Whatever it sends is
//! parsed as hostile and read within limits. This crate must never send a password, nor anything of a user's.

mod probe;

use openrdms_broker::ports::{Host, HostError, LogonEnd, Machines, Prepared, Standing, StartDesktop};
use openrdms_broker::{Address, DesktopHandle, DesktopName, Endpoint, HostName, Machine, machine};
use probe::ProbeError;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

/// How long a machine may take to answer. Two such times fit into its lease.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// All machines. Cheap to make: nothing is kept between two questions.
#[derive(Clone, Copy, Debug, Default)]
pub struct RdpMachines;

/// One machine.
struct MachineHost(Machine);

#[async_trait::async_trait]
impl Machines for RdpMachines {
    fn host(&self, machine: &Machine) -> Arc<dyn Host> {
        Arc::new(MachineHost(machine.clone()))
    }

    async fn certificate_at(&self, address: &Address) -> Result<[u8; 32], HostError> {
        match tokio::time::timeout(ANSWER_WITHIN, probe::certificate(address)).await {
            Ok(found) => found.map_err(|error| failed(address, &error)),
            Err(_) => Err(HostError::TimedOut { what: "answer", limit: ANSWER_WITHIN }),
        }
    }
}

fn failed(address: &Address, error: &ProbeError) -> HostError {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    let text = format!("{address}: {error}{cause}");
    match error {
        ProbeError::Closed(cause) if cause.kind() == ErrorKind::InvalidData => HostError::Invalid(text),
        ProbeError::Unreachable(_) | ProbeError::Closed(_) => HostError::Unreachable(text),
        // somebody does, and is not what was meant
        ProbeError::Protocol(_) | ProbeError::WantsNla | ProbeError::NoTls | ProbeError::Tls(_) => {
            HostError::Invalid(text)
        }
    }
}

#[async_trait::async_trait]
impl Host for MachineHost {
    fn name(&self) -> &HostName {
        &self.0.name
    }

    fn kind(&self) -> &'static str {
        machine::KIND
    }

    /// Nobody tells when it was started.
    fn boot_id(&self) -> &str {
        ""
    }

    async fn answers(&self) -> Result<(), HostError> {
        let shown = RdpMachines.certificate_at(&self.0.address).await?;
        if shown == self.0.certificate_sha256 {
            return Ok(());
        }
        Err(HostError::Failed(format!("{} shows another certificate than the pinned one", self.0.address)))
    }

    fn standing(&self) -> Option<Standing> {
        Some(Standing {
            endpoint: Endpoint::Tcp(self.0.address.clone()),
            certificate_sha256: self.0.certificate_sha256,
            logon: self.0.logon,
        })
    }

    async fn prepare(&self, _: &DesktopName) -> Result<Prepared, HostError> {
        Ok(Prepared { certificate_sha256: self.0.certificate_sha256 })
    }

    async fn start(&self, _: StartDesktop) -> Result<DesktopHandle, HostError> {
        Err(HostError::NotSupported("start a desktop"))
    }

    async fn ended(&self, _: &DesktopName, _: &DesktopHandle) -> LogonEnd {
        LogonEnd::Vanished
    }

    async fn running(&self, _: &DesktopHandle) -> bool {
        false
    }

    async fn logoff(&self, _: &DesktopName, _: &DesktopHandle, _: Duration) -> Result<(), HostError> {
        Err(HostError::NotSupported("log a user off"))
    }

    async fn message(&self, _: &DesktopName, _: &DesktopHandle, _: &str, _: &str) -> Result<(), HostError> {
        Err(HostError::NotSupported("show a message"))
    }

    async fn remove(&self, _: &DesktopName) -> Result<(), HostError> {
        Ok(())
    }
}
