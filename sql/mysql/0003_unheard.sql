-- When a node last failed to publish; the other nodes then check for changes.
-- Repeating this fails because the column exists, which counts as done.
ALTER TABLE node ADD COLUMN unheard_at BIGINT NOT NULL DEFAULT 0;
