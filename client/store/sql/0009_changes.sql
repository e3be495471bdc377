-- The entry that a row tells a change of, whose `entry` says what; NULL: it tells of none.
ALTER TABLE message ADD COLUMN ref INTEGER;
CREATE INDEX message_ref ON message (conversation, ref) WHERE ref IS NOT NULL;
-- What changes have made of a message: a JSON object; NULL: it was not changed.
ALTER TABLE message ADD COLUMN changes TEXT;
