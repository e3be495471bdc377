-- The token of the last login, kept after a logout: beside a password it shows the server that it knows this client.
ALTER TABLE account ADD COLUMN known TEXT;
UPDATE account SET known = token;
