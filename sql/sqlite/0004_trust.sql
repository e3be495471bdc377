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
