-- The schema after all migration steps, for reading. A test keeps it true.

CREATE TABLE api_keys (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    prefix TEXT NOT NULL UNIQUE,
    secret_hash BLOB NOT NULL,
    created_at REAL NOT NULL,
    expires_at REAL NOT NULL,
    description TEXT NOT NULL,
    last_used_at REAL,
    revoked_at REAL
) STRICT;

CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    detail TEXT NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE TABLE auth_keys (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    prefix TEXT NOT NULL UNIQUE,
    secret_hash BLOB NOT NULL,
    created_at REAL NOT NULL,
    user_id INTEGER REFERENCES users (id),
    tags TEXT NOT NULL,
    reusable INTEGER NOT NULL CHECK (reusable IN (0, 1)),
    ephemeral INTEGER NOT NULL CHECK (ephemeral IN (0, 1)),
    expires_at REAL,
    used_at REAL,
    revoked_at REAL
, preapproved INTEGER NOT NULL DEFAULT 0 CHECK (preapproved IN (0, 1))) STRICT;

CREATE TABLE changes (
    generation INTEGER PRIMARY KEY AUTOINCREMENT,
    steps TEXT NOT NULL
) STRICT;

CREATE TABLE nodes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stable_id TEXT NOT NULL UNIQUE,
    machine_key BLOB NOT NULL CHECK (length(machine_key) = 32),
    node_key BLOB NOT NULL UNIQUE CHECK (length(node_key) = 32),
    name TEXT NOT NULL UNIQUE,
    created_at REAL NOT NULL,
    user_id INTEGER REFERENCES users (id),
    tags TEXT NOT NULL,
    hostname TEXT NOT NULL,
    name_is_chosen INTEGER NOT NULL CHECK (name_is_chosen IN (0, 1)),
    ipv4 TEXT UNIQUE,
    ipv6 TEXT UNIQUE,
    expires_at REAL,
    ephemeral INTEGER NOT NULL CHECK (ephemeral IN (0, 1)),
    auth_key_id INTEGER,
    register_method TEXT NOT NULL,
    approved_routes TEXT NOT NULL, is_approved INTEGER NOT NULL DEFAULT 1 CHECK (is_approved IN (0, 1)), attributes TEXT NOT NULL DEFAULT '[]',
    CONSTRAINT "a node has an owner or tags, not both" CHECK ((user_id IS NULL) = (tags <> '[]'))
) STRICT;

CREATE TABLE notices (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    created_at REAL NOT NULL,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    severity TEXT NOT NULL CHECK (severity IN ('low', 'medium', 'high')),
    link TEXT NOT NULL,
    label TEXT NOT NULL,
    targets TEXT NOT NULL
) STRICT;

CREATE TABLE policies (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    text TEXT NOT NULL,
    actor TEXT NOT NULL,
    created_at REAL NOT NULL,
    note TEXT NOT NULL
) STRICT;

CREATE TABLE probe (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    count INTEGER NOT NULL
) STRICT;

CREATE TABLE reports (
    node_id INTEGER PRIMARY KEY REFERENCES nodes (id) ON DELETE CASCADE,
    disco_key BLOB CHECK (length(disco_key) = 32),
    endpoints TEXT NOT NULL,
    home_derp INTEGER NOT NULL,
    capver INTEGER NOT NULL,
    hostinfo BLOB NOT NULL,
    peer_hostinfo BLOB NOT NULL,
    advertised_routes TEXT NOT NULL,
    os TEXT NOT NULL,
    client_version TEXT NOT NULL,
    last_seen REAL
) STRICT;

CREATE TABLE schema_version (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    applied_at REAL NOT NULL,
    applied_by TEXT NOT NULL
) STRICT;

CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    created_at REAL NOT NULL,
    display_name TEXT NOT NULL,
    email TEXT NOT NULL,
    provider TEXT NOT NULL,
    subject TEXT NOT NULL,
    picture_url TEXT NOT NULL
, role TEXT NOT NULL DEFAULT 'member', groups TEXT NOT NULL DEFAULT '[]') STRICT;

CREATE INDEX auth_keys_user ON auth_keys (user_id);

CREATE UNIQUE INDEX nodes_of_user ON nodes (machine_key, user_id) WHERE user_id IS NOT NULL;

CREATE INDEX nodes_user ON nodes (user_id);

CREATE UNIQUE INDEX nodes_with_tags ON nodes (machine_key) WHERE user_id IS NULL;

CREATE UNIQUE INDEX users_identity ON users (provider, subject) WHERE provider <> '' OR subject <> '';

CREATE TRIGGER audit_keeps_rows BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;

CREATE TRIGGER audit_keeps_words BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;

CREATE TRIGGER policies_keep_rows BEFORE DELETE ON policies
BEGIN SELECT RAISE(ABORT, 'every version of the policy is kept'); END;

CREATE TRIGGER policies_keep_words BEFORE UPDATE ON policies
BEGIN SELECT RAISE(ABORT, 'a version of the policy is never rewritten'); END;
