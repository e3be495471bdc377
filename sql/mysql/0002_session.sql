-- Who is logged in where, fenced by epoch; authoritative for all nodes that share the database.
CREATE TABLE IF NOT EXISTS session (
    user_id    INT           NOT NULL PRIMARY KEY,
    epoch      INT           NOT NULL,          -- raised by every claim
    node       VARBINARY(128),                  -- the run of the node that holds it; NULL: it has ended
    token_hash VARBINARY(32) NOT NULL,
    lost_at    BIGINT,                          -- when its connection was lost; NULL: connected
    changed_at BIGINT        NOT NULL,          -- when it was claimed
    KEY session_node (node),
    KEY session_changed (changed_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- A run of a node, and when it was last seen.
CREATE TABLE IF NOT EXISTS node (
    name    VARBINARY(128) NOT NULL PRIMARY KEY,
    seen_at BIGINT         NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
