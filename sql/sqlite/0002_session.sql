-- Who is logged in where, fenced by epoch; authoritative for all nodes that share the database.
CREATE TABLE session (
    user_id    INTEGER PRIMARY KEY,
    epoch      INTEGER NOT NULL,           -- raised by every claim
    node       TEXT,                       -- the run of the node that holds it; NULL: it has ended
    token_hash BLOB    NOT NULL,
    lost_at    INTEGER,                    -- when its connection was lost; NULL: connected
    changed_at INTEGER NOT NULL            -- when it was claimed
);
CREATE INDEX session_node ON session (node);
CREATE INDEX session_changed ON session (changed_at);

-- A run of a node, and when it was last seen.
CREATE TABLE node (
    name    TEXT    NOT NULL PRIMARY KEY,
    seen_at INTEGER NOT NULL
) WITHOUT ROWID;

-- The journal is kept in separate files; this is the last of its records whose messages are filed.
DROP TABLE journal;
CREATE TABLE journal_filed (number INTEGER NOT NULL);
INSERT INTO journal_filed VALUES (0);
