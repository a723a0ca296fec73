-- What makes a session a keyed one: its code has a secret, of which nothing is kept but what tells whether it is the same.
CREATE TABLE keyed (
  session INTEGER PRIMARY KEY,
  code TEXT NOT NULL,
  nonce TEXT NOT NULL,
  secret_check TEXT NOT NULL,
  conn INTEGER,      -- where its lines come from: as in place
  address TEXT,
  local TEXT,
  port INTEGER,
  interface INTEGER,
  joined INTEGER,    -- 0: without a mailbox; else with this one
  crc INTEGER NOT NULL
) STRICT;
