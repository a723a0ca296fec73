CREATE TABLE file (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  version INTEGER NOT NULL,   -- the schema's, as in PRAGMA user_version
  fold INTEGER NOT NULL,      -- how often batches were folded into the other tables
  row_count INTEGER NOT NULL, -- rows in all of them
  crc_sum INTEGER NOT NULL    -- and the sum of their crc
) STRICT;
INSERT INTO file VALUES (1, 0, 0, 0, 0);

-- What was committed since the last fold, one row a commit, and not yet to be seen in the other tables.
CREATE TABLE batch (seq INTEGER PRIMARY KEY, changes BLOB NOT NULL, crc INTEGER NOT NULL) STRICT;

CREATE TABLE clock (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  uptime_ms INTEGER NOT NULL,
  next_id INTEGER NOT NULL,
  crc INTEGER NOT NULL
) STRICT;

CREATE TABLE value (
  key TEXT PRIMARY KEY,
  text ANY NOT NULL,
  maker TEXT NOT NULL,
  crc INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE session (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  opener TEXT NOT NULL,
  place INTEGER,
  place_line INTEGER,
  superseded INTEGER NOT NULL,
  claimed TEXT,
  bye INTEGER NOT NULL,
  crc INTEGER NOT NULL
) STRICT;

CREATE TABLE reply (
  session INTEGER NOT NULL,
  slot INTEGER NOT NULL,
  number INTEGER NOT NULL,
  line INTEGER NOT NULL,
  outcome ANY NOT NULL,
  crc INTEGER NOT NULL,
  PRIMARY KEY (session, slot)
) STRICT, WITHOUT ROWID;

CREATE TABLE mailbox (
  id INTEGER PRIMARY KEY,
  code TEXT NOT NULL,
  name TEXT NOT NULL,
  opener TEXT NOT NULL,
  left_ms INTEGER NOT NULL,
  crc INTEGER NOT NULL
) STRICT;

CREATE TABLE delivery (
  mailbox INTEGER PRIMARY KEY,
  sent INTEGER NOT NULL,
  acked INTEGER NOT NULL,
  crc INTEGER NOT NULL
) STRICT;

CREATE TABLE letter (
  mailbox INTEGER NOT NULL,
  number INTEGER NOT NULL,
  sender TEXT, -- of a message or a question
  key TEXT,    -- of a value
  push ANY,    -- none yet if the value is told when it is sent
  crc INTEGER NOT NULL,
  PRIMARY KEY (mailbox, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE place (
  id INTEGER PRIMARY KEY,
  code TEXT NOT NULL,
  conn INTEGER,      -- over TCP the connection's name in systemd's descriptor store
  address TEXT,      -- over UDP the client's address and port,
  local TEXT,        -- this machine's,
  port INTEGER,      -- and the interface
  interface INTEGER,
  ending ANY NOT NULL,
  boxed INTEGER NOT NULL,
  crc INTEGER NOT NULL
) STRICT;

CREATE TABLE watch (
  owner INTEGER NOT NULL, -- a mailbox, or a place that has none
  pattern TEXT NOT NULL,
  crc INTEGER NOT NULL,
  PRIMARY KEY (owner, pattern)
) STRICT, WITHOUT ROWID;
