-- Who is logged in: the truth for the nodes that share a database, fenced by epoch.
CREATE TABLE IF NOT EXISTS session (
    user_id    INT           NOT NULL PRIMARY KEY,
    epoch      INT           NOT NULL,          -- raised by every claim
    node       VARBINARY(128),                  -- which run of which node holds it; NULL: it is over
    token_hash VARBINARY(32) NOT NULL,
    lost_at    BIGINT,                          -- since when its connection is gone; NULL: connected
    changed_at BIGINT        NOT NULL,          -- when it was claimed
    KEY session_node (node),
    KEY session_changed (changed_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- A run of a node, and when it was last seen.
CREATE TABLE IF NOT EXISTS node (
    name    VARBINARY(128) NOT NULL PRIMARY KEY,
    seen_at BIGINT         NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
