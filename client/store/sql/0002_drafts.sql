-- Lines that were begun and not entered; without a target: while no conversation was open.
CREATE TABLE draft (
    to_user         INTEGER,
    to_name         TEXT,
    to_conversation INTEGER,
    content         TEXT NOT NULL
);
