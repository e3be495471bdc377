-- Which names look alike (wire::name::skeletons): a new account's name may not look like another's. ASCII names may share
-- a skeleton among themselves (l and 1, rn and m), as everybody can tell them apart.
CREATE TABLE name_claim (
    skeleton BLOB    NOT NULL PRIMARY KEY,
    user_id  INTEGER NOT NULL,             -- the first account with it
    is_ascii INTEGER NOT NULL              -- 1: all accounts with it have ASCII names
) WITHOUT ROWID;

-- Accounts whose name has compatibility forms: the plain form of the name (wire::name::fold), unless it is the name_key.
CREATE TABLE name_fold (
    fold    BLOB    NOT NULL,
    user_id INTEGER NOT NULL,
    PRIMARY KEY (fold, user_id)
) WITHOUT ROWID;

-- The accounts up to this id are in both tables.
CREATE TABLE name_claimed (user_id INTEGER NOT NULL);
INSERT INTO name_claimed VALUES (0);

-- What tells this database from every other one. One row, made with the database.
CREATE TABLE deployment (
    one     INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    server  BLOB    NOT NULL,              -- random, for ever
    history BLOB    NOT NULL               -- random, replaced by every start
);
INSERT INTO deployment VALUES (1, randomblob(16), randomblob(16));

-- A page of groups is one range of an index, however many direct conversations the account has.
ALTER TABLE member ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;                  -- that of its conversation
UPDATE member SET kind = 1 WHERE conversation_id IN (SELECT id FROM conversation WHERE kind = 1);
CREATE INDEX member_kind ON member (user_id, kind, conversation_id);

-- The conversations of an account by their latest activity: one row for each member. listed_until is at least the time
-- of the last message and exceeds it by at most slack, so that few messages move rows. All members' rows of a
-- conversation have its values.
ALTER TABLE conversation ADD COLUMN slack INTEGER NOT NULL DEFAULT 0;           -- milliseconds
ALTER TABLE conversation ADD COLUMN listed_until INTEGER NOT NULL DEFAULT 0;
UPDATE conversation SET listed_until = updated_at;
CREATE TABLE listing (
    user_id         INTEGER NOT NULL,
    slack           INTEGER NOT NULL,
    listed_until    INTEGER NOT NULL,
    conversation_id INTEGER NOT NULL,
    PRIMARY KEY (user_id, slack, listed_until, conversation_id)
) WITHOUT ROWID;
INSERT INTO listing SELECT m.user_id, c.slack, c.listed_until, c.id
    FROM member m JOIN conversation c ON c.id = m.conversation_id WHERE m.device = 0;

-- What an account uses of its quotas: what it created, joined, opened or asked for itself. Who opened the direct
-- conversations and friendships of earlier versions is not known; they are not counted.
CREATE TABLE account_usage (
    user_id       INTEGER PRIMARY KEY,
    groups_owned  INTEGER NOT NULL DEFAULT 0,
    groups_made   INTEGER NOT NULL DEFAULT 0,           -- on that day
    day           INTEGER NOT NULL DEFAULT 0,           -- YYYYMMDD
    friends       INTEGER NOT NULL DEFAULT 0,           -- that it added
    conversations INTEGER NOT NULL DEFAULT 0            -- that it created, joined or opened
);
INSERT INTO account_usage (user_id, groups_owned, conversations)
    SELECT user_id, sum(role = 2), count(*) FROM member WHERE kind = 1 AND device = 0 GROUP BY user_id;
-- Whether this user added the friend, which counts for its usage as long as the friendship lasts.
ALTER TABLE friend ADD COLUMN has_added INTEGER NOT NULL DEFAULT 0;
-- The networks of the latest logins, the newest first: for each its length and its bytes (IPv4: 4, IPv6: the first 8).
-- Wrong passwords from elsewhere do not hold up logins from these.
ALTER TABLE user ADD COLUMN networks BLOB;

