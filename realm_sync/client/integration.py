"""Integration: the way of one download into the file.

Decides, within the transaction of `Store.apply`, what goes into the tables and what into shadows, which pending
changesets the server has taken in, and what is visible afterwards (R8, R10). What instructions make of an object is
`core/merge.py`'s.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from realm_sync.core.merge import rebase, replay
from realm_sync.core.messages import AnyInstruction, Changes, Download

from .rebase import EDITS, Image, Key, instruction, written
from .tables import Table
from .writer import image_text, instruction_size

if TYPE_CHECKING:
    from .store import Store

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.decode


@dataclass
class _Pending:
    """An instruction that the server has not acknowledged, and where it lies."""

    version: int
    position: float
    op: str
    data: dict[str, Any]


class Integration:
    """One download's way into the tables, within a transaction."""

    def __init__(self, store: Store, connection: sqlite3.Connection, revision: int, server_version: int) -> None:
        """`server_version`: of the download."""
        self.store, self.connection, self.revision, self.server_version = store, connection, revision, server_version
        self._before: dict[Key, Image | None] = {}
        """The server's image before the download, of objects with something pending that it changes."""
        self._acknowledged: dict[Key, list[AnyInstruction]] = defaultdict(list)
        """What the download takes out of what is pending, of objects with pending edits."""

    def merge(self, changes: Iterable[Changes], client_version: int) -> None:
        """Server state forward, acknowledged changesets dropped, the rest replayed. Pending edits of objects that others
        changed are counted anew: what they meant is what is shown, and what the server is told."""
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
        self._acknowledge(client_version)
        # A restored file meets its own later changesets: it must not use their numbers again.
        execute("UPDATE __realm_file SET next_client_version = max(next_client_version, ?)", (client_version + 1,))
        self._show(touched)

    def _acknowledge(self, client_version: int) -> None:
        """The server has the changesets up to this one: they are no longer pending."""
        execute = self.connection.execute
        for name, key, op, data in execute(
            "SELECT class, key, op, data FROM __realm_instruction AS own WHERE client_version <= ?1 AND EXISTS ("
            " SELECT 1 FROM __realm_instruction AS later WHERE later.class = own.class AND later.key = own.key"
            " AND later.client_version > ?1 AND later.op NOT IN ('create', 'update', 'delete'))"
            " ORDER BY client_version, position",
            (client_version,),
        ):
            self._acknowledged[name, key].append(self._instruction(name, key, op, data))
        execute("DELETE FROM __realm_instruction WHERE client_version <= ?", (client_version,))
        execute("DELETE FROM __realm_changeset WHERE client_version <= ?", (client_version,))

    def replace(self, changes: Sequence[Changes], download: Download, keep_pending: bool) -> None:
        """Client reset: the tables become what the bootstrap says, pending changesets start over on top of it."""
        execute, many = self.connection.execute, self.connection.executemany
        for name, key, text in execute("SELECT class, key, image FROM __realm_shadow"):
            self._before[name, key] = None if text is None else _decode(text)
        execute("DELETE FROM __realm_shadow")
        kept: dict[str, list[Any]] = defaultdict(list)
        for change in changes:
            kept[change.class_name].extend(image["_id"] for image in change.put)
        self.store.touch(self.connection, self.store.schema.names(), self.revision)
        for cls in self.store.schema:
            table = self.store.table(cls.name)
            if table is None:
                continue
            keys = _encode([table.key_from_wire(key) for key in kept[cls.name]]).decode()
            execute(f"DELETE FROM {table.sql_name} WHERE _id NOT IN (SELECT value FROM json_each(?))", (keys,))
        (integrated,) = execute("SELECT integrated FROM __realm_file").fetchone()
        self._acknowledge(integrated)
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
        # Versions of the server that was: what is not counted anew below stands on the new content as well as it may.
        execute(
            "UPDATE __realm_instruction SET data = json_remove(data, '$.base') WHERE op NOT IN ('create', 'update')"
        )
        execute("UPDATE __realm_file SET next_client_version = ?, integrated = 0", (len(versions) + 1,))
        execute("UPDATE __realm_set SET after = ? WHERE state = 'pending'", (len(versions),))
        touched = set(execute("SELECT DISTINCT class, key FROM __realm_instruction").fetchall())
        for name, key in touched:
            table = self.store.table(name)
            if table is not None and table.cls.asymmetric:
                continue
            row = execute(table.select_one, (key,)).fetchone() if table else None
            image = table.image(row) if table and row else None
            execute("INSERT INTO __realm_shadow VALUES (?, ?, ?)", (name, key, image_text(image)))
        self._show(touched)

    def _change(self, table: Table, change: Changes, touched: set[Key]) -> None:
        """Applies one Changes to tables and shadows; adds the shadowed objects it met to `touched`."""
        shadows = self._shadows(table, change)
        many = self.connection.executemany
        put, patch, erase = change.put, change.patch, change.erase
        if shadows:
            for key, image in shadows.items():
                self._before.setdefault((table.name, key), image)
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
                [(image_text(image), table.name, key) for key, image in shadows.items()],
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
        steps: dict[Any, list[_Pending]] = defaultdict(list)
        for key, version, position, op, data in execute(
            "SELECT key, client_version, position, op, data FROM __realm_instruction"
            " WHERE class = ? AND key IN (SELECT value FROM json_each(?)) ORDER BY client_version, position",
            chosen,
        ):
            steps[key].append(_Pending(version, position, op, _decode(data) if data else {}))
        present, absent, done = [], [], []
        for key, text in execute(
            "SELECT key, image FROM __realm_shadow WHERE class = ? AND key IN (SELECT value FROM json_each(?))", chosen
        ).fetchall():
            image = None if text is None else _decode(text)
            pending = steps.get(key)
            if pending is None:
                done.append((table.name, key))
            else:
                image = self._visible(table, key, image, pending)
            if image is None:
                absent.append((key,))
            else:
                present.append({**table.blank, **image, "_id": table.key_to_wire(key)})
        many(table.upsert, table.rows(present, self.revision))
        many(table.delete, absent)
        many("DELETE FROM __realm_shadow WHERE class = ? AND key = ?", done)

    def _visible(self, table: Table, key: Any, image: Image | None, pending: list[_Pending]) -> Image | None:
        """The server's image with what is pending. Where others changed the object, its pending edits are written as
        they read now."""
        name = table.name
        steps = [self._instruction(name, key, step.op, step.data) for step in pending]
        has_news = (name, key) in self._before or (name, key) in self._acknowledged
        if not has_news or not any(step.op in EDITS for step in pending):
            return replay(table.schema, table.cls, image, steps)
        before, acknowledged = self._before.get((name, key), image), self._acknowledged[name, key]
        visible, counted = rebase(table.schema, table.cls, before, acknowledged, image, steps, self.server_version)
        for step, old, new in zip(pending, steps, counted, strict=True):
            if new != [old]:
                self._rewrite(step, new)
        return visible

    def _rewrite(self, step: _Pending, new: Sequence[AnyInstruction]) -> None:
        """Puts other instructions, or none, in place of one. Where one becomes several their positions lie between its
        own and the next: SQLite keeps fractions, and no other instruction need move."""
        execute, place = self.connection.execute, (step.version, step.position)
        ((name, key),) = execute(
            "SELECT class, key FROM __realm_instruction WHERE client_version = ? AND position = ?", place
        ).fetchall()
        ((after,),) = execute(
            "SELECT min(position) FROM __realm_instruction WHERE client_version = ? AND position > ?", place
        ).fetchall()
        room = 1 if after is None else after - step.position
        execute("DELETE FROM __realm_instruction WHERE client_version = ? AND position = ?", place)
        rows = [
            (step.version, step.position + room * at / len(new), name, key, op, _text(data))
            for at, (op, data) in enumerate(map(written, new))
        ]
        self.connection.executemany("INSERT INTO __realm_instruction VALUES (?, ?, ?, ?, ?, ?)", rows)
        if len(new) > 1:  # messages are filled by the sizes of changesets
            size = sum(instruction_size((name, key), data) for *_, data in rows)
            execute("UPDATE __realm_changeset SET bytes = bytes + ? WHERE client_version = ?", (size, step.version))

    def _instruction(self, class_name: str, key: Any, op: str, data: Any) -> AnyInstruction:
        table = self.store.table(class_name)
        said = _decode(data) if isinstance(data, str) else data or {}
        return instruction(op, class_name, table.key_to_wire(key) if table else key, said)


def _text(data: Any) -> str | None:
    return None if data is None else _encode(data).decode()
