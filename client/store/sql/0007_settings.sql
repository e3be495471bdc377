-- The user's settings of a conversation; `muted` is there already. It is hidden while it has no message above hidden_at;
-- NULL: it is not hidden.
ALTER TABLE conversation ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversation ADD COLUMN hidden_at INTEGER;
-- Whether `muted` was changed here and the server has not been told.
ALTER TABLE conversation ADD COLUMN mute_untold INTEGER NOT NULL DEFAULT 0;
UPDATE conversation SET mute_untold = 1 WHERE muted;
