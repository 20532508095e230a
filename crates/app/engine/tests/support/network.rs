//! RDP servers that nobody has to run: machines that answer, fall silent and change their certificates at will.

use openrdms_broker::ports::{Host, HostError, LogonEnd, Machines, Prepared, Standing, StartDesktop};
use openrdms_broker::{Address, DesktopHandle, DesktopName, Endpoint, HostName, Machine, machine};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The certificate of most machines.
pub(crate) const PIN: [u8; 32] = [7; 32];

/// The RDP servers that there are, by address, with the certificates that they show. Whatever is called `….test` is there
/// and shows [`PIN`].
#[derive(Clone, Default)]
pub(crate) struct Network(Arc<Mutex<HashMap<String, [u8; 32]>>>);

struct OnNetwork(Machine, Network);

#[allow(dead_code, reason = "not every test has machines that change")]
impl Network {
    pub(crate) fn put(&self, address: &str, certificate: [u8; 32]) {
        self.0.lock().unwrap().insert(Address::parse(address).unwrap().to_string(), certificate);
    }

    pub(crate) fn silence(&self, address: &str) {
        self.0.lock().unwrap().remove(&Address::parse(address).unwrap().to_string());
    }
}

#[async_trait::async_trait]
impl Machines for Network {
    fn host(&self, machine: &Machine) -> Arc<dyn Host> {
        Arc::new(OnNetwork(machine.clone(), self.clone()))
    }

    async fn certificate_at(&self, address: &Address) -> Result<[u8; 32], HostError> {
        let shown = self.0.lock().unwrap().get(&address.to_string()).copied();
        let shown = shown.or(address.host().ends_with(".test").then_some(PIN));
        shown.ok_or(HostError::Unreachable("nobody answers".to_owned()))
    }
}

#[async_trait::async_trait]
impl Host for OnNetwork {
    fn name(&self) -> &HostName {
        &self.0.name
    }

    fn kind(&self) -> &'static str {
        machine::KIND
    }

    fn boot_id(&self) -> &str {
        ""
    }

    async fn answers(&self) -> Result<(), HostError> {
        let shown = self.1.certificate_at(&self.0.address).await?;
        let right = shown == self.0.certificate_sha256;
        right.then_some(()).ok_or(HostError::Failed("another certificate".to_owned()))
    }

    fn standing(&self) -> Option<Standing> {
        Some(Standing {
            endpoint: Endpoint::Tcp(self.0.address.clone()),
            certificate_sha256: self.0.certificate_sha256,
            logon: self.0.logon,
        })
    }

    async fn prepare(&self, _: &DesktopName) -> Result<Prepared, HostError> {
        panic!("nothing is prepared on a machine")
    }

    async fn start(&self, _: StartDesktop) -> Result<DesktopHandle, HostError> {
        panic!("nothing is started on a machine")
    }

    async fn ended(&self, _: &DesktopName, _: &DesktopHandle) -> LogonEnd {
        panic!("nobody can wait for that")
    }

    async fn running(&self, _: &DesktopHandle) -> bool {
        panic!("nothing of a machine has a handle")
    }

    async fn logoff(&self, _: &DesktopName, _: &DesktopHandle, _: Duration) -> Result<(), HostError> {
        panic!("nobody can be logged off there")
    }

    async fn message(&self, _: &DesktopName, _: &DesktopHandle, _: &str, _: &str) -> Result<(), HostError> {
        panic!("nothing can be shown there")
    }

    async fn remove(&self, _: &DesktopName) -> Result<(), HostError> {
        Ok(())
    }
}