-- Rows stay for 90 days after they expire or are revoked: a client that shows such a token is one that the account knows.
-- of_register: 1: made by REGISTER and not used yet; 2: belongs to the first login, which was by password; 0: any other.
ALTER TABLE token ADD COLUMN of_register INTEGER NOT NULL DEFAULT 0;
-- The number of the token among those of its account; with it, the client that logs in by it. When earlier versions made
-- a token is not known: their tokens count as made when they were last used.
ALTER TABLE token ADD COLUMN id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE token ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;   -- 0: other, 1: terminal, 2: web, 3: mobile, 4: script
ALTER TABLE token ADD COLUMN address TEXT;                                      -- of the last login; NULL: not known
ALTER TABLE token ADD COLUMN created_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE token ADD COLUMN last_used_at INTEGER NOT NULL DEFAULT 0;           -- within an hour
UPDATE token SET created_at = max(expires_at - 604800000, 0), last_used_at = max(expires_at - 604800000, 0);
UPDATE token SET id = number FROM (
    SELECT hash AS numbered, row_number() OVER (PARTITION BY user_id ORDER BY expires_at, hash) AS number FROM token
) WHERE hash = numbered;
CREATE UNIQUE INDEX token_user ON token (user_id, id);
-- The token by which the password was last changed; NULL: never, or it is not known.
ALTER TABLE user ADD COLUMN password_by BLOB;
-- The sessions of an account, each with an epoch that no other one of the account has had. Those that have ended are kept
-- for some minutes: so that their nodes learn it, and so that what those sent that have left is still stored. The table has
-- another name than before: an older version can neither claim a session nor write for one.
DROP TABLE session;
CREATE TABLE account_session (
    user_id    INTEGER NOT NULL,
    epoch      INTEGER NOT NULL,
    node       TEXT    NOT NULL,        -- the run of the node that holds it
    claim      INTEGER NOT NULL,        -- the number of the claim among those of its node
    token_hash BLOB    NOT NULL,
    device     TEXT,
    kind       INTEGER NOT NULL,        -- as in token
    heard_at   INTEGER NOT NULL,        -- when its client was last heard of, within a minute or two
    lost_at    INTEGER,                 -- when its connection was lost; NULL: connected
    changed_at INTEGER NOT NULL,        -- when it was claimed or ended
    -- 0: ended by another login, 1: revoked, 2: the password was changed, 6: too many, 100: by itself; NULL: in force
    end_code   INTEGER,
    ended_by   INTEGER,                 -- the epoch of that login
    is_away    INTEGER NOT NULL DEFAULT 0,
    status_text TEXT,                   -- what it shows to friends; NULL: nothing
    status_at  INTEGER,                 -- when these were set; NULL: never
    PRIMARY KEY (user_id, epoch)
) WITHOUT ROWID;
CREATE INDEX session_node ON account_session (node);
CREATE INDEX session_changed ON account_session (changed_at);
ALTER TABLE user ADD COLUMN session_epoch INTEGER NOT NULL DEFAULT 0;           -- of its latest session
ALTER TABLE user ADD COLUMN last_seen_at INTEGER NOT NULL DEFAULT 0;            -- when its client was last heard of as it went offline

-- Entries of timelines that were committed together with a change of another table, until they are filed like messages.
-- `entry` is a page of this entry alone.
CREATE TABLE entry (
    conversation_id INTEGER NOT NULL,
    seq             INTEGER NOT NULL,
    entry           BLOB    NOT NULL,
    PRIMARY KEY (conversation_id, seq)
) WITHOUT ROWID;
-- When an entry that is not a message was last filed. Such entries leave updated_at, by which conversations are listed.
ALTER TABLE conversation ADD COLUMN changed_at INTEGER NOT NULL DEFAULT 0;

-- The last filed entry that is a message.
ALTER TABLE conversation ADD COLUMN message_seq INTEGER NOT NULL DEFAULT 0;
UPDATE conversation SET message_seq = last_seq;
-- How a member sees its conversation. It is hidden while message_seq is at most hidden_seq, which is the end of the
-- timeline when it was hidden.
ALTER TABLE member ADD COLUMN cleared_seq INTEGER NOT NULL DEFAULT 0;           -- the view begins above it
ALTER TABLE member ADD COLUMN is_pinned   INTEGER NOT NULL DEFAULT 0;
ALTER TABLE member ADD COLUMN is_muted    INTEGER NOT NULL DEFAULT 0;
ALTER TABLE member ADD COLUMN hidden_seq  INTEGER;                              -- NULL: not hidden

-- Who was a member of a group and is not any more: it saw the entries above joined_seq up to left_seq, which tells of its
-- leaving. Whoever joins again has no row.
CREATE TABLE former_member (
    conversation_id INTEGER NOT NULL,
    user_id         INTEGER NOT NULL,
    joined_seq      INTEGER NOT NULL,
    left_seq        INTEGER NOT NULL,
    delivered_seq   INTEGER NOT NULL,
    left_at         INTEGER NOT NULL,
    PRIMARY KEY (conversation_id, user_id)
) WITHOUT ROWID;
CREATE INDEX former_member_recent ON former_member (conversation_id, left_at);
CREATE INDEX former_member_left ON former_member (user_id, left_at);
CREATE INDEX former_member_roster ON former_member (conversation_id, user_id) WHERE delivered_seq < left_seq;
CREATE INDEX former_member_behind ON former_member (user_id, conversation_id) WHERE delivered_seq < left_seq;
-- Who may not join a group again.
CREATE TABLE barred (
    conversation_id INTEGER NOT NULL,
    user_id         INTEGER NOT NULL,
    PRIMARY KEY (conversation_id, user_id)
) WITHOUT ROWID;
-- Who made a group, and so has it counted in account_usage; 0: it is not counted.
ALTER TABLE conversation ADD COLUMN maker_id INTEGER NOT NULL DEFAULT 0;
UPDATE conversation SET maker_id = user_id FROM member WHERE conversation_id = id AND role = 2 AND member.kind = 1;
ALTER TABLE conversation ADD COLUMN dismissed_at INTEGER;                       -- NULL: it is not

