-- When a node last failed to publish; the other nodes then check for changes.
ALTER TABLE node ADD COLUMN unheard_at INTEGER NOT NULL DEFAULT 0;
