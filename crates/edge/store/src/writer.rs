//! The writer: the only task that changes the database, and commits what is queued together at once.
//!
//! One fsync costs as much for two hundred writes as for one. Each write runs in a savepoint of its own, so that
//! one that is refused takes nothing with it, and is answered only after the commit. Must never answer earlier.

use crate::error::map;
use openrdms_broker::ports::StoreError;
use sqlx::{Connection as _, SqliteConnection};
use std::{ops::ControlFlow, pin::Pin};
use tokio::sync::{mpsc, oneshot};

/// Writes that may wait; the next caller waits for room.
const QUEUE: usize = 1024;
/// Writes in one commit at most: a bound on how long the first of them waits.
const BATCH: usize = 256;

/// A write in progress on the writer's connection.
pub(crate) type Work<'c, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'c>>;

/// Hears of a write's result once it is durable.
type Told<T> = Box<dyn FnOnce(&T) + Send>;

/// Hands writes to the writer.
#[derive(Clone)]
pub(crate) struct Queue {
    jobs: mpsc::Sender<Box<dyn Job>>,
    /// Tells the writer to end; it answers when it has.
    close: mpsc::Sender<oneshot::Sender<()>>,
}

/// A write that waits, with a place for its result until the commit, and the way back to its caller.
struct Pending<F, T> {
    write: Option<F>,
    result: Option<Result<T, StoreError>>,
    /// Told of the result once it is durable, even where the caller went away.
    told: Option<Told<T>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

/// [`Pending`] without its types. Plain boxed futures instead of async fns: the queue holds trait objects.
trait Job: Send {
    /// Whether nobody waits for it any more.
    fn abandoned(&self) -> bool;
    /// Runs it and keeps the result; answers whether its changes shall stay.
    fn run<'c>(
        &'c mut self,
        connection: &'c mut SqliteConnection,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'c>>;
    /// Tells the caller: the kept result, unless the commit failed.
    fn settle(self: Box<Self>, commit: Result<(), &str>);
}

/// Starts the writer on its connection. It ends when it is told to, or when every [`Queue`] is gone.
pub(crate) fn start(connection: SqliteConnection) -> Queue {
    let (jobs, queue) = mpsc::channel(QUEUE);
    let (close, closing) = mpsc::channel(1);
    tokio::spawn(run(connection, queue, closing));
    Queue { jobs, close }
}

impl Queue {
    /// Runs a write and answers when it is durable. Cancel-safe: a write whose caller went away is done
    /// completely or not at all.
    pub(crate) async fn write<T, F>(&self, write: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> Work<'c, T> + Send + 'static,
    {
        self.put(write, None).await
    }

    /// The same; `told` hears of the result before the caller does, and even where the caller went away.
    pub(crate) async fn write_and<T, F>(
        &self,
        write: F,
        told: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> Work<'c, T> + Send + 'static,
    {
        self.put(write, Some(Box::new(told))).await
    }

    async fn put<T, F>(&self, write: F, told: Option<Told<T>>) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> Work<'c, T> + Send + 'static,
    {
        let gone = || StoreError::Unavailable("the writer has ended".to_owned());
        let (answer, answered) = oneshot::channel();
        let job = Box::new(Pending { write: Some(write), result: None, told, answer });
        self.jobs.send(job).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// Does what is queued, takes nothing more, and closes the file. The writer does so also where the caller goes away.
    pub(crate) async fn close(&self) {
        let (closed, told) = oneshot::channel();
        // an error means that it has ended already
        let _ = self.close.send(closed).await;
        let _ = told.await;
    }

    /// Resolves when the writer has ended, which it never should while anybody holds a queue. Cancel-safe.
    pub(crate) async fn ended(&self) {
        self.jobs.closed().await;
    }
}

impl<T, F> Job for Pending<F, T>
where
    T: Send,
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> Work<'c, T> + Send,
{
    fn abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    fn run<'c>(
        &'c mut self,
        connection: &'c mut SqliteConnection,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'c>> {
        let write = self.write.take();
        Box::pin(async move {
            if let Some(write) = write {
                self.result = Some(write(connection).await);
            }
            matches!(self.result, Some(Ok(_)))
        })
    }

    fn settle(self: Box<Self>, commit: Result<(), &str>) {
        let result = match (commit, self.result) {
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => Err(StoreError::Unavailable("the write was not begun".to_owned())),
            // a refusal too: it may have been because of a write that is undone now
            (Err(cause), _) => Err(StoreError::Unavailable(cause.to_owned())),
        };
        if let (Ok(result), Some(told)) = (&result, self.told) {
            told(result);
        }
        // an error means that the caller went away
        let _ = self.answer.send(result);
    }
}

async fn run(
    mut connection: SqliteConnection,
    mut queue: mpsc::Receiver<Box<dyn Job>>,
    mut closing: mpsc::Receiver<oneshot::Sender<()>>,
) {
    // dropped at the end: so whoever closes hears of it
    let mut _told = None;
    let mut batch = Vec::with_capacity(BATCH);
    // told once: while the store is away everybody tries again all the time
    let mut failing = false;
    loop {
        let received = tokio::select! {
            received = queue.recv_many(&mut batch, BATCH) => received,
            Some(closed) = closing.recv() => {
                queue.close();
                _told = Some(closed);
                continue;
            }
        };
        if received == 0 {
            break;
        }
        batch.retain(|job| !job.abandoned());
        if batch.is_empty() {
            continue;
        }
        let committed = commit(&mut connection, &mut batch).await.map_err(|e| e.to_string());
        match &committed {
            Ok(()) if std::mem::take(&mut failing) => tracing::info!("the store can be written again"),
            Ok(()) => {}
            Err(cause) if !std::mem::replace(&mut failing, true) => {
                tracing::error!(cause, writes = batch.len(), "the store cannot be written");
            }
            Err(cause) => {
                tracing::debug!(cause, writes = batch.len(), "the store still cannot be written");
            }
        }
        batch.drain(..).for_each(|job| job.settle(committed.as_ref().copied().map_err(String::as_str)));
        if committed.is_err() && recover(&mut connection).await.is_break() {
            tracing::error!("the store's connection is stuck in a transaction; the writer ends");
            return;
        }
    }
    if let Err(error) = finish(connection).await {
        tracing::warn!(%error, "the store's journal is not emptied: a copy needs it too");
    }
}

/// Puts everything into the one file. SQLite does so by itself only where no other process has the file open.
async fn finish(mut connection: SqliteConnection) -> Result<(), sqlx::Error> {
    let busy: i64 = sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut connection).await?;
    if busy != 0 {
        tracing::warn!(
            "the store's journal is not emptied, because another process reads: a copy needs it too"
        );
    }
    connection.close().await
}

async fn commit(connection: &mut SqliteConnection, batch: &mut [Box<dyn Job>]) -> Result<(), sqlx::Error> {
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    for job in batch {
        sqlx::query("SAVEPOINT one").execute(&mut *connection).await?;
        if !job.run(connection).await {
            sqlx::query("ROLLBACK TO one").execute(&mut *connection).await?;
        }
        // Fails where SQLite has rolled everything back by itself, as it does on a full disk: then
        // the whole batch has failed, and nothing more of it may run outside the transaction.
        sqlx::query("RELEASE one").execute(&mut *connection).await?;
    }
    sqlx::query("COMMIT").execute(&mut *connection).await?;
    Ok(())
}

/// Leaves the failed transaction. Breaks where the connection cannot begin another.
async fn recover(connection: &mut SqliteConnection) -> ControlFlow<()> {
    // an error only says that SQLite has rolled back already
    let _ = sqlx::query("ROLLBACK").execute(&mut *connection).await;
    // deferred: needs neither lock nor disk, so only an open transaction can refuse it
    match sqlx::raw_sql("BEGIN; ROLLBACK").execute(&mut *connection).await.map_err(map) {
        Ok(_) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    }
}
