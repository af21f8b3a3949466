"""The history: reading it without gaps (R2), the rows that no trigger writes, its epoch and its end.

Decides up to which version reading is gap-free, where a batch may be cut, and what may be pruned. Knows neither views
nor sessions, and keeps nothing in memory. Reads in autocommit unless the caller has a transaction. Called by feed.py,
downloads.py, uploads.py, subscriptions.py and the management command.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connections, transaction

from . import capture
from .core.changes import Change, well_formed

_COLUMNS = "version, id, class, object_id, kind, before, after, timestamp, origin, sets"
READ_CHARACTERS = 8_000_000
"""About how much of the history one read holds in memory, however large the objects are."""
FIRST_ROWS = 64
"""Rows that a read begins with, before it knows how large they are."""
_PRUNE_ROWS = 10_000
"""How many rows one transaction of prune() deletes, so that writers never wait for long."""

Cursor = tuple[int, int]
"""A place inside a version: (version, id) of the last row that was read."""


class Batch(NamedTuple):
    """What read() found."""

    changes: list[Change]
    upto: int
    """The reader has now seen every change up to this version; only if `complete`."""
    complete: bool
    """False: the batch ends inside a version of more rows than asked for; continue with `cursor`."""
    cursor: Cursor | None
    """Where the batch ended, if it is not complete."""
    more: bool = False
    """The limit cut the batch: more could be read already."""


def newest(connection: Any) -> int:
    """The version up to which the history can be read now without a gap (R2).

    PostgreSQL: below the oldest transaction that is still running, in any database of the cluster, so that one which
    stays open delays what comes after it. SQLite: the newest row, as commits come one after another.
    """
    if connection.vendor == "postgresql":
        return _value(connection, "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1")
    return latest(connection)


def latest(connection: Any) -> int:
    """The newest version that the connection sees, readable without a gap or not yet; 0 in an empty history."""
    return _value(connection, "SELECT coalesce(max(version), 0) FROM realm_sync_change")


def read(
    connection: Any,
    after: int,
    limit: int,
    classes: Collection[str] | None = None,
    upto: int | None = None,
    cursor: Cursor | None = None,
    in_snapshot: bool = False,
) -> Batch:
    """Every change above version `after`, in order, up to `upto` or `newest()`, but about `limit` rows and READ_CHARACTERS
    at most.

    A longer batch is cut after a whole version. If one version alone is longer the batch is not `complete`: call
    again with its `cursor`, and count the version as read only when a batch is complete. `classes` keeps rows of
    these classes; rows of no class (advances, changed access) belong to the class "". With `in_snapshot`, inside a
    repeatable-read transaction, everything that is visible is read, also what is above `newest()`.
    """
    if upto is None:
        upto = latest(connection) if in_snapshot else newest(connection)
    start = cursor or (after, 2**63 - 1)
    sql = f"SELECT {_COLUMNS} FROM realm_sync_change WHERE (version, id) > (%s, %s) AND version <= %s"
    parameters: list[Any] = [*start, upto]
    if classes is not None:
        if not classes:
            return Batch([], upto, True, None)
        sql += f" AND class IN ({', '.join(['%s'] * len(classes))})"
        parameters += classes
    changes: list[Change] = []
    size, wanted = 0, FIRST_ROWS
    with connection.cursor() as database_cursor:
        while True:
            wanted = min(wanted, limit + 1 - len(changes))
            database_cursor.execute(f"{sql} ORDER BY version, id LIMIT %s", [*parameters, wanted])
            found = [_change(*row) for row in database_cursor.fetchall()]
            changes += found
            if len(found) < wanted or len(changes) > limit:
                break
            size += sum(len(change.before or "") + len(change.after or "") for change in found)
            if size > READ_CHARACTERS:
                limit = len(changes) - 1
                break
            parameters[:2] = changes[-1].version, changes[-1].id
            wanted = max(FIRST_ROWS, (READ_CHARACTERS - size) * len(changes) // (size + 1))
    if len(changes) <= limit:
        return Batch(changes, max(upto, after), True, None)
    cut = changes[-1].version
    whole = [change for change in changes if change.version < cut]
    if whole:
        return Batch(whole, whole[-1].version, True, None, more=True)
    last = changes[limit - 1]
    return Batch(changes[:limit], after, False, (last.version, last.id), more=True)


def changes_of(connection: Any, keys: Iterable[tuple[str, str]], after: int) -> list[Change]:
    """Every change above version `after` that the connection sees of these (class, object id), in order.

    For conflict detection: unlike read() it also finds what is committed above `newest()`.
    """
    pairs = json.dumps(list(keys))
    if connection.vendor == "postgresql":
        wanted = "SELECT value->>0 AS class, value->>1 AS object_id FROM json_array_elements(%s::json)"
    else:
        wanted = (
            "SELECT json_extract(value, '$[0]') AS class, json_extract(value, '$[1]') AS object_id FROM json_each(%s)"
        )
    columns = ", ".join(f"c.{name}" for name in _COLUMNS.split(", "))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {columns} FROM ({wanted}) AS wanted JOIN realm_sync_change c"
            " ON c.class = wanted.class AND c.object_id = wanted.object_id"
            " WHERE c.version > %s ORDER BY c.version, c.id",
            [pairs, after],
        )
        return [_change(*row) for row in cursor.fetchall()]


def written_by(connection: Any, ident: int) -> list[tuple[str, str]]:
    """(class, object id) of everything a client file has written, its advances among them, as far as history reaches.
    Reads all of it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT class, object_id FROM realm_sync_change WHERE origin = %s", [ident])
        return [(class_name, object_id) for class_name, object_id in cursor.fetchall()]


