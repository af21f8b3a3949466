"""Embedded objects: objects that live inside others and have no key.

Reading gives live attribute access; every property is written and merged for itself. Assigning an embedded object, or a
plain dict, copies its values: whoever holds the one that was there sees them, as it is a place and not what is in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from realm_sync.core.schema import ObjectSchema, Property

from .declared import Declared
from .errors import RealmError
from .listeners import ObjectChanges
from .live import Live


class EmbeddedObject(Live, Declared):
    """Base of embedded classes. Comes from the object it is in, never from a constructor of its own."""

    _kind = dict
    _realm_embedded = True

    def object_schema(self) -> ObjectSchema:
        return self._realm._class_schema(str(self._prop.object_type))

    @property
    def _properties(self) -> dict[str, Property]:
        return self.object_schema().properties

    def _read(self, name: str) -> Any:
        wire, prop = self._wire(), self._properties[name]
        return self._realm._value(self._owner, (*self._at, name), prop, wire.get(name), self._root)

    def _write(self, name: str, value: Any) -> None:
        self._writing()
        prop = self._properties.get(name)
        if prop is None:
            class_name = self._prop.object_type
            raise RealmError(f"Property '{name}' does not exist on '{class_name}' objects", code="InvalidProperty")
        path = (*self._path, name)
        self._realm._check_assignable(path, prop, self._wire().get(name), value)
        self._realm._assign(
            self._owner, path, prop, self._realm._to_wire(f"{self._where}.{name}", prop, value, "never")
        )
        self._saw(self._realm._root(self._owner, str(path[0])))

    def linked_key(self, name: str) -> Any:
        """The key of the object that `name` links to, whether it is in this file or not."""
        wire, table = self._wire().get(name), self._realm._table_or_none(self._properties[name].object_type)
        if table is None:
            raise RealmError(f"'{self._where}.{name}' is no link.", code="InvalidProperty")
        return None if wire is None else table.to_python("_id", table.key_from_wire(wire))

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values; of links the targets' keys."""
        plain: dict[str, Any] = self._realm._plain(self._prop, self._wire())
        return plain

    @property
    def parent(self) -> Any:
        """The object that it is in."""
        return self._owner

    def add_listener(self, callback: Callable[[Any, ObjectChanges], object]) -> None:
        """`callback(object, changes)`: once soon with empty changes, then whenever its own properties change."""
        self._realm._add_place_listener(self, callback)

    def remove_listener(self, callback: Callable[..., object]) -> None:
        self._realm._remove_listener(("place", self._owner, self._path), callback)

    __eq__ = Live.__eq__
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        name = self._prop.object_type
        return f"<{name} {self.to_dict()}>" if self.is_valid() else f"<{name} (deleted)>"
