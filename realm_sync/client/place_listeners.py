"""Place listeners: who is told what when a collection or an embedded object changes.

Decides change sets of what lies inside objects (reference 9.7), from the values before and after: which element of a
list is which is told as for merging. A move is a deletion and an insertion; an element that is replaced or changed
inside is a modification, as is an object in a collection of links that changed itself. When the owner is deleted its
collections are told once, with everything deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from realm_sync.core.alignment import CHANGED, KEPT, MOVED, NEW, align
from realm_sync.core.edits import Shape, identities, identity

from .dictionaries import Dictionary
from .elements import Elements
from .errors import RealmError
from .listeners import CollectionChanges, DictionaryChanges, ObjectChanges, deliver
from .live import Live
from .tables import REVISION

if TYPE_CHECKING:
    from .realm import Realm

Changes = CollectionChanges | DictionaryChanges | ObjectChanges


@dataclass(frozen=True)
class _Seen:
    """What a place held."""

    wire: Any
    """Of links in a list or set those that are shown."""
    revisions: Mapping[Any, int]
    """Of links, when their targets changed."""


class PlaceObserver:
    """One listener of a place. Looks at it through an object of its own: it runs in another thread."""

    def __init__(
        self, realm: Realm, place: Live, callback: Callable[..., object], loop: asyncio.AbstractEventLoop | None
    ) -> None:
        owner = realm._wrap(place._owner._table, place._owner._key, None)
        self.realm, self.callback, self.loop, self.given = realm, callback, loop, place
        self.place = type(place)(owner, place._path, place._prop, place._root)
        self.shape = Shape(realm._schema_for_queries, place._prop)
        self.target = place._target if isinstance(place, (Elements, Dictionary)) else None
        self.touched: tuple[int, int] | None = None
        self.seen: _Seen | None = None
        self.told = False

    def look(self) -> None:
        store = self.realm._open_store
        touched = store.class_revision(self.place._owner._table.name), store.class_revision(self.target or "")
        if touched == self.touched:
            return
        seen, self.touched = self._look(), touched
        before, self.seen = self.seen, seen
        if not self.told:
            changes: Changes = self._nothing()
        elif before is None and seen is None:
            return
        else:
            changes = self._compare(before, seen)
            if not changes:
                return
        self.told = True
        shown = (
            self.place._as_of(self.place._root) if seen is not None and self.shape.kind != "embedded" else self.given
        )
        deliver(self.loop, self.callback, shown, changes)

    def _look(self) -> _Seen | None:
        try:
            wire = self.place._wire()
        except RealmError:
            return None
        if self.target is None:
            return _Seen(wire, {})
        table = self.realm._table_or_none(self.target)
        if table is None:
            return _Seen(type(wire)(), {})
        linked = [key for key in wire.values() if key is not None] if isinstance(wire, dict) else wire
        rows = self.realm._connection.execute(
            f"SELECT _id, {REVISION} FROM {table.sql_name} WHERE _id IN (SELECT value FROM json_each(?))",
            (self.realm._key_list(table, linked),),
        )
        revisions = {table.key_to_wire(key): revision for key, revision in rows}
        return _Seen(wire if isinstance(wire, dict) else [key for key in wire if key in revisions], revisions)

    def _nothing(self) -> Changes:
        if self.shape.kind == "embedded":
            return ObjectChanges(deleted=self.seen is None)
        return DictionaryChanges() if self.place._kind is dict else CollectionChanges()

    def _compare(self, before: _Seen | None, after: _Seen | None) -> Changes:
        if self.shape.kind == "embedded":
            if before is None or after is None:
                return ObjectChanges(deleted=after is None)
            return ObjectChanges(changed_properties=tuple(_changed(before.wire, after.wire)))
        if self.place._kind is dict:
            return self._keys(before or _Seen({}, {}), after or _Seen({}, {}))
        return self._elements(before or _Seen([], {}), after or _Seen([], {}))

    def _keys(self, before: _Seen, after: _Seen) -> DictionaryChanges:
        old, new = before.wire, after.wire
        changed = {*_changed(old, new)}
        if self.target is not None:
            changed |= {key for key, link in new.items() if self._revised(before, after, link)}
        return DictionaryChanges(
            insertions=tuple(sorted(key for key in new if key not in old)),
            deletions=tuple(sorted(key for key in old if key not in new)),
            modifications=tuple(sorted(key for key in changed if key in old and key in new)),
        )

    def _elements(self, before: _Seen, after: _Seen) -> CollectionChanges:
        origin, fate, removed = align(identities(self.shape, before.wire), identities(self.shape, after.wire))
        pairs = [
            (to, at)
            for to, at in enumerate(origin)
            if fate[to] == CHANGED
            or (fate[to] == KEPT and before.revisions and self._revised(before, after, after.wire[to]))
        ]
        return CollectionChanges(
            insertions=tuple(to for to in range(len(origin)) if fate[to] in (NEW, MOVED)),
            deletions=tuple(sorted([*removed, *(origin[to] for to in range(len(origin)) if fate[to] == MOVED)])),
            new_modifications=tuple(to for to, _ in pairs),
            old_modifications=tuple(sorted(at for _, at in pairs)),
        )

    @staticmethod
    def _revised(before: _Seen, after: _Seen, key: Any) -> bool:
        return before.revisions.get(key) != after.revisions.get(key)


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [key for key in {**old, **new} if identity(old.get(key)) != identity(new.get(key))]
