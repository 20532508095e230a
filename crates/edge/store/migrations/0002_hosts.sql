-- Hosts, who serves them and until when. Columns are written from the row, as everywhere.
CREATE TABLE host (
    name_key    TEXT    NOT NULL PRIMARY KEY,
    -- milliseconds since 1970: the lease
    lease_until INTEGER NOT NULL,
    -- 1 where new sessions may begin, else NULL
    open        INTEGER CHECK (open = 1),
    row         TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- What a desktop's row says of its host and of a process that may still run in it.
ALTER TABLE desktop ADD COLUMN host_key TEXT AS (lower(row ->> '$.host')) VIRTUAL;
ALTER TABLE desktop ADD COLUMN has_handle INTEGER AS (row ->> '$.handle' IS NOT NULL) VIRTUAL;
CREATE INDEX desktop_on_host ON desktop (host_key, collection_key, name_key);
CREATE INDEX desktop_with_handle ON desktop (host_key) WHERE has_handle;

-- A desktop is not started a second time while any session of it has not ended.
CREATE INDEX session_of_desktop ON session (desktop_key) WHERE listed = 1;
-- nor is its collection deleted under it
DROP INDEX session_in_collection;
CREATE INDEX session_of_collection ON session (collection_key) WHERE listed = 1;
CREATE INDEX session_on_host ON session (host_key) WHERE live = 1;
CREATE INDEX session_lost ON session (host_key) WHERE state = 'Lost';
