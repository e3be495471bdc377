-- When a node could not publish last: the others look at what has changed.
ALTER TABLE node ADD COLUMN unheard_at BIGINT NOT NULL DEFAULT 0;
