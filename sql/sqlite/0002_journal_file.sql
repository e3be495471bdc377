-- The journal is a file of its own now; here stands up to which of its records messages are filed.

DROP TABLE journal;
CREATE TABLE journal_filed (number INTEGER NOT NULL);
INSERT INTO journal_filed VALUES (0);
