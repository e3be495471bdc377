-- The embedded database of a single node. Times are Unix milliseconds, UTC; ids are below 2^31.
-- Columns compared byte for byte (name_key, hashes, cids) are BLOBs.
--
-- The program creates two further kinds of tables ahead of time, one for each month and one for each day:
--
--   message_YYYYMM(id INTEGER PRIMARY KEY, page BLOB)
--       A page is a run of consecutive messages of one conversation; id = conversation_id << 32 | seq of its first.
--   sent_YYYYMMDD(sender_id, first_cid BLOB, page BLOB, PRIMARY KEY(sender_id, first_cid)) WITHOUT ROWID
--       A page is a sorted run of one sender's cids, each with its message's place.

CREATE TABLE user (
    id         INTEGER PRIMARY KEY CHECK (id < 2147483648),
    name       TEXT    NOT NULL,
    name_key   BLOB    NOT NULL UNIQUE,
    password   TEXT    NOT NULL,           -- a PHC string
    email      TEXT    UNIQUE,
    nick       TEXT,
    bio        TEXT,
    sex        TEXT,
    icon       TEXT,
    status     TEXT,
    created_at INTEGER NOT NULL,
    last_login INTEGER
);

-- Only a hash of a token is stored.
CREATE TABLE token (
    hash       BLOB    NOT NULL PRIMARY KEY,
    user_id    INTEGER NOT NULL,
    device     TEXT,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX token_expiry ON token (expires_at);

-- Two rows for each friendship.
CREATE TABLE friend (
    user_id   INTEGER NOT NULL,
    friend_id INTEGER NOT NULL,
    remark    TEXT,
    tag       TEXT,
    PRIMARY KEY (user_id, friend_id)
) WITHOUT ROWID;

CREATE TABLE friend_request (
    from_id    INTEGER NOT NULL,
    to_id      INTEGER NOT NULL,
    status     INTEGER NOT NULL,
    message    TEXT,
    reply      TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (to_id, from_id)
) WITHOUT ROWID;

-- last_seq, month and updated_at describe what is *filed*; messages that are still in the journal come after it.
CREATE TABLE conversation (
    id             INTEGER PRIMARY KEY CHECK (id < 2147483648),
    kind           INTEGER NOT NULL,                -- 0 direct, 1 group
    name           TEXT,                            -- of a group
    description    TEXT,                            -- of a group
    low_id         INTEGER,                         -- of a direct conversation: its two members
    high_id        INTEGER,
    first_seq      INTEGER NOT NULL DEFAULT 1,      -- the first message kept
    last_seq       INTEGER NOT NULL DEFAULT 0,
    month          INTEGER NOT NULL DEFAULT 0,      -- YYYYMM of last_seq
    member_version INTEGER NOT NULL DEFAULT 1,
    updated_at     INTEGER NOT NULL,
    UNIQUE (low_id, high_id)
);

CREATE TABLE member (
    conversation_id INTEGER NOT NULL,
    user_id         INTEGER NOT NULL,
    device          INTEGER NOT NULL DEFAULT 0,     -- 0: all
    role            INTEGER NOT NULL DEFAULT 0,     -- 0 member, 1 admin, 2 owner
    joined_seq      INTEGER NOT NULL DEFAULT 0,
    delivered_seq   INTEGER NOT NULL DEFAULT 0,
    read_seq        INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (conversation_id, user_id, device)
) WITHOUT ROWID;
CREATE INDEX member_user ON member (user_id, conversation_id);

-- Which month's table holds which seqs: from first_seq up to the next segment.
CREATE TABLE segment (
    conversation_id INTEGER NOT NULL,
    month           INTEGER NOT NULL,
    first_seq       INTEGER NOT NULL,
    PRIMARY KEY (conversation_id, month)
) WITHOUT ROWID;

-- One row for each commit: its messages, until they are filed.
CREATE TABLE journal (
    id    INTEGER PRIMARY KEY,
    batch BLOB NOT NULL
);
