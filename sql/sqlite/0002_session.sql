-- Who is logged in: the truth for the nodes that share a database, fenced by epoch.
CREATE TABLE session (
    user_id    INTEGER PRIMARY KEY,
    epoch      INTEGER NOT NULL,           -- raised by every claim
    node       TEXT,                       -- which run of which node holds it; NULL: it is over
    token_hash BLOB    NOT NULL,
    lost_at    INTEGER,                    -- since when its connection is gone; NULL: connected
    changed_at INTEGER NOT NULL            -- when it was claimed
);
CREATE INDEX session_node ON session (node);
CREATE INDEX session_changed ON session (changed_at);

-- A run of a node, and when it was last seen.
CREATE TABLE node (
    name    TEXT    NOT NULL PRIMARY KEY,
    seen_at INTEGER NOT NULL
) WITHOUT ROWID;

-- The journal is in files of its own; here stands up to which of its records messages are filed.
DROP TABLE journal;
CREATE TABLE journal_filed (number INTEGER NOT NULL);
INSERT INTO journal_filed VALUES (0);
