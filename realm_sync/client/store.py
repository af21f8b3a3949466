"""Store: one realm as one SQLite file: objects, pending changesets, subscription sets, progress.

What is visible is the server's state at `progress` plus the pending changesets replayed on it (R8). An object that
pending changesets touch has a *shadow*: its image on the server, or null where it is absent there. Downloads go into
shadows where there are any, into the tables elsewhere; then what was touched is computed anew.

Every method that writes is one transaction, durable when it returns (R9: synchronous=FULL), so that a process killed
at any point leaves a consistent file. Any number of threads and processes may hold the same file open: each thread has
its own connection, writers wait for each other. Knows no network and no user; callers are the realm and its transport.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn
from weakref import WeakValueDictionary

import msgspec

from realm_sync.core.client_session import FileState, UnsentSet
from realm_sync.core.messages import (
    Bound,
    Changes,
    Changeset,
    ClientFile,
    Create,
    Delete,
    Download,
    Progress,
    Rejected,
    SubscriptionItem,
    Update,
)
from realm_sync.core.schema import ObjectSchema, Schema
from realm_sync.core.sql import quoted, register_functions

from .database import ERRORS, check, connect
from .errors import RealmError, RealmFileError
from .rebase import Fold, Image, Key, replay
from .tables import REVISION, Table, type_text

FORMAT = 2
DEFAULT_MESSAGE_BYTES = 700_000
"""Assumed largest message until a server has said its own."""
ENVELOPE_BYTES = 4096
"""What a changeset may need in its message besides its instructions."""

_TABLES = """
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
PRAGMA user_version = 2;
"""

_schema_decoder = msgspec.json.Decoder(list[ObjectSchema])
_parts_decoder = msgspec.json.Decoder(list[Changes])
_rejected_decoder = msgspec.json.Decoder(Rejected)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.decode

ResetKind = Literal["recover", "discard", "fallback", "copy"]
"""What a client reset does with pending changesets. `fallback`: discards them because they could not be recovered;
`copy`: recovers them, in a file that was made as a copy of another and has no client file yet."""

IDLE_SECONDS = 0.5
"""How long `close` waits for other threads that are executing something."""

_Opened = tuple[threading.Thread | None, sqlite3.Connection, int]
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


@dataclass(frozen=True)
class FileRow:
    """The bookkeeping of the file, one row."""

    client_file: ClientFile | None
    epoch: str | None
    progress: Progress
    next_client_version: int
    revision: int
    reset: ResetKind | None
    """The client reset that is under way."""
    resets: int
    """How many were begun since one was last through: its content here, and everything pending acknowledged."""
    max_message_bytes: int
    opened: bool
    """Some opening of the file has succeeded."""


@dataclass(frozen=True)
class StoredSet:
    """A subscription set. `state`: pending, complete or error; sets older than the complete one are gone."""

    version: int
    state: str
    error: str | None
    subscriptions: tuple[SubscriptionItem, ...]


@dataclass
class Applied:
    """What a download did."""

    rejected: list[Rejected]
    """Compensating writes whose corrections are now in the file; `reports_told` when the app knows them."""
    reset: ResetKind | None = None
    """The client reset that this download completed."""


@dataclass
class Writer:
    """A local write transaction: the visible tables change at once, the changeset is written at the end."""

    store: Store
    connection: sqlite3.Connection
    file: FileRow
    revision: int
    fold: Fold = field(default_factory=Fold)
    _originals: dict[Key, Image | None] = field(default_factory=dict)
    """The object before this transaction, by first touch."""

    def get(self, table: Table, key: Any) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self.connection.execute(table.select_one, (key,)).fetchone()
        return row

    def create(self, table: Table, wire: Image) -> None:
        """The object must not exist. `wire`: the values to send; what is missing is null here."""
        key = table.key_from_wire(wire["_id"])
        self._originals.setdefault((table.name, key), None)
        self.connection.executemany(table.insert, table.rows([wire], self.revision))
        self.fold.create((table.name, key), {name: value for name, value in wire.items() if name != "_id"})

    def update(self, table: Table, key: Any, wire: Image, links: Iterable[Key] = ()) -> None:
        self._remember(table, key)
        values = [table.from_wire(name, value) for name, value in wire.items()]
        self.connection.execute(table.update_sql(wire), (*values, self.revision, key))
        self.fold.update((table.name, key), wire, links)

    def delete(self, table: Table, key: Any) -> None:
        self._remember(table, key)
        self.connection.execute(table.delete, (key,))
        self.fold.delete((table.name, key))

    def _remember(self, table: Table, key: Any) -> None:
        if (table.name, key) not in self._originals:
            row = self.get(table, key)
            self._originals[table.name, key] = table.image(row) if row else None

    def finish(self, timestamp: int) -> int | None:
        """Writes the changeset; its client version, or None if there is nothing to send."""
        steps = self.fold.steps()
        self.connection.execute("UPDATE __realm_file SET revision = ?", (self.revision,))
        self.store.touch(self.connection, {name for name, _ in self._originals}, self.revision)
        if not steps or not self.store.synced:
            return None
        rows, size = [], 100
        version = self.file.next_client_version
        for position, step in enumerate(steps):
            data = None if step.op == "delete" else _encode(step.values).decode()
            size += 80 + len(step.key[0]) + len(str(step.key[1]).encode()) + (len(data.encode()) if data else 0)
            rows.append((version, position, step.key[0], step.key[1], step.op, data))
        limit = (self.file.max_message_bytes or DEFAULT_MESSAGE_BYTES) - ENVELOPE_BYTES
        if size > limit:
            raise RealmError(
                f"This write transaction is {size} bytes large and the server takes at most {limit} at once: "
                "write it in several transactions.",
                code="LimitExceeded",
            )
        touched = {step.key for step in steps}
        execute, many = self.connection.execute, self.connection.executemany
        shadows = [(*key, _image_text(self._originals[key])) for key in touched]
        # An object that has a shadow keeps it: older pending changesets touched it before this one.
        many("INSERT OR IGNORE INTO __realm_shadow (class, key, image) VALUES (?, ?, ?)", shadows)
        execute(
            "INSERT INTO __realm_changeset VALUES (?, ?, ?, ?)",
            (version, self.file.progress.server_version, timestamp, size),
        )
        many("INSERT INTO __realm_instruction VALUES (?, ?, ?, ?, ?, ?)", rows)
        execute("UPDATE __realm_file SET next_client_version = ?", (version + 1,))
        return version


def _image_text(image: Image | None) -> str | None:
    return None if image is None else _encode(image).decode()


@dataclass(frozen=True)
class _Difference:
    """What a schema has that a file has not."""

    merged: dict[str, ObjectSchema]
    """The file's classes with the additions."""
    classes: list[str]
    properties: list[tuple[str, str]]
    more: bool
    """Options that need no column, as `indexed`."""
    problems: list[str]
    """What contradicts the file."""

    def __bool__(self) -> bool:
        return bool(self.classes or self.properties or self.more or self.problems)


