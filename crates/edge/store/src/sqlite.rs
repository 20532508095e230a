//! Opening the file.

use crate::{changes, error::OpenError, writer, writer::Queue};
use openrdms_broker::change::Position;
use sqlx::{
    Connection, SqliteConnection, SqlitePool,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    fs::{OpenOptions, Permissions},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::sync::watch;

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// The file's name in the data directory.
const FILE: &str = "openrdms.sqlite";
/// Connections that read. More would only wait for the two to four processors.
const READERS: u32 = 4;
/// How many rows a reader's thread may be ahead of who asked: a page that fits costs no turns between the two.
const ROWS_AHEAD: usize = 256;
/// A quarter of a mebibyte, not two: enough for what look-ups come by again, and a list is read only once. The rest is in the
/// system's cache.
const READER_CACHE: &str = "-256";
/// How long the start waits for another process's lock (a backup, an administrator's shell).
const BUSY_AT_START: Duration = Duration::from_secs(5);
/// The same while the service runs. A write may wait for the one before it and then for its own turn, and a
/// method makes two of them, the second for the audit trail: together a caller still hears within seconds.
const BUSY: &str = "PRAGMA busy_timeout = 1000";
/// How long the close waits for reads that are running.
const READS_END: Duration = Duration::from_secs(1);

/// The store in one SQLite file. Clones share it.
#[derive(Clone)]
pub struct SqliteStore {
    pub(crate) queue: Queue,
    pub(crate) readers: SqlitePool,
    /// The last change of a session that this process has committed.
    pub(crate) last_change: Arc<watch::Sender<Position>>,
}

impl SqliteStore {
    /// Opens `openrdms.sqlite` in a directory, makes it (mode 0600) if it is not there, and brings its schema
    /// up to date. Starts the writer task on the current runtime.
    ///
    /// # Errors
    /// When the file cannot be used, or a newer OpenRDMS has written it.
    pub async fn open(directory: &Path) -> Result<Self, OpenError> {
        let path = directory.join(FILE);
        make_private(&path).map_err(|source| OpenError::File { path: path.clone(), source })?;
        let database = |source| OpenError::Database { path: path.clone(), source };
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_AT_START);

        let mut connection = SqliteConnection::connect_with(&options).await.map_err(database)?;
        migrate(&mut connection, &path).await?;
        sqlx::query(BUSY).execute(&mut connection).await.map_err(database)?;

        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(BUSY_AT_START)
            .connect_with(
                options.read_only(true).row_buffer_size(ROWS_AHEAD).pragma("cache_size", READER_CACHE),
            )
            .await
            .map_err(database)?;
        let last = changes::span(&readers).await.map_err(|source| OpenError::Log { path, source })?.last;
        let last_change = Arc::new(watch::Sender::new(last));
        Ok(Self { queue: writer::start(connection), readers, last_change })
    }

    /// Ends what reads and does the writes that are queued; then the file alone is the store, without its journal. Every
    /// call answers `Unavailable` from then on. Takes a few seconds at most, unless the disk stands still. Cancel-safe:
    /// where it is dropped, the rest may not happen.
    pub async fn close(&self) {
        // who reads for longer than this, reads on: the journal may have to stay then
        let _ = tokio::time::timeout(READS_END, self.readers.close()).await;
        self.queue.close().await;
    }

    /// Resolves when the writer task has ended, which it must not while the service runs: the process should
    /// then end too, with that reason. Until then every write answers `Unavailable`. Cancel-safe.
    pub async fn writer_ended(&self) {
        self.queue.ended().await;
    }
}

/// Makes the file, or narrows its mode. SQLite gives its journal the mode of the database.
fn make_private(path: &Path) -> std::io::Result<()> {
    let file =
        OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))
}

async fn migrate(connection: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let known = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0);
    match MIGRATOR.run(connection).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(found)) if found > known => {
            Err(OpenError::Newer { path: path.to_owned(), found, known })
        }
        Err(source) => Err(OpenError::Migration { path: path.to_owned(), source: Box::new(source) }),
    }
}