def _change(
    version: int, id: int, name: str, object_id: str, kind: str, before: str | None, after: str | None, *rest: Any
) -> Change:
    before, after = before and well_formed(before), after and well_formed(after)
    return Change(version, id, name, object_id, kind, before, after, *rest)


def mark(connection: Any) -> int:
    """A place in the history: rows that this transaction writes from now on come after it."""
    return _value(connection, "SELECT coalesce(max(id), 0) FROM realm_sync_change")


def written_since(connection: Any, mark: int, ident: int) -> list[Change]:
    """What this transaction's upload of a client file wrote since `mark`, in order: also what the models' own code and
    cascades did to other objects."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM realm_sync_change WHERE id > %s AND origin = %s AND kind IN"
            " ('insert', 'update', 'delete') ORDER BY id",
            [mark, ident],
        )
        return [_change(*row) for row in cursor.fetchall()]


def disown(connection: Any, ids: Collection[int]) -> None:
    """Says of rows that this transaction wrote that no client file did."""
    if not ids:
        return
    rows = "SELECT value FROM json_each(%s)"
    if connection.vendor == "postgresql":
        rows = "SELECT value::bigint FROM json_array_elements_text(%s::json)"
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE realm_sync_change SET origin = 0 WHERE id IN ({rows})", [json.dumps(sorted(ids))])


def restamp(
    connection: Any,
    mark: int,
    ident: int,
    timestamps: Mapping[tuple[str, str], int],
    sets: Mapping[tuple[str, str], Collection[str]] | None = None,
) -> None:
    """Gives rows that this transaction's upload of a client file wrote since `mark` the time of the user's write, and
    the dotted paths of the counters that it set rather than added to (R7).

    Both by (class, object id); rows of other objects keep the time of the statement.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, class, object_id, timestamp FROM realm_sync_change WHERE id > %s AND origin = %s",
            [mark, ident],
        )
        wrong = []
        for row, class_name, object_id, timestamp in cursor.fetchall():
            right = timestamps.get((class_name, object_id), timestamp)
            paths = (sets or {}).get((class_name, object_id))
            if paths or right != timestamp:
                wrong.append((row, right, json.dumps(sorted(paths)) if paths else None))
        if not wrong:
            return
        if connection.vendor == "postgresql":
            written = (
                "SELECT (value->>0)::bigint AS id, (value->>1)::bigint AS timestamp, value->>2 AS sets"
                " FROM json_array_elements(%s::json)"
            )
        else:
            written = (
                "SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS timestamp,"
                " json_extract(value, '$[2]') AS sets FROM json_each(%s)"
            )
        cursor.execute(
            f"UPDATE realm_sync_change SET timestamp = written.timestamp, sets = written.sets FROM ({written}) AS written"
            " WHERE realm_sync_change.id = written.id",
            [json.dumps(wrong)],
        )


