-- The database of a node or a cluster: MariaDB 10.6 or MySQL 8. Times are Unix milliseconds, UTC; ids are below 2^31.
-- Columns compared byte for byte (name_key, hashes, cids) are VARBINARY: a text collation may treat two as equal.
--
-- Each schema change commits by itself, so an aborted migration is repeated: every statement must be repeatable.
--
-- The program creates two further kinds of tables ahead of time, one for each month and one for each day:
--
--   message_YYYYMM(conversation_id, seq, sender_id, cid, type, content, status, created_at)
--   sent_YYYYMMDD(sender_id, cid, conversation_id, seq, created_at)       one row for each cid; dropped after two days

CREATE TABLE IF NOT EXISTS user (
    id         INT          NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name       VARCHAR(50)  NOT NULL,
    name_key   VARBINARY(767) NOT NULL UNIQUE,
    password   VARCHAR(255) NOT NULL,           -- a PHC string
    email      VARCHAR(254) UNIQUE,
    nick       VARCHAR(200),
    bio        TEXT,
    sex        VARCHAR(16),
    icon       VARCHAR(200),
    status     VARCHAR(200),
    created_at BIGINT       NOT NULL,
    last_login BIGINT
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Only a hash of a token is stored.
CREATE TABLE IF NOT EXISTS token (
    hash       VARBINARY(32) NOT NULL PRIMARY KEY,
    user_id    INT           NOT NULL,
    device     VARCHAR(64),
    expires_at BIGINT        NOT NULL,
    KEY token_expiry (expires_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Two rows for each friendship.
CREATE TABLE IF NOT EXISTS friend (
    user_id   INT NOT NULL,
    friend_id INT NOT NULL,
    remark    VARCHAR(200),
    tag       VARCHAR(200),
    PRIMARY KEY (user_id, friend_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS friend_request (
    from_id    INT     NOT NULL,
    to_id      INT     NOT NULL,
    status     TINYINT NOT NULL,
    message    VARCHAR(200),
    reply      VARCHAR(200),
    created_at BIGINT  NOT NULL,
    updated_at BIGINT  NOT NULL,
    PRIMARY KEY (to_id, from_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS conversation (
    id             INT     NOT NULL AUTO_INCREMENT PRIMARY KEY,
    kind           TINYINT NOT NULL,                -- 0 direct, 1 group
    name           VARCHAR(50),                     -- of a group
    description    VARCHAR(200),                    -- of a group
    low_id         INT,                             -- of a direct conversation: its two members
    high_id        INT,
    first_seq      BIGINT  NOT NULL DEFAULT 1,      -- the first message kept
    last_seq       BIGINT  NOT NULL DEFAULT 0,
    month          INT     NOT NULL DEFAULT 0,      -- YYYYMM of last_seq
    member_version BIGINT  NOT NULL DEFAULT 1,
    updated_at     BIGINT  NOT NULL,
    UNIQUE KEY conversation_pair (low_id, high_id),
    KEY conversation_updated (updated_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS member (
    conversation_id INT     NOT NULL,
    user_id         INT     NOT NULL,
    device          INT     NOT NULL DEFAULT 0,     -- 0: all
    role            TINYINT NOT NULL DEFAULT 0,     -- 0 member, 1 admin, 2 owner
    joined_seq      BIGINT  NOT NULL DEFAULT 0,
    delivered_seq   BIGINT  NOT NULL DEFAULT 0,
    read_seq        BIGINT  NOT NULL DEFAULT 0,
    PRIMARY KEY (conversation_id, user_id, device),
    KEY member_user (user_id, conversation_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Which month's table holds which seqs: from first_seq up to the next segment.
CREATE TABLE IF NOT EXISTS segment (
    conversation_id INT    NOT NULL,
    month           INT    NOT NULL,
    first_seq       BIGINT NOT NULL,
    PRIMARY KEY (conversation_id, month)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
