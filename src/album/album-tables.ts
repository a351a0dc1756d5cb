/** Written into the album; a program refuses one of a newer version. */
export const ALBUM_VERSION = 1;

/** The album: what is known about photos, people and pictures, whose bytes lie in a store. Every row has its owner. */
export const ALBUM_TABLES = [
  "CREATE TABLE IF NOT EXISTS album (version INTEGER NOT NULL)",
  `INSERT INTO album (version) SELECT ${ALBUM_VERSION} WHERE NOT EXISTS (SELECT 1 FROM album)`,
  `CREATE TABLE IF NOT EXISTS people (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, name TEXT NOT NULL,
    consent_text TEXT NOT NULL, consent_at INTEGER NOT NULL, created_at INTEGER NOT NULL, used_at INTEGER NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS photos (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, person TEXT REFERENCES people (id),
    width INTEGER NOT NULL, height INTEGER NOT NULL, details TEXT NOT NULL, created_at INTEGER NOT NULL, used_at INTEGER NOT NULL)`,
  "CREATE INDEX IF NOT EXISTS photos_person ON photos (person)",
  `CREATE TABLE IF NOT EXISTS pictures (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, job TEXT NOT NULL, task INTEGER NOT NULL,
    person TEXT, model TEXT NOT NULL, prompt TEXT NOT NULL, seed INTEGER, width INTEGER NOT NULL, height INTEGER NOT NULL,
    star INTEGER NOT NULL DEFAULT 0, settings TEXT NOT NULL, created_at INTEGER NOT NULL, UNIQUE (job, task))`,
  "CREATE INDEX IF NOT EXISTS pictures_owner ON pictures (owner, number)",
  "CREATE TABLE IF NOT EXISTS picture_styles (picture INTEGER NOT NULL, style TEXT NOT NULL, PRIMARY KEY (picture, style))",
  `CREATE VIRTUAL TABLE IF NOT EXISTS picture_words USING fts5 (prompt, content='pictures', content_rowid='number', tokenize='trigram')`,
  `CREATE TRIGGER IF NOT EXISTS picture_added AFTER INSERT ON pictures BEGIN
    INSERT INTO picture_words (rowid, prompt) VALUES (new.number, new.prompt); END`,
  `CREATE TRIGGER IF NOT EXISTS picture_removed AFTER DELETE ON pictures BEGIN
    INSERT INTO picture_words (picture_words, rowid, prompt) VALUES ('delete', old.number, old.prompt);
    DELETE FROM picture_styles WHERE picture = old.number; END`,
  // whatever lies in the store belongs to a photo, a person or a picture, and goes with it
  "CREATE TABLE IF NOT EXISTS files (key TEXT PRIMARY KEY, owner TEXT NOT NULL, belongs_to TEXT NOT NULL, bytes INTEGER NOT NULL)",
  "CREATE INDEX IF NOT EXISTS files_of ON files (belongs_to)",
  "CREATE INDEX IF NOT EXISTS files_owner ON files (owner)",
  // keys whose bytes are to be removed from the store; what is being written stands here until it is listed
  "CREATE TABLE IF NOT EXISTS removals (key TEXT PRIMARY KEY, due_at INTEGER NOT NULL)",
  "CREATE TABLE IF NOT EXISTS settings (owner TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (owner, name))",
];
