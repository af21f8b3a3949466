"""Store: one realm as one SQLite file: objects, pending changesets, subscription sets, progress.

What is visible is the server's state at `progress` plus the pending changesets replayed on it (R8). An object that
pending changesets touch has a *shadow*: its image on the server, or null where it is absent there. Downloads go into
shadows where there are any, into the tables elsewhere; then what was touched is computed anew.

Every method that writes is one transaction, durable when it returns (R9: synchronous=FULL), so that a process killed
at any point leaves a consistent file. Any number of threads and processes may hold the same file open: each thread has
its own connection, writers wait for each other. Knows no network and no user; callers are the realm and its transport.
"""

from __future__ import annotations

import sqlite3
import sys
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

import msgspec

from realm_sync.core.client_session import FileState, UnsentSet
from realm_sync.core.messages import (
    AnyInstruction,
    Bound,
    Changes,
    Changeset,
    ClientFile,
    Download,
    Progress,
    Rejected,
    SubscriptionItem,
)
from realm_sync.core.schema import ObjectSchema, Schema
from realm_sync.core.sql import quoted

from .additions import additions
from .errors import RealmError
from .integration import Integration
from .queries import StoredQueries
from .rebase import instruction
from .store_file import StoreFile, WriteLock, close_all
from .tables import REVISION, Table
from .writer import Writer

_schema_decoder = msgspec.json.Decoder(list[ObjectSchema])
_parts_decoder = msgspec.json.Decoder(list[Changes])
_rejected_decoder = msgspec.json.Decoder(Rejected)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.decode

ResetKind = Literal["recover", "discard", "fallback", "copy"]
"""What a client reset does with pending changesets. `fallback`: discards them because they could not be recovered;
`copy`: recovers them, in a file that was made as a copy of another and has no client file yet."""


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


class Store(StoreFile):
    """One realm file. `synced`: local writes become pending changesets."""

    def __init__(
        self,
        path: str | Path,
        synced: bool = True,
        create: bool = True,
        encryption_key: bytes | None = None,
        read_only: bool = False,
    ) -> None:
        self._schema_revision = -1
        self._tables: dict[str, Table] = {}
        self._schema = Schema()
        self.queries = StoredQueries(self.table)
        super().__init__(path, synced, create, encryption_key, read_only)

    def new_connection(self) -> sqlite3.Connection:
        connection = super().new_connection()
        self.queries.register(connection)
        return connection

    # --- size and copies ---------------------------------------------------------------------------------------------

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
                for table in self._tables.values():
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
            self._schema, self._tables = schema, _tables_of(schema)
            self._schema_revision = revision

    def add_schema(self, classes: Iterable[ObjectSchema]) -> bool:
        """Adds classes and properties; true if there were any. Raises RealmError listing what contradicts the file:
        like Realm's additive mode, a property never changes its type and nothing is ever removed."""
        classes = list(classes)
        if not additions(self.schema, classes):  # the usual case, and it need not wait for a writer
            return False
        with self.transaction() as connection:
            return self._add_schema(connection, classes)

    def check_schema(self, classes: Iterable[ObjectSchema]) -> None:
        """Of a file that stays as it is: raises RealmError listing what it has not."""
        found = additions(self.schema, classes)
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

    def _add_schema(self, connection: sqlite3.Connection, classes: Iterable[ObjectSchema]) -> bool:
        found = additions(self.schema, classes)
        if found.problems:
            lines = "".join(f"\n- {problem}" for problem in found.problems)
            raise RealmError(
                f"The following changes cannot be made in additive-only schema mode:{lines}",
                code="SchemaMismatch",
            )
        if not found:
            return False
        schema = Schema(found.merged.values())
        tables = _tables_of(schema)
        for name in found.classes:
            for statement in tables[name].create_sql() if name in tables else ():
                connection.execute(statement)
        for class_name, name in found.properties:
            for statement in tables[class_name].add_column_sql(name) if class_name in tables else ():
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
        return Writer(self, connection, file, file.revision + 1, self.schema)

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
        instructions: dict[int, list[AnyInstruction]] = defaultdict(list)
        for version, name, key, op, data in connection.execute(
            "SELECT client_version, class, key, op, data FROM __realm_instruction"
            " WHERE client_version BETWEEN ? AND ? ORDER BY client_version, position",
            (headers[0][0], headers[-1][0]),
        ):
            table = self.table(name)
            ident = table.key_to_wire(key) if table else key
            instructions[version].append(instruction(op, name, ident, _decode(data) if data else {}))
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
            integration = Integration(self, connection, file.revision + 1, download.server_version)
            self.touch(connection, {change.class_name for change in changes}, integration.revision)
            reset = self.reset_ended_by(download)
            if reset:
                integration.replace(changes, download, keep_pending=reset in ("recover", "copy"))
            else:
                integration.merge(changes, download.client_version)
            connection.execute(
                "UPDATE __realm_file SET server_version = ?, client_version = ?, query_version = ?, view = ?,"
                " revision = ?, reset = CASE WHEN ? THEN NULL ELSE reset END,"
                " resets = CASE WHEN ? AND NOT EXISTS (SELECT 1 FROM __realm_changeset) THEN 0 ELSE resets END",
                (
                    download.server_version,
                    download.client_version,
                    download.query_version,
                    download.view,
                    integration.revision,
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

    def begin_reset(self, kind: ResetKind, integrated: int | None = None) -> None:
        """Client reset: the file asks for a new ident and everything anew. What is visible stays until that is here;
        pending changesets and the subscription sets stay as well. Where writes are discarded, so are the sets that are
        not complete: the active one becomes the newest.

        `integrated`: the server has the changesets up to this one, so the new content has what they did, and they are
        not sent again (R6). None: it knows nothing of them, whatever was said before."""
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
                " client_version = 0, query_version = 0, view = 0, reset = ?1, resets = resets + ?2,"
                " integrated = CASE WHEN ?3 IS NULL THEN 0 ELSE max(integrated, ?3) END",
                (kind, kind != "copy", integrated),
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


def _tables_of(schema: Schema) -> dict[str, Table]:
    """Those of all classes whose objects lie in a table: embedded ones lie in others."""
    return {cls.name: Table(cls, schema) for cls in schema if not cls.embedded}


class FrozenStore(Store):
    """The file as it is now, whatever is written later: one connection in a read transaction, for all threads. `close`
    it: until then SQLite cannot shorten its write-ahead log."""

    def __init__(self, store: Store) -> None:
        self.path, self.synced, self.lock = store.path, store.synced, WriteLock()
        self.encryption_key, self.read_only = store.encryption_key, True
        self._schema_revision = -1
        self._tables, self._schema, self.closed = {}, Schema(), False
        self._guard = threading.Lock()
        self.queries = StoredQueries(self.table)
        connection = store.new_connection()
        self.queries.register(connection)
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
        close_all(left)

    def transaction(self) -> NoReturn:
        raise RealmError("Can't perform transactions on a frozen Realm", code="WrongTransactionState")
