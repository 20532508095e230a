-- One table a thing. `row` holds the whole domain object as JSON, so that a type may grow a field without
-- a migration; the other columns are keys, filters and indexes, written from the object every time.
-- Names that compare without case are kept in lower case in columns that end in `_key`.

CREATE TABLE collection (
    alias_key TEXT NOT NULL PRIMARY KEY,
    row       TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE desktop (
    name_key       TEXT NOT NULL PRIMARY KEY,
    collection_key TEXT NOT NULL REFERENCES collection (alias_key) ON DELETE CASCADE,
    row            TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX desktop_of_collection ON desktop (collection_key, name_key);

-- History outlives collections, desktops and accounts: no foreign keys.
CREATE TABLE session (
    uid            BLOB    NOT NULL PRIMARY KEY,
    generation     INTEGER NOT NULL,
    host_key       TEXT    NOT NULL,
    session_id     INTEGER NOT NULL,
    collection_key TEXT    NOT NULL,
    desktop_key    TEXT    NOT NULL,
    user_key       TEXT    NOT NULL,
    state          TEXT    NOT NULL,
    -- 1 while the session holds its user's place and its desktop, else NULL
    live           INTEGER CHECK (live = 1),
    -- 1 until it has ended, else NULL: a Lost session is listed and not live
    listed         INTEGER CHECK (listed = 1),
    row            TEXT    NOT NULL
) STRICT;

-- One live session per user and collection, and one per desktop: two nodes cannot both decide.
CREATE UNIQUE INDEX session_of_user ON session (user_key, collection_key) WHERE live = 1;
CREATE UNIQUE INDEX session_in_desktop ON session (desktop_key) WHERE live = 1;
CREATE UNIQUE INDEX session_number ON session (host_key, session_id);
CREATE INDEX session_list ON session (host_key, session_id) WHERE listed = 1;
CREATE INDEX session_list_of_user ON session (user_key, host_key, session_id) WHERE listed = 1;
CREATE INDEX session_in_collection ON session (collection_key) WHERE live = 1;

-- The last SessionId given on each host. Rows are never deleted: an id is never given twice.
CREATE TABLE session_counter (
    host_key TEXT    NOT NULL PRIMARY KEY,
    last     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE account (
    user_key TEXT    NOT NULL PRIMARY KEY,
    uid      INTEGER NOT NULL UNIQUE,
    row      TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- Every uid that was ever given. Rows are never deleted: files of a deleted account must not
-- become another user's.
CREATE TABLE uid_given (
    uid INTEGER NOT NULL PRIMARY KEY
) STRICT;

CREATE TABLE audit (
    id  INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at  INTEGER NOT NULL,
    row TEXT    NOT NULL
) STRICT;
