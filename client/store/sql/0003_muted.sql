-- Whether messages of the conversation draw no attention on this machine.
ALTER TABLE conversation ADD COLUMN muted INTEGER NOT NULL DEFAULT 0;
