-- The server's identity, and the history that this store agrees with; NULL: not known yet.
ALTER TABLE account ADD COLUMN server TEXT;
ALTER TABLE account ADD COLUMN history TEXT;

-- NULL: stored before it was kept, or the sender gave none.
ALTER TABLE message ADD COLUMN cid TEXT;
