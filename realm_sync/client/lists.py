"""Lists: live ordered collections, of values, links, embedded objects and mixed values.

A List is Python's mutable sequence with Realm's `move`, `swap`, `filtered`, `sorted` and aggregates. Every change is an
edit: an insert, a replaced element, a move or a remove, so that it merges with those of others. Elements whose target
is not in this file are hidden; `linked_keys()` has them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableSequence
from typing import Any, TypeVar, cast

from .elements import Elements
from .errors import RealmError
from .listeners import CollectionChanges
from .live import Live

T = TypeVar("T")


class List(Elements[T], MutableSequence[T]):
    """A list property, or a list inside a mixed value. Iteration goes over the elements as they are when it begins."""

    _kind = list

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._values(self._places(index))
        return self._value(self._place(index))

    def __iter__(self) -> Iterator[T]:
        return iter(self._values(self._shown()))

    def __setitem__(self, index: Any, value: Any) -> None:
        """Replaces an element, or a slice. The others stay the elements they are."""
        self._writing()
        if isinstance(index, slice):
            self._replace_slice(index, value)
            return
        if index < 0 and -index > len(self):
            raise RealmError(f"Cannot set item at negative index {index}.", code="IndexOutOfBounds")
        if index >= len(self):
            raise RealmError(
                f"Requested index {index} calling set() on list '{self._name}' when max is {len(self) - 1}",
                code="IndexOutOfBounds",
            )
        place = self._place(index)
        self._edit("set", place, value=self._encode(value, index))

    def __delitem__(self, index: int | slice) -> None:
        self._writing()
        if isinstance(index, slice):
            self._edits([("remove", (place,), {}) for place in sorted(self._places(index), reverse=True)])
        else:
            self._edit("remove", self._place(index))

    def insert(self, index: int, value: T) -> None:
        self._writing()
        shown = self._shown()
        index = max(0, index + len(shown)) if index < 0 else min(index, len(shown))
        # Behind what is hidden at the end: there is nothing to stand before.
        place = shown[index] if index < len(shown) else len(self._wire())
        self._edit("insert", place, value=self._encode(value, index))

    def append(self, value: T) -> None:
        self._writing()
        place = len(self._wire())
        self._edit("insert", place, value=self._encode(value, place))

    def extend(self, values: Iterable[T]) -> None:
        self._writing()
        length = len(self._wire())
        encoded = [self._encode(value, length + at) for at, value in enumerate(list(values))]
        self._edits([("insert", (length + at,), {"value": wire}) for at, wire in enumerate(encoded)])

    def pop(self, index: int = -1) -> T:
        """Removes an element and returns it; of an embedded object its values."""
        value = self[index]
        if isinstance(value, Live):
            value = self._realm._plain(self._element, self._wire()[self._place(index)])
        del self[index]
        return cast(T, value)

    def move(self, from_index: int, to_index: int) -> None:
        """The element at `from_index` is at `to_index` afterwards. Somebody else's move of it, and a later one, wins."""
        self._writing()
        shown = self._shown()
        self._check_places(len(shown), from_index, to_index)
        if from_index == to_index:
            return
        to = shown[to_index]
        self._edit("move", shown[from_index], to=to)

    def swap(self, first: int, second: int) -> None:
        """Exchanges two elements, by moving both."""
        self._writing()
        self._check_places(len(self._shown()), first, second)
        low, high = sorted((first, second))
        if low == high:
            return
        self.move(high, low)
        self.move(low + 1, high)

    def reverse(self) -> None:
        self._writing()
        shown = self._shown()
        self._edits([("move", (place,), {"to": shown[0]}) for place in shown[1:]])

    def _check_places(self, length: int, *places: int) -> None:
        for place in places:
            if place < 0:
                raise RealmError("Indexes cannot be smaller than 0", code="IndexOutOfBounds")
            if place >= length:
                raise RealmError("Indexes cannot be greater than the size of the list", code="IndexOutOfBounds")

    def index(self, value: Any, start: int = 0, stop: int | None = None) -> int:
        places = self._found(value)
        shown = self._shown()
        for at in range(*slice(start, stop).indices(len(shown))):
            if shown[at] in places:
                return at
        raise ValueError(f"{value!r} is not in the list")

    def count(self, value: Any) -> int:
        return len(self._found(value).intersection(self._shown()))

    def __contains__(self, value: object) -> bool:
        return not self._found(value).isdisjoint(self._shown())

    def __eq__(self, other: object) -> bool:
        """Also equal to a list of equal elements."""
        if isinstance(other, (list, tuple)):
            return list(self) == list(other)
        return super().__eq__(other)

    __hash__ = object.__hash__

    def _place(self, index: int) -> int:
        shown = self._shown()
        try:
            return shown[index]
        except IndexError:
            raise IndexError(f"index {index} is out of range: the list has {len(shown)} elements") from None

    def _places(self, index: slice) -> list[int]:
        return list(self._shown()[index])

    def _replace_slice(self, index: slice, values: Iterable[Any]) -> None:
        shown, wire = self._shown(), list(self._wire())
        encoded = [self._encode(value, at) for at, value in enumerate(values)]
        if index.step not in (None, 1):
            places = list(shown[index])
            if len(places) != len(encoded):
                raise ValueError(
                    f"attempt to assign sequence of size {len(encoded)} to extended slice of size {len(places)}"
                )
            for place, element in zip(places, encoded, strict=True):
                wire[place] = element
        else:
            start, stop, _ = index.indices(len(shown))
            first = shown[start] if start < len(shown) else len(wire)
            kept = set(shown[start : max(start, stop)])
            head, tail = wire[:first], [each for at, each in enumerate(wire) if at >= first and at not in kept]
            wire = head + encoded + tail
        self._assign(wire)

    def add_listener(self, callback: Callable[[List[T], CollectionChanges], object]) -> None:
        """`callback(list, changes)`: once soon with empty changes, then after commits that changed something: elements,
        and properties of objects in it. A move is a deletion and an insertion; a replaced element is a modification."""
        self._realm._add_place_listener(self, callback)

    def remove_listener(self, callback: Callable[..., object]) -> None:
        self._realm._remove_listener(("place", self._owner, self._path), callback)

    def __repr__(self) -> str:
        return f"<List {self._name} {list(self)!r}>" if self.is_valid() else f"<List {self._name} (invalid)>"
