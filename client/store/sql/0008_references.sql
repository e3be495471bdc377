-- What a message refers to: the fields of the protocol as a JSON object; NULL: nothing.
ALTER TABLE message ADD COLUMN refs TEXT;
ALTER TABLE outbox ADD COLUMN refs TEXT;
