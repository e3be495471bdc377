-- What a system entry tells besides its text: a JSON object; NULL: the row is a message.
ALTER TABLE message ADD COLUMN entry TEXT;
