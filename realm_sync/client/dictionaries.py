"""Dictionaries: live mappings of strings to values, links, embedded objects or mixed values.

A Dictionary is Python's mutable mapping. Every key is written and merged for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, TypeVar

from realm_sync.core.schema import Property

from .elements import MIXED
from .errors import RealmError
from .listeners import DictionaryChanges
from .live import Live

T = TypeVar("T")


class Dictionary(Live, MutableMapping[str, T]):
    """A dictionary property, or a dictionary inside a mixed value. Keys are shown in their order; a link to what is not
    in this file reads as None, and `linked_key` tells its key."""

    _kind = dict

    @property
    def _element(self) -> Property:
        return MIXED if self._prop.type == "mixed" else self._realm._schema_for_queries.element(self._prop)

    @property
    def type(self) -> str:
        """`object`, or the type of the values."""
        return self._element.type

    @property
    def optional(self) -> bool:
        return self._element.optional

    @property
    def _target(self) -> str | None:
        """The class of the links that are here; None: these are no links."""
        element, schema = self._element, self._realm._schema_for_queries
        return None if element.type != "object" or schema.is_embedded(element.object_type) else element.object_type

    def __len__(self) -> int:
        return len(self._wire())

    def is_empty(self) -> bool:
        return not self._wire()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._wire()))

    def __contains__(self, key: object) -> bool:
        return key in self._wire()

    def __getitem__(self, key: str) -> T:
        wire = self._wire()
        if key not in wire:
            raise KeyError(key)
        value: T = self._realm._value(self._owner, (*self._at, key), self._element, wire[key], self._root)
        return value

    def linked_key(self, key: str) -> Any:
        """The key of the object that is linked to, whether it is in this file or not."""
        target, wire = self._element.object_type, self._wire()[key]
        table = self._realm._table_or_none(target)
        if table is None:
            raise RealmError(f"'{self._where}' holds no links.", code="InvalidProperty")
        return None if wire is None else table.to_python("_id", table.key_from_wire(wire))

    def __setitem__(self, key: str, value: T) -> None:
        self._writing()
        where = f'{self._where}["{key}"]'
        self._edit("set", check_key(key, where), value=self._realm._to_wire(where, self._element, value, "never"))

    def set(self, key: str | Mapping[str, T], value: Any = None) -> None:
        """Sets one key, or all of a mapping."""
        self.update(key if isinstance(key, Mapping) else {key: value})

    def __delitem__(self, key: str) -> None:
        self._writing()
        if key not in self._wire():
            raise KeyError(key)
        self._edit("remove", key)

    def remove(self, *keys: str) -> None:
        """Removes these keys; missing ones are no error."""
        self._writing()
        wire = self._wire()
        self._edits([("remove", (key,), {}) for key in dict.fromkeys(keys) if key in wire])

    def clear(self) -> None:
        """Removes all keys that are here; what others add meanwhile stays."""
        self._writing()
        if self._wire():
            self._edit("clear")

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values; objects as `to_dict` gives them."""
        wire, element = self._wire(), self._element
        return {key: self._realm._plain(element, wire[key]) for key in sorted(wire)}

    def __eq__(self, other: object) -> bool:
        """Also equal to a dict of equal values."""
        if isinstance(other, dict):
            return dict(self) == other
        return super().__eq__(other)

    __hash__ = object.__hash__

    def add_listener(self, callback: Callable[[Dictionary[T], DictionaryChanges], object]) -> None:
        """`callback(dictionary, changes)`: once soon with empty changes, then after commits that changed something."""
        self._realm._add_place_listener(self, callback)

    def remove_listener(self, callback: Callable[..., object]) -> None:
        self._realm._remove_listener(("place", self._owner, self._path), callback)

    def __repr__(self) -> str:
        where = f"{self._owner._table.name}.{self._where}"
        return f"<Dictionary {where} {dict(self)!r}>" if self.is_valid() else f"<Dictionary {where} (invalid)>"


def check_key(key: Any, where: str) -> str:
    """Raises RealmError, in Realm's words, for what is no key of a dictionary."""
    if not isinstance(key, str):
        raise RealmError(f"Expected '{where}' to have a string as key.", code="InvalidDictionaryKey")
    for problem, wrong in (("start with '$'", key.startswith("$")), ("contain '.'", "." in key)):
        if wrong:
            raise RealmError(
                f"Dictionary::insert: key must not {problem}: '{key}'.",
                code="InvalidDictionaryKey",
                remedy="Encode it, with %24 and %2E for example.",
            )
    return key
