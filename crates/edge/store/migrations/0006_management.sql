-- Who owns which desktop of a personal collection.
CREATE TABLE assignment (
    desktop_key    TEXT NOT NULL PRIMARY KEY REFERENCES desktop (name_key) ON DELETE CASCADE,
    collection_key TEXT NOT NULL,
    user_key       TEXT NOT NULL,
    row            TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- A user owns one desktop a collection.
CREATE UNIQUE INDEX assignment_of_user ON assignment (user_key, collection_key);
CREATE INDEX assignment_in_collection ON assignment (collection_key, desktop_key);

-- Named values of the deployment, of collections and of hosts.
CREATE TABLE setting (
    owner          TEXT NOT NULL,
    name_key       TEXT NOT NULL,
    -- what it goes with, if anything
    collection_key TEXT REFERENCES collection (alias_key) ON DELETE CASCADE,
    row            TEXT NOT NULL,
    PRIMARY KEY (owner, name_key)
) STRICT, WITHOUT ROWID;

CREATE INDEX setting_of_collection ON setting (collection_key) WHERE collection_key IS NOT NULL;

-- What is kept whole and found by its key alone.
CREATE TABLE document (
    kind           TEXT    NOT NULL,
    key            TEXT    NOT NULL,
    generation     INTEGER NOT NULL,
    -- what it goes with, if anything
    collection_key TEXT REFERENCES collection (alias_key) ON DELETE CASCADE,
    row            TEXT    NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX document_of_collection ON document (collection_key) WHERE collection_key IS NOT NULL;
