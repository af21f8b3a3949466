"""Objects: live views of stored objects.

How Python classes declare their properties is `declared.py`'s. Without classes objects are plain `Object`s with the
properties of the server's schema. Objects hold no data: every access reads the present value, every assignment needs a
write transaction. The realm does both. A link is assigned an object, or the key of one: unlike in Realm its target need
not be in the file (inspectors do not download all airfields).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from realm_sync.core.schema import ObjectSchema

from .declared import Declared
from .listeners import ObjectChanges
from .tables import Table

if TYPE_CHECKING:
    from .realm import Realm
    from .results import Results


class Object(Declared):
    """One object of a realm. Two Objects are equal if they are the same stored object.

    Objects come from a realm (`create`, `objects`, links), never from a constructor.
    """

    _realm: Realm
    _table: Table
    _key: Any
    _cache: tuple[int, tuple[Any, ...]] | None
    _roots: dict[str, tuple[Any, Any]] | None
    """Column and wire value of what was read last of properties that hold more than a scalar."""
    _own = ("_realm", "_table", "_key", "_cache", "_roots")

    def __init__(self, *_: Any, **__: Any) -> None:
        name = type(self).__name__
        raise TypeError(f"{name} objects are made by a realm: write realm.create({name}, {{…}}).")

    @classmethod
    def _wrap(cls, realm: Realm, table: Table, key: Any, cache: tuple[int, tuple[Any, ...]] | None = None) -> Object:
        instance = cls.__new__(cls)
        put = object.__setattr__
        put(instance, "_realm", realm)
        put(instance, "_table", table)
        put(instance, "_key", key)
        put(instance, "_cache", cache)
        put(instance, "_roots", None)
        return instance

    def _has(self, name: str) -> bool:
        return name in self._table.place or super()._has(name)

    def _read(self, name: str) -> Any:
        return self._realm._get(self, name)

    def _write(self, name: str, value: Any) -> None:
        self._realm._set(self, name, value)

    def is_valid(self) -> bool:
        """False once it is deleted or its realm closed."""
        return self._realm._row(self) is not None if not self._realm.is_closed else False

    def object_schema(self) -> ObjectSchema:
        return self._realm._class_schema(self._table.name)

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values: collections are lists and dicts, embedded objects dicts, links the targets' keys."""
        return self._realm._to_dict(self)

    def linked_key(self, name: str) -> Any:
        """The key of the object that `name` links to, whether it is in this file or not: where it is not, the link
        reads as None."""
        return self._realm._linked_key(self, name)

    def linking_objects(self, object_type: str | type[Object], property: str) -> Results[Any]:
        """Live results of the objects of `object_type` whose `property` links here: a link, or a collection of links."""
        return self._realm._linking_objects(self, object_type, property)

    def add_listener(self, callback: Callable[[Any, ObjectChanges], object]) -> None:
        """`callback(object, changes)`: once soon with empty changes, then whenever this object changes."""
        self._realm._add_object_listener(self, callback)

    def remove_listener(self, callback: Callable[[Any, ObjectChanges], object]) -> None:
        self._realm._remove_listener(("object", self._table.name, self._key), callback)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Object)
            and other._key == self._key
            and other._table.name == self._table.name
            and other._realm.path == self._realm.path
        )

    def __hash__(self) -> int:
        return hash((self._table.name, self._key))

    def __repr__(self) -> str:
        if not self.is_valid():
            return f"<{self._table.name} {self._key} (deleted)>"
        return f"<{self._table.name} {self.to_dict()}>"
