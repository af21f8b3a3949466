"""Writer: one local write transaction.

Decides what lies in the file when it ends: the visible tables as it left them, the changeset that says so, and the
shadows of what it touched. Runs inside the transaction that `store.py` opened; what the steps are is `rebase.py`'s.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from .errors import RealmError
from .rebase import Fold, Image, Key
from .tables import Table

if TYPE_CHECKING:
    from .store import FileRow, Store

DEFAULT_MESSAGE_BYTES = 700_000
"""Assumed largest message until a server has said its own."""
ENVELOPE_BYTES = 4096
"""What a changeset may need in its message besides its instructions."""

_encode = msgspec.json.Encoder().encode


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
        shadows = [(*key, image_text(self._originals[key])) for key in touched]
        # An object that has a shadow keeps it: older pending changesets touched it before this one.
        many("INSERT OR IGNORE INTO __realm_shadow (class, key, image) VALUES (?, ?, ?)", shadows)
        execute(
            "INSERT INTO __realm_changeset VALUES (?, ?, ?, ?)",
            (version, self.file.progress.server_version, timestamp, size),
        )
        many("INSERT INTO __realm_instruction VALUES (?, ?, ?, ?, ?, ?)", rows)
        execute("UPDATE __realm_file SET next_client_version = ?", (version + 1,))
        return version


def image_text(image: Image | None) -> str | None:
    return None if image is None else _encode(image).decode()
