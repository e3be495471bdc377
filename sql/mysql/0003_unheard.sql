-- When a node could not publish last: the others look at what has changed.
-- Done again it is refused for the column that is there, which counts as done.
ALTER TABLE node ADD COLUMN unheard_at BIGINT NOT NULL DEFAULT 0;
