"""Store format: the bookkeeping tables of a realm file, and how files of older versions get them.

Decides what lies in a file besides the objects, whose tables are `tables.py`'s. `store.py` and `store_file.py` call it.
"""

from __future__ import annotations

import sqlite3

FORMAT = 3
"""1: the first. 2: `opened`, `resets` and `owner`. 3: instructions that edit inside properties, and all types;
`integrated`."""

TABLES = """
CREATE TABLE __realm_file (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    ident INTEGER, salt TEXT, epoch TEXT,
    server_version INTEGER NOT NULL DEFAULT 0,
    client_version INTEGER NOT NULL DEFAULT 0,
    query_version INTEGER NOT NULL DEFAULT 0,
    view INTEGER NOT NULL DEFAULT 0,
    next_client_version INTEGER NOT NULL DEFAULT 1,
    revision INTEGER NOT NULL DEFAULT 0,
    reset TEXT,
    resets INTEGER NOT NULL DEFAULT 0,
    integrated INTEGER NOT NULL DEFAULT 0,
    max_message_bytes INTEGER NOT NULL DEFAULT 0,
    opened INTEGER NOT NULL DEFAULT 0,
    owner TEXT,
    schema_revision INTEGER NOT NULL DEFAULT 0,
    schema TEXT NOT NULL DEFAULT '[]'
);
INSERT INTO __realm_file (id) VALUES (1);
CREATE TABLE __realm_changeset (
    client_version INTEGER PRIMARY KEY, base_version INTEGER NOT NULL, timestamp INTEGER NOT NULL,
    bytes INTEGER NOT NULL
);
CREATE TABLE __realm_instruction (
    client_version INTEGER NOT NULL, position INTEGER NOT NULL, class TEXT NOT NULL, key NOT NULL, op TEXT NOT NULL,
    data TEXT, PRIMARY KEY (client_version, position)
) WITHOUT ROWID;
CREATE INDEX __realm_instruction_object ON __realm_instruction (class, key);
CREATE TABLE __realm_shadow (class TEXT NOT NULL, key NOT NULL, image TEXT, PRIMARY KEY (class, key)) WITHOUT ROWID;
CREATE TABLE __realm_class (class TEXT PRIMARY KEY, revision INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE __realm_set (version INTEGER PRIMARY KEY, state TEXT NOT NULL, error TEXT, after INTEGER NOT NULL);
CREATE TABLE __realm_subscription (
    version INTEGER NOT NULL, id TEXT NOT NULL, name TEXT, class TEXT NOT NULL, query TEXT NOT NULL,
    created_at TEXT NOT NULL, updated_at TEXT NOT NULL, PRIMARY KEY (version, id)
);
CREATE TABLE __realm_rejected (
    client_version INTEGER NOT NULL, report BLOB NOT NULL, told INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (client_version, report)
);
PRAGMA user_version = 3;
"""


def is_current(connection: sqlite3.Connection) -> bool:
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = '__realm_file'").fetchone()
    return bool(found == FORMAT and known)


def bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Within a transaction: makes the tables of a new file, and what older versions had not."""
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found == 0 and not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        for statement in TABLES.split(";\n"):
            connection.execute(statement)
        return
    if found == 1:
        connection.execute("ALTER TABLE __realm_file ADD COLUMN opened INTEGER NOT NULL DEFAULT 1")
        connection.execute("ALTER TABLE __realm_file ADD COLUMN resets INTEGER NOT NULL DEFAULT 0")
        connection.execute("ALTER TABLE __realm_file ADD COLUMN owner TEXT")
    if found in (1, 2):
        connection.execute("ALTER TABLE __realm_file ADD COLUMN integrated INTEGER NOT NULL DEFAULT 0")
        connection.execute(f"PRAGMA user_version = {FORMAT}")
