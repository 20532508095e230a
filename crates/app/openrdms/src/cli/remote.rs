//! The service, as the command line sees it: WS-Management over the Unix socket.

use super::Failure;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use openrdms_cim::{Enumeration, Instance, Listing, ObjectPath, Params, Repository, Value, WmiCode};
use openrdms_wsman::client::{Answer, AnswerError, Call, read};
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::UnixStream;
use uuid::Uuid;

const BATCH: usize = 500;
/// The longest reply we ask for, and the longest we read.
const MAX_ENVELOPE: usize = 4 << 20;
/// A logoff may take its grace period and a little.
const PATIENCE: Duration = Duration::from_secs(60);

/// A service behind a Unix socket.
pub(crate) struct Remote {
    socket: PathBuf,
    deployment: String,
}

impl Remote {
    pub(crate) fn new(socket: PathBuf, deployment: String) -> Self {
        Self { socket, deployment }
    }

    /// The domain of local accounts.
    pub(crate) fn deployment(&self) -> &str {
        &self.deployment
    }

    /// All instances of one of our classes.
    pub(crate) async fn list(
        &self,
        class: &str,
        equals: Vec<(&str, &str)>,
    ) -> Result<Vec<Instance>, Failure> {
        let equals = equals.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let what = Enumeration { class: ObjectPath::class("root/openrdms", class), equals };
        let mut answer = self.call(&[], |call| call.enumerate(&what, BATCH)).await?;
        let mut all = Vec::new();
        loop {
            let Answer::Listing(Listing { instances, next }) = answer else { return Err(unexpected()) };
            all.extend(instances);
            let Some(context) = next else { return Ok(all) };
            answer = self.call(&[], |call| call.pull(&what.class, &context, BATCH)).await?;
        }
    }

    /// One instance.
    pub(crate) async fn get(&self, path: &ObjectPath) -> Result<Instance, Failure> {
        match self.call(&[], |call| call.get(path)).await? {
            Answer::Instance(instance) => Ok(instance),
            _ => Err(unexpected()),
        }
    }

    /// A method that has to return 0.
    pub(crate) async fn invoke(
        &self,
        path: &ObjectPath,
        method: &str,
        params: Params,
        options: &[(String, String)],
    ) -> Result<(), Failure> {
        let answer = self.call(options, |call| call.invoke(path, method, &params)).await?;
        let Answer::Output(result) = answer else { return Err(unexpected()) };
        match result.return_value {
            Value::Uint32(0) => Ok(()),
            Value::Uint32(code) => {
                let code = WmiCode(code);
                Err(openrdms_cim::CimError::new(code, format!("{method} was not done")).into())
            }
            _ => Err(unexpected()),
        }
    }

    async fn call(
        &self,
        options: &[(String, String)],
        write: impl FnOnce(&Call<'_>) -> String,
    ) -> Result<Answer, Failure> {
        let message_id = format!("uuid:{}", Uuid::new_v4());
        let call = Call {
            to: "http://localhost/wsman",
            message_id: &message_id,
            timeout: Some(PATIENCE),
            max_envelope: MAX_ENVELOPE,
            options,
        };
        let bytes =
            tokio::time::timeout(PATIENCE + Duration::from_secs(5), self.post(write(&call))).await.map_err(
                |_| Failure { exit: 7, message: "the service did not answer in time".to_owned() },
            )??;
        let repository = repository()?;
        read(&bytes, "root/openrdms", &repository).map_err(|error| match error {
            AnswerError::Fault(error) => error.into(),
            AnswerError::Malformed(_) => Failure::failed(error.to_string()),
        })
    }

    async fn post(&self, body: String) -> Result<Bytes, Failure> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.unreachable(&error))?;
        let lost =
            |error: hyper::Error| Failure::unreachable(format!("the service closed the connection: {error}"));
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
        let driver = tokio::spawn(connection);
        let request = http::Request::post("/wsman")
            .header(http::header::HOST, "localhost")
            .header(http::header::CONTENT_TYPE, "application/soap+xml;charset=UTF-8")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| Failure::failed(error.to_string()))?;
        let response = sender.send_request(request).await.map_err(lost)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), 2 * MAX_ENVELOPE).collect().await;
        driver.abort();
        let bytes =
            body.map_err(|error| Failure::unreachable(format!("the answer broke off: {error}")))?.to_bytes();
        match status.as_u16() {
            200 | 500 => Ok(bytes),
            401 | 403 => Err(Failure {
                exit: 4,
                message: "this account may not use the service's socket: run it as root or as the service's account"
                    .to_owned(),
            }),
            other => Err(Failure::failed(format!("the service answered with HTTP status {other}"))),
        }
    }

    fn unreachable(&self, error: &std::io::Error) -> Failure {
        let socket = self.socket.display();
        let hint = match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => {
                "is it running (`openrdms serve`)? `--socket` or OPENRDMS_SOCKET say where"
            }
            std::io::ErrorKind::PermissionDenied => "run this as root or as the service's account",
            _ => "see the service's log",
        };
        Failure::unreachable(format!("the service is not reached at {socket} ({error}): {hint}"))
    }
}

fn unexpected() -> Failure {
    Failure::failed("the service answered something else than was asked")
}

fn repository() -> Result<Repository, Failure> {
    openrdms_rdms::repository().map_err(|error| Failure::failed(error.to_string()))
}
