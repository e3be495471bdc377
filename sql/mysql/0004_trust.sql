-- Which names look alike (wire::name::skeletons): a new account's name may not look like another's. ASCII names may share
-- a skeleton among themselves (l and 1, rn and m), as everybody can tell them apart.
CREATE TABLE IF NOT EXISTS name_claim (
    skeleton VARBINARY(2048) NOT NULL PRIMARY KEY,
    user_id  INT             NOT NULL,          -- the first account with it
    is_ascii TINYINT         NOT NULL           -- 1: all accounts with it have ASCII names
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Accounts whose name has compatibility forms: the plain form of the name (wire::name::fold), unless it is the name_key.
CREATE TABLE IF NOT EXISTS name_fold (
    fold    VARBINARY(2048) NOT NULL,
    user_id INT             NOT NULL,
    PRIMARY KEY (fold, user_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The accounts up to this id are in both tables.
CREATE TABLE IF NOT EXISTS name_claimed (
    id      TINYINT NOT NULL PRIMARY KEY,       -- 1: the only row
    user_id INT     NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
INSERT IGNORE INTO name_claimed VALUES (1, 0);

-- What tells this database from every other one. One row, made with the database.
CREATE TABLE IF NOT EXISTS deployment (
    one     TINYINT       NOT NULL PRIMARY KEY DEFAULT 1,
    server  VARBINARY(16) NOT NULL,             -- random, for ever
    history VARBINARY(16) NOT NULL              -- random, replaced by a start that finds no other live node
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The keys with which nodes authenticate what they exchange through Redis: the one in use and, during a rotation, its
-- successor.
CREATE TABLE IF NOT EXISTS bus_key (
    id     INT           NOT NULL PRIMARY KEY,
    secret VARBINARY(32) NOT NULL,
    since  BIGINT        NOT NULL               -- when nodes begin to use it
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- When a run of a node stopped; NULL: it runs, or has ended without notice.
ALTER TABLE node ADD COLUMN left_at BIGINT;

-- A page of groups is one range of an index, however many direct conversations the account has.
-- Who has joined a group since an entry is another.
-- Repeating this fails because the column exists, which counts as done.
ALTER TABLE member ADD COLUMN kind TINYINT NOT NULL DEFAULT 0, ADD KEY member_kind (user_id, kind, conversation_id),
    ADD KEY member_joined (conversation_id, joined_seq);
UPDATE member m JOIN conversation c ON c.id = m.conversation_id SET m.kind = 1 WHERE c.kind = 1;

-- The conversations of an account by their latest activity: one row for each member. listed_until is at least the time
-- of the last message and exceeds it by at most slack (milliseconds), so that few messages move rows. All members' rows
-- of a conversation have its values.
ALTER TABLE conversation ADD COLUMN slack INT NOT NULL DEFAULT 0;
ALTER TABLE conversation ADD COLUMN listed_until BIGINT NOT NULL DEFAULT 0;
UPDATE conversation SET listed_until = updated_at WHERE listed_until = 0;
CREATE TABLE IF NOT EXISTS listing (
    user_id         INT    NOT NULL,
    slack           INT    NOT NULL,
    listed_until    BIGINT NOT NULL,
    conversation_id INT    NOT NULL,
    PRIMARY KEY (user_id, slack, listed_until, conversation_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
INSERT IGNORE INTO listing SELECT m.user_id, c.slack, c.listed_until, c.id
    FROM member m JOIN conversation c ON c.id = m.conversation_id WHERE m.device = 0;

-- What an account uses of its quotas: what it created, joined, opened or asked for itself. Who opened the direct
-- conversations and friendships of earlier versions is not known; they are not counted.
CREATE TABLE IF NOT EXISTS account_usage (
    user_id       INT NOT NULL PRIMARY KEY,
    groups_owned  INT NOT NULL DEFAULT 0,
    groups_made   INT NOT NULL DEFAULT 0,           -- on that day
    day           INT NOT NULL DEFAULT 0,           -- YYYYMMDD
    friends       INT NOT NULL DEFAULT 0,           -- that it added
    conversations INT NOT NULL DEFAULT 0            -- that it created, joined or opened
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
INSERT IGNORE INTO account_usage (user_id, groups_owned, conversations)
    SELECT user_id, SUM(role = 2), COUNT(*) FROM member WHERE kind = 1 AND device = 0 GROUP BY user_id;
-- Whether this user added the friend, which counts for its usage as long as the friendship lasts.
ALTER TABLE friend ADD COLUMN has_added TINYINT NOT NULL DEFAULT 0;
-- The networks of the latest logins, the newest first: for each its length and its bytes (IPv4: 4, IPv6: the first 8).
-- Wrong passwords from elsewhere do not hold up logins from these.
-- Repeating these fails because the column exists, which counts as done.
ALTER TABLE user ADD COLUMN networks VARBINARY(72);

-- Rows stay for 90 days after they expire or are revoked: a client that shows such a token is one that the account knows.
-- of_register: 1: made by REGISTER and not used yet; 2: belongs to the first login, which was by password; 0: any other.
ALTER TABLE token ADD COLUMN of_register TINYINT NOT NULL DEFAULT 0;
-- The number of the token among those of its account; with it, the client that logs in by it. When earlier versions made
-- a token is not known: their tokens count as made when they were last used.
ALTER TABLE token ADD COLUMN id INT NOT NULL DEFAULT 0;
UPDATE token t JOIN (
    SELECT hash, ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY expires_at, hash) AS number FROM token
) n ON n.hash = t.hash SET t.id = n.number WHERE t.id = 0;
ALTER TABLE token ADD COLUMN kind TINYINT NOT NULL DEFAULT 0;   -- 0: other, 1: terminal, 2: web, 3: mobile, 4: script
ALTER TABLE token ADD COLUMN address VARCHAR(45);               -- of the last login; NULL: not known
ALTER TABLE token ADD COLUMN last_used_at BIGINT NOT NULL DEFAULT 0;    -- within an hour
ALTER TABLE token ADD COLUMN created_at BIGINT NOT NULL DEFAULT 0, ADD UNIQUE KEY token_user (user_id, id);
UPDATE token SET created_at = GREATEST(expires_at - 604800000, 0), last_used_at = GREATEST(expires_at - 604800000, 0)
    WHERE created_at = 0;
-- The token by which the password was last changed; NULL: never, or it is not known.
ALTER TABLE user ADD COLUMN password_by VARBINARY(32);
-- The sessions of an account, each with an epoch that no other one of the account has had. Those that have ended are kept
-- for some minutes: so that their nodes learn it, and so that what those sent that have left is still stored. The table has
-- another name than before: an older version that still runs can neither claim a session nor write for one.
ALTER TABLE user ADD COLUMN session_epoch INT NOT NULL DEFAULT 0;   -- of its latest session
ALTER TABLE user ADD COLUMN last_seen_at BIGINT NOT NULL DEFAULT 0; -- when its client was last heard of as it went offline
DROP TABLE IF EXISTS session;
CREATE TABLE IF NOT EXISTS account_session (
    user_id    INT            NOT NULL,
    epoch      INT            NOT NULL,
    node       VARBINARY(128) NOT NULL,         -- the run of the node that holds it
    claim      BIGINT         NOT NULL,         -- the number of the claim among those of its node
    token_hash VARBINARY(32)  NOT NULL,
    device     VARBINARY(256),
    kind       TINYINT        NOT NULL,         -- as in token
    heard_at   BIGINT         NOT NULL,         -- when its client was last heard of, within two minutes
    lost_at    BIGINT,                          -- when its connection was lost; NULL: connected
    changed_at BIGINT         NOT NULL,         -- when it was claimed or ended
    -- 0: ended by another login, 1: revoked, 2: the password was changed, 6: too many, 100: by itself; NULL: in force
    end_code   TINYINT,
    ended_by   INT,                             -- the epoch of that login
    is_away    TINYINT        NOT NULL DEFAULT 0,
    status_text VARBINARY(256),                 -- what it shows to friends; NULL: nothing
    status_at  BIGINT,                          -- when these were set; NULL: never
    PRIMARY KEY (user_id, epoch),
    KEY session_node (node),
    KEY session_changed (changed_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- When an entry that is not a message was last stored. Such entries leave updated_at, by which conversations are listed.
-- In message_YYYYMM they have the status 1: `type` is the event, and the first line of `content` the ids of those
-- concerned.
ALTER TABLE conversation
    ADD COLUMN changed_at BIGINT NOT NULL DEFAULT 0,
    ADD KEY conversation_changed (changed_at);

-- The last entry that is a message.
ALTER TABLE conversation ADD COLUMN message_seq BIGINT NOT NULL DEFAULT 0;
UPDATE conversation SET message_seq = last_seq;
-- How a member sees its conversation. It is hidden while message_seq is at most hidden_seq, which is the end of the
-- timeline when it was hidden.
ALTER TABLE member ADD COLUMN cleared_seq BIGINT NOT NULL DEFAULT 0;            -- the view begins above it
ALTER TABLE member ADD COLUMN is_pinned TINYINT NOT NULL DEFAULT 0;
ALTER TABLE member ADD COLUMN is_muted TINYINT NOT NULL DEFAULT 0;
ALTER TABLE member ADD COLUMN hidden_seq BIGINT;                                -- NULL: not hidden

-- Who was a member of a group and is not any more: it saw the entries above joined_seq up to left_seq, which tells of its
-- leaving. Whoever joins again has no row.
CREATE TABLE IF NOT EXISTS former_member (
    conversation_id INT     NOT NULL,
    user_id         INT     NOT NULL,
    joined_seq      BIGINT  NOT NULL,
    left_seq        BIGINT  NOT NULL,
    delivered_seq   BIGINT  NOT NULL,
    is_behind       TINYINT AS (delivered_seq < left_seq) STORED,
    left_at         BIGINT  NOT NULL,
    PRIMARY KEY (conversation_id, user_id),
    KEY former_member_left (conversation_id, left_seq),
    KEY former_member_recent (conversation_id, left_at),
    KEY former_member_roster (conversation_id, is_behind, user_id),
    KEY former_member_behind (user_id, is_behind, conversation_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- Who may not join a group again.
CREATE TABLE IF NOT EXISTS barred (
    conversation_id INT NOT NULL,
    user_id         INT NOT NULL,
    PRIMARY KEY (conversation_id, user_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- Who made a group, and so has it counted in account_usage; 0: it is not counted.
ALTER TABLE conversation ADD COLUMN maker_id INT NOT NULL DEFAULT 0;
UPDATE conversation c JOIN member m ON m.conversation_id = c.id AND m.role = 2 AND m.kind = 1 SET c.maker_id = m.user_id
    WHERE c.maker_id = 0;
ALTER TABLE conversation ADD COLUMN dismissed_at BIGINT;                        -- NULL: it is not

-- Entries that were changed, as they are now; each is laid over the entry as it was stored. A change is committed with the
-- entry that tells of it, which has the status 2 in message_YYYYMM; the first line of its `content` names the entry that
-- is changed.
CREATE TABLE IF NOT EXISTS changed (
    conversation_id INT    NOT NULL,
    seq             BIGINT NOT NULL,
    change_seq      BIGINT NOT NULL,                -- the last change
    reactions       TEXT   NOT NULL,                -- a line a kind: the reaction, how many users, the first of them
    content         TEXT,                           -- NULL: as it was stored
    edit_seq        BIGINT,                         -- the last edit, and when it was stored; NULL: none
    edited_at       BIGINT,
    recalled_at     BIGINT,                         -- NULL: not recalled
    PRIMARY KEY (conversation_id, seq)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
ALTER TABLE conversation ADD COLUMN has_changes TINYINT NOT NULL DEFAULT 0;     -- whether it has such entries
-- Who reacts how to which entry; change_seq is the entry that tells of it.
CREATE TABLE IF NOT EXISTS reaction (
    conversation_id INT           NOT NULL,
    user_id         INT           NOT NULL,
    seq             BIGINT        NOT NULL,
    reaction        VARBINARY(64) NOT NULL,
    change_seq      BIGINT        NOT NULL,
    created_at      BIGINT        NOT NULL,
    PRIMARY KEY (conversation_id, user_id, seq, reaction),
    KEY reaction_kind (conversation_id, seq, reaction, change_seq)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Messages that were recalled, and the entry that tells of it: from there on they do not count as unread.
CREATE TABLE IF NOT EXISTS recalled (
    conversation_id INT     NOT NULL,
    seq             BIGINT  NOT NULL,
    change_seq      BIGINT  NOT NULL,
    sender_id       INT     NOT NULL,
    mentions_peer   TINYINT NOT NULL,               -- whether it mentions the other member of a direct conversation
    PRIMARY KEY (conversation_id, seq)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What a direct conversation has had, counted since this version: messages of the member with the lower id, entries that
-- are no messages, and messages of either member that mention the other one.
ALTER TABLE conversation ADD COLUMN low_messages BIGINT NOT NULL DEFAULT 0;
ALTER TABLE conversation ADD COLUMN uncounted BIGINT NOT NULL DEFAULT 0;
ALTER TABLE conversation ADD COLUMN low_mentioned BIGINT NOT NULL DEFAULT 0;
ALTER TABLE conversation ADD COLUMN high_mentioned BIGINT NOT NULL DEFAULT 0;
-- The same at some entries, a few hundred apart, so that what lies between two of them is known without reading it.
CREATE TABLE IF NOT EXISTS direct_total (
    conversation_id INT    NOT NULL,
    seq             BIGINT NOT NULL,
    low_messages    BIGINT NOT NULL,
    uncounted       BIGINT NOT NULL,
    low_mentioned   BIGINT NOT NULL,
    high_mentioned  BIGINT NOT NULL,
    PRIMARY KEY (conversation_id, seq)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Which months have been dropped (storage.retention_months). One row.
CREATE TABLE IF NOT EXISTS retention (
    one        TINYINT NOT NULL PRIMARY KEY DEFAULT 1,
    months     INT     NOT NULL DEFAULT 0,          -- the setting at the last look
    seen_at    BIGINT  NOT NULL DEFAULT 0,          -- the clock then
    held_until BIGINT  NOT NULL DEFAULT 0,          -- nothing is decided before
    kept_from  INT     NOT NULL DEFAULT 0,          -- YYYYMM; months before it are dropped, or are being dropped
    rounds     BIGINT  NOT NULL DEFAULT 0           -- rises when first_seq begins to be raised and when that is done
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
INSERT IGNORE INTO retention (one) VALUES (1);
ALTER TABLE segment ADD KEY segment_month (month);