class Store:
    """One realm file. `synced`: local writes become pending changesets."""

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
        self._connections: list[_Opened] = []
        self._guard = threading.Lock()
        self._schema_revision = -1
        self._tables: dict[str, Table] = {}
        self._schema = Schema()
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
            connection = self._new_connection()
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

    def _new_connection(self) -> sqlite3.Connection:
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
            if not self.read_only and not self._is_current(connection):
                with self.transaction():
                    self._bring_up_to_date(connection)
            if not self._is_current(connection):
                raise RealmFileError(self.path, "It is not a realm file of this version of realm_sync.")
        except ERRORS as error:
            self.close()
            raise RealmFileError(self.path, f"SQLite cannot use it: {error}.") from error
        except RealmFileError:
            self.close()
            raise

    @staticmethod
    def _is_current(connection: sqlite3.Connection) -> bool:
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = '__realm_file'").fetchone()
        return bool(found == FORMAT and known)

    @staticmethod
    def _bring_up_to_date(connection: sqlite3.Connection) -> None:
        """Within a transaction: makes the tables of a new file, and what older versions had not."""
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found == 0 and not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            for statement in _TABLES.split(";\n"):
                connection.execute(statement)
        elif found == 1:
            connection.execute("ALTER TABLE __realm_file ADD COLUMN opened INTEGER NOT NULL DEFAULT 1")
            connection.execute("ALTER TABLE __realm_file ADD COLUMN resets INTEGER NOT NULL DEFAULT 0")
            connection.execute("ALTER TABLE __realm_file ADD COLUMN owner TEXT")
            connection.execute(f"PRAGMA user_version = {FORMAT}")

    def close(self) -> None:
        """Closes every thread's connection. An open transaction of this thread is rolled back; another thread meets the
        end at its next step."""
        with self._guard:
            self.closed = True
            left, self._connections, self._local = self._connections, [], threading.local()
        _close(left)

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

    # --- size and copies ---------------------------------------------------------------------------------------------

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

    def copy_into(self, copy: Store) -> None:
        """Everything visible here, as of one moment, into the new file of `copy`; nobody here waits for that.

        If `copy` syncs, the newest subscriptions go along, and it will ask the server for everything anew, as after a
        client reset. Raises RealmError while anything is pending then: only this file's own session may upload it."""
        source = self.connection
        source.execute("SAVEPOINT copy")  # not BEGIN: a frozen realm is in a transaction already
        try:
            if copy.synced and self.pending_count():
                raise RealmError(
                    "Could not write file as not all client changes are integrated in server", code="IllegalOperation"
                )
            with copy.transaction() as target:
                copy._add_schema(target, self.schema)
                for cls in self.schema:
                    table = Table(cls, self.schema)
                    names = [*map(quoted, table.properties), REVISION]
                    rows = source.execute(f"SELECT {', '.join(names)} FROM {table.sql_name} ORDER BY rowid")
                    target.executemany(table.insert, rows)
                for name in ("__realm_class", *(("__realm_set", "__realm_subscription") if copy.synced else ())):
                    found = source.execute(f"SELECT * FROM {name}").fetchall()  # subscriptions in the order of rowids
                    if found:
                        marks = ", ".join("?" * len(found[0]))
                        target.executemany(f"INSERT INTO {name} VALUES ({marks})", found)
                file = self.file()
                target.execute(
                    "UPDATE __realm_file SET revision = ?, max_message_bytes = ?, opened = 1",
                    (file.revision, file.max_message_bytes),
                )
        finally:
            source.execute("RELEASE copy")
        if copy.synced:
            copy.begin_reset("copy")
        copy.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    # --- schema ------------------------------------------------------------------------------------------------------

    @property
    def schema(self) -> Schema:
        """Every class and property of the file, the server's included."""
        self._load_schema()
        return self._schema

    def table(self, name: str) -> Table | None:
        self._load_schema()
        return self._tables.get(name)

    def _load_schema(self) -> None:
        revision, text = self.connection.execute("SELECT schema_revision, schema FROM __realm_file").fetchone()
        if revision != self._schema_revision:
            schema = Schema(_schema_decoder.decode(text))
            self._schema, self._tables = schema, {cls.name: Table(cls, schema) for cls in schema}
            self._schema_revision = revision

    def add_schema(self, classes: Iterable[ObjectSchema]) -> bool:
        """Adds classes and properties; true if there were any. Raises RealmError listing what contradicts the file:
        like Realm's additive mode, a property never changes its type and nothing is ever removed."""
        classes = list(classes)
        if not self._difference(classes):  # the usual case, and it need not wait for a writer
            return False
        with self.transaction() as connection:
            return self._add_schema(connection, classes)

    def check_schema(self, classes: Iterable[ObjectSchema]) -> None:
        """Of a file that stays as it is: raises RealmError listing what it has not."""
        found = self._difference(classes)
        lines = [
            *found.problems,
            *(f"Class '{name}' has been added." for name in found.classes),
            *(f"Property '{class_name}.{name}' has been added." for class_name, name in found.properties),
        ]
        if lines:
            text = "".join(f"\n- {line}" for line in lines)
            raise RealmError(
                f"The following changes cannot be made in read-only schema mode:{text}", code="SchemaMismatch"
            )

    def _difference(self, classes: Iterable[ObjectSchema]) -> _Difference:
        self._load_schema()
        merged = {cls.name: cls for cls in self._schema}
        problems, added = [], False
        new_classes: list[str] = []
        new_columns: list[tuple[str, str]] = []
        for cls in classes:
            ours = merged.get(cls.name)
            if ours is None:
                merged[cls.name] = cls
                new_classes.append(cls.name)
                continue
            properties = dict(ours.properties)
            for name, prop in cls.properties.items():
                known = properties.get(name)
                if known is None:
                    new_columns.append((cls.name, name))
                elif type_text(known) != type_text(prop):
                    problems.append(
                        f"Property '{cls.name}.{name}' has been changed from '{type_text(known)}' "
                        f"to '{type_text(prop)}'."
                    )
                properties[name] = prop
            if properties != ours.properties or cls.read_only != ours.read_only:
                merged[cls.name] = msgspec.structs.replace(ours, properties=properties, read_only=cls.read_only)
                added = True
        return _Difference(merged, new_classes, new_columns, added, problems)

    def _add_schema(self, connection: sqlite3.Connection, classes: Iterable[ObjectSchema]) -> bool:
        found = self._difference(classes)
        if found.problems:
            lines = "".join(f"\n- {problem}" for problem in found.problems)
            raise RealmError(
                f"The following changes cannot be made in additive-only schema mode:{lines}",
                code="SchemaMismatch",
            )
        if not found:
            return False
        schema = Schema(found.merged.values())
        tables = {cls.name: Table(cls, schema) for cls in schema}
        for name in found.classes:
            for statement in tables[name].create_sql():
                connection.execute(statement)
        for class_name, name in found.properties:
            for statement in tables[class_name].add_column_sql(name):
                connection.execute(statement)
        connection.execute(
            "UPDATE __realm_file SET schema = ?, schema_revision = schema_revision + 1",
            (_encode(list(found.merged.values())).decode(),),
        )
        return True

    # --- the file ----------------------------------------------------------------------------------------------------

    def file(self) -> FileRow:
        row = self.connection.execute(
            "SELECT ident, salt, epoch, server_version, client_version, query_version, view, next_client_version,"
            " revision, reset, max_message_bytes, opened, resets FROM __realm_file"
        ).fetchone()
        return FileRow(
            client_file=None if row[0] is None else ClientFile(ident=row[0], salt=row[1]),
            epoch=row[2],
            progress=Progress(server_version=row[3], client_version=row[4], query_version=row[5], view=row[6]),
            next_client_version=row[7],
            revision=row[8],
            reset=row[9],
            max_message_bytes=row[10],
            opened=bool(row[11]),
            resets=row[12],
        )

    def must_belong_to(self, user_id: str) -> None:
        """Raises RealmError if these are another user's objects: an absolute path may name what somebody else left on
        this device. A file that is nobody's becomes this user's."""
        query = "SELECT owner FROM __realm_file"
        (owner,) = self.connection.execute(query).fetchone()
        if owner is None:
            with self.transaction() as connection:
                connection.execute("UPDATE __realm_file SET owner = ? WHERE owner IS NULL", (user_id,))
                (owner,) = connection.execute(query).fetchone()
        if owner != user_id:
            raise RealmError(
                f"Realm at path '{self.path}' belongs to another user. Open it as that user, or use another path.",
                code="MismatchedConfig",
            )

    def set_opened(self) -> None:
        with self.transaction() as connection:
            connection.execute("UPDATE __realm_file SET opened = 1")

    def has_synced(self) -> bool:
        """Whether a server knows this file, or is to know of it."""
        known = self.connection.execute(
            "SELECT ident IS NOT NULL OR EXISTS (SELECT 1 FROM __realm_set) OR EXISTS (SELECT 1 FROM __realm_changeset)"
            " FROM __realm_file"
        ).fetchone()[0]
        return bool(known)

    def file_state(self) -> FileState:
        """What a session needs to know when its connection opens."""
        file = self.file()
        return FileState(file.client_file, file.epoch, file.progress, tuple(self.unsent_sets()), file.reset is not None)

    def store_bound(self, client_file: ClientFile | None, bound: Bound) -> bool:
        """The server's answer to `bind`. True if it brought classes or properties that the file did not have."""
        with self.transaction() as connection:
            if client_file is not None:
                connection.execute("UPDATE __realm_file SET ident = ?, salt = ?", (client_file.ident, client_file.salt))
            connection.execute(
                "UPDATE __realm_file SET epoch = ?, max_message_bytes = ?",
                (bound.epoch, bound.limits.max_message_bytes),
            )
            return self._add_schema(connection, bound.schema)

    @staticmethod
    def touch(connection: sqlite3.Connection, classes: Iterable[str], revision: int) -> None:
        """Objects of these classes changed in this transaction."""
        connection.executemany(
            "INSERT INTO __realm_class VALUES (?, ?) ON CONFLICT (class) DO UPDATE SET revision = excluded.revision",
            [(name, revision) for name in classes],
        )

    def class_revision(self, name: str) -> int:
        """The last commit that touched objects of the class: no need to look at them before it rises."""
        row = self.connection.execute("SELECT revision FROM __realm_class WHERE class = ?", (name,)).fetchone()
        return row[0] if row else 0

    # --- local writes ------------------------------------------------------------------------------------------------

    def writer(self, connection: sqlite3.Connection) -> Writer:
        """The writer of an open transaction; `finish` it before the commit."""
        file = self.file()
        return Writer(self, connection, file, file.revision + 1)

    def pending_count(self) -> int:
        return int(self.connection.execute("SELECT count(*) FROM __realm_changeset").fetchone()[0])

    def newest_client_version(self) -> int:
        """The last changeset ever committed here."""
        return self.file().next_client_version - 1

    def pending(self, after: int, upto: int | None, max_bytes: int) -> list[Changeset]:
        """Changesets above `after` in order, of `max_bytes` together, at least one if there is any."""
        connection = self.connection
        headers: list[tuple[int, int, int, int]] = []
        total = 0
        for header in connection.execute(
            "SELECT client_version, base_version, timestamp, bytes FROM __realm_changeset WHERE client_version > ?"
            " AND client_version <= ? ORDER BY client_version LIMIT 1000",
            (after, 2**62 if upto is None else upto),
        ):
            total += header[3]
            if headers and total > max_bytes:
                break
            headers.append(header)
        if not headers:
            return []
        instructions: dict[int, list[Create | Update | Delete]] = defaultdict(list)
        for version, name, key, op, data in connection.execute(
            "SELECT client_version, class, key, op, data FROM __realm_instruction"
            " WHERE client_version BETWEEN ? AND ? ORDER BY client_version, position",
            (headers[0][0], headers[-1][0]),
        ):
            table = self.table(name)
            ident = table.key_to_wire(key) if table else key
            if op == "delete":
                instructions[version].append(Delete(class_name=name, id=ident))
            else:
                kind = Create if op == "create" else Update
                instructions[version].append(kind(class_name=name, id=ident, values=_decode(data)))
        return [
            Changeset(client_version=version, base_version=base, timestamp=at, instructions=instructions[version])
            for version, base, at, _ in headers
        ]

    # --- downloads ---------------------------------------------------------------------------------------------------

    # Parts belong to the thread that stores them: the session's.

    def drop_parts(self) -> None:
        self.connection.execute("DELETE FROM __realm_part")

    def store_part(self, download: Download) -> None:
        """Keeps a part until `apply`, or until this thread's connection ends."""
        self.connection.execute("INSERT INTO __realm_part (changes) VALUES (?)", (_encode(download.changes),))

    def hold_rejected(self, rejected: Rejected) -> list[Rejected]:
        """Keeps the report until its correction is here; returns it if it is here already. The same report again
        changes nothing."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO __realm_rejected (client_version, report) VALUES (?, ?)",
                (rejected.client_version, _encode(rejected)),
            )
            return self._due_reports(connection)

    def reports_told(self, reports: Sequence[Rejected]) -> None:
        with self.transaction() as connection:
            connection.executemany(
                "UPDATE __realm_rejected SET told = 1 WHERE client_version = ?", [(r.client_version,) for r in reports]
            )

    def due_reports(self) -> list[Rejected]:
        """Reports whose correction is applied and that the app has not been told: it was killed in between."""
        return self._due_reports(self.connection)

    @staticmethod
    def _due_reports(connection: sqlite3.Connection) -> list[Rejected]:
        rows = connection.execute(
            "SELECT report FROM __realm_rejected WHERE NOT told"
            " AND client_version <= (SELECT client_version FROM __realm_file) ORDER BY client_version"
        ).fetchall()
        return [_rejected_decoder.decode(report) for (report,) in rows]

    def apply(self, download: Download, with_parts: bool) -> Applied:
        """One download, or one bootstrap with its stored parts, in one transaction (R10)."""
        with self.transaction() as connection:
            file = self.file()
            changes = list(download.changes)
            if with_parts:
                parts = connection.execute("SELECT changes FROM __realm_part ORDER BY id").fetchall()
                changes = [change for (part,) in parts for change in _parts_decoder.decode(part)] + changes
                connection.execute("DELETE FROM __realm_part")
            rebase = _Rebase(self, connection, file.revision + 1)
            self.touch(connection, {change.class_name for change in changes}, rebase.revision)
            reset = self.reset_ended_by(download)
            if reset:
                rebase.replace(changes, download, keep_pending=reset in ("recover", "copy"))
            else:
                rebase.merge(changes, download.client_version)
            connection.execute(
                "UPDATE __realm_file SET server_version = ?, client_version = ?, query_version = ?, view = ?,"
                " revision = ?, reset = CASE WHEN ? THEN NULL ELSE reset END,"
                " resets = CASE WHEN ? AND NOT EXISTS (SELECT 1 FROM __realm_changeset) THEN 0 ELSE resets END",
                (
                    download.server_version,
                    download.client_version,
                    download.query_version,
                    download.view,
                    rebase.revision,
                    reset is not None,
                    reset is not None or file.reset is None,
                ),
            )
            version = (download.query_version,)
            connection.execute("UPDATE __realm_set SET state = 'complete', error = NULL WHERE version = ?", version)
            connection.execute("DELETE FROM __realm_set WHERE version < ?", version)
            connection.execute("DELETE FROM __realm_subscription WHERE version < ?", version)
            return Applied(self._due_reports(connection), reset)

    def reset_ended_by(self, download: Download) -> ResetKind | None:
        """The client reset that this download, or the bootstrap it ends, completes."""
        return self.file().reset if download.query_version >= self._wanted_set(self.connection) else None

    @staticmethod
    def _wanted_set(connection: sqlite3.Connection) -> int:
        row = connection.execute("SELECT max(version) FROM __realm_set WHERE state != 'error'").fetchone()
        return int(row[0] or 0)

    def begin_reset(self, kind: ResetKind) -> None:
        """Client reset: the file asks for a new ident and everything anew. What is visible stays until that is here;
        pending changesets and the subscription sets stay as well. Where writes are discarded, so are the sets that are
        not complete: the active one becomes the newest."""
        with self.transaction() as connection:
            newest, file = self._wanted_set(connection), self.file()
            active, complete = connection.execute(
                "SELECT min(version), max(state = 'complete') FROM __realm_set WHERE state != 'error'"
            ).fetchone()
            # An earlier reset that did not get through has made the active set pending; it is the oldest all the same.
            if kind in ("discard", "fallback") and (complete or file.reset is not None):
                newest = active or 0
                connection.execute("DELETE FROM __realm_set WHERE version > ?", (newest,))
                connection.execute("DELETE FROM __realm_subscription WHERE version > ?", (newest,))
            connection.execute("DELETE FROM __realm_rejected")
            connection.execute("UPDATE __realm_set SET state = 'pending' WHERE version = ?", (newest,))
            connection.execute("UPDATE __realm_set SET after = 0 WHERE state = 'pending'")
            connection.execute(
                "UPDATE __realm_file SET ident = NULL, salt = NULL, epoch = NULL, server_version = 0,"
                " client_version = 0, query_version = 0, view = 0, reset = ?, resets = resets + ?",
                (kind, kind != "copy"),
            )

    # --- subscriptions -----------------------------------------------------------------------------------------------

    def newest_set(self) -> StoredSet:
        """The newest subscription set; version 0, empty and complete, in a new file."""
        row = self.connection.execute("SELECT max(version) FROM __realm_set").fetchone()
        return self.subscription_set(row[0] or 0) or StoredSet(0, "complete", None, ())

    def subscription_set(self, version: int) -> StoredSet | None:
        row = self.connection.execute("SELECT state, error FROM __realm_set WHERE version = ?", (version,)).fetchone()
        return StoredSet(version, row[0], row[1], self._subscriptions(version)) if row else None

    def _subscriptions(self, version: int) -> tuple[SubscriptionItem, ...]:
        rows = self.connection.execute(
            "SELECT id, name, class, query, created_at, updated_at FROM __realm_subscription WHERE version = ?"
            " ORDER BY rowid",
            (version,),
        ).fetchall()
        return tuple(
            SubscriptionItem(id=r[0], name=r[1], class_name=r[2], query=r[3], created_at=r[4], updated_at=r[5])
            for r in rows
        )

    def set_states(self) -> tuple[int, dict[int, tuple[str, str | None]]]:
        """The version the data is complete for, and state and error of every set that is not superseded."""
        complete = self.connection.execute("SELECT max(version) FROM __realm_set WHERE state = 'complete'").fetchone()[
            0
        ]
        rows = self.connection.execute("SELECT version, state, error FROM __realm_set").fetchall()
        return complete or 0, {version: (state, error) for version, state, error in rows}

    def unsent_sets(self) -> list[UnsentSet]:
        """Every pending set, oldest first."""
        rows = self.connection.execute(
            "SELECT version, after FROM __realm_set WHERE state = 'pending' ORDER BY version"
        )
        return [UnsentSet(version, after, self._subscriptions(version)) for version, after in rows.fetchall()]

    def add_set(self, subscriptions: Iterable[SubscriptionItem]) -> int:
        """Inside a transaction: a new newest set, to be sent after the changesets that exist now. Its version."""
        connection = self.connection
        version = int(connection.execute("SELECT coalesce(max(version), 0) + 1 FROM __realm_set").fetchone()[0])
        after = self.newest_client_version()
        connection.execute("INSERT INTO __realm_set VALUES (?, 'pending', NULL, ?)", (version, after))
        connection.executemany(
            "INSERT INTO __realm_subscription VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(version, s.id, s.name, s.class_name, s.query, s.created_at, s.updated_at) for s in subscriptions],
        )
        return version

    def refuse_set(self, version: int, message: str) -> None:
        """The server does not take this set. In a client reset it has no other of this file: the newest one left gets a
        new number, and is sent instead."""
        with self.transaction() as connection:
            connection.execute(
                "UPDATE __realm_set SET state = 'error', error = ? WHERE version = ?", (message, version)
            )
            left = self._wanted_set(connection)
            if self.file().reset is not None and 0 < left < version:
                fresh = connection.execute("SELECT max(version) + 1 FROM __realm_set").fetchone()[0]
                connection.execute(
                    "UPDATE __realm_set SET version = ?, state = 'pending' WHERE version = ?", (fresh, left)
                )
                connection.execute("UPDATE __realm_subscription SET version = ? WHERE version = ?", (fresh, left))


def _close(left: list[_Opened]) -> None:
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


class FrozenStore(Store):
    """The file as it is now, whatever is written later: one connection in a read transaction, for all threads. `close`
    it: until then SQLite cannot shorten its write-ahead log."""

    def __init__(self, store: Store) -> None:
        self.path, self.synced, self.lock = store.path, store.synced, WriteLock()
        self.encryption_key, self.read_only = store.encryption_key, True
        self._schema_revision = -1
        self._tables, self._schema, self.closed = {}, Schema(), False
        self._guard = threading.Lock()
        connection = store._new_connection()
        connection.execute("PRAGMA query_only = ON")
        connection.execute("BEGIN")
        references = sys.getrefcount(connection)
        self._connections = [(None, connection, references)]
        self._pinned: sqlite3.Connection | None = connection
        self.file()

    @property
    def connection(self) -> sqlite3.Connection:
        connection = self._pinned
        if connection is None:
            raise RealmError("Cannot access realm that has been closed.")
        return connection

    def close(self) -> None:
        self.closed = True
        with self._guard:
            left, self._connections, self._pinned = self._connections, [], None
        _close(left)

    def transaction(self) -> NoReturn:
        raise RealmError("Can't perform transactions on a frozen Realm", code="WrongTransactionState")


class _Rebase:
    """One download's way into the tables, within a transaction."""

    def __init__(self, store: Store, connection: sqlite3.Connection, revision: int) -> None:
        self.store, self.connection, self.revision = store, connection, revision

    def merge(self, changes: Iterable[Changes], client_version: int) -> None:
        """Server state forward, acknowledged changesets dropped, the rest replayed."""
        touched: set[Key] = set()
        for change in changes:
            table = self.store.table(change.class_name)
            if table is not None:
                self._change(table, change, touched)
        execute = self.connection.execute
        acknowledged = execute(
            "SELECT DISTINCT class, key FROM __realm_instruction WHERE client_version <= ?", (client_version,)
        ).fetchall()
        touched.update(acknowledged)
        execute("DELETE FROM __realm_instruction WHERE client_version <= ?", (client_version,))
        execute("DELETE FROM __realm_changeset WHERE client_version <= ?", (client_version,))
        # A restored file meets its own later changesets: it must not use their numbers again.
        execute("UPDATE __realm_file SET next_client_version = max(next_client_version, ?)", (client_version + 1,))
        self._show(touched)

    def replace(self, changes: Sequence[Changes], download: Download, keep_pending: bool) -> None:
        """Client reset: the tables become what the bootstrap says, pending changesets start over on top of it."""
        execute, many = self.connection.execute, self.connection.executemany
        execute("DELETE FROM __realm_shadow")
        kept: dict[str, list[Any]] = defaultdict(list)
        for change in changes:
            kept[change.class_name].extend(image["_id"] for image in change.put)
        self.store.touch(self.connection, self.store.schema.names(), self.revision)
        for cls in self.store.schema:
            table = self.store.table(cls.name)
            assert table is not None
            keys = _encode([table.key_from_wire(key) for key in kept[cls.name]]).decode()
            execute(f"DELETE FROM {table.sql_name} WHERE _id NOT IN (SELECT value FROM json_each(?))", (keys,))
        if not keep_pending:
            execute("DELETE FROM __realm_instruction")
            execute("DELETE FROM __realm_changeset")
        for change in changes:
            table = self.store.table(change.class_name)
            if table is not None:
                self._change(table, change, set())
        # The new client file has sent nothing yet: its changesets count from one, and stand on what it just got.
        versions = [row[0] for row in execute("SELECT client_version FROM __realm_changeset ORDER BY client_version")]
        renumbered = [(new, old) for new, old in enumerate(versions, 1)]
        many("UPDATE __realm_changeset SET client_version = ? WHERE client_version = ?", renumbered)
        many("UPDATE __realm_instruction SET client_version = ? WHERE client_version = ?", renumbered)
        execute("UPDATE __realm_changeset SET base_version = ?", (download.server_version,))
        execute("UPDATE __realm_file SET next_client_version = ?", (len(versions) + 1,))
        execute("UPDATE __realm_set SET after = ? WHERE state = 'pending'", (len(versions),))
        touched = set(execute("SELECT DISTINCT class, key FROM __realm_instruction").fetchall())
        for name, key in touched:
            table = self.store.table(name)
            row = execute(table.select_one, (key,)).fetchone() if table else None
            image = table.image(row) if table and row else None
            execute("INSERT INTO __realm_shadow VALUES (?, ?, ?)", (name, key, _image_text(image)))
        self._show(touched)

    def _change(self, table: Table, change: Changes, touched: set[Key]) -> None:
        """Applies one Changes to tables and shadows; adds the shadowed objects it met to `touched`."""
        shadows = self._shadows(table, change)
        many = self.connection.executemany
        put, patch, erase = change.put, change.patch, change.erase
        if shadows:
            key_of = table.key_from_wire
            for image in put:
                if (key := key_of(image["_id"])) in shadows:
                    shadows[key] = {**table.blank, **{name: image[name] for name in image if name in table.place}}
            for image in patch:
                if (key := key_of(image["_id"])) in shadows and (old := shadows[key]) is not None:
                    shadows[key] = {**old, **{name: image[name] for name in image if name in table.place}}
            for wire in erase:
                if (key := key_of(wire)) in shadows:
                    shadows[key] = None
            put = [image for image in put if key_of(image["_id"]) not in shadows]
            patch = [image for image in patch if key_of(image["_id"]) not in shadows]
            erase = [wire for wire in erase if key_of(wire) not in shadows]
            many(
                "UPDATE __realm_shadow SET image = ? WHERE class = ? AND key = ?",
                [(_image_text(image), table.name, key) for key, image in shadows.items()],
            )
            touched.update((table.name, key) for key in shadows)
        if put:
            many(table.upsert, table.rows(put, self.revision))
        # One patch per object, the later values winning: the groups below do not keep the order of patches.
        merged: dict[Any, Image] = {}
        for image in patch:
            merged[image["_id"]] = {**merged.get(image["_id"], {}), **image}
        by_names: dict[tuple[str, ...], list[tuple[Any, ...]]] = defaultdict(list)
        for image in merged.values():
            names = tuple(name for name in image if name != "_id" and name in table.place)
            if names:
                values = [table.from_wire(name, image[name]) for name in names]
                by_names[names].append((*values, self.revision, table.key_from_wire(image["_id"])))
        for names, rows in by_names.items():
            many(table.patch_sql(names), rows)
        if erase:
            many(table.delete, [(table.key_from_wire(wire),) for wire in erase])

    def _shadows(self, table: Table, change: Changes) -> dict[Any, Image | None]:
        """The shadows of the objects in `change`."""
        some = self.connection.execute("SELECT 1 FROM __realm_shadow WHERE class = ? LIMIT 1", (table.name,)).fetchone()
        if not some:
            return {}
        keys = [image["_id"] for image in change.put] + [image["_id"] for image in change.patch] + change.erase
        rows = self.connection.execute(
            "SELECT key, image FROM __realm_shadow WHERE class = ? AND key IN (SELECT value FROM json_each(?))",
            (table.name, _encode([table.key_from_wire(key) for key in keys]).decode()),
        )
        return {key: None if text is None else _decode(text) for key, text in rows.fetchall()}

    def _show(self, touched: Iterable[Key]) -> None:
        """Visible = shadow + pending, for `touched`; shadows that nothing pending needs any more are dropped."""
        by_class: dict[str, list[Any]] = defaultdict(list)
        for name, key in touched:
            by_class[name].append(key)
        for name, keys in by_class.items():
            table = self.store.table(name)
            if table is not None:
                self._show_class(table, keys)

    def _show_class(self, table: Table, keys: list[Any]) -> None:
        self.store.touch(self.connection, [table.name], self.revision)
        execute, many = self.connection.execute, self.connection.executemany
        chosen = (table.name, _encode(keys).decode())
        steps: dict[Any, list[tuple[str, Image]]] = defaultdict(list)
        for key, op, data in execute(
            "SELECT key, op, data FROM __realm_instruction WHERE class = ? AND key IN (SELECT value FROM json_each(?))"
            " ORDER BY client_version, position",
            chosen,
        ):
            steps[key].append((op, _decode(data) if data else {}))
        present, absent, done = [], [], []
        for key, text in execute(
            "SELECT key, image FROM __realm_shadow WHERE class = ? AND key IN (SELECT value FROM json_each(?))", chosen
        ):
            image = None if text is None else _decode(text)
            pending = steps.get(key)
            if pending is None:
                done.append((table.name, key))
            else:
                image = replay(image, pending, table.blank)
            if image is None:
                absent.append((key,))
            else:
                image["_id"] = table.key_to_wire(key)
                present.append(image)
        many(table.upsert, table.rows(present, self.revision))
        many(table.delete, absent)
        many("DELETE FROM __realm_shadow WHERE class = ? AND key = ?", done)
