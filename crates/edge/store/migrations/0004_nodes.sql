-- Nodes, by their own key: the last word each has given, and whether it begins new sessions.
CREATE TABLE node (
    id  BLOB NOT NULL PRIMARY KEY,
    row TEXT NOT NULL
) STRICT, WITHOUT ROWID;
