"""Store file: who may use the SQLite file of a realm, and when.

Decides connections, one per thread, transactions, which wait for each other, and how a file is opened and closed. Knows
nothing of what is in it: that is `store.py`'s.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakValueDictionary

from realm_sync.core.sql import register_functions

from .database import ERRORS, check, connect
from .errors import RealmError, RealmFileError
from .store_format import bring_up_to_date, is_current

IDLE_SECONDS = 0.5
"""How long `close` waits for other threads that are executing something."""

Opened = tuple[threading.Thread | None, sqlite3.Connection, int]
"""Whose connection, None for all threads; and how many references it has when nobody uses it."""

_write_locks: WeakValueDictionary[str, WriteLock] = WeakValueDictionary()
_write_locks_guard = threading.Lock()


class WriteLock:
    """The write lock of one file within this process: hands over at once, where SQLite's busy handler would sleep."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.owner: int | None = None
        """The thread in a transaction."""

    def __enter__(self) -> None:
        self._lock.acquire()
        self.owner = threading.get_ident()

    def __exit__(self, *_: object) -> None:
        self.owner = None
        self._lock.release()


class StoreFile:
    """One realm file, open. `synced`: local writes become pending changesets."""

    def __init__(
        self,
        path: str | Path,
        synced: bool = True,
        create: bool = True,
        encryption_key: bytes | None = None,
        read_only: bool = False,
    ) -> None:
        """Opens the file, creating it and its directory unless told not to; `read_only` never does, nor changes it.
        Raises RealmFileError if it is no realm, or none of this key, and leaves it as it is then."""
        self.path = str(Path(path).absolute())
        self.synced, self.read_only, self.encryption_key = synced, read_only, encryption_key
        if (read_only or not create) and not Path(self.path).exists():
            raise RealmFileError(self.path, "There is no such file.", code="FileNotFound")
        if not read_only:
            Path(self.path).parent.mkdir(parents=True, exist_ok=True)
        with _write_locks_guard:
            self.lock = _write_locks.setdefault(os.path.realpath(self.path), WriteLock())
        self._local = threading.local()
        self._connections: list[Opened] = []
        self._guard = threading.Lock()
        self.closed = False
        self._process = os.getpid()
        self._prepare()

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection of this thread."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
        return connection

    def _connect(self) -> sqlite3.Connection:
        with self._guard:
            if self.closed:
                raise RealmError("Cannot access realm that has been closed.")
            connection = self.new_connection()
            # Parts of a bootstrap are of no use to another session: a temporary table goes with its connection, and
            # costs no write-ahead log. SQLite moves it from memory to disk when it grows.
            connection.execute("CREATE TEMP TABLE __realm_part (id INTEGER PRIMARY KEY, changes BLOB NOT NULL)")
            for thread, finished, _ in self._connections:
                if thread is not None and not thread.is_alive():
                    finished.close()
            self._connections = [entry for entry in self._connections if entry[0] is None or entry[0].is_alive()]
            references = sys.getrefcount(connection)
            self._connections.append((threading.current_thread(), connection, references))
            return connection

    def new_connection(self) -> sqlite3.Connection:
        connection = connect(self.path, self.encryption_key, self.read_only)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA cache_size = -16000")
        register_functions(connection)
        return connection

    def _prepare(self) -> None:
        try:
            if os.path.exists(self.path) and os.path.getsize(self.path):
                check(self.path, self.encryption_key)
            connection = self.connection
            if not self.read_only and connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
                raise RealmFileError(self.path, "Its file system does not allow SQLite's write-ahead log.")
            # Nothing of this waits for a writer, unless the file is new or of an older version.
            if not self.read_only and not is_current(connection):
                with self.transaction():
                    bring_up_to_date(connection)
            if not is_current(connection):
                raise RealmFileError(self.path, "It is not a realm file of this version of realm_sync.")
        except ERRORS as error:
            self.close()
            raise RealmFileError(self.path, f"SQLite cannot use it: {error}.") from error
        except RealmFileError:
            self.close()
            raise

    def close(self) -> None:
        """Closes every thread's connection. An open transaction of this thread is rolled back; another thread meets the
        end at its next step."""
        with self._guard:
            self.closed = True
            left, self._connections, self._local = self._connections, [], threading.local()
        close_all(left)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One write transaction: waits for other writers, commits at the end, rolls back if something is raised."""
        self.check_process()
        with self.lock:
            connection = self.connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def check_process(self) -> None:
        """Raises RealmError in a forked process: the locks of SQLite stay with its parent, which would throw away a log
        that is still written here."""
        if os.getpid() != self._process:
            raise RealmError(
                f"The realm at '{self.path}' was opened before this process was forked. Open it afterwards, in each "
                "process, or start processes by 'spawn'.",
                code="NotSupported",
            )

    def data_version(self) -> int:
        """Changes when another connection of any process has committed; as seen by this thread's connection."""
        return int(self.connection.execute("PRAGMA data_version").fetchone()[0])

    def sizes(self) -> tuple[int, int]:
        """Bytes of the file, and of these those in use."""
        total, free, size = (
            int(self.connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        return total * size, (total - free) * size

    def compact(self) -> bool:
        """Gives free space back to the disk; false if others were at the file, which then shrinks later or not."""
        with self.lock:
            try:
                self.connection.execute("VACUUM")
                return bool(self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)
            except ERRORS as error:
                if "locked" in str(error):
                    return False
                raise


def close_all(left: list[Opened]) -> None:
    """Python crashes if a connection is closed while another thread executes something by it. As long as one does it has
    a reference, and nobody gets a new one any more: it is waited for, not for ever, for a forgotten cursor has one as
    well. What is then not closed is when it is forgotten."""
    deadline = time.monotonic() + IDLE_SECONDS
    while left:
        thread, connection, references = left.pop()
        is_idle = thread is threading.current_thread() or (thread is not None and not thread.is_alive())
        while not is_idle and sys.getrefcount(connection) > references and time.monotonic() < deadline:
            time.sleep(0.001)
        if is_idle or sys.getrefcount(connection) <= references:
            connection.close()
