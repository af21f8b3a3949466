"""Sets: live collections without duplicates and without an order of their own; they are shown in the order of values.

A Set is Python's mutable set with Realm's names. Adding and removing are edits: adds of all sides stay, a remove takes
what was there for whoever removed it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableSet
from typing import Any, TypeVar

from realm_sync.core.encoding import wire_key
from realm_sync.core.mixed import wrapper

from .elements import Elements
from .errors import RealmError
from .listeners import CollectionChanges

T = TypeVar("T")


class Set(Elements[T], MutableSet[T]):
    """A set property. Iteration goes over the elements as they are when it begins; `set[i]` is the one shown at `i`."""

    def __iter__(self) -> Iterator[T]:
        return iter(self._values(self._shown()))

    def __getitem__(self, index: int) -> T:
        value: T = self._value(self._shown()[index])
        return value

    def __contains__(self, value: object) -> bool:
        return not self._found(value).isdisjoint(self._shown())

    def add(self, value: T) -> None:
        self.update([value])

    def update(self, values: Iterable[T]) -> None:
        """Adds all of them."""
        self._writing()
        present = {wire_key(wire) for wire in self._wire()}
        edits = []
        for at, value in enumerate(values):
            wire = self._encode(value, len(present) + at)
            if wire_key(wire) not in present:
                present.add(wire_key(wire))
                edits.append(("setInsert", (), {"value": wire}))
        self._edits(edits)

    def discard(self, value: T) -> None:
        """Removes it if it is there; `remove` raises KeyError if it is not."""
        self._writing()
        wire = self._wire()
        self._edits([("setRemove", (), {"value": wire[place]}) for place in self._found(value)])

    def delete(self, value: T) -> bool:
        """As `discard`; whether it was there."""
        there = value in self
        self.discard(value)
        return there

    def _found(self, value: Any) -> set[int]:
        found = super()._found(value)
        if not found and self._element.type == "mixed" and isinstance(value, (int, float)):
            # An int and a double of one value are one element.
            wanted = wire_key(self._encode(value, None))
            return {at for at, wire in enumerate(self._wire()) if wire_key(wire) == wanted}
        return found

    def _encode(self, value: Any, index: int | None) -> Any:
        wire = super()._encode(value, index)
        check_member(wire)
        return wire

    @classmethod
    def _from_iterable(cls, values: Iterable[Any]) -> Any:
        return set(values)

    def __eq__(self, other: object) -> bool:
        """Also equal to a set of equal elements."""
        if isinstance(other, (set, frozenset)):
            return set(self) == other
        return super(Elements, self).__eq__(other)

    __hash__ = object.__hash__

    def add_listener(self, callback: Callable[[Set[T], CollectionChanges], object]) -> None:
        """`callback(set, changes)`, as a list's; the indices are of the order in which elements are shown."""
        self._realm._add_place_listener(self, callback)

    def remove_listener(self, callback: Callable[..., object]) -> None:
        self._realm._remove_listener(("place", self._owner, self._path), callback)

    def __repr__(self) -> str:
        return f"<Set {self._name} {list(self)!r}>" if self.is_valid() else f"<Set {self._name} (invalid)>"


def check_member(wire: Any) -> None:
    """Raises RealmError for the wire value of a list or dictionary: sets of mixed values contain none."""
    if isinstance(wire, list) or (isinstance(wire, dict) and not wrapper(wire)):
        kind = "Lists" if isinstance(wire, list) else "Dictionaries"
        raise RealmError(f"{kind} within a Set are not supported.", code="InvalidArgument")
