-- What one account of one server has on this machine. Applied by client/store; forward only.

-- One row.
CREATE TABLE account (
    id          INTEGER PRIMARY KEY,
    name        TEXT    NOT NULL DEFAULT '',
    -- To log in by; NULL after a logout.
    token       TEXT,
    next_number INTEGER NOT NULL DEFAULT 1,
    -- The conversation that was open last.
    current     INTEGER,
    -- Unix milliseconds.
    used_at     INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE conversation (
    id             INTEGER PRIMARY KEY,
    kind           TEXT,
    peer           INTEGER,
    name           TEXT,
    -- Every message up to here is in `message`, or was before this client began; NULL: not known where it begins.
    cursor         INTEGER,
    read_seq       INTEGER NOT NULL DEFAULT 0,
    -- Own messages above the cursor that were confirmed: a JSON array.
    own_above      TEXT    NOT NULL DEFAULT '[]',
    peer_delivered INTEGER NOT NULL DEFAULT 0,
    peer_read      INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE message (
    conversation INTEGER NOT NULL,
    seq          INTEGER NOT NULL,
    kind         TEXT    NOT NULL,
    sender       INTEGER NOT NULL,
    name         TEXT    NOT NULL,
    type         TEXT    NOT NULL,
    content      TEXT    NOT NULL,
    time         INTEGER NOT NULL,
    PRIMARY KEY (conversation, seq)
) WITHOUT ROWID;

-- Own messages that are not known to be stored, and those that will not be (`failure`).
CREATE TABLE outbox (
    local           INTEGER PRIMARY KEY,
    to_user         INTEGER,
    to_name         TEXT,
    to_conversation INTEGER,
    type            TEXT    NOT NULL,
    content         TEXT    NOT NULL,
    cid             TEXT,
    -- When it was first sent, Unix milliseconds; NULL: never.
    first_try       INTEGER,
    failure         TEXT
);

CREATE TABLE friend (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL
);

CREATE TABLE membership (
    conversation INTEGER PRIMARY KEY,
    name         TEXT NOT NULL,
    description  TEXT NOT NULL,
    role         TEXT NOT NULL
);
