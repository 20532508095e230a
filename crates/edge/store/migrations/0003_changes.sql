-- What happened to sessions, in the order in which it was committed: written in the transaction of the change
-- itself. A position is never given twice (AUTOINCREMENT), so a reader goes on where it was, whatever was
-- forgotten meanwhile. Old rows are forgotten from the beginning on.
CREATE TABLE change (
    position INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    -- milliseconds since 1970
    at       INTEGER NOT NULL,
    user_key TEXT    NOT NULL,
    -- the session's row before it, NULL where it began, and after it
    before   TEXT,
    after    TEXT    NOT NULL
) STRICT;

CREATE INDEX change_of_user ON change (user_key, position);
