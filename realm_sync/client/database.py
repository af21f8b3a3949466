"""Database: which SQLite opens a file, and what is wrong with one that it cannot open.

Plain files are opened by Python's sqlite3, encrypted ones by SQLCipher, whose Python package sqlcipher3 (the extra
`encryption`) has the same interface and errors of its own: catch `ERRORS`. Decides what becomes of an encryption key.

One process must not open one file with both: closing it in one library drops the locks that the other relies on. So
nothing here looks into a file in any other way before SQLite has failed to read it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import sqlite3
from contextlib import closing
from typing import Any
from urllib.parse import quote

from .errors import RealmFileError

try:
    from sqlcipher3 import dbapi2 as sqlcipher
except ImportError:
    sqlcipher = None

ERRORS: tuple[type[Exception], ...] = (sqlite3.Error,) if sqlcipher is None else (sqlite3.Error, sqlcipher.Error)
"""What a connection raises, whichever library it is of."""

STORAGE_ERRORS: tuple[type[Exception], ...] = (
    (sqlite3.OperationalError,) if sqlcipher is None else (sqlite3.OperationalError, sqlcipher.OperationalError)
)
"""Those that say nothing of the file's contents: a full disk, a lock that another process holds for long."""

_PLAIN_HEADER = b"SQLite format 3\0"


class _Connection(sqlite3.Connection):
    """One that can be referred to weakly: by its own functions, for one."""


if sqlcipher is not None:

    class _EncryptedConnection(sqlcipher.Connection):  # type: ignore[misc]
        """The same, of SQLCipher."""


def connect(path: str, encryption_key: bytes | None, read_only: bool = False) -> sqlite3.Connection:
    """A connection that any thread may use, one at a time. Raises RealmFileError where SQLCipher is needed and missing;
    whether the key is right shows when something is read (`check`)."""
    where = path
    if read_only:
        # Readers, too, write to the index of the write-ahead log: where they cannot, and no log is there, nobody writes.
        immutable = not os.access(os.path.dirname(path), os.W_OK) and not os.path.exists(f"{path}-wal")
        where = f"file:{quote(path)}?{'immutable=1' if immutable else 'mode=ro'}"
    options: dict[str, Any] = {
        "timeout": 30, "isolation_level": None, "check_same_thread": False, "cached_statements": 256, "uri": read_only,
    }  # fmt: skip
    if encryption_key is None:
        plain: sqlite3.Connection = sqlite3.connect(where, factory=_Connection, **options)
        return plain
    if sqlcipher is None:
        raise RealmFileError(
            path,
            "An 'encryption_key' needs SQLCipher, which is not installed: pip install 'django-realm-sync[encryption]'.",
            code="NotSupported",
        )
    connection: sqlite3.Connection = sqlcipher.connect(where, factory=_EncryptedConnection, **options)
    connection.execute("PRAGMA cipher_log_level = NONE")  # of a wrong key an error tells, not a line on the terminal
    connection.execute(f"PRAGMA key = \"x'{_raw_key(encryption_key)}'\"")
    connection.execute("PRAGMA temp_store = MEMORY")  # temporary tables hold objects, and are not encrypted on disk
    return connection


def check(path: str, encryption_key: bytes | None) -> None:
    """Reads the file at `path` once and changes nothing, not even what a crash left in its write-ahead log, which a
    connection that may write would move into the file. Raises RealmFileError for what cannot be read with this key."""
    with closing(connect(path, encryption_key, read_only=True)) as connection:
        try:
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        except ERRORS as error:
            if "not a database" not in str(error):
                raise
            raise _unreadable(path, encryption_key) from error


def _unreadable(path: str, encryption_key: bytes | None) -> RealmFileError:
    with open(path, "rb") as file:
        plain = file.read(len(_PLAIN_HEADER)) == _PLAIN_HEADER
    if encryption_key is None:
        code = "InvalidDatabase"
        problem = "It is encrypted, or no realm file. Give the 'encryption_key' that it was made with."
    elif plain:
        code = "InvalidDatabase"
        problem = "It is not encrypted. Open it without 'encryption_key'; 'write_copy_to' makes an encrypted copy."
    else:
        code = "DecryptionFailed"
        problem = "The 'encryption_key' is not the one that it was made with, or it is no encrypted realm file."
    return RealmFileError(path, f"{problem} Nothing was changed.", code)


def _raw_key(encryption_key: bytes) -> str:
    """SQLCipher's 32 bytes, in hexadecimal: HKDF-SHA256 (RFC 5869). Given raw, so that no connection derives a key from
    a password, which is slow on purpose."""
    secret = hmac.digest(bytes(hashlib.sha256().digest_size), encryption_key, "sha256")
    return hmac.digest(secret, b"realm_sync file\x01", "sha256").hex()