-- Entries that were changed, as they are now; each is laid over the entry as it was stored. A change is committed with the
-- entry that tells of it.
CREATE TABLE changed (
    conversation_id INTEGER NOT NULL,
    seq             INTEGER NOT NULL,
    change_seq      INTEGER NOT NULL,               -- the last change
    reactions       TEXT    NOT NULL DEFAULT '',    -- a line a kind: the reaction, how many users, the first of them
    content         TEXT,                           -- NULL: as it was stored
    edit_seq        INTEGER,                        -- the last edit, and when it was stored; NULL: none
    edited_at       INTEGER,
    recalled_at     INTEGER,                        -- NULL: not recalled
    of_seq          INTEGER,                        -- of an edit whose text was replaced: the entry that it edits
    PRIMARY KEY (conversation_id, seq)
) WITHOUT ROWID;
CREATE INDEX changed_of ON changed (conversation_id, of_seq) WHERE of_seq IS NOT NULL;
-- Entries whose text was recalled and is still in the journal or in a page.
CREATE TABLE scrub (
    conversation_id INTEGER NOT NULL,
    seq             INTEGER NOT NULL,
    PRIMARY KEY (conversation_id, seq)
) WITHOUT ROWID;
ALTER TABLE conversation ADD COLUMN has_changes INTEGER NOT NULL DEFAULT 0;     -- whether it has such entries
-- Who reacts how to which entry; change_seq is the entry that tells of it.
CREATE TABLE reaction (
    conversation_id INTEGER NOT NULL,
    user_id         INTEGER NOT NULL,
    seq             INTEGER NOT NULL,
    reaction        TEXT    NOT NULL,
    change_seq      INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (conversation_id, user_id, seq, reaction)
) WITHOUT ROWID;
CREATE INDEX reaction_kind ON reaction (conversation_id, seq, reaction, change_seq);

-- Messages that were recalled, and the entry that tells of it: from there on they do not count as unread.
CREATE TABLE recalled (
    conversation_id INTEGER NOT NULL,
    seq             INTEGER NOT NULL,
    change_seq      INTEGER NOT NULL,
    sender_id       INTEGER NOT NULL,
    mentions_peer   INTEGER NOT NULL,               -- whether it mentions the other member of a direct conversation
    PRIMARY KEY (conversation_id, seq)
) WITHOUT ROWID;

-- What a direct conversation has had up to what is filed, counted since this version: messages of the member with the
-- lower id, entries that are no messages, and messages of either member that mention the other one.
ALTER TABLE conversation ADD COLUMN low_messages   INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversation ADD COLUMN uncounted      INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversation ADD COLUMN low_mentioned  INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversation ADD COLUMN high_mentioned INTEGER NOT NULL DEFAULT 0;
-- The same at some entries, a few hundred apart, so that what lies between two of them is known without reading it.
CREATE TABLE direct_total (
    conversation_id INTEGER NOT NULL,
    seq             INTEGER NOT NULL,
    low_messages    INTEGER NOT NULL,
    uncounted       INTEGER NOT NULL,
    low_mentioned   INTEGER NOT NULL,
    high_mentioned  INTEGER NOT NULL,
    PRIMARY KEY (conversation_id, seq)
) WITHOUT ROWID;

-- Which months have been dropped (storage.retention_months). One row.
CREATE TABLE retention (
    one        INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    months     INTEGER NOT NULL DEFAULT 0,          -- the setting at the last look
    seen_at    INTEGER NOT NULL DEFAULT 0,          -- the clock then
    held_until INTEGER NOT NULL DEFAULT 0,          -- nothing is decided before
    kept_from  INTEGER NOT NULL DEFAULT 0,          -- YYYYMM; months before it are dropped, or are being dropped
    rounds     INTEGER NOT NULL DEFAULT 0           -- rises when first_seq begins to be raised and when that is done
);
INSERT INTO retention (one) VALUES (1);
CREATE INDEX segment_month ON segment (month);