def record_advance(connection: Any, ident: int, after: str) -> None:
    """Writes that everything a client file uploaded up to the client version in `after` (JSON) is integrated (R6).

    Belongs into the transaction of the upload.
    """
    _record(connection, str(ident), "advance", after, ident)


def record_access_change(user: Any, using: str) -> None:
    """Writes that what this user may see or write may have changed; live sessions then get the difference."""
    _record(connections[using], str(user.pk), "access", None, 0)


def _record(connection: Any, object_id: str, kind: str, after: str | None, origin: int) -> None:
    database = capture.dialect(connection)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO realm_sync_change (version, class, object_id, kind, before, after, timestamp, origin)"
            f" SELECT {database.next_version()}, '', %s, %s, NULL, %s, {database.NOW}, %s",
            [object_id, kind, after, origin],
        )
        if connection.vendor == "postgresql":
            cursor.execute(f"NOTIFY {database.CHANNEL}")


def epoch(connection: Any) -> str:
    """Which life of the database this is. Makes a new one where there is none (an emptied database), and where a
    dump was restored into another PostgreSQL cluster, whose transactions count from elsewhere."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT epoch FROM realm_sync_epoch")
        row = cursor.fetchone()
        if row is not None and connection.vendor == "postgresql":
            cursor.execute(
                "SELECT coalesce((SELECT max(version) FROM realm_sync_change), 0)"
                " > (SELECT greatest(pg_snapshot_xmax(pg_current_snapshot()), pg_current_xact_id_if_assigned()))"
                "::text::bigint"
            )
            if cursor.fetchone()[0]:
                row = None
    if row is None:
        renew_epoch(connection)
        return epoch(connection)
    return str(row[0])


def renew_epoch(connection: Any) -> None:
    """Begins a new life of the database: every client file meets a client reset. Do this after restoring a backup.

    The history goes, for it tells of the life before.
    """
    with transaction.atomic(connection.alias), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO realm_sync_epoch (id, epoch, created, pruned_upto) VALUES (1, %s, CURRENT_TIMESTAMP, 0)"
            " ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, created = excluded.created, pruned_upto = 0",
            [secrets.token_hex(16)],
        )
        cursor.execute("DELETE FROM realm_sync_change")


def oldest(connection: Any) -> int:
    """The version up to which history was pruned: a client file that has not integrated it must be reset."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pruned_upto FROM realm_sync_epoch")
        row = cursor.fetchone()
        return int(row[0]) if row else 0


def prune(connection: Any, before: datetime) -> int:
    """Deletes the history older than a moment; returns how many rows.

    Only rows that come before every newer one, and never the newest one of all. Rows of uploads bear the time of the
    user, which may be long ago; their advances, which follow them, bear the server's.
    """
    limit = int(before.timestamp() * 1000)
    of_server = "(origin = 0 OR kind = 'advance')"
    first_newer = _value(
        connection,
        f"SELECT coalesce(min(version), %s) FROM realm_sync_change WHERE {of_server} AND timestamp >= %s",
        [2**63 - 1, limit],
    )
    upto = _value(
        connection,
        f"SELECT coalesce(max(version), 0) FROM realm_sync_change WHERE {of_server} AND timestamp < %s AND version < %s"
        " AND version < (SELECT max(version) FROM realm_sync_change)",
        [limit, min(first_newer, newest(connection) + 1)],
    )
    pruned = 0
    while True:
        with transaction.atomic(connection.alias), connection.cursor() as cursor:
            cursor.execute(
                "SELECT max(version), max(id), count(*) FROM (SELECT version, id FROM realm_sync_change"
                " WHERE version <= %s ORDER BY version, id LIMIT %s) AS doomed",
                [upto, _PRUNE_ROWS],
            )
            version, _, found = cursor.fetchone()
            if not found:
                return pruned
            cursor.execute(
                "DELETE FROM realm_sync_change WHERE id IN (SELECT id FROM realm_sync_change"
                " WHERE version <= %s ORDER BY version, id LIMIT %s)",
                [upto, _PRUNE_ROWS],
            )
            pruned += cursor.rowcount
            cursor.execute("UPDATE realm_sync_epoch SET pruned_upto = %s WHERE pruned_upto < %s", [version, version])


def _value(connection: Any, sql: str, parameters: list[Any] | None = None) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return int(cursor.fetchone()[0])
