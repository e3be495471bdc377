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
