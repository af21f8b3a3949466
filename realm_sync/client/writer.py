"""Writer: one local write transaction.

Decides what lies in the file when it ends: the visible tables as it left them, the changeset that says so, and the
shadows of what it touched. Runs inside the transaction that `store.py` opened; what the steps are is `rebase.py`'s.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from realm_sync.core.edits import edit_value
from realm_sync.core.messages import AnyEdit
from realm_sync.core.schema import Schema

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
class Edited:
    """A property that this transaction edited. A thousand edits parse no JSON a thousand times, and who knew a place in
    it finds it again."""

    column: Any
    root: Any
    """The wire value."""
    first: Any
    """The wire value before `edits`."""
    edits: list[AnyEdit] = field(default_factory=list)


@dataclass
class Writer:
    """A local write transaction: the visible tables change at once, the changeset is written at the end."""

    store: Store
    connection: sqlite3.Connection
    file: FileRow
    revision: int
    schema: Schema
    """The file's classes, which nobody changes meanwhile."""
    fold: Fold = field(default_factory=Fold)
    _originals: dict[Key, Image | None] = field(default_factory=dict)
    """The object before this transaction, by first touch."""
    _edited: dict[tuple[Key, str], Edited] = field(default_factory=dict)

    def get(self, table: Table, key: Any) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self.connection.execute(table.select_one, (key,)).fetchone()
        return row

    def create(self, table: Table, wire: Image) -> None:
        """The object must not exist. `wire`: the values to send; what is missing is null here. One that is only ever
        uploaded is visible to nobody."""
        key = table.key_from_wire(wire["_id"])
        if table.cls.asymmetric:
            self.fold.create((table.name, key), {name: value for name, value in wire.items() if name != "_id"})
            return
        self._originals.setdefault((table.name, key), None)
        self.connection.executemany(table.insert, table.rows([wire], self.revision))
        self.fold.create((table.name, key), {name: value for name, value in wire.items() if name != "_id"})

    def update(self, table: Table, key: Any, wire: Image) -> None:
        self._remember(table, key)
        values = [table.from_wire(name, value) for name, value in wire.items()]
        self.connection.execute(table.update_sql(wire), (*values, self.revision, key))
        for name in wire if self._edited else ():
            self._edited.pop(((table.name, key), name), None)
        links = [
            (str(table.live[name].object_type), table.from_wire(name, value))
            for name, value in wire.items()
            if value is not None and name in table.links
        ]
        may_link = any(table.may_link(name) for name in wire)
        self.fold.update((table.name, key), wire, links, may_link)

    def edit(self, table: Table, key: Any, edits: Sequence[AnyEdit], column: Any, root: Any) -> Edited:
        """Edits of one property, in order. `column` and `root`: what is there now. Raises EditError, and has changed
        nothing then, if one makes no sense."""
        self._remember(table, key)
        name = str(edits[0].path[0])
        shape = table.shape(name)
        known = self.edited(table, key, name)
        if known is None or known.root is not root:
            known = Edited(column, root, root)
        for edit in edits:
            root = edit_value(shape, root, edit)
        known.column, known.root = table.from_wire(name, root), root
        known.edits.extend(edits)
        self.connection.execute(table.update_sql([name]), (known.column, self.revision, key))
        self._edited[(table.name, key), name] = known
        may_link = table.may_link(name)
        for edit in edits:
            self.fold.edit((table.name, key), edit, shape, may_link and hasattr(edit, "value"))
        return known

    def edited(self, table: Table, key: Any, name: str) -> Edited | None:
        """What this transaction made of a property by edits; None if there were none since it was written as a whole."""
        return self._edited.get(((table.name, key), name)) if self._edited else None

    def delete(self, table: Table, key: Any) -> None:
        self._remember(table, key)
        self.connection.execute(table.delete, (key,))
        for name in table.live if self._edited else ():
            self._edited.pop(((table.name, key), name), None)
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
            said = step.data()
            data = None if said is None else _encode(said).decode()
            size += instruction_size(step.key, data)
            rows.append((version, position, step.key[0], step.key[1], step.op, data))
        limit = (self.file.max_message_bytes or DEFAULT_MESSAGE_BYTES) - ENVELOPE_BYTES
        if size > limit:
            raise RealmError(
                f"This write transaction is {size} bytes large and the server takes at most {limit} at once: "
                "write it in several transactions.",
                code="LimitExceeded",
            )
        touched = {step.key for step in steps if step.key in self._originals}
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


def instruction_size(key: Key, data: str | None) -> int:
    """About how many bytes an instruction has in its message."""
    return 80 + len(key[0]) + len(str(key[1]).encode()) + (len(data.encode()) if data else 0)
